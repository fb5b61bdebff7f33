// A matrix product whose right operand is made up panel by panel: the engine of convolutions, which gather their
// operand anyway.
//
// Each element of the result is one chain of multiply-adds in the order of k, whatever the parts that it is computed in:
// tiles and threads change no bit.
#pragma once

#include <cstdint>

#include "interp/field.h"

namespace assay {

// A panel holds this many columns: element (k, j) of the right operand lies in panel j / kPanelColumns, there at
// k * kPanelColumns + j % kPanelColumns. The last panel is filled up with zeros.
template <class T>
inline constexpr int64_t kPanelColumns = 64 / static_cast<int64_t>(sizeof(T));

// Rows of the result that are computed together: parts of a multiple of them waste nothing.
inline constexpr int64_t kPanelRows = 6;

// The left operand a [m,k] and the result c [m,n]; rows are `a_stride` and `c_stride` elements apart. The chains of row i
// begin at start[i], or at what c holds when `start` is null.
template <class T>
struct PanelRows {
  const T* a;
  int64_t a_stride;
  T* c;
  int64_t c_stride;
  int64_t m;
  const T* start;
  bool bounded = false;  // c = min(max(.., lo), hi), NaN left as it is; not for Fp
  T lo{}, hi{};
};

// c = start + a * b, b [k,n] in panels. For float, double and Fp; k at most 8192 for Fp, whose sums are left reduced.
template <class T>
void MultiplyPanels(const PanelRows<T>& rows, const T* panels, int64_t k, int64_t n);

// The same with b as it lies in memory, row-major: pays where m is too small to be worth the making of panels. n is a
// multiple of kPanelColumns.
template <class T>
void MultiplyColumns(const PanelRows<T>& rows, const T* b, int64_t b_stride, int64_t k, int64_t n);

}  // namespace assay
