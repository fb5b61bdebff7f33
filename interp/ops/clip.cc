// Clip (ONNX opset 6 with attributes; 11, 12, 13 with inputs), PRelu (7, 9, 16) and Shrink (9).
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

constexpr float kLowest = std::numeric_limits<float>::lowest(),
                kHighest = std::numeric_limits<float>::max();

// Y = min(max(X, lo), hi); where lo > hi the result is hi, as in numpy. A null bound does not
// bound.
template <class T>
void Bound(const T* x, T* y, int64_t n, const T* lo, const T* hi) {
  const T low = lo ? *lo : T(0), high = hi ? *hi : T(0);
  if (lo && hi)
    ForElements(n, [=](int64_t i) { y[i] = ScalarMin(ScalarMax(x[i], low), high); });
  else if (lo)
    ForElements(n, [=](int64_t i) { y[i] = ScalarMax(x[i], low); });
  else if (hi)
    ForElements(n, [=](int64_t i) { y[i] = ScalarMin(x[i], high); });
  else
    ForElements(n, [=](int64_t i) { y[i] = x[i]; });
}

Status ClipByAttributes(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  float min = c.Float("min"), max = c.Float("max");
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T lo = T(min), hi = T(max);
    // The extreme floats bound nothing, which the field must not have to know from its order.
    Bound(c.data<T>(0), out->mutable_data<T>(), out->size(), min > kLowest ? &lo : nullptr,
          max < kHighest ? &hi : nullptr);
    return {};
  });
}

Status ClipByInputs(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    Bound(c.data<T>(0), out->mutable_data<T>(), out->size(), c.Has(1) ? c.data<T>(1) : nullptr,
          c.Has(2) ? c.data<T>(2) : nullptr);
    return {};
  });
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::optional<Bounds> AttributeBounds(const Node& node, const std::vector<const Tensor*>&) {
  auto bound = [&](const char* name, double otherwise) {
    const AttrValue* value = node.Find(name);
    const float* number = value ? std::get_if<float>(value) : nullptr;
    // What is no number is for the rule to refuse.
    return number ? double{*number} : value ? std::nan("") : otherwise;
  };
  Bounds b{bound("min", -kInfinity), bound("max", kInfinity)};
  if (b.lo != b.lo || b.hi != b.hi) return std::nullopt;
  return b;
}

std::optional<Bounds> InputBounds(const Node&, const std::vector<const Tensor*>& inputs) {
  Bounds b{-kInfinity, kInfinity};
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (i > 2 || !inputs[i] || inputs[i]->size() != 1 || !IsFloat(inputs[i]->dtype())) return std::nullopt;
    (i == 1 ? b.lo : b.hi) = inputs[i]->AsDouble(0);
  }
  if (b.lo != b.lo || b.hi != b.hi) return std::nullopt;
  return b;
}

void ClipRule(RuleContext& c) {
  // "Must be a scalar"; one-element vectors are in use too, and runtimes take them.
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) <= 1, "min and max have one element");
    if (c.Rank(i) == 1) c.Require(c.In(i, 0) == Dim(1), "min and max have one element");
  }
  SameAsInput0(c);
}

// A lower and a larger upper bound, Relu6 and [-1, 1] most often.
std::pair<double, double> DrawBounds(Choices& choices, DType t) {
  double lo = IsSigned(t) ? choices.PickOf({0.0, 0.0, -1.0, -2.0}) : choices.PickOf({0.0, 1.0});
  return {lo,
          lo == 0 ? choices.PickOf({6.0, 6.0, 1.0, 3.0}) : lo + choices.PickOf({2.0, 4.0, 1.0})};
}

bool DrawClipAttributes(Choices& choices, Draft& d) {
  d.attrs.clear();
  auto [lo, hi] = DrawBounds(choices, d.inputs[0].dtype);
  if (choices.Chance(0.8)) d.Set("min", static_cast<float>(lo));
  if (choices.Chance(0.8)) d.Set("max", static_cast<float>(hi));
  return true;
}

bool DrawClipInputs(Choices& choices, Draft& d) {
  DType t = d.inputs[0].dtype;
  auto [lo, hi] = DrawBounds(choices, t);
  d.inputs.resize(1);
  d.constants.resize(std::min<size_t>(d.constants.size(), 1));
  uint64_t which = choices.Below(8);  // 0: no bound, 1: below only, else both
  if (which >= 1) d.SetConstant(1, OneElement(t, lo));
  if (which >= 2) d.SetConstant(2, OneElement(t, hi));
  return true;
}

