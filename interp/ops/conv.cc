// Conv (ONNX opset 1, 11): y[n,m,o] = B[m] + sum over c, j of W[m,c,j] * X[n, g*C/group + c,
// o*stride - pad + j*dilation], where g is the group of m. X [N,C,D1..Dn], W [M,C/group,K1..Kn], B
// [M].
#include "interp/convolve.h"

namespace assay {
namespace {

void Rule(RuleContext& c) { ConvRule(c, 0, 1, 2, c.dtype(0)); }

Status Eval(KernelContext& c) {
  ConvExtents shape = TRY(ConvExtentsOf(c, 0, 1));
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    return Convolve<T>(c, shape, c.data<T>(0), c.data<T>(1), c.Has(2) ? c.data<T>(2) : nullptr,
                       y->mutable_data<T>());
  });
}

}  // namespace

std::vector<OpSpec> ops_conv() {
  OpSpec v1 = Op("Conv", 1)
                  .In("X", "T", kFloats16)
                  .In("W", "T", kFloats16)
                  .In("B", "T", kFloats16, Arity::kOptional)
                  .Out("Y", "T", kFloats16)
                  .Rule(Rule)
                  .Eval(Eval)
                  .Traits(kTakesBounds)
                  .Class(Accuracy::kReduction);
  ConvAttributes(v1);
  return {v1, v1.Since(11), v1.Since(22).Types("T", kFloatsBf16)};
}

}  // namespace assay
