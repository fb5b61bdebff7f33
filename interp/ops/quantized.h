// What products of quantized tensors share: operands without their zero points, parameters that
// belong to a tensor, a row or a channel, and the way back to 8 bits.
#pragma once

#include "interp/ops/elementwise.h"

namespace assay {

// Does input i hold exactly one element?
inline Truth HasOneElement(RuleContext& c, int i) {
  Truth all = Truth::kTrue;
  for (const Dim& d : c.Dims(i)) all = all && d == Dim(1);
  return all;
}

// Scale and zero point: one element, or one for each of `count` channels.
inline void RequirePerChannel(RuleContext& c, int i, Dim count) {
  if (!c.Has(i) || !c.Ranked(i)) return;
  Truth fits = HasOneElement(c, i);
  if (c.Rank(i) == 1) fits = fits || c.In(i, 0) == count;
  c.Require(fits, "scale and zero point have one element, or one for each channel");
}
inline void RequireOneElement(RuleContext& c, int i) {
  if (c.Has(i) && c.Ranked(i))
    c.Require(HasOneElement(c, i), "scale and zero point have one element");
}

// Sums of products of 8-bit numbers are far below 2^53: computed in double they are exact, and
// faster than in integers. Input `x` (8 bits) minus its zero point, which broadcasts to it under
// shape `z_shape` (input `z`, when there), as double.
inline Result<Tensor> Centered(KernelContext& c, int x, int z, const Shape& z_shape) {
  Tensor y = TRY(Tensor::Make(DType::kDouble, c.in(x).shape(), Store::kNative, c.limits()));
  std::vector<int64_t> zero(1, 0);
  if (c.Has(z)) zero = c.in(z).AsInts();
  double* out = y.mutable_data<double>();
  TRY(VisitInt(c.in(x), [&](auto quantum) -> Status {
    const auto* in = c.data<decltype(quantum)>(x);
    ForBroadcast2(y.shape(), y.shape(), zero.size() == 1 ? Shape{} : z_shape,
                  [&](int64_t i, int64_t, int64_t iz) {
                    out[i] = static_cast<double>(static_cast<int64_t>(in[i]) - zero[iz]);
                  });
    return {};
  }));
  return y;
}

// Such sums as 32-bit integers, which wrap around.
inline void ToInt32(const Tensor& sums, int32_t* y) {
  const double* x = sums.data<double>();
  for (int64_t i = 0; i < sums.size(); ++i) y[i] = static_cast<int32_t>(static_cast<int64_t>(x[i]));
}

// out[i] = saturate(round(sum[i] * a[ia] * b[ib] / y_scale) + y_zero_point), where a and b
// broadcast to the output as shapes `a_shape` and `b_shape`. Inputs by index; the sums were made of
// centered operands.
struct Requantization {
  int a, b, y_scale, y_zero_point;
  Shape a_shape, b_shape;
};
inline Status Requantize(KernelContext& c, const Requantization& r, const int32_t* sums,
                         Tensor* y) {
  int64_t zero_point = c.in(r.y_zero_point).AsInt(0);
  return VisitFloat(c.in(r.a), [&](auto real) -> Status {
    using T = decltype(real);
    const T *a = c.data<T>(r.a), *b = c.data<T>(r.b), y_scale = c.data<T>(r.y_scale)[0];
    auto run = [&]<class Q>(Q* out) {
      int64_t last_a = -1, last_b = -1;
      T factor = T(1);
      ForBroadcast2(y->shape(), r.a_shape, r.b_shape, [&](int64_t i, int64_t ia, int64_t ib) {
        if (ia != last_a || ib != last_b) factor = a[ia] * b[ib] / y_scale;
        last_a = ia;
        last_b = ib;
        out[i] = Saturate<Q>(NearestInteger(FromInteger<T>(sums[i]) * factor) + zero_point);
      });
    };
    if (y->dtype() == DType::kInt8)
      run(y->mutable_data<int8_t>());
    else
      run(y->mutable_data<uint8_t>());
    return {};
  });
}

// A scale at which sums of `depth` products of such operands fill 8 bits: draws of quantized
// products.
inline double FittingScale(double a_scale, double b_scale, int64_t depth) {
  constexpr double kTypicalProduct = 1500;  // of two 8-bit numbers around their zero points
  constexpr double kTypicalQuantum = 40;
  return a_scale * b_scale * std::sqrt(static_cast<double>(std::max<int64_t>(depth, 1))) *
         kTypicalProduct / kTypicalQuantum;
}
inline Tensor DrawZeroPoint(Choices& choices, DType quantum) {
  int64_t z = quantum == DType::kUint8 ? choices.Between(96, 160) : choices.Between(-16, 16);
  return OneElement(quantum, static_cast<double>(z));
}
inline DType DrawQuantum(Choices& choices) {
  return choices.Chance(0.5) ? DType::kUint8 : DType::kInt8;
}

}  // namespace assay
