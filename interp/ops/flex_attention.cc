// FlexAttention (ai.onnx.preview version 1): Y = prob_mod(softmax(score_mod(scale Q K^T))) V, the
// two in between being subgraphs over all scores [B,Hq,L,S] at once. Q [B,Hq,L,E], K [B,Hk,S,E], V
// [B,Hk,S,Ev]; query head h reads key head h / (Hq / Hk). Scores are of type softmax_precision, by
// default float for 16-bit floats and else that of Q.
#include "interp/compose.h"

namespace assay {
namespace {

DType PrecisionOf(const Node& node, DType in) {
  bool half = in == DType::kFloat16 || in == DType::kBfloat16;
  int64_t asked = node.Int("softmax_precision", 0);
  if (asked > 0 && asked < kDTypeCount && IsFloat(static_cast<DType>(asked)))
    return static_cast<DType>(asked);
  return half ? DType::kFloat : in;
}

void FlexRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  for (int i = 0; i < 3; ++i) {
    if (c.Ranked(i)) c.Require(c.Rank(i) == 4, "Q, K and V have four axes");
  }
  if (!c.Ranked(0) || !c.Ranked(1) || !c.Ranked(2) || c.failed()) return;
  c.Require(c.In(0, 0) == c.In(1, 0) && c.In(0, 0) == c.In(2, 0), "Q, K and V have the same batch");
  c.Require(c.In(1, 1) == c.In(2, 1) && c.In(1, 2) == c.In(2, 2), "K and V go together");
  c.Require(c.In(0, 3) == c.In(1, 3), "Q and K have heads of the same size");
  c.Require(c.In(1, 1) >= Dim(1) && Divides(c.In(1, 1), c.In(0, 1)),
            "each key head serves as many query heads");
  TypeInfo scores = TypeInfo::Of(PrecisionOf(c.node(), c.dtype(0)),
                                 std::vector<Dim>{c.In(0, 0), c.In(0, 1), c.In(0, 2), c.In(1, 2)});
  for (const char* mod : {"score_mod", "prob_mod"}) {
    if (!c.HasAttr(mod) || c.failed()) continue;
    std::vector<TypeInfo> out = c.Body(mod, {scores});
    c.Require(out.empty() || (out.size() == 1 && out[0].dtype == scores.dtype),
              "score_mod and prob_mod make scores of scores");
  }
  if (!c.failed()) c.Out(0, c.dtype(0), {c.In(0, 0), c.In(0, 1), c.In(0, 2), c.In(2, 3)});
}

// The subgraph in `attr`, when there is one, over the scores.
Result<Tensor> Modified(const KernelContext& c, const char* attr, const Tensor& scores) {
  if (!c.HasAttr(attr)) return scores;
  KernelContext::Body body = TRY(c.MakeBody(attr));
  if (body.inputs() != 1 || body.outputs() != 1)
    return Invalid(std::string(attr) + " has one input and one output");
  std::vector<Tensor> out = TRY(body.Run({scores}));
  if (out[0].dtype() != scores.dtype() || out[0].shape() != scores.shape())
    return Invalid(std::string(attr) + " makes " + out[0].TypeString() + " of " +
                   scores.TypeString());
  return out[0];
}

Result<Tensor> CastTo(const KernelContext& c, const Tensor& t, DType type) {
  if (t.dtype() == type) return t;
  return Compose(c, "Cast", {t}, {{"to", static_cast<int64_t>(type), {}}});
}

// Key heads repeated, so that there is one for each query head.
Result<Tensor> PerQueryHead(const KernelContext& c, const Tensor& t, int64_t heads) {
  if (t.dim(1) == heads) return t;
  std::vector<int64_t> from(static_cast<size_t>(heads));
  for (int64_t h = 0; h < heads; ++h) from[h] = h / (heads / t.dim(1));
  return Compose(c, "Gather", {t, Tensor::Vector(from)}, {{"axis", int64_t{1}, {}}});
}

// What the rule requires: the executor does not run the rules of operators with subgraphs.
Status CheckOperands(const KernelContext& c) {
  for (int i = 0; i < 3; ++i) {
    if (!c.Has(i) || c.in(i).rank() != 4 || c.in(i).dtype() != c.in(0).dtype() ||
        !IsFloat(c.in(i).dtype()))
      return Invalid("Q, K and V are floats of one type with four axes");
  }
  const Tensor &q = c.in(0), &k = c.in(1), &v = c.in(2);
  bool fits = q.dim(0) == k.dim(0) && q.dim(0) == v.dim(0) && k.dim(1) == v.dim(1) &&
              k.dim(2) == v.dim(2) && q.dim(3) == k.dim(3) && k.dim(1) >= 1 &&
              q.dim(1) % k.dim(1) == 0;
  if (!fits)
    return Invalid("Q " + q.TypeString() + ", K " + k.TypeString() + " and V " + v.TypeString() +
                   " don't go together");
  return {};
}

Status EvalFlex(KernelContext& c) {
  TRY(CheckOperands(c));
  const Tensor& q = c.in(0);
  const int64_t heads = q.dim(1), size = q.dim(3);
  Tensor scale = TRY(Tensor::Make(q.dtype(), {}, c.store(), c.limits()));
  scale.Set(0, c.HasAttr("scale") ? static_cast<double>(c.Float("scale"))
                                  : 1 / std::sqrt(static_cast<double>(std::max<int64_t>(size, 1))));
  Tensor k = TRY(PerQueryHead(c, c.in(1), heads)), v = TRY(PerQueryHead(c, c.in(2), heads));
  k = TRY(Compose(c, "Transpose", {k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}, {}}}));
  Tensor scaled = TRY(Compose(c, "Mul", {q, scale}));
  Tensor scores = TRY(Compose(c, "MatMul", {scaled, k}));
  scores = TRY(CastTo(c, scores, PrecisionOf(c.node(), q.dtype())));
  scores = TRY(Modified(c, "score_mod", scores));
  scores = TRY(Compose(c, "Softmax", {scores}, {{"axis", int64_t{3}, {}}}));
  scores = TRY(Modified(c, "prob_mod", scores));
  scores = TRY(CastTo(c, scores, v.dtype()));
  Tensor y = TRY(Compose(c, "MatMul", {scores, v}));
  c.Set(0, std::move(y));
  return {};
}

}  // namespace

std::vector<OpSpec> ops_flex_attention() {
  return {Op("FlexAttention", 1, "ai.onnx.preview")
              .In("Q", "T1", kFloatsBf16)
              .In("K", "T1", kFloatsBf16)
              .In("V", "T1", kFloatsBf16)
              .Out("Y", "T1", kFloatsBf16)
              .Attr({"scale", AttrType::kFloat, false, std::nullopt, {.floats = {0.125, 1.0}}})
              .Attr({"score_mod", AttrType::kGraph, false, std::nullopt, {}})
              .Attr({"prob_mod", AttrType::kGraph, false, std::nullopt, {}})
              .Int("softmax_precision", 0, {.ints = {0, 1, 11}})
              .Rule(FlexRule)
              .Eval(EvalFlex)
              .Traits(kRunsGraphs)
              .LeftOut("ai.onnx.preview: no runtime has it")
              .Class(Accuracy::kReduction)
              .Example("opset 26 opset \"ai.onnx.preview\" 1 graph(float[1,2,3,4] q, "
                       "float[1,1,5,4] k, float[1,1,5,2] v) -> (y) "
                       "{ y = ai.onnx.preview::FlexAttention(q, k, v) }")};
}

}  // namespace assay
