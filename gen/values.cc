#include "gen/values.h"

#include <algorithm>
#include <cmath>

#include "interp/draw.h"
#include "interp/small_float.h"

namespace assay {
namespace {

constexpr double kRelativeSlack = 1e-4,
                 kAbsoluteSlack = 1e-5;  // a tenth of what outputs may differ by
constexpr double kNudge = 1e-5;

Range Join(Range a, Range b) {
  return {std::min(a.lo, b.lo), std::max(a.hi, b.hi), a.nonzero && b.nonzero};
}
Range Between(double lo, double hi) {
  return {lo, hi, lo >= kAwayFromZero || hi <= -kAwayFromZero};
}

}  // namespace

Demand DemandOf(const OpSpec& spec, int input, DType dtype) {
  const Formal& formal = spec.InputAt(input);
  const SafeValues& safe = !IsFloat(dtype) && formal.safe_other ? *formal.safe_other : formal.safe;
  return {{safe.lo, safe.hi, safe.nonzero}, safe.constant};
}

namespace {
// Sums of products of two operands.
bool Contracts(const OpSpec& spec) {
  for (const char* op : {"Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum"}) {
    if (spec.name == op) return true;
  }
  return false;
}
}  // namespace

bool SumsOrMultiplies(const OpSpec& spec) {
  // What reads more may not look at all of it: losses, recurrences of one step, grids.
  return (spec.accuracy == Accuracy::kReduction && (spec.MinInputs() <= 1 || Contracts(spec))) ||
         (spec.accuracy == Accuracy::kRounding && spec.Has(kCommutative | kBroadcasts) &&
          !spec.Has(kDiscontinuous));
}

bool Normalizes(const OpSpec& spec) {
  return spec.FindAttr("epsilon") != nullptr || spec.name.find("Softmax") != std::string::npos ||
         spec.name == "MeanVarianceNormalization";
}

bool TypeOnly(const OpSpec& spec, int input) {
  return input > 0 && (spec.name == "CastLike" || spec.name == "Dropout");
}

Range RangeOf(const OpSpec& spec, const Node& node, std::span<const Range> inputs, int output) {
  if (output != 0 || inputs.empty()) return {};
  if (spec.out_lo > -1e29 || spec.out_hi < 1e29) return Between(spec.out_lo, spec.out_hi);
  Range r = inputs[0];
  if (spec.Has(kWithinInputs)) {
    bool variadic = spec.inputs.back().arity == Arity::kVariadic;
    for (size_t i = 1; variadic && i < inputs.size(); ++i) r = Join(r, inputs[i]);
    // The mean of a negative and a positive number may be 0.
    return spec.accuracy == Accuracy::kExact ? r : Between(r.lo, r.hi);
  }
  const std::string& name = spec.name;
  if (name == "Clip") {
    if (inputs.size() < 2) return Between(node.Float("min", -3e38f), node.Float("max", 3e38f));
    if (inputs[1].Bounded()) r.lo = std::max(r.lo, inputs[1].lo);
    if (inputs.size() > 2 && inputs[2].Bounded()) r.hi = std::min(r.hi, inputs[2].hi);
    return Between(r.lo, r.hi);
  }
  if (inputs.size() != 2) return {};
  const Range& b = inputs[1];
  if (name == "Add") return Between(r.lo + b.lo, r.hi + b.hi);
  if (name == "Sub" && (r.Bounded() || b.Bounded())) return Between(r.lo - b.hi, r.hi - b.lo);
  if (name == "Mul" && r.Bounded() && b.Bounded()) {
    double p[] = {r.lo * b.lo, r.lo * b.hi, r.hi * b.lo, r.hi * b.hi};
    return Between(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
  }
  return {};
}

bool CanBeWithin(const OpSpec& spec, const Range& range, bool each) {
  // Of these output 0 always has an element in [lo, hi].
  struct Always {
    const char* op;
    double lo, hi;
  };
  constexpr Always kAlways[] = {
      {"Hardmax", 1, 1},                        // where the largest element is
      {"MeanVarianceNormalization", -1e30, 0},  // what has mean 0 is not all above
      {"HannWindow", 0, 0},                     // it begins there
      {"BlackmanWindow", -1e-17, -1e-17},       // so does this, but for rounding
      {"MelWeightMatrix", 0, 0},                // beside a triangle
      {"MelWeightMatrix", 1, 1},                // and its top
  };
  for (const Always& a : kAlways) {
    if (!each || !spec.domain.empty() || spec.name != a.op) continue;
    bool nothing = a.lo > -kAwayFromZero && a.hi < kAwayFromZero;
    if (a.lo > range.hi || a.hi < range.lo || (range.nonzero && nothing)) return false;
  }
  return spec.out_lo < range.hi && range.lo < spec.out_hi;
}

Stats Measure(const Tensor& t) {
  Stats s;
  auto over = [&](auto* data) {
    if (t.size() == 0) return;
    double lo = static_cast<double>(data[0]), hi = lo;
    bool finite = true;
    for (int64_t i = 0; i < t.size(); ++i) {
      double v = static_cast<double>(data[i]);
      finite &= std::fabs(v) <= 1e300;
      lo = v < lo ? v : lo;
      hi = v > hi ? v : hi;
    }
    s.lo = lo;
    s.hi = hi;
    s.finite = finite;
  };
  if (t.store() == Store::kDouble || t.dtype() == DType::kDouble)
    over(t.data<double>());
  else if (t.store() == Store::kFloat || t.dtype() == DType::kFloat)
    over(t.data<float>());
  else if (t.dtype() == DType::kInt64)
    over(t.data<int64_t>());
  else if (t.dtype() == DType::kBool || t.dtype() == DType::kUint8)
    over(t.data<uint8_t>());
  else if (t.dtype() == DType::kString) {
    const std::vector<std::string>& text = t.strings();
    s.constant =
        std::all_of(text.begin(), text.end(), [&](const std::string& x) { return x == text[0]; });
    return s;
  } else {
    for (int64_t i = 0; i < t.size(); ++i) {
      double v = t.AsDouble(i);
      if (i == 0) s.lo = s.hi = v;
      if (!(std::fabs(v) <= 1e300)) s.finite = false;
      s.lo = std::min(s.lo, v);
      s.hi = std::max(s.hi, v);
    }
  }
  s.constant = t.size() > 0 && s.lo == s.hi;
  return s;
}

Range RangeOf(const Tensor& t) {
  Stats s = Measure(t);
  Range r{s.lo, s.hi, true};
  if (t.dtype() == DType::kString || !s.finite || t.size() == 0) return {};
  for (int64_t i = 0; i < t.size() && r.nonzero; ++i)
    r.nonzero = std::fabs(t.AsDouble(i)) >= kAwayFromZero;
  return r;
}

namespace {

// About normal: mean 0, variance 1, within 3.5. One draw of bits, where Choices::Normal takes
// three: elements of tensors are most of what a model draws.
double DrawNormal(Choices& choices) {
  constexpr double kStretch = 1.7320508075688772;  // four uniforms have variance 1/3
  uint64_t x = choices.Bits();
  uint64_t sum = (x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48);
  return (static_cast<double>(sum) / 65536.0 - 2) * kStretch;
}

// Integers that can be told from one another, within the type and the range.
double DrawIntegerWeight(Choices& choices, DType dtype, const Range& range) {
  double lo = std::max(range.lo, IsSigned(dtype) ? -6.0 : 0.0), hi = std::min(range.hi, 9.0);
  double v = static_cast<double>(
      choices.Between(static_cast<int64_t>(std::ceil(lo)), static_cast<int64_t>(hi)));
  if (range.nonzero && v == 0) v = 1 + static_cast<double>(choices.Below(3));
  return v;
}

double DrawFloatWeight(Choices& choices, const Range& range, double scale, bool half) {
  double v = DrawNormal(choices) * scale;
  if (range.lo > -1e29 && range.hi < 1e29)
    v = choices.Uniform(range.lo, range.hi);
  else if (range.lo > -1e29)
    v = range.lo + 0.1 + std::fabs(v);
  else if (range.hi < 1e29)
    v = range.hi - 0.1 - std::fabs(v);
  if (range.nonzero && std::fabs(v) < 2 * kAwayFromZero)
    v = v < 0 ? v - 2 * kAwayFromZero : v + 2 * kAwayFromZero;
  // Half-precision values on a coarse grid, so that sums and products of few stay exact.
  return half ? std::nearbyint(v * 4) / 4 : v;
}

}  // namespace

Tensor DrawWeight(Choices& choices, DType dtype, const Shape& shape, const Range& range,
                  double scale) {
  Tensor t = Tensor::Make(dtype, shape).value();
  bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  if (dtype == DType::kFloat) {
    float* data = t.mutable_data<float>();
    for (int64_t i = 0; i < t.size(); ++i)
      data[i] = static_cast<float>(DrawFloatWeight(choices, range, scale, false));
    return t;
  }
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = RandomText(choices);
    else if (dtype == DType::kBool)
      t.Set(i, static_cast<double>(choices.Below(2)));
    else if (IsFloat(dtype))
      t.Set(i, DrawFloatWeight(choices, range, scale, half));
    else if (IsSmallFloat(dtype))
      t.Set(i, SmallFloatBits(dtype, DrawFloatWeight(choices, range, 2, false)));
    else
      t.Set(i, DrawIntegerWeight(choices, dtype, range));
  }
  return t;
}

Tensor DrawInput(Choices& choices, DType dtype, const Shape& shape) {
  Tensor t = Tensor::Make(dtype, shape).value();
  bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  if (dtype == DType::kFloat) {
    float* data = t.mutable_data<float>();
    for (int64_t i = 0; i < t.size(); ++i) data[i] = static_cast<float>(DrawNormal(choices));
    return t;
  }
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = RandomText(choices);
    else if (IsFloat(dtype))
      t.Set(i, half ? std::nearbyint(DrawNormal(choices) * 8) / 8 : DrawNormal(choices));
    else if (IsSmallFloat(dtype))
      t.Set(i, SmallFloatBits(dtype, 2 * DrawNormal(choices)));
    else
      t.Set(i, static_cast<double>(choices.Below(dtype == DType::kBool ? 2 : 4)));
  }
  return t;
}

