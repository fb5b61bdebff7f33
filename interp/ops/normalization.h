// What the normalizations share: statistics in the type in which a kernel computes.
#pragma once

#include "interp/ops/elementwise.h"

namespace assay {

// All elements of a floating-point tensor as W, whatever it is stored as.
template <class W>
Result<std::vector<W>> LoadAs(const Tensor& t) {
  std::vector<W> out(static_cast<size_t>(t.size()));
  TRY(VisitFloat(t, [&](auto zero) -> Status {
    using S = decltype(zero);
    if constexpr (kIsFp<S> == kIsFp<W>) {
      for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<W>(t.data<S>()[i]);
      return {};
    } else {
      return Unsupported("a mixture of scalar domains");
    }
  }));
  return out;
}

// The reverse: makes them output i, when it is asked for.
template <class W>
Status StoreOutput(KernelContext& c, int i, const std::vector<W>& values) {
  if (!c.WantsOutput(i)) return {};
  Tensor* t = TRY(c.Out(i));
  return VisitFloat(*t, [&](auto zero) -> Status {
    using S = decltype(zero);
    if constexpr (kIsFp<S> == kIsFp<W>) {
      for (size_t k = 0; k < values.size(); ++k)
        t->mutable_data<S>()[k] = static_cast<S>(values[k]);
      return {};
    } else {
      return Unsupported("a mixture of scalar domains");
    }
  });
}

template <class W>
struct Moments {
  W mean, variance;  // of the population
};

// Of the elements f(0), .., f(n - 1), n >= 1.
template <class W, class F>
Moments<W> MomentsOf(int64_t n, F&& f) {
  W sum = W(0), squares = W(0), factor = W(1) / W(n);
  for (int64_t i = 0; i < n; ++i) sum += f(i);
  W mean = sum * factor;
  for (int64_t i = 0; i < n; ++i) {
    W d = f(i) - mean;
    squares += d * d;
  }
  return {mean, squares * factor};
}

// The defaults of ONNX, Keras, others; the first is ONNX's.
inline AttrDomain EpsilonDomain() { return {.floats = {1e-5, 1e-3, 1e-6, 1e-12}}; }

}  // namespace assay
