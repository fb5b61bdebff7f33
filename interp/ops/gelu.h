// Gelu in its two forms (ONNX opset 20; com.microsoft Gelu, BiasGelu, FastGelu and QuickGelu
// version 1).
#pragma once

#include "interp/ops/elementwise.h"

namespace assay {

// A number of the specification as graphs that spell an operator out hold it: rounded to the
// operand's type.
inline double RoundedTo(DType t, double v) {
  switch (t) {
    case DType::kDouble:
      return v;
    case DType::kFloat16:
      return HalfToFloat(FloatToHalf(static_cast<float>(v)));
    case DType::kBfloat16:
      return Bfloat16ToFloat(FloatToBfloat16(static_cast<float>(v)));
    default:
      return static_cast<float>(v);
  }
}

template <class T>
struct GeluErfFn {  // x/2 (1 + erf(x / sqrt 2))
  T half, root;
  explicit GeluErfFn(const KernelContext&) : half(T(0.5)), root(T(1.41421356237309504880)) {}
  T operator()(T x) const { return half * x * (T(1) + ScalarErf(x / root)); }
};

template <class T>
struct GeluTanhFn {  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  T half, root, cubic;
  explicit GeluTanhFn(const KernelContext& c)
      : half(T(0.5)),
        root(T(0.79788456080286535588)),
        cubic(T(RoundedTo(c.in(0).dtype(), 0.044715))) {}
  T operator()(T x) const { return half * x * (T(1) + ScalarTanh(root * (x + cubic * x * x * x))); }
};

template <class T>
struct QuickGeluFn {  // x sigmoid(alpha x)
  T alpha;
  explicit QuickGeluFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x * ScalarSigmoid(alpha * x); }
};

}  // namespace assay
