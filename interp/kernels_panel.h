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

// c[m,n] += a[m,k] * b[k,n], b in panels; rows of a and c are `a_stride` and `c_stride` elements apart. For float,
// double and Fp; k at most 8192 for Fp, whose sums are left reduced.
template <class T>
void MultiplyPanels(const T* a, int64_t a_stride, const T* panels, T* c, int64_t c_stride, int64_t m, int64_t k,
                    int64_t n);

}  // namespace assay
