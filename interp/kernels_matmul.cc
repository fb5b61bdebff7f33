// The matrix product of every scalar domain: float and double through Eigen, the field as the
// double product in chunks whose sums stay exact, integers with wrap-around.
#include "interp/kernels_matmul.h"

#include <Eigen/Core>

#include "interp/kernels.h"
#include "interp/kernels_parallel.h"

namespace assay {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using ConstMap = Eigen::Map<const RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class T>
using MutableMap = Eigen::Map<RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

// The blocking of a product decides the order of its additions, and with it the last bits: fixed
// here rather than taken from the processor at hand.
void FixBlocking() {
  static const bool fixed = [] {
    Eigen::setCpuCacheSizes(32 << 10, 512 << 10, 4 << 20);
    return true;
  }();
  (void)fixed;
}

template <class T>
void EigenProduct(MatrixView<T> a, MatrixView<T> b, T* c, int64_t c_stride, int64_t m, int64_t k,
                  int64_t n, bool accumulate) {
  FixBlocking();
  ConstMap<T> left(a.data, a.transposed ? k : m, a.transposed ? m : k,
                   Eigen::OuterStride<>(a.stride));
  ConstMap<T> right(b.data, b.transposed ? n : k, b.transposed ? k : n,
                    Eigen::OuterStride<>(b.stride));
  MutableMap<T> out(c, m, n, Eigen::OuterStride<>(c_stride));
  auto product = [&](const auto& x, const auto& y) {
    if (accumulate)
      out.noalias() += x * y;
    else
      out.noalias() = x * y;
  };
  if (a.transposed && b.transposed)
    product(left.transpose(), right.transpose());
  else if (a.transposed)
    product(left.transpose(), right);
  else if (b.transposed)
    product(left, right.transpose());
  else
    product(left, right);
}

// A sum of kChunk products of residues below 2^19.5, plus one residue, is below 2^53: exact in
// double.
constexpr int64_t kChunk = 8192;

void FieldProduct(MatrixView<Fp> a, MatrixView<Fp> b, Fp* c, int64_t c_stride, int64_t m, int64_t k,
                  int64_t n, bool accumulate) {
  for (int64_t begin = 0; begin < k; begin += kChunk) {
    int64_t length = std::min(kChunk, k - begin);
    MatrixView<double> left{&a.data[begin * (a.transposed ? a.stride : 1)].r, a.stride,
                            a.transposed};
    MatrixView<double> right{&b.data[begin * (b.transposed ? 1 : b.stride)].r, b.stride,
                             b.transposed};
    EigenProduct<double>(left, right, &c->r, c_stride, m, length, n, accumulate || begin > 0);
    for (int64_t i = 0; i < m; ++i) {
      Fp* row = c + i * c_stride;
      for (int64_t j = 0; j < n; ++j) row[j] = Fp::Reduce(row[j].r);
    }
  }
}

// One row of c at a time, so that the innermost loop runs along memory whichever way b lies.
template <class T>
void IntegerProduct(MatrixView<T> a, MatrixView<T> b, T* c, int64_t c_stride, int64_t m, int64_t k,
                    int64_t n, bool accumulate) {
  using U = std::make_unsigned_t<T>;
  for (int64_t i = 0; i < m; ++i) {
    T* row = c + i * c_stride;
    if (!accumulate) std::fill(row, row + n, T(0));
    if (b.transposed) {
      for (int64_t j = 0; j < n; ++j) {
        const T* y = b.data + j * b.stride;
        U sum = 0;
        for (int64_t p = 0; p < k; ++p) {
          sum +=
              static_cast<U>(a.transposed ? a.data[p * a.stride + i] : a.data[i * a.stride + p]) *
              static_cast<U>(y[p]);
        }
        row[j] = static_cast<T>(static_cast<U>(row[j]) + sum);
      }
      continue;
    }
    for (int64_t p = 0; p < k; ++p) {
      U x = static_cast<U>(a.transposed ? a.data[p * a.stride + i] : a.data[i * a.stride + p]);
      const T* y = b.data + p * b.stride;
      for (int64_t j = 0; j < n; ++j) {
        row[j] = static_cast<T>(static_cast<U>(row[j]) + x * static_cast<U>(y[j]));
      }
    }
  }
}

}  // namespace

