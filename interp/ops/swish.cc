// Swish (ONNX opset 24): y = x sigmoid(alpha x).
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

template <class T>
struct SwishFn {
  T alpha;
  explicit SwishFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x * ScalarSigmoid(alpha * x); }
};

}  // namespace

std::vector<OpSpec> ops_swish() {
  return {Op("Swish", 24)
              .In("X", "T", kFloatsBf16)
              .Out("Y", "T", kFloatsBf16)
              .Float("alpha", 1.0f, AttrDomain{.floats = {1.0, 1.702, 0.5, 2.0}})
              .Rule(SameAsInput0)
              .Eval(UnaryWith<SwishFn>)
              .Traits(kElementwise)
              .Example("opset 24 graph(float[2,3] x) -> (y) { y = Swish(x) {alpha=1.702} }")};
}

}  // namespace assay
