// Vectors of 32 bytes, for kernels that keep sums in registers by hand.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __FMA__
#include <immintrin.h>
#endif

namespace assay {

template <class T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(32)));
};
template <class T>
using Vector = typename VectorOf<T>::Type;

template <class T>
inline constexpr int64_t kLanes = 32 / static_cast<int64_t>(sizeof(T));

template <class T>
inline Vector<T> LoadVector(const T* p) {
  Vector<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
template <class T>
inline void StoreVector(T* p, Vector<T> v) {
  std::memcpy(p, &v, sizeof(v));
}
template <class T>
inline Vector<T> FillVector(T x) {
  return Vector<T>{} + x;
}

// a * b + c of one element, rounded once where the processor can.
template <class T>
inline T MultiplyAdd(T a, T b, T c) {
#ifdef __FMA__
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
// The same of vectors.
#ifdef __FMA__
inline Vector<float> MultiplyAdd(float a, Vector<float> b, Vector<float> c) { return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c); }
inline Vector<double> MultiplyAdd(double a, Vector<double> b, Vector<double> c) {
  return _mm256_fmadd_pd(_mm256_set1_pd(a), b, c);
}
#else
template <class T>
inline Vector<T> MultiplyAdd(T a, Vector<T> b, Vector<T> c) {
  return a * b + c;
}
#endif

// min(max(x, lo), hi), a NaN left as it is.
template <class T>
inline Vector<T> Bounded(Vector<T> x, T lo, T hi) {
  Vector<T> lows = FillVector(lo), highs = FillVector(hi), larger = x < lows ? lows : x;
  return highs < larger ? highs : larger;
}

}  // namespace assay
