// NegativeLogLikelihoodLoss (ONNX opset 12, 13, 22) and SoftmaxCrossEntropyLoss (12, 13).
//
// input [N,C,d1..], target [N,d1..], weight [C] (absent: ones). With t = target[n,d] and w =
// weight[t], 0 where t is ignore_index:
//   none: loss[n,d] = -input[n,t,d] * w   sum: their sum   mean: their sum / sum of w
// SoftmaxCrossEntropyLoss is that of log_prob = LogSoftmax of the scores over axis 1.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

void LossRule(RuleContext& c) {
  bool none = c.String("reduction") == "none";
  if (c.Ranked(0)) c.Require(c.Rank(0) >= 2, "the input is [N,C,..]");
  if (c.Ranked(0) && c.Ranked(1)) {
    c.Require(c.Rank(1) == c.Rank(0) - 1, "the target is [N,..], the input without its classes");
    for (int d = 0; d < std::min(c.Rank(1), c.Rank(0) - 1); ++d)
      c.Require(c.In(1, d) == c.In(0, d == 0 ? 0 : d + 1),
                "the target is [N,..], the input without its classes");
  }
  if (c.Has(2) && c.Ranked(2)) {
    c.Require(c.Rank(2) == 1, "the weight has one element a class");
    if (c.Ranked(0)) c.Require(c.In(2, 0) == c.In(0, 1), "the weight has one element a class");
  }
  if (!none)
    c.Out(0, c.dtype(0), {});
  else if (c.Ranked(1))
    c.Out(0, c.dtype(0), c.Dims(1));
  else
    c.OutUnranked(0, c.dtype(0));
  OutLike(c, 1, c.dtype(0));
}

// Places [N, C, inner] of the input.
struct Classes {
  int64_t batch, count, inner;
  explicit Classes(const Shape& s)
      : batch(s[0]), count(s[1]), inner(ElementCount(s, 2, static_cast<int>(s.size()))) {}
};

// The class of each target; -1 where it is ignored.
Result<std::vector<int64_t>> ReadTargets(const KernelContext& c, int64_t classes) {
  std::vector<int64_t> targets = c.in(1).AsInts();
  bool ignores = c.HasAttr("ignore_index");
  int64_t ignored = ignores ? c.Int("ignore_index") : 0;
  for (int64_t& t : targets) {
    if (ignores && t == ignored) {
      t = -1;
    } else if (t < 0 || t >= classes) {
      if (c.store() != Store::kField || classes == 0)
        return Invalid("target " + std::to_string(t) + " is outside of " + std::to_string(classes) +
                       " classes");
      t = static_cast<int64_t>(static_cast<uint64_t>(t) % static_cast<uint64_t>(classes));
    }
  }
  return targets;
}

// The loss of log-probabilities `p` laid out as the input.
template <class W>
Status Reduce(KernelContext& c, const Classes& s, const std::vector<W>& p) {
  std::vector<int64_t> targets = TRY(ReadTargets(c, s.count));
  std::vector<W> weight;
  if (c.Has(2)) weight = TRY(LoadAs<W>(c.in(2)));
  std::vector<W> loss(targets.size(), W(0));
  W total = W(0), weights = W(0);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] < 0) continue;
    int64_t at = static_cast<int64_t>(i), n = at / s.inner, d = at % s.inner;
    W w = weight.empty() ? W(1) : weight[targets[i]];
    loss[i] = -p[(n * s.count + targets[i]) * s.inner + d] * w;
    total += loss[i];
    weights += w;
  }
  std::string reduction = c.String("reduction");
  if (reduction == "none") return StoreOutput(c, 0, loss);
  return StoreOutput(c, 0, std::vector<W>{reduction == "sum" ? total : total / weights});
}

Status EvalLikelihood(KernelContext& c) {
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using W = Wide<decltype(zero)>;
    std::vector<W> p = TRY(LoadAs<W>(c.in(0)));
    return Reduce(c, Classes(c.in(0).shape()), p);
  });
}