Sample Sample::Of(Tensor t) {
  Tensor wide = t.To(Store::kDouble);
  return {std::move(t), std::move(wide)};
}

bool SameElements(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (a.store() == b.store()) return a.Identical(b);
  for (int64_t i = 0; i < a.size(); ++i) {
    if (a.AsDouble(i) != b.AsDouble(i)) return false;
  }
  return true;
}

bool Alike(const Tensor& a, const Tensor& b) {
  constexpr double kRounding = 1e-9;
  bool reals = IsFloat(a.dtype()) && a.element_bytes() == sizeof(double);
  if (!reals || a.dtype() != b.dtype() || a.shape() != b.shape()) return SameElements(a, b);
  const double *x = a.data<double>(), *y = b.data<double>();
  for (int64_t i = 0; i < a.size(); ++i) {
    if (!(std::fabs(x[i] - y[i]) <= kRounding * std::max(1.0, std::fabs(y[i])))) return false;
  }
  return true;
}

bool Agrees(const Sample& s) {
  if (s.native.shape() != s.wide.shape()) return false;
  if (!IsFloat(s.native.dtype())) return s.native.Identical(s.wide);
  if (s.native.dtype() == DType::kDouble) return true;
  auto close = [](double a, double b) {
    return std::fabs(a - b) <= kAbsoluteSlack + kRelativeSlack * std::fabs(b);
  };
  const double* wide = s.wide.data<double>();
  if (s.native.dtype() == DType::kFloat) {
    const float* native = s.native.data<float>();
    for (int64_t i = 0; i < s.native.size(); ++i) {
      if (!close(native[i], wide[i])) return false;
    }
    return true;
  }
  for (int64_t i = 0; i < s.native.size(); ++i) {
    if (!close(s.native.AsDouble(i), wide[i])) return false;
  }
  return true;
}