// Y = X < 0 ? slope X : X; slope is broadcast to X, never X to slope.
Status EvalPRelu(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    const T* slope = c.data<T>(1);
    T* y = out->mutable_data<T>();
    ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ix, int64_t is) {
                    y[i] = x[ix] < T() ? WrapMul(slope[is], x[ix]) : x[ix];
                  });
    return {};
  });
}

void PReluRule(RuleContext& c) {
  if (c.Ranked(0) && c.Ranked(1)) {
    int offset = c.Rank(0) - c.Rank(1);
    c.Require(offset >= 0, "slope broadcasts to the shape of X");
    for (int i = 0; offset >= 0 && i < c.Rank(1); ++i) {
      c.Require(c.In(1, i) == Dim(1) || c.In(1, i) == c.In(0, i + offset),
                "slope broadcasts to the shape of X");
    }
  }
  SameAsInput0(c);
}

// Slopes are learned parameters: one, or one for each channel.
bool DrawPRelu(Choices& choices, Draft& d) {
  const TypeInfo& x = d.inputs[0];
  Shape shape;
  if (x.dims.size() >= 2 && x.dims[1].known() && choices.Chance(0.7)) {
    shape.assign(x.dims.size() - 1, 1);
    shape[0] = x.dims[1].value();
    if (shape[0] > 4096) return false;
  }
  Tensor slope = Tensor::Make(x.dtype, shape).value();
  for (int64_t i = 0; i < slope.size(); ++i) {
    slope.Set(i, IsFloat(x.dtype) ? choices.Uniform(0.01, 0.5)
                                  : static_cast<double>(choices.Between(1, 3)));
  }
  d.SetConstant(1, std::move(slope));
  return true;
}

// x < -lambd ? x + bias : x > lambd ? x - bias : 0. Integers go through double and are cut off.
Status EvalShrink(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  float lambd = c.Float("lambd"), bias = c.Float("bias");
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using Compute = std::conditional_t<std::is_integral_v<T>, double, T>;
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    const Compute hi = Compute(lambd), lo = -hi, b = Compute(bias);
    for (int64_t i = 0; i < out->size(); ++i) {
      Compute v = static_cast<Compute>(x[i]);
      Compute r = v < lo ? v + b : v > hi ? v - b : Compute();
      if constexpr (std::is_integral_v<T>)
        y[i] = TruncateTo<T>(r);
      else
        y[i] = r;
    }
    return {};
  });
}

void ClipRows(std::vector<OpSpec>& rows) {
  rows.push_back(Op("Clip", 6)
                     .In("input", "T", kFloats16)
                     .Out("output", "T", kFloats16)
                     .Float("min", kLowest, {.floats = {kLowest, 0.0, -1.0}})
                     .Float("max", kHighest, {.floats = {kHighest, 6.0, 1.0}})
                     .Rule(SameAsInput0)
                     .Eval(ClipByAttributes)
                     .BoundedBy(AttributeBounds)
                     .Draw(DrawClipAttributes)
                     .Traits(kElementwise)
                     .Class(Accuracy::kExact));
  OpSpec v11 = Op("Clip", 11)
                   .In("input", "T", kFloats16)
                   .In("min", "T", kFloats16, Arity::kOptional)
                   .In("max", "T", kFloats16, Arity::kOptional)
                   .Out("output", "T", kFloats16)
                   .Rule(ClipRule)
                   .Eval(ClipByInputs)
                   .BoundedBy(InputBounds)
                   .Draw(DrawClipInputs)
                   .Traits(kElementwise)
                   .Class(Accuracy::kExact);
  PushVersions(rows, v11, "T", {{12, kFloats16 | kInts}, {13, kFloatsBf16 | kInts}});
}

}  // namespace

std::vector<OpSpec> ops_clip() {
  std::vector<OpSpec> rows;
  ClipRows(rows);
  OpSpec prelu = Op("PRelu", 7)
                     .In("X", "T", kFloats16)
                     .In("slope", "T", kFloats16)
                     .Out("Y", "T", kFloats16)
                     .Rule(PReluRule)
                     .Eval(EvalPRelu)
                     .Draw(DrawPRelu)
                     .Traits(kElementwise);
  PushVersions(rows, prelu, "T", {{9, kFloats16 | kInts32_64}, {16, kFloatsBf16 | kInts32_64}});
  rows.push_back(Op("Shrink", 9)
                     .In("input", "T", kFloats16 | kInts)
                     .Out("output", "T", kFloats16 | kInts)
                     .Float("bias", 0.0f, {.floats = {0.0, 0.5, 1.5}})
                     .Float("lambd", 0.5f, {.floats = {0.5, 1.5, 0.0}})
                     .Rule(SameAsInput0)
                     .Eval(EvalShrink)
                     .Traits(kElementwise | kDiscontinuous));
  return rows;
}

}  // namespace assay
