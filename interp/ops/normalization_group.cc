// GroupNormalization (ONNX opset 18, 21): each group of channels shifted to mean 0 and scaled to
// variance 1, then scale and bias of the group (18) or channel (21). RMSNormalization (23): x /
// sqrt(mean x^2 + epsilon) * scale over the axes from `axis` on.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

template <class W>
W Epsilon(const KernelContext& c) {
  return static_cast<W>(static_cast<double>(c.Float("epsilon")));
}

// ---- GroupNormalization

void GroupRule(RuleContext& c) {
  SameAsInput0(c);
  int64_t groups = c.IntValue("num_groups");
  c.Require(groups >= 1, "num_groups is at least 1");
  if (!c.Ranked(0) || c.failed()) return;
  c.Require(c.Rank(0) >= 2, "the input is [N,C,..]");
  if (c.failed()) return;
  c.Require(Divides(Dim(groups), c.In(0, 1)), "the channels fall into whole groups");
  Dim want = c.spec().since >= 21 ? c.In(0, 1) : Dim(groups);
  for (int i : {1, 2}) {
    if (!c.Ranked(i)) continue;
    c.Require(c.Rank(i) == 1,
              "scale and bias have one element a group, from opset 21 on a channel");
    c.Require(c.In(i, 0) == want,
              "scale and bias have one element a group, from opset 21 on a channel");
  }
}

Status EvalGroup(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t channels = y->dim(1), groups = c.Int("num_groups"), of_group = channels / groups;
  int64_t plane = y->size() / y->dim(0) / channels, n = of_group * plane;
  bool by_channel = c.spec().since >= 21;
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    const W epsilon = Epsilon<W>(c);
    const T *x = c.data<T>(0), *scale = c.data<T>(1), *bias = c.data<T>(2);
    T* out = y->mutable_data<T>();
    for (int64_t g = 0; g * n < y->size(); ++g, x += n, out += n) {
      Moments<W> m = MomentsOf<W>(n, [&](int64_t i) { return static_cast<W>(x[i]); });
      const W inverse = W(1) / ScalarSqrt(m.variance + epsilon);
      for (int64_t i = 0; i < n; ++i) {
        int64_t p = by_channel ? g % groups * of_group + i / plane : g % groups;
        out[i] =
            static_cast<T>((static_cast<W>(x[i]) - m.mean) * inverse * static_cast<W>(scale[p]) +
                           static_cast<W>(bias[p]));
      }
    }
    return {};
  });
}

bool DrawGroup(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() < 2 || ElementsOfInput(d, 0) == 0) return false;
  int64_t channels = d.shape(0)[1], groups = DrawDivisor(choices, channels);
  d.Set("num_groups", groups);
  MaybeSet(choices, d, "epsilon");
  for (size_t i : {1, 2}) Ask(d, i, d.inputs[0].dtype, {d.spec->since >= 21 ? channels : groups});
  return true;
}

OpSpec Group(int since) {
  OpSpec row = Op("GroupNormalization", since)
                   .In("X", "T", kFloatsBf16)
                   .In("scale", "T", kFloatsBf16)
                   .In("bias", "T", kFloatsBf16)
                   .Out("Y", "T", kFloatsBf16)
                   .Float("epsilon", 1e-5f, EpsilonDomain())
                   .Attr({"num_groups", AttrType::kInt, true, std::nullopt, {.ints = {1, 2, 4}}})
                   .Rule(GroupRule)
                   .Eval(EvalGroup)
                   .Draw(DrawGroup)
                   .Class(Accuracy::kReduction);
  if (since >= 21) row.Int("stash_type", 1, {.ints = {1}});
  return row;
}

// ---- RMSNormalization

void RmsRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(1));
  if (!c.Ranked(0)) return;
  int rank = c.Rank(0);
  c.Axis(c.IntValue("axis"), rank);
  if (c.Ranked(1)) {
    c.Require(c.Rank(1) <= rank, "scale broadcasts to X");
    for (int d = 1; d <= std::min(rank, c.Rank(1)); ++d) {
      Dim extent = c.In(1, c.Rank(1) - d);
      c.Require(extent == Dim(1) || extent == c.In(0, rank - d), "scale broadcasts to X");
    }
  }
  OutLike(c, 0, c.dtype(1));
}

template <class W>
Status NormalizeByRms(KernelContext& c, Tensor* y) {
  std::vector<W> x = TRY(LoadAs<W>(c.in(0))), scale = TRY(LoadAs<W>(c.in(1)));
  int rank = y->rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  int64_t n = ElementCount(y->shape(), axis, rank);
  for (int64_t at = 0; n > 0 && at < y->size(); at += n) {
    W squares = W(0);
    for (int64_t i = 0; i < n; ++i) squares += x[at + i] * x[at + i];
    W inverse = W(1) / ScalarSqrt(squares / FromInteger<W>(n) + Epsilon<W>(c));
    for (int64_t i = 0; i < n; ++i) x[at + i] *= inverse;
  }
  ForBroadcast2(y->shape(), y->shape(), c.in(1).shape(),
                [&](int64_t i, int64_t, int64_t is) { x[i] *= scale[is]; });
  return StoreOutput(c, 0, x);
}

Status EvalRms(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(
      c.in(0), [&](auto zero) -> Status { return NormalizeByRms<Wide<decltype(zero)>>(c, y); });
}

bool DrawRms(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  int rank = static_cast<int>(shape.size());
  int64_t axis = choices.Chance(0.5) ? rank - 1 : static_cast<int64_t>(choices.Below(shape.size()));
  if (axis != rank - 1 || choices.Chance(0.3)) d.Set("axis", MaybeNegative(choices, d, axis, rank));
  MaybeSet(choices, d, "epsilon");
  // Scales that broadcast are allowed and known to few, those of another type to none.
  Shape scale(shape.begin() + axis, shape.end());
  if (d.anything && choices.Chance(0.3)) scale[choices.Below(scale.size())] = 1;
  Ask(d, 1, d.inputs[0].dtype, scale);
  return true;
}

}  // namespace

std::vector<OpSpec> ops_normalization_group() {
  OpSpec rms =
      Op("RMSNormalization", 23)
          .In("X", "T", kFloatsBf16)
          .In("scale", "V", kFloatsBf16)
          .Out("Y", "V", kFloatsBf16)
          .Int("axis", -1, {.lo = -2, .hi = 3})
          .Float("epsilon", 1e-5f, EpsilonDomain())
          .Int("stash_type", 1, {.ints = {1}})
          .Rule(RmsRule)
          .Eval(EvalRms)
          .Draw(DrawRms)
          .Class(Accuracy::kReduction)
          .Example(
              "opset 23 graph(float[2,3] x, float[3] s) -> (y) { y = RMSNormalization(x, s) }");
  // What ONNX Runtime's optimizer writes for it into models of any operator set.
  OpSpec simplified = rms.Since(1).LeftOut("ONNX Runtime's own");
  simplified.name = "SimplifiedLayerNormalization";
  simplified.examples.clear();
  OpSpec group = Group(18);
  group.Example(
      "opset 18 graph(float[1,4,2] x, float[2] s, float[2] b) -> (y) { y = GroupNormalization(x, "
      "s, b) {num_groups=2} }");
  return {group, Group(21), rms, simplified};
}

}  // namespace assay
