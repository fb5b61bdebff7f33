// Activations that ONNX Runtime's optimizer writes (com.microsoft version 1): Gelu, QuickGelu, and
// BiasGelu and FastGelu, which add a bias along the last axis first.
#include "interp/ops/gelu.h"

namespace assay {
namespace {

constexpr char kDomain[] = "com.microsoft";

void BiasRule(RuleContext& c) {
  SameAsInput0(c);
  if (!c.Has(1) || !c.Ranked(0) || !c.Ranked(1)) return;
  c.Require(c.Rank(0) >= 1 && c.Rank(1) == 1, "the bias has one axis");
  if (!c.failed())
    c.Require(c.In(1, 0) == c.In(0, c.Rank(0) - 1), "the bias is as long as the last axis");
}

// fn(A + B), B [last] optional.
template <template <class> class Fn>
Status WithBias(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  const int64_t n = c.Has(1) ? c.in(1).size() : 0;
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T *x = c.data<T>(0), *bias = c.Has(1) ? c.data<T>(1) : nullptr;
    T* y = out->mutable_data<T>();
    const Fn<T> fn(c);
    for (int64_t i = 0; i < out->size(); ++i) y[i] = fn(bias ? x[i] + bias[i % n] : x[i]);
    return {};
  });
}

OpSpec Row(const char* name, const char* in, const char* out, EvalFn eval) {
  return Op(name, 1, kDomain)
      .In(in, "T", kFloatsBf16)
      .Out(out, "T", kFloatsBf16)
      .Rule(SameAsInput0)
      .Eval(eval)
      .LeftOut("com.microsoft");
}

}  // namespace

std::vector<OpSpec> ops_microsoft_activation() {
  return {Row("Gelu", "X", "Y", UnaryWith<GeluErfFn>).Traits(kElementwise),
          Row("QuickGelu", "X", "Y", UnaryWith<QuickGeluFn>)
              .Float("alpha", 1.702f, {.floats = {1.702, 1.0}})
              .Traits(kElementwise),
          Row("BiasGelu", "A", "C", WithBias<GeluErfFn>).In("B", "T", kFloatsBf16).Rule(BiasRule),
          Row("FastGelu", "X", "Y", WithBias<GeluTanhFn>)
              .In("bias", "T", kFloatsBf16, Arity::kOptional)
              .Rule(BiasRule)};
}

}  // namespace assay
