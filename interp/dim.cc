#include "interp/dim.h"

namespace assay {
namespace {

constexpr int64_t kInf = Dim::kMax;

// Saturating is wrong for a verdict and right for a bound: ends beyond +-kMax become the unbounded end.
bool Clamp(__int128 lo, __int128 hi, Dim* out) {
  if (lo > kInf || hi < -static_cast<__int128>(kInf)) return false;
  int64_t l = lo < -static_cast<__int128>(kInf) ? -kInf : static_cast<int64_t>(lo);
  int64_t h = hi > kInf ? kInf : static_cast<int64_t>(hi);
  *out = Dim(l, h);
  return true;
}

Dim Make(__int128 lo, __int128 hi) {
  Dim d;
  // A concrete value beyond the range has overflowed; an interval only loses its end.
  if (lo == hi && (lo >= kInf || lo <= -static_cast<__int128>(kInf))) return Dim::Undefined();
  return Clamp(lo, hi, &d) ? d : Dim::Undefined();
}

int64_t FloorDivInt(int64_t a, int64_t b) {
  int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

}  // namespace

std::string Dim::ToString() const {
  if (!defined()) return "undefined";
  if (known()) return std::to_string(lo_);
  if (hi_ == kMax) return lo_ <= 0 ? "?" : ">=" + std::to_string(lo_);
  return "[" + std::to_string(lo_) + ".." + std::to_string(hi_) + "]";
}

Dim dim_detail::Add(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  return Make(static_cast<__int128>(a.lo()) + b.lo(), static_cast<__int128>(a.hi()) + b.hi());
}
Dim dim_detail::Subtract(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  return Make(static_cast<__int128>(a.lo()) - b.hi(), static_cast<__int128>(a.hi()) - b.lo());
}
Dim dim_detail::Multiply(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  __int128 p[4] = {static_cast<__int128>(a.lo()) * b.lo(), static_cast<__int128>(a.lo()) * b.hi(),
                   static_cast<__int128>(a.hi()) * b.lo(), static_cast<__int128>(a.hi()) * b.hi()};
  return Make(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
}
Dim FloorDiv(Dim a, Dim b) {
  if (!a.defined() || !b.defined() || (b.lo() <= 0 && b.hi() >= 0)) {
    // An interval that merely touches 0 from above loses only its zero.
    if (a.defined() && b.defined() && b.lo() == 0 && b.hi() > 0) return FloorDiv(a, Dim(1, b.hi()));
    return Dim::Undefined();
  }
  // What most rules ask: it falls with the divisor and grows with the dividend.
  if (a.lo() >= 0 && b.lo() > 0) return a.known() && b.known() ? Dim(a.lo() / b.lo()) : Dim(a.lo() / b.hi(), a.hi() / b.lo());
  int64_t p[4] = {FloorDivInt(a.lo(), b.lo()), FloorDivInt(a.lo(), b.hi()), FloorDivInt(a.hi(), b.lo()),
                  FloorDivInt(a.hi(), b.hi())};
  return Dim(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
}
Dim CeilDiv(Dim a, Dim b) { return Dim(0) - FloorDiv(Dim(0) - a, b); }
Dim Mod(Dim a, Dim b) {
  if (!a.defined() || !b.defined() || b.hi() <= 0 || a.lo() < 0) return Dim::Undefined();
  if (a.known() && b.known()) return Dim(a.value() % b.value());
  if (b.lo() > 0 && a.hi() < b.lo()) return a;
  return Dim(0, b.hi() - 1);
}
Dim Min(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  return Dim(std::min(a.lo(), b.lo()), std::min(a.hi(), b.hi()));
}
Dim Max(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  return Dim(std::max(a.lo(), b.lo()), std::max(a.hi(), b.hi()));
}
Dim Product(const std::vector<Dim>& dims, size_t begin, size_t end) {
  Dim p = 1;
  for (size_t i = begin; i < std::min(end, dims.size()); ++i) p = p * dims[i];
  return p;
}

Truth Divides(Dim divisor, Dim a) {
  if (!a.defined() || !divisor.defined() || divisor.hi() <= 0) return Truth::kFalse;
  if (a.known() && divisor.known()) return Known(divisor.value() > 0 && a.value() % divisor.value() == 0);
  if (divisor.known() && divisor.value() == 1) return Truth::kTrue;
  return Truth::kMaybe;
}

Dim Broadcast(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Dim::Undefined();
  if (a.known() && a.value() == 1) return b;
  if (b.known() && b.value() == 1) return a;
  if (a.known() && b.known()) return a.value() == b.value() ? a : Dim::Undefined();
  // One is known and not 1: the other must be 1 or equal.
  if (a.known()) return b.lo() <= 1 || (b == a) != Truth::kFalse ? a : Dim::Undefined();
  if (b.known()) return a.lo() <= 1 || (a == b) != Truth::kFalse ? b : Dim::Undefined();
  if (a.lo() > 1 && b.lo() > 1) {
    Dim both(std::max(a.lo(), b.lo()), std::min(a.hi(), b.hi()));
    return both.defined() ? both : Dim::Undefined();
  }
  return Dim(std::min(a.lo(), b.lo()), std::max(a.hi(), b.hi()));
}

}  // namespace assay