// x becomes its LogSoftmax over the classes.
template <class W>
void LogSoftmaxOverClasses(const Classes& s, std::vector<W>& x) {
  for (int64_t line = 0; line < s.batch * s.inner; ++line) {
    W* at = x.data() + line / s.inner * s.count * s.inner + line % s.inner;
    W shift = W(0), sum = W(0);
    if constexpr (!kIsFp<W>) {  // in the field the shift would not cancel
      shift = at[0];
      for (int64_t k = 1; k < s.count; ++k) shift = ScalarMax(shift, at[k * s.inner]);
    }
    for (int64_t k = 0; k < s.count; ++k) sum += ScalarExp(at[k * s.inner] - shift);
    for (int64_t k = 0; k < s.count; ++k) {
      W& v = at[k * s.inner];
      if constexpr (kIsFp<W>)
        v = ScalarLog(ScalarExp(v) / sum);
      else
        v = v - shift - ScalarLog(sum);
    }
  }
}

Status EvalCrossEntropy(KernelContext& c) {
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using W = Wide<decltype(zero)>;
    std::vector<W> p = TRY(LoadAs<W>(c.in(0)));
    Classes s(c.in(0).shape());
    if (!p.empty()) LogSoftmaxOverClasses(s, p);
    TRY(Reduce(c, s, p));
    return StoreOutput(c, 1, p);
  });
}

// Targets within the classes, some of them ignored. Weights are positive: the mean divides by their
// sum.
bool DrawLoss(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() < 2 || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0), target = shape;
  target.erase(target.begin() + 1);
  Tensor t = IntegerConstant(choices, TypeOr(d, 1, DType::kInt64), target, 0, shape[1] - 1);
  if (choices.Chance(0.4)) {
    int64_t ignored = choices.Chance(0.5) ? t.AsInt(0) : choices.PickOf<int64_t>({-1, -100, 255});
    d.Set("ignore_index", ignored);
    for (int64_t i = 1; i < t.size(); ++i) {
      if (choices.Chance(0.3)) t.Set(i, static_cast<double>(ignored));
    }
  }
  d.SetConstant(1, t);
  MaybeSet(choices, d, "reduction", 0.7);
  // The weight of the only class is taken away by the mean.
  if (shape[1] > 1 && choices.Chance(0.5)) Ask(d, 2, d.inputs[0].dtype, {shape[1]});
  if (d.spec->MaxOutputs() > 1 && choices.Chance(0.5)) d.outputs = 2;
  return true;
}

struct Names {
  const char *op, *scores, *target, *weight, *loss;
};

OpSpec Loss(const Names& n, int since, DTypeSet types, EvalFn eval) {
  return Op(n.op, since)
      .In(n.scores, "T", types)
      .In(n.target, "Tind", kIndexInts)
      .In(n.weight, "T", types, Arity::kOptional)
      .Out(n.loss, "T", types)
      .Attr({"ignore_index", AttrType::kInt, false, std::nullopt, {.lo = -1, .hi = 8}})
      .String("reduction", "mean", {.strings = {"mean", "sum", "none"}})
      .Rule(LossRule)
      .Eval(eval)
      .Draw(DrawLoss)
      .Safe(n.weight, {.lo = 0.2, .hi = 4, .nonzero = true})
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_losses() {
  std::vector<OpSpec> rows;
  const Names likelihood{"NegativeLogLikelihoodLoss", "input", "target", "weight", "loss"},
      entropy{"SoftmaxCrossEntropyLoss", "scores", "labels", "weights", "output"};
  OpSpec nll = Loss(likelihood, 12, kFloats16, EvalLikelihood);
  nll.Example("graph(float[2,3] x, int64[2] t) -> (y) { y = NegativeLogLikelihoodLoss(x, t) }");
  PushVersions(rows, nll, "T", {{13, kFloats16}, {22, kFloatsBf16}});
  OpSpec sce = Loss(entropy, 12, kFloats16, EvalCrossEntropy);
  sce.Out("log_prob", "T", kFloats16, Arity::kOptional);
  sce.Example("graph(float[2,3] x, int64[2] t) -> (y) { y = SoftmaxCrossEntropyLoss(x, t) }");
  PushVersions(rows, sce, "T", {{13, kFloatsBf16}});
  return rows;
}

}  // namespace assay
