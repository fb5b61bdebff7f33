// Vectors of 32 bytes, for kernels that keep sums in registers by hand.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

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

}  // namespace assay
