#include "interp/small_float.h"

#include <cmath>
#include <limits>

namespace assay {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int kE8M0Bias = 127;
constexpr uint8_t kE8M0NaN = 255;

struct Format {
  int exponent_bits, mantissa_bits, bias;
  uint8_t largest;   // bits of the largest number
  uint8_t infinity;  // 0: has none
  uint8_t nan;       // 0: has none
  bool unsigned_zero;

  int sign_bit() const { return exponent_bits + mantissa_bits; }
};

Format FormatOf(DType t) {
  switch (t) {
    case DType::kFloat8E4M3FN:
      return {4, 3, 7, 0x7e, 0, 0x7f, false};
    case DType::kFloat8E4M3FNUZ:
      return {4, 3, 8, 0x7f, 0, 0x80, true};
    case DType::kFloat8E5M2:
      return {5, 2, 15, 0x7b, 0x7c, 0x7e, false};
    case DType::kFloat8E5M2FNUZ:
      return {5, 2, 16, 0x7f, 0, 0x80, true};
    default:
      return {2, 1, 1, 0x7, 0, 0, false};  // float4e2m1
  }
}

// Of bits without a sign that stand for a number.
double Magnitude(const Format& f, int bits) {
  int exponent = bits >> f.mantissa_bits, mantissa = bits & ((1 << f.mantissa_bits) - 1);
  if (exponent == 0) return std::ldexp(mantissa, 1 - f.bias - f.mantissa_bits);
  return std::ldexp(mantissa + (1 << f.mantissa_bits), exponent - f.bias - f.mantissa_bits);
}

// The nearest number of the format, half to even, as if it had exponents without end. v >= 0 is
// finite.
double RoundMagnitude(const Format& f, double v) {
  if (v == 0) return 0;
  int exponent = std::max(std::ilogb(v), 1 - f.bias);
  return std::ldexp(std::nearbyint(std::ldexp(v, f.mantissa_bits - exponent)),
                    exponent - f.mantissa_bits);
}

// Bits of a number of the format.
int BitsOfMagnitude(const Format& f, double v) {
  if (v == 0) return 0;
  int exponent = std::max(std::ilogb(v), 1 - f.bias);
  int mantissa = static_cast<int>(std::ldexp(v, f.mantissa_bits - exponent)),
      hidden = 1 << f.mantissa_bits;
  return mantissa < hidden ? mantissa
                           : ((exponent + f.bias) << f.mantissa_bits | (mantissa - hidden));
}

uint8_t PowerBits(double v, bool saturate, PowerRounding rounding) {
  v = std::fabs(v);
  if (std::isnan(v)) return kE8M0NaN;
  if (std::isinf(v)) return saturate ? kE8M0NaN - 1 : kE8M0NaN;
  if (v == 0) return 0;
  int exponent = std::ilogb(v);
  double part = std::ldexp(v, -exponent);  // in [1, 2)
  bool up = rounding == PowerRounding::kUp ? part > 1
                                           : rounding == PowerRounding::kNearest && part >= 1.5;
  int biased = exponent + (up ? 1 : 0) + kE8M0Bias;
  if (biased >= kE8M0NaN) return saturate ? kE8M0NaN - 1 : kE8M0NaN;
  return static_cast<uint8_t>(std::max(biased, 0));
}

}  // namespace

bool IsSmallFloat(DType t) {
  return Contains(kFloats8 | Bit(DType::kFloat4E2M1) | Bit(DType::kFloat8E8M0), t);
}

double SmallFloatValue(DType t, uint8_t bits) {
  if (t == DType::kFloat8E8M0) return bits == kE8M0NaN ? kNaN : std::ldexp(1.0, bits - kE8M0Bias);
  Format f = FormatOf(t);
  int sign = bits >> f.sign_bit() & 1, rest = bits & ((1 << f.sign_bit()) - 1);
  if (f.unsigned_zero && bits == f.nan) return kNaN;
  double v = Magnitude(f, rest);
  if (rest > f.largest) v = f.infinity != 0 && rest == f.infinity ? kInfinity : kNaN;
  return sign ? -v : v;
}

uint8_t SmallFloatBits(DType t, double v, bool saturate, PowerRounding powers) {
  if (t == DType::kFloat8E8M0) return PowerBits(v, saturate, powers);
  Format f = FormatOf(t);
  if (std::isnan(v)) return f.nan != 0 ? f.nan : static_cast<uint8_t>(1 << f.sign_bit());
  int sign = std::signbit(v) ? 1 << f.sign_bit() : 0;
  double largest = Magnitude(f, f.largest), magnitude = std::fabs(v);
  if (!std::isinf(magnitude)) magnitude = RoundMagnitude(f, magnitude);
  if (magnitude > largest) {
    if (saturate || f.nan == 0)
      magnitude = largest;
    else if (f.infinity != 0)
      return static_cast<uint8_t>(sign | f.infinity);
    else
      return f.unsigned_zero ? f.nan : static_cast<uint8_t>(sign | f.nan);
  }
  if (magnitude == 0 && f.unsigned_zero) return 0;
  return static_cast<uint8_t>(sign | BitsOfMagnitude(f, magnitude));
}

}  // namespace assay
