// What products of quantized tensors share: operands without their zero points, parameters that
// belong to a tensor, a row or a channel, and the way back to 8 bits.
#pragma once

#include "interp/ops/elementwise.h"
#include "interp/small_float.h"

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

// Element i of a quantized tensor as the number it is, before scale and zero point.
inline double QuantizedValue(const Tensor& t, int64_t i) {
  if (IsSmallFloat(t.dtype())) return SmallFloatValue(t.dtype(), t.data<uint8_t>()[i]);
  return t.AsDouble(i);
}

// The bits of the small float of type `to` nearest to x; a hash in the field where x has no real
// value. (The zero point that is added, 0, makes 0 of -0 in float4e2m1, as in ONNX's reference.)
template <class T>
uint8_t NearestSmallFloat(DType to, T x, bool saturate = true) {
  const bool adds_zero = to == DType::kFloat4E2M1;
  double v = 0;
  if constexpr (kIsFp<T>) {
    if (!RealValueOf(x, &v))
      return static_cast<uint8_t>(HashedInteger("Quantize", x, adds_zero ? 16 : 256));
  } else {
    v = static_cast<double>(x);
  }
  return SmallFloatBits(to, adds_zero ? v + 0.0 : v, saturate);
}

// Sums of products of 8-bit numbers are far below 2^53: computed in double they are exact, and
// faster than in integers. Input `x` (8 bits) minus its zero point, which broadcasts to it under
// shape `z_shape` (input `z`, when there), as double.
inline Result<Tensor> Centered(KernelContext& c, int x, int z, const Shape& z_shape) {
  Tensor y = TRY(Tensor::Make(DType::kDouble, c.in(x).shape(), Store::kNative, c.limits()));
  std::vector<double> zero(c.Has(z) ? static_cast<size_t>(c.in(z).size()) : 1, 0);
  for (size_t i = 0; c.Has(z) && i < zero.size(); ++i)
    zero[i] = QuantizedValue(c.in(z), static_cast<int64_t>(i));
  double* out = y.mutable_data<double>();
  auto center = [&](auto value) {
    ForBroadcast2(y.shape(), y.shape(), zero.size() == 1 ? Shape{} : z_shape,
                  [&](int64_t i, int64_t, int64_t iz) {
                    out[i] = value(i) - zero[static_cast<size_t>(iz)];
                  });
  };
  if (IsSmallFloat(c.in(x).dtype())) {
    center([&](int64_t i) { return QuantizedValue(c.in(x), i); });
    return y;
  }
  TRY(VisitInt(c.in(x), [&](auto quantum) -> Status {
    const auto* in = c.data<decltype(quantum)>(x);
    center([&](int64_t i) { return static_cast<double>(in[i]); });
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
// centered operands: integers, or doubles where an operand is an 8-bit float.
struct Requantization {
  int a, b, y_scale, y_zero_point;
  Shape a_shape, b_shape;
};
template <class S>
Status Requantize(KernelContext& c, const Requantization& r, const S* sums, Tensor* y) {
  const double zero_point = QuantizedValue(c.in(r.y_zero_point), 0);
  return VisitFloat(c.in(r.a), [&](auto real) -> Status {
    using T = decltype(real);
    const T *a = c.data<T>(r.a), *b = c.data<T>(r.b), y_scale = c.data<T>(r.y_scale)[0];
    // set(i, quotient): element i of the output.
    auto run = [&](auto set) {
      int64_t last_a = -1, last_b = -1;
      T factor = T(1);
      ForBroadcast2(y->shape(), r.a_shape, r.b_shape, [&](int64_t i, int64_t ia, int64_t ib) {
        if (ia != last_a || ib != last_b) factor = a[ia] * b[ib] / y_scale;
        last_a = ia;
        last_b = ib;
        if constexpr (std::is_integral_v<S>)
          set(i, FromInteger<T>(sums[i]) * factor);
        else
          set(i, T(sums[i]) * factor);
      });
    };
    auto integers = [&]<class Q>(Q* out) {
      const auto zero = static_cast<int64_t>(zero_point);
      run([=](int64_t i, T v) { out[i] = Saturate<Q>(NearestInteger(v) + zero); });
    };
    if (y->dtype() == DType::kInt8) {
      integers(y->mutable_data<int8_t>());
    } else if (y->dtype() == DType::kUint8) {
      integers(y->mutable_data<uint8_t>());
    } else {
      uint8_t* out = y->mutable_data<uint8_t>();
      run([&](int64_t i, T v) { out[i] = NearestSmallFloat(y->dtype(), v + T(zero_point)); });
    }
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
