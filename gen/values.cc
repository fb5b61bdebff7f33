#include "gen/values.h"

#include <cmath>
#include <unordered_map>

namespace assay {
namespace {

constexpr double kInfinite = 1e30;
constexpr double kRelativeSlack = 1e-4,
                 kAbsoluteSlack = 1e-5;  // a tenth of what outputs may differ by
constexpr double kNudge = 1e-5;

bool IsOneOf(const std::string& name, std::initializer_list<const char*> names) {
  for (const char* n : names) {
    if (name == n) return true;
  }
  return false;
}

Range Join(Range a, Range b) {
  return {std::min(a.lo, b.lo), std::max(a.hi, b.hi), a.nonzero && b.nonzero};
}
Range Between(double lo, double hi) {
  return {lo, hi, lo >= kAwayFromZero || hi <= -kAwayFromZero};
}

// Operators whose output lies in fixed bounds.
struct FixedRange {
  const char* name;
  double lo, hi;
};
constexpr FixedRange kFixedRanges[] = {
    {"Sigmoid", 0, 1},
    {"HardSigmoid", 0, 1},
    {"Softmax", 0, 1},
    {"Tanh", -1, 1},
    {"Sin", -1, 1},
    {"Cos", -1, 1},
    {"Erf", -1, 1},
    {"Softsign", -1, 1},
    {"Sign", -1, 1},
    {"Hardmax", 0, 1},
    {"Atan", -1.6, 1.6},
    {"Abs", 0, kInfinite},
    {"Exp", 0, kInfinite},
    {"Softplus", 0, kInfinite},
    {"ReduceL1", 0, kInfinite},
    {"ReduceL2", 0, kInfinite},
    {"ReduceSumSquare", 0, kInfinite},
    {"Acosh", 0, kInfinite},
    {"Cosh", 1, kInfinite},
    {"Sqrt", 0, kInfinite},
    {"Relu", 0, kInfinite},
    {"Acos", 0, 3.2},
};

}  // namespace

Demand DemandOf(const OpSpec& spec, int input, DType dtype) {
  Demand d;
  if (input == 0) {
    d.range.lo = spec.safe_lo;
    d.range.hi = spec.safe_hi;
  }
  const std::string& name = spec.name;
  if ((name == "Div" || name == "Mod") && input == 1) {
    d.range.nonzero = true;
    // An integer remainder or quotient by an unlucky third input would be undefined.
    d.constant = !IsFloat(dtype) || name == "Mod";
    if (name == "Mod" && IsFloat(dtype)) d.range.lo = kAwayFromZero;
  } else if (name == "Reciprocal") {
    d.range.nonzero = true;
  } else if (name == "Pow") {
    if (input == 0) d.range.lo = IsFloat(dtype) ? kAwayFromZero : 0;
    if (input == 1) {
      d.constant = true;
      d.range = Between(IsFloat(dtype) ? -2 : 0, 3);
    }
  } else if (name == "BitShift" && input == 1) {
    d.constant = true;
    d.range = {0, 4, false};
  } else if (name == "BatchNormalization" && input == 4) {
    d.constant = true;
    d.range = Between(0.4, 2);
  } else if (IsOneOf(name, {"ReduceLogSum"})) {
    d.range.lo = kAwayFromZero;
  } else if (IsOneOf(name, {"ReduceProd", "Exp", "Sinh", "Cosh", "ReduceLogSumExp"}) &&
             input == 0) {
    // Repeated growth ends in overflow for unlucky inputs, however tame the samples.
    d.range.lo = std::max(d.range.lo, -8.0);
    d.range.hi = std::min(d.range.hi, 8.0);
  }
  return d;
}

bool TypeOnly(const OpSpec& spec, int input) {
  return input > 0 && (spec.name == "CastLike" || spec.name == "Dropout");
}

namespace {
// How the bounds of an output follow from those of the inputs.
enum class Bounding : uint8_t { kNone, kFixed, kJoin, kFirst, kAdd, kSub, kMul, kClip };
struct BoundingOf {
  Bounding how = Bounding::kNone;
  Range fixed;
};

const BoundingOf& FindBounding(const std::string& op) {
  static const std::unordered_map<std::string, BoundingOf> table = [] {
    std::unordered_map<std::string, BoundingOf> t;
    for (const FixedRange& f : kFixedRanges) t[f.name] = {Bounding::kFixed, Between(f.lo, f.hi)};
    for (const char* op : {"Concat", "Max", "Min", "Mean"}) t[op].how = Bounding::kJoin;
    for (const char* op :
         {"Identity",      "Reshape",   "Transpose",  "Flatten",      "Squeeze",
          "Unsqueeze",     "Slice",     "Split",      "Gather",       "GatherElements",
          "GatherND",      "Expand",    "Tile",       "DepthToSpace", "SpaceToDepth",
          "ReduceMax",     "ReduceMin", "ReduceMean", "MaxPool",      "GlobalAveragePool",
          "GlobalMaxPool", "Dropout",   "Compress"})
      t[op].how = Bounding::kFirst;
    t["Add"].how = Bounding::kAdd;
    t["Sub"].how = Bounding::kSub;
    t["Mul"].how = Bounding::kMul;
    t["Clip"].how = Bounding::kClip;
    return t;
  }();
  static const BoundingOf none;
  auto it = table.find(op);
  return it == table.end() ? none : it->second;
}
}  // namespace

Range RangeOf(const OpSpec& spec, const Node& node, std::span<const Range> inputs, int output) {
  if (output != 0 || inputs.empty()) return {};
  const BoundingOf& bounding = FindBounding(spec.name);
  Range r = inputs[0], b = inputs.size() == 2 ? inputs[1] : Range{};
  bool known = inputs.size() == 2 && (r.Bounded() || b.Bounded());
  switch (bounding.how) {
    case Bounding::kNone:
      return {};
    case Bounding::kFixed:
      return bounding.fixed;
    case Bounding::kJoin:
      for (const Range& x : inputs) r = Join(r, x);
      return r;
    case Bounding::kFirst:
      return r;
    case Bounding::kAdd:
      return inputs.size() == 2 ? Between(r.lo + b.lo, r.hi + b.hi) : Range{};
    case Bounding::kSub:
      return known ? Between(r.lo - b.hi, r.hi - b.lo) : Range{};
    case Bounding::kMul: {
      if (!known || !r.Bounded() || !b.Bounded()) return {};
      double p[] = {r.lo * b.lo, r.lo * b.hi, r.hi * b.lo, r.hi * b.hi};
      return Between(*std::min_element(p, p + 4), *std::max_element(p, p + 4));
    }
    case Bounding::kClip: {
      if (inputs.size() < 2) return Between(node.Float("min", -3e38f), node.Float("max", 3e38f));
      Range out = r;
      if (inputs[1].Bounded()) out.lo = std::max(out.lo, inputs[1].lo);
      if (inputs.size() > 2 && inputs[2].Bounded()) out.hi = std::min(out.hi, inputs[2].hi);
      return Between(out.lo, out.hi);
    }
  }
  return {};
}

Stats Measure(const Tensor& t) {
  Stats s;
  auto over = [&](auto* data) {
    for (int64_t i = 0; i < t.size(); ++i) {
      double v = static_cast<double>(data[i]);
      if (i == 0) s.lo = s.hi = v;
      if (!(std::fabs(v) <= 1e300)) s.finite = false;
      s.lo = std::min(s.lo, v);
      s.hi = std::max(s.hi, v);
    }
  };
  if (t.store() == Store::kDouble || t.dtype() == DType::kDouble)
    over(t.data<double>());
  else if (t.store() == Store::kFloat || t.dtype() == DType::kFloat)
    over(t.data<float>());
  else if (t.dtype() == DType::kInt64)
    over(t.data<int64_t>());
  else if (t.dtype() == DType::kBool || t.dtype() == DType::kUint8)
    over(t.data<uint8_t>());
  else if (t.dtype() == DType::kString)
    return s;
  else {
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
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = std::string(1, static_cast<char>('a' + choices.Below(26)));
    else if (dtype == DType::kBool)
      t.Set(i, static_cast<double>(choices.Below(2)));
    else if (dtype == DType::kFloat)
      t.mutable_data<float>()[i] =
          static_cast<float>(DrawFloatWeight(choices, range, scale, false));
    else if (IsFloat(dtype))
      t.Set(i, DrawFloatWeight(choices, range, scale, half));
    else
      t.Set(i, DrawIntegerWeight(choices, dtype, range));
  }
  return t;
}

Tensor DrawInput(Choices& choices, DType dtype, const Shape& shape) {
  Tensor t = Tensor::Make(dtype, shape).value();
  bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = std::string(1, static_cast<char>('a' + choices.Below(26)));
    else if (dtype == DType::kFloat)
      t.mutable_data<float>()[i] = static_cast<float>(DrawNormal(choices));
    else if (IsFloat(dtype))
      t.Set(i, half ? std::nearbyint(DrawNormal(choices) * 8) / 8 : DrawNormal(choices));
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
  if (t.dtype() == DType::kString || IsList(t.dtype())) return t;
  Tensor out = t.Clone();
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = t.AsDouble(i), sign = way == 0 ? 1 : -1;
    if (t.dtype() == DType::kBool)
      out.Set(i, 1 - v);
    else
      out.Set(i, IsFloat(t.dtype()) ? v + sign * (0.1 + 0.4 * std::fabs(v)) : v + sign);
  }
  return out;
}

}  // namespace assay
