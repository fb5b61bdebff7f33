#include "interp/kernels_panel.h"

#include <algorithm>
#include <cstring>

#ifdef __FMA__
#include <immintrin.h>
#endif

namespace assay {
namespace {

// Two vectors to a row of a panel, and as many rows of the result as 16 registers hold.
constexpr int kRows = 6;
// Rows of a that stay in the second-level cache while the panels pass.
constexpr int64_t kBlockRows = 192;

template <class T>
struct VectorOf {
  typedef T Type __attribute__((vector_size(32)));
};
template <class T>
using Vector = typename VectorOf<T>::Type;

template <class T>
Vector<T> Load(const T* p) {
  Vector<T> v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
template <class T>
void Store(T* p, Vector<T> v) {
  std::memcpy(p, &v, sizeof(v));
}

// a * b + c, rounded once where the processor can.
#ifdef __FMA__
inline __m256 MultiplyAdd(float a, __m256 b, __m256 c) { return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c); }
inline __m256d MultiplyAdd(double a, __m256d b, __m256d c) { return _mm256_fmadd_pd(_mm256_set1_pd(a), b, c); }
#else
template <class T>
Vector<T> MultiplyAdd(T a, Vector<T> b, Vector<T> c) {
  return a * b + c;
}
#endif

// kHeight rows of c by one panel.
template <class T, int kHeight>
void Block(const T* a, int64_t a_stride, const T* panel, T* c, int64_t c_stride, int64_t k) {
  constexpr int64_t kLanes = kPanelColumns<T> / 2;
  Vector<T> left[kHeight], right[kHeight];
#pragma GCC unroll 6
  for (int r = 0; r < kHeight; ++r) {
    left[r] = Load(c + r * c_stride);
    right[r] = Load(c + r * c_stride + kLanes);
  }
  for (int64_t p = 0; p < k; ++p, panel += 2 * kLanes) {
    Vector<T> b0 = Load(panel), b1 = Load(panel + kLanes);
#pragma GCC unroll 6
    for (int r = 0; r < kHeight; ++r) {
      T x = a[r * a_stride + p];
      left[r] = MultiplyAdd(x, b0, left[r]);
      right[r] = MultiplyAdd(x, b1, right[r]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kHeight; ++r) {
    Store(c + r * c_stride, left[r]);
    Store(c + r * c_stride + kLanes, right[r]);
  }
}

template <class T>
void BlockOf(int64_t height, const T* a, int64_t a_stride, const T* panel, T* c, int64_t c_stride, int64_t k) {
  switch (height) {
    case 1: return Block<T, 1>(a, a_stride, panel, c, c_stride, k);
    case 2: return Block<T, 2>(a, a_stride, panel, c, c_stride, k);
    case 3: return Block<T, 3>(a, a_stride, panel, c, c_stride, k);
    case 4: return Block<T, 4>(a, a_stride, panel, c, c_stride, k);
    case 5: return Block<T, 5>(a, a_stride, panel, c, c_stride, k);
    default: return Block<T, 6>(a, a_stride, panel, c, c_stride, k);
  }
}

// The last panel may stick out of c.
template <class T>
void EdgeBlock(int64_t height, const T* a, int64_t a_stride, const T* panel, T* c, int64_t c_stride, int64_t k,
               int64_t columns) {
  constexpr int64_t kWidth = kPanelColumns<T>;
  T whole[kRows * kWidth] = {};
  for (int64_t r = 0; r < height; ++r) std::copy_n(c + r * c_stride, columns, whole + r * kWidth);
  BlockOf<T>(height, a, a_stride, panel, whole, kWidth, k);
  for (int64_t r = 0; r < height; ++r) std::copy_n(whole + r * kWidth, columns, c + r * c_stride);
}

template <class T>
void Multiply(const T* a, int64_t a_stride, const T* panels, T* c, int64_t c_stride, int64_t m, int64_t k, int64_t n) {
  constexpr int64_t kWidth = kPanelColumns<T>;
  for (int64_t first = 0; first < m; first += kBlockRows) {
    int64_t last = std::min(m, first + kBlockRows);
    for (int64_t j = 0; j < n; j += kWidth) {
      const T* panel = panels + j * k;
      for (int64_t i = first; i < last; i += kRows) {
        int64_t height = std::min<int64_t>(kRows, last - i);
        if (j + kWidth <= n)
          BlockOf<T>(height, a + i * a_stride, a_stride, panel, c + i * c_stride + j, c_stride, k);
        else
          EdgeBlock<T>(height, a + i * a_stride, a_stride, panel, c + i * c_stride + j, c_stride, k, n - j);
      }
    }
  }
}

}  // namespace

template <class T>
void MultiplyPanels(const T* a, int64_t a_stride, const T* panels, T* c, int64_t c_stride, int64_t m, int64_t k,
                    int64_t n) {
  Multiply<T>(a, a_stride, panels, c, c_stride, m, k, n);
}

// Sums of up to 8192 products of residues, and a residue, are exact in double.
template <>
void MultiplyPanels<Fp>(const Fp* a, int64_t a_stride, const Fp* panels, Fp* c, int64_t c_stride, int64_t m, int64_t k,
                        int64_t n) {
  Multiply<double>(&a->r, a_stride, &panels->r, &c->r, c_stride, m, k, n);
  for (int64_t i = 0; i < m; ++i) {
    Fp* row = c + i * c_stride;
    for (int64_t j = 0; j < n; ++j) row[j] = Fp::Reduce(row[j].r);
  }
}

template void MultiplyPanels<float>(const float*, int64_t, const float*, float*, int64_t, int64_t, int64_t, int64_t);
template void MultiplyPanels<double>(const double*, int64_t, const double*, double*, int64_t, int64_t, int64_t, int64_t);

}  // namespace assay
