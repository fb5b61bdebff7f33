#include "interp/kernels_panel.h"

#include <algorithm>

#include "interp/kernels_vector.h"

namespace assay {
namespace {

// Two vectors to a row of a panel, and as many rows of the result as 16 registers hold.
constexpr int kRows = kPanelRows;
// Rows of a that stay in the second-level cache while the panels pass.
constexpr int64_t kBlockRows = 96;
constexpr int64_t kSecondLevelBytes = 512 << 10;

// kHeight rows of c by kVectors vectors of columns. Row p of b lies at b + p * b_stride.
template <class T, int kHeight, int kVectors>
void Block(const PanelRows<T>& rows, const T* b, int64_t b_stride, int64_t k) {
  const T* a = rows.a;
  const int64_t a_stride = rows.a_stride;
  Vector<T> sum[kHeight][kVectors];
#pragma GCC unroll 6
  for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      sum[r][v] = rows.start ? FillVector(rows.start[r]) : LoadVector(rows.c + r * rows.c_stride + v * kLanes<T>);
  }
  for (int64_t p = 0; p < k; ++p, b += b_stride) {
    Vector<T> column[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) column[v] = LoadVector(b + v * kLanes<T>);
#pragma GCC unroll 6
    for (int r = 0; r < kHeight; ++r) {
      T x = a[r * a_stride + p];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = MultiplyAdd(x, column[v], sum[r][v]);
    }
  }
  if (rows.bounded) {
#pragma GCC unroll 6
    for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Bounded(sum[r][v], rows.lo, rows.hi);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < kHeight; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) StoreVector(rows.c + r * rows.c_stride + v * kLanes<T>, sum[r][v]);
  }
}

template <class T, int kVectors>
void BlockOf(const PanelRows<T>& rows, const T* b, int64_t b_stride, int64_t k) {
  switch (rows.m) {
    case 1: return Block<T, 1, kVectors>(rows, b, b_stride, k);
    case 2: return Block<T, 2, kVectors>(rows, b, b_stride, k);
    case 3: return Block<T, 3, kVectors>(rows, b, b_stride, k);
    case 4: return Block<T, 4, kVectors>(rows, b, b_stride, k);
    case 5: return Block<T, 5, kVectors>(rows, b, b_stride, k);
    default: return Block<T, 6, kVectors>(rows, b, b_stride, k);
  }
}

// The last panel may stick out of c.
template <class T>
void EdgeBlock(const PanelRows<T>& rows, const T* panel, int64_t k, int64_t columns) {
  constexpr int64_t kWidth = kPanelColumns<T>;
  T whole[kRows * kWidth] = {};
  PanelRows<T> inner = rows;
  inner.c = whole;
  inner.c_stride = kWidth;
  for (int64_t r = 0; r < rows.m && !rows.start; ++r) std::copy_n(rows.c + r * rows.c_stride, columns, whole + r * kWidth);
  if (columns <= kLanes<T>)
    BlockOf<T, 1>(inner, panel, kWidth, k);
  else
    BlockOf<T, 2>(inner, panel, kWidth, k);
  for (int64_t r = 0; r < rows.m; ++r) std::copy_n(whole + r * kWidth, columns, rows.c + r * rows.c_stride);
}

template <class T>
PanelRows<T> Part(PanelRows<T> rows, int64_t i, int64_t m, int64_t j) {
  rows.a += i * rows.a_stride;
  rows.c += i * rows.c_stride + j;
  rows.m = m;
  if (rows.start) rows.start += i;
  return rows;
}

// The rows of a that come next: large weights are read once, from main memory.
template <class T>
void Prefetch(const PanelRows<T>& rows, int64_t begin, int64_t end, int64_t k) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t p = 0; p < k; p += kPanelColumns<T>) __builtin_prefetch(rows.a + i * rows.a_stride + p, 0, 2);
  }
}

// Row p of the j-th panel lies at b + j * panel_stride + p * b_stride.
template <class T>
void Multiply(const PanelRows<T>& rows, const T* b, int64_t panel_stride, int64_t b_stride, int64_t k, int64_t n) {
  constexpr int64_t kWidth = kPanelColumns<T>;
  const bool from_memory = rows.m * rows.a_stride * static_cast<int64_t>(sizeof(T)) > kSecondLevelBytes;
  for (int64_t first = 0; first < rows.m; first += kBlockRows) {
    int64_t last = std::min(rows.m, first + kBlockRows);
    const T* panel = b;
    for (int64_t j = 0; j < n; j += kWidth, panel += panel_stride) {
      for (int64_t i = first; i < last; i += kRows) {
        PanelRows<T> part = Part(rows, i, std::min<int64_t>(kRows, last - i), j);
        if (j == 0 && from_memory) Prefetch(rows, i + kRows, std::min<int64_t>(i + 2 * kRows, last), k);
        if (j + kWidth <= n)
          BlockOf<T, 2>(part, panel, b_stride, k);
        else
          EdgeBlock<T>(part, panel, k, n - j);
      }
    }
  }
}

// Sums of up to 8192 products of residues, and a residue, are exact in double.
PanelRows<double> AsDouble(const PanelRows<Fp>& rows) {
  return {&rows.a->r, rows.a_stride, &rows.c->r, rows.c_stride, rows.m, rows.start ? &rows.start->r : nullptr};
}
void ReduceRows(const PanelRows<Fp>& rows, int64_t n) {
  for (int64_t i = 0; i < rows.m; ++i) {
    Fp* row = rows.c + i * rows.c_stride;
    for (int64_t j = 0; j < n; ++j) row[j] = Fp::Reduce(row[j].r);
  }
}

}  // namespace

template <class T>
void MultiplyPanels(const PanelRows<T>& rows, const T* panels, int64_t k, int64_t n) {
  Multiply<T>(rows, panels, k * kPanelColumns<T>, kPanelColumns<T>, k, n);
}
template <class T>
void MultiplyColumns(const PanelRows<T>& rows, const T* b, int64_t b_stride, int64_t k, int64_t n) {
  Multiply<T>(rows, b, kPanelColumns<T>, b_stride, k, n);
}

template <>
void MultiplyPanels<Fp>(const PanelRows<Fp>& rows, const Fp* panels, int64_t k, int64_t n) {
  MultiplyPanels<double>(AsDouble(rows), &panels->r, k, n);
  ReduceRows(rows, n);
}
template <>
void MultiplyColumns<Fp>(const PanelRows<Fp>& rows, const Fp* b, int64_t b_stride, int64_t k, int64_t n) {
  MultiplyColumns<double>(AsDouble(rows), &b->r, b_stride, k, n);
  ReduceRows(rows, n);
}

#define ASSAY_PANELS(T)                                                             \
  template void MultiplyPanels<T>(const PanelRows<T>&, const T*, int64_t, int64_t); \
  template void MultiplyColumns<T>(const PanelRows<T>&, const T*, int64_t, int64_t, int64_t);
ASSAY_PANELS(float)
ASSAY_PANELS(double)
#undef ASSAY_PANELS

}  // namespace assay
