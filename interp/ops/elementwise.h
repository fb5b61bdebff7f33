// What the elementwise families share: lists of versions, kernels of one and two operands, and the
// way from real numbers to integers in every scalar domain.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "interp/kernels.h"
#include "interp/kernels_parallel.h"

namespace assay {

// ---- rows
// ----------------------------------------------------------------------------------------------------

inline constexpr DTypeSet kBoolSet = Bit(DType::kBool);
inline constexpr DTypeSet k8Bit = Bit(DType::kInt8) | Bit(DType::kUint8);
inline constexpr DTypeSet kBfloat16Set = Bit(DType::kBfloat16);

// A later version of a row that only changes the set of one type name.
struct TypesSince {
  int version;
  DTypeSet types;
};
inline void PushVersions(std::vector<OpSpec>& rows, const OpSpec& first, const char* type,
                         std::initializer_list<TypesSince> later) {
  rows.push_back(first);
  for (const TypesSince& v : later) rows.push_back(first.Since(v.version).Types(type, v.types));
}

// Gives output i the shape of input `like` with another element type.
inline void OutLike(RuleContext& c, int i, DType dtype, int like = 0) {
  if (c.Ranked(like))
    c.Out(i, dtype, c.Dims(like));
  else
    c.OutUnranked(i, dtype);
}

// A constant of one element, for drafts.
inline Tensor OneElement(DType dtype, double value, Shape shape = {}) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  t.Set(0, value);
  return t;
}

// ---- real numbers to integers
// ----------------------------------------------------------------------------------

// v without its fraction as an integer of type I. ONNX leaves NaN and values out of range open;
// here they give what x86 processors give, as runtimes do: 8- and 16-bit results are the low bits
// of the 32-bit one.
template <class I>
I TruncateTo(double v) {
  static_assert(std::is_integral_v<I>);
  constexpr double k2To31 = 0x1p31, k2To63 = 0x1p63;
  if constexpr (sizeof(I) == 8 && std::is_unsigned_v<I>) {
    if (v >= k2To63) return v < 2 * k2To63 ? static_cast<I>(v) : I{0};
  }
  if constexpr (sizeof(I) == 8 || (sizeof(I) == 4 && std::is_unsigned_v<I>)) {
    bool fits = v >= -k2To63 && v < k2To63;
    return static_cast<I>(fits ? static_cast<int64_t>(v) : std::numeric_limits<int64_t>::min());
  } else {
    bool fits = v > -k2To31 - 1 && v < k2To31;
    return static_cast<I>(fits ? static_cast<int32_t>(v) : std::numeric_limits<int32_t>::min());
  }
}

// The field has no fractions to cut off, so what rounds is a function of the residue: of one that
// stands for a real number (FieldContext::Real) that number's, of a small integer that integer,
// otherwise a hash. Small integers being fixed makes rounding idempotent and Cast to float and back
// the identity.
inline constexpr int64_t kSmallInteger = 4096;

inline bool RealValueOf(Fp x, double* v) {
  const FieldContext* field = FieldContext::current();
  if (field->KnownConstant(x.r, v)) return true;
  double p = field->p();
  double centred = x.r > p / 2 ? x.r - p : x.r;
  if (std::fabs(centred) <= static_cast<double>(kSmallInteger)) return *v = centred, true;
  return field->Real(x.r, v);
}

// An integer in [0, below) for a residue without a real value.
inline int64_t HashedInteger(std::string_view name, Fp x, int64_t below) {
  return static_cast<int64_t>(HashOf(name, x) % static_cast<uint64_t>(below));
}

// Beyond this no zero point brings a quantized value back into its range.
inline constexpr double kFarOut = 1 << 20;

// x to the nearest integer, half to even; NaN gives 0. In the field a residue without a real value
// gives a hash in the 8-bit range, before the zero point is added: moving zero point and range
// together moves the result along.
template <class T>
int64_t NearestInteger(T x) {
  double v;
  if constexpr (kIsFp<T>) {
    if (!RealValueOf(x, &v)) return HashedInteger("Quantize", x, 256) - 128;
    v = std::nearbyint(v);
  } else {
    v = static_cast<double>(std::nearbyint(x));
  }
  if (std::isnan(v)) return 0;
  return static_cast<int64_t>(std::clamp(v, -kFarOut, kFarOut));
}

// The nearest integer that a quantized type Q holds.
template <class Q>
Q Saturate(int64_t v) {
  return static_cast<Q>(
      std::clamp<int64_t>(v, std::numeric_limits<Q>::min(), std::numeric_limits<Q>::max()));
}

// The type in which sums of T are added up: floats in double.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, T>;

// An integer of any width, exactly, as a scalar of T.
template <class T, class I>
T FromInteger(I n) {
  if constexpr (kIsFp<T> && std::is_same_v<I, uint64_t>) {
    return Fp(static_cast<int64_t>(n >> 1)) * Fp(2) + Fp(static_cast<int64_t>(n & 1));
  } else if constexpr (kIsFp<T>) {
    return Fp(static_cast<int64_t>(n));
  } else {
    return static_cast<T>(n);
  }
}

// Scalar of T (floating-point, field or integer) to an integer type, cutting off the fraction.
template <class I, class T>
I IntegerFrom(T x) {
  if constexpr (kIsFp<T>) {
    double v;
    return RealValueOf(x, &v) ? TruncateTo<I>(v) : static_cast<I>(HashedInteger("Cast", x, 64));
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<I>(x);
  } else {
    return TruncateTo<I>(static_cast<double>(x));
  }
}

// ---- kernels
// -------------------------------------------------------------------------------------------------

// ForBroadcast2 in any order.
template <class F>
void EachBroadcast(const Shape& out, const Shape& a, const Shape& b, F&& f) {
  if (a == out && b == out)
    ForElements(ElementCount(out), [&](int64_t i) { f(i, i, i); });
  else
    ForBroadcast2(out, a, b, f);
}

// Y = fn(X), floating-point. Fn is a functor, or one made from the node's attributes by
// Fn<T>(context).
template <class Fn>
Status Unary(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    Fn fn;
    ForElements(out->size(), [&](int64_t i) { y[i] = fn(x[i]); });
    return {};
  });
}

template <class Fn>
Status UnaryNumeric(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    Fn fn;
    ForElements(out->size(), [&](int64_t i) { y[i] = fn(x[i]); });
    return {};
  });
}

template <template <class> class Fn>
Status UnaryWith(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    const Fn<T> fn(c);
    ForElements(out->size(), [&](int64_t i) { y[i] = fn(x[i]); });
    return {};
  });
}

// C = fn(A, B), broadcast, all of one numeric type.
template <class Fn>
Status Binary(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* a = c.data<T>(0);
    const T* b = c.data<T>(1);
    T* y = out->mutable_data<T>();
    Fn fn;
    EachBroadcast(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = fn(a[ia], b[ib]); });
    return {};
  });
}

}  // namespace assay