Tensor Perturbed(const Tensor& t, uint64_t salt, bool flip) {
  if (!IsFloat(t.dtype()) || t.element_bytes() != sizeof(double)) return t;
  Tensor out = t.Clone();
  double* data = out.mutable_data<double>();
  uint64_t state = Mix(salt);
  for (int64_t i = 0; i < out.size(); ++i) {
    // Steps of different sizes: equal ones would leave a constant part constant.
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    double step =
        kNudge * std::max(1.0, std::fabs(data[i])) * (1 + static_cast<double>(state >> 56) / 256);
    data[i] += ((state >> 55 & 1) != 0) == flip ? step : -step;
  }
  return out;
}

bool AllDiffer(const Tensor& a, const Tensor& b) {
  if (!IsFloat(a.dtype()) || a.shape() != b.shape()) return false;
  for (int64_t i = 0; i < a.size(); ++i) {
    if (a.AsDouble(i) == b.AsDouble(i)) return false;
  }
  return true;
}

Tensor Altered(const Tensor& t, int way) {
  if (IsList(t.dtype())) return t;
  Tensor out = t.Clone();
  if (t.dtype() == DType::kString) {
    for (std::string& s : out.mutable_strings()) s += way == 0 ? "q" : " Q";
    return out;
  }
  // Not all in one direction: a common shift or factor is what many operators take away again.
  uint64_t state = Mix(static_cast<uint64_t>(way));
  auto moved = [&](double v) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double sign = state >> 63 != 0 ? 1 : -1;
    return way < 2 ? v + sign * (0.05 + 0.2 * std::fabs(v)) : sign - v;
  };
  if (IsFloat(t.dtype()) && t.element_bytes() == sizeof(double)) {
    double* data = out.mutable_data<double>();
    for (int64_t i = 0; i < t.size(); ++i) data[i] = moved(data[i]);
    return out;
  }
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = t.AsDouble(i);
    if (IsFloat(t.dtype()))
      out.Set(i, moved(v));
    else if (t.dtype() == DType::kBool)
      out.Set(i, way < 2 || i % 2 == 0 ? 1 - v : v);
    else
      out.Set(i, v + (way == 0 ? 1 : way == 1 ? -1 : static_cast<double>(1 + i % 2)));
  }
  return out;
}

}  // namespace assay
