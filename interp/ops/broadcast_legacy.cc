// Add, Sub, Mul and Div (ONNX opset 6), Pow (1) and PRelu (6) as they were before numpy
// broadcasting: with broadcast=1 the shape of B is a run of A's axes that begins at `axis`, by
// default A's last ones. PRelu's slope has one element, or one a channel.
#include "interp/ops/arith.h"

namespace assay {
namespace {

// B's shape aligned with A's.
Shape Aligned(const KernelContext& c) {
  const Shape &a = c.in(0).shape(), &b = c.in(1).shape();
  if (c.Int("broadcast") == 0 || !c.HasAttr("axis")) return b;
  Shape s(a.size(), 1);
  int64_t axis = c.Int("axis");
  if (axis < 0) axis += static_cast<int64_t>(a.size());
  for (size_t i = 0; i < b.size(); ++i) {
    size_t at = static_cast<size_t>(axis) + i;
    if (at < s.size()) s[at] = b[i];
  }
  return s;
}

void LegacyRule(RuleContext& c) {
  SameAsInput0(c);
  if (!c.Ranked(0) || !c.Ranked(1)) return;
  int ra = c.Rank(0), rb = c.Rank(1);
  if (c.IntValue("broadcast") == 0) {
    c.Require(ra == rb, "without broadcast the shapes are equal");
    for (int d = 0; d < ra && !c.failed(); ++d)
      c.Require(c.In(0, d) == c.In(1, d), "without broadcast the shapes are equal");
    return;
  }
  int64_t axis = c.HasAttr("axis") ? c.IntValue("axis") : ra - rb;
  if (axis < 0 && c.HasAttr("axis")) axis += ra;
  c.Require(axis >= 0 && axis <= ra, "B is a run of A's axes");
  for (int d = 0; d < rb && !c.failed(); ++d) {
    Truth one = c.In(1, d) == Dim(1);
    c.Require(axis + d < ra ? one || c.In(1, d) == c.In(0, static_cast<int>(axis) + d) : one,
              "B is a run of A's axes");
  }
}

struct PowFn {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>)
      return a;
    else
      return ScalarPow(a, b);
  }
};

template <class Fn>
Status Legacy(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  const Shape b_shape = Aligned(c);
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T *a = c.data<T>(0), *b = c.data<T>(1);
    T* y = out->mutable_data<T>();
    ForBroadcast2(out->shape(), c.in(0).shape(), b_shape,
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = Fn()(a[ia], b[ib]); });
    return {};
  });
}

OpSpec Row(const char* name, int since, DTypeSet types, EvalFn eval) {
  return Op(name, since)
      .In(name[0] == 'P' ? "X" : "A", "T", types)
      .In(name[0] == 'P' ? "Y" : "B", "T", types)
      .Out(name[0] == 'P' ? "Z" : "C", "T", types)
      .Attr({"axis", AttrType::kInt, false, std::nullopt, {.lo = 0, .hi = 3}})
      .Int("broadcast", 0, {.lo = 0, .hi = 1})
      .Rule(LegacyRule)
      .Eval(eval)
      .Traits(kElementwise)
      .LeftOut("opset 6: below the first that is generated")
      .Example(std::string("opset 6 graph(float[2,3,4] a, float[3] b) -> (c) { c = ") + name +
               "(a, b) {broadcast=1, axis=1} }");
}

// ---- PRelu: x < 0 ? slope[channel] x : x

void PReluRule(RuleContext& c) {
  SameAsInput0(c);
  if (!c.Ranked(0) || !c.Ranked(1)) return;
  Truth fits = Product(c.Dims(1)) == Dim(1);
  if (c.Rank(0) >= 2) fits = fits || (Known(c.Rank(1) == 1) && c.In(1, 0) == c.In(0, 1));
  c.Require(fits, "slope has one element, or one a channel");
}

Status EvalPRelu(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  const int64_t slopes = c.in(1).size();
  int64_t inner = 1;
  for (int d = 2; d < out->rank() && slopes > 1; ++d) inner *= out->dim(d);
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T *x = c.data<T>(0), *slope = c.data<T>(1);
    T* y = out->mutable_data<T>();
    for (int64_t i = 0; i < out->size(); ++i)
      y[i] = x[i] < T() ? slope[slopes > 1 ? i / inner % slopes : 0] * x[i] : x[i];
    return {};
  });
}

}  // namespace

std::vector<OpSpec> ops_broadcast_legacy() {
  constexpr DTypeSet kTypes = kFloats16 | kInts32_64;
  return {Row("Add", 6, kTypes, Legacy<AddFn>),
          Row("Sub", 6, kTypes, Legacy<SubFn>),
          Row("Mul", 6, kTypes, Legacy<MulFn>),
          Row("Div", 6, kTypes, Legacy<DivFn>),
          Row("Pow", 1, kFloats16, Legacy<PowFn>),
          Op("PRelu", 6)
              .In("X", "T", kFloats16)
              .In("slope", "T", kFloats16)
              .Out("Y", "T", kFloats16)
              .Rule(PReluRule)
              .Eval(EvalPRelu)
              .LeftOut("opset 6: below the first that is generated")
              .Example("opset 6 graph(float[2,3] x, float[3] s) -> (y) { y = PRelu(x, s) }")};
}

}  // namespace assay