// One part of a product that several threads share.
template <class T>
void MultiplyPart(MatrixView<T> a, MatrixView<T> b, T* c, int64_t c_stride, int64_t m, int64_t k,
                  int64_t n, bool accumulate) {
  if constexpr (kIsFp<T>)
    FieldProduct(a, b, c, c_stride, m, k, n, accumulate);
  else if constexpr (std::is_floating_point_v<T>)
    EigenProduct(a, b, c, c_stride, m, k, n, accumulate);
  else
    IntegerProduct(a, b, c, c_stride, m, k, n, accumulate);
}

// Products of a part: enough for a thread to be worth waking. A part packs its operands anew, so the rows or columns
// of one are many.
constexpr double kPartWork = 1 << 22;
constexpr int64_t kPartExtent = 64;

template <class T>
void MultiplyViews(MatrixView<T> a, MatrixView<T> b, T* c, int64_t c_stride, int64_t m, int64_t k,
                   int64_t n, bool accumulate) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (accumulate) return;
    for (int64_t i = 0; i < m; ++i) std::fill(c + i * c_stride, c + i * c_stride + n, T(0));
    return;
  }
  bool by_rows = m > n;
  int64_t extent = std::max(m, n);
  double line = static_cast<double>(std::min(m, n)) * static_cast<double>(k);
  int64_t grain = std::max(kPartExtent, static_cast<int64_t>(std::min(kPartWork / line, 1e12)));
  ParallelRanges(extent, (grain + 15) / 16 * 16, [&](int64_t begin, int64_t end) {
    MatrixView<T> left = a, right = b;
    if (by_rows) {
      left.data += begin * (a.transposed ? 1 : a.stride);
      MultiplyPart(left, right, c + begin * c_stride, c_stride, end - begin, k, n, accumulate);
    } else {
      right.data += begin * (b.transposed ? b.stride : 1);
      MultiplyPart(left, right, c + begin, c_stride, m, k, end - begin, accumulate);
    }
  });
}

void MultiplyWidened(MatrixView<double> a, MatrixView<float> b, double* c, int64_t c_stride,
                     int64_t m, int64_t k, int64_t n) {
  constexpr int64_t kColumns = 64, kDepth = 256;  // of a piece, which stays in the cache
  for (int64_t i = 0; i < m; ++i) std::fill(c + i * c_stride, c + i * c_stride + n, 0.0);
  ParallelRanges(n, kColumns, [&](int64_t begin, int64_t end) {
    std::vector<double> piece(static_cast<size_t>(kColumns * kDepth));
    for (int64_t from = 0; from < k; from += kDepth) {
      int64_t depth = std::min(kDepth, k - from);
      // As it lies: lines of b become lines of the piece.
      int64_t lines = b.transposed ? end - begin : depth, length = b.transposed ? depth : end - begin;
      const float* at = b.data + (b.transposed ? begin * b.stride + from : from * b.stride + begin);
      for (int64_t line = 0; line < lines; ++line)
        std::copy_n(at + line * b.stride, length, piece.data() + line * length);
      MatrixView<double> left = a;
      left.data += from * (a.transposed ? a.stride : 1);
      MultiplyPart<double>(left, {piece.data(), length, b.transposed}, c + begin, c_stride, m, depth,
                           end - begin, true);
    }
  });
}

template <class T>
void MatrixProduct(const T* a, const T* b, T* c, int64_t m, int64_t k, int64_t n, bool transpose_a,
                   bool transpose_b) {
  MultiplyViews<T>({a, transpose_a ? m : k, transpose_a}, {b, transpose_b ? k : n, transpose_b}, c,
                   n, m, k, n);
}

#define ASSAY_MATRIX_PRODUCT(T)                                                               \
  template void MultiplyViews<T>(MatrixView<T>, MatrixView<T>, T*, int64_t, int64_t, int64_t, \
                                 int64_t, bool);                                              \
  template void MatrixProduct<T>(const T*, const T*, T*, int64_t, int64_t, int64_t, bool, bool);
ASSAY_MATRIX_PRODUCT(float)
ASSAY_MATRIX_PRODUCT(double)
ASSAY_MATRIX_PRODUCT(Fp)
ASSAY_MATRIX_PRODUCT(int32_t)
ASSAY_MATRIX_PRODUCT(uint32_t)
ASSAY_MATRIX_PRODUCT(int64_t)
ASSAY_MATRIX_PRODUCT(uint64_t)
#undef ASSAY_MATRIX_PRODUCT

}  // namespace assay
