// GlobalAveragePool, GlobalMaxPool (ONNX opset 1) and GlobalLpPool (2): mean, maximum or p-norm
// over all spatial axes of [N,C,D1..Dn]; the result is [N,C,1..1].
#include "interp/ops/elementwise.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

void Rule(RuleContext& c) {
  if (c.spec().FindAttr("p")) c.Require(c.Int("p") >= Dim(1), "p is at least 1");
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  c.Require(c.Rank(0) >= 3, "the input is [N,C,D1,..]");
  if (c.failed()) return;
  std::vector<Dim> y(static_cast<size_t>(c.Rank(0)), Dim(1));
  for (int i = 0; i < c.Rank(0); ++i) {
    if (i < 2)
      y[i] = c.In(0, i);
    else
      c.Require(c.In(0, i) >= Dim(1), "no spatial extent is 0");
  }
  c.Out(0, c.dtype(0), std::move(y));
}

// y = reduce(x, count) for each plane of `count` elements.
template <class F>
Status ForEachPlane(KernelContext& c, F&& reduce) {
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    int64_t planes = y->size(), count = planes ? c.in(0).size() / planes : 0;
    const T* x = c.data<T>(0);
    T* out = y->mutable_data<T>();
    ForPlanes(planes, count, [&](int64_t i) { out[i] = reduce(x + i * count, count); });
    return {};
  });
}

Status EvalMax(KernelContext& c) {
  return ForEachPlane(c, [](const auto* x, int64_t count) {
    auto best = x[0];
    for (int64_t i = 1; i < count; ++i) best = ScalarMax(best, x[i]);
    return best;
  });
}

Status EvalAverage(KernelContext& c) {
  return ForEachPlane(c, []<class T>(const T* x, int64_t count) {
    Wide<T> sum = Wide<T>(0);
    for (int64_t i = 0; i < count; ++i) sum += static_cast<Wide<T>>(x[i]);
    return static_cast<T>(sum / Wide<T>(count));
  });
}

Status EvalLp(KernelContext& c) {
  int64_t p = c.Int("p");
  return ForEachPlane(c, [p]<class T>(const T* x, int64_t count) {
    using W = Wide<T>;
    W sum = W(0);
    for (int64_t i = 0; i < count; ++i) {
      W v = static_cast<W>(x[i]);
      sum += p == 2 ? v * v : p == 1 ? ScalarAbs(v) : ScalarPow(ScalarAbs(v), W(p));
    }
    return static_cast<T>(p == 1 ? sum : p == 2 ? ScalarSqrt(sum) : ScalarPow(sum, W(1) / W(p)));
  });
}

OpSpec Global(const char* name, int since, EvalFn eval, Accuracy accuracy) {
  return Op(name, since)
      .In("X", "T", kFloats16)
      .Out("Y", "T", kFloats16)
      .Rule(Rule)
      .Eval(eval)
      .Class(accuracy);
}

}  // namespace

std::vector<OpSpec> ops_pool_global() {
  std::vector<OpSpec> rows = {
      Global("GlobalAveragePool", 1, EvalAverage, Accuracy::kReduction).Traits(kWithinInputs),
      Global("GlobalMaxPool", 1, EvalMax, Accuracy::kExact).Traits(kWithinInputs),
      Global("GlobalLpPool", 2, EvalLp, Accuracy::kReduction).Int("p", 2, {.lo = 1, .hi = 4})};
  PushBfloat16(rows, "T");
  return rows;
}

}  // namespace assay
