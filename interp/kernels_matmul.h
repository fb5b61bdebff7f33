// The matrix product on parts of larger row-major matrices: what MatrixProduct (kernels.h) is built
// on, for kernels that work tile by tile. Deterministic: the same operands give the same bits on
// every machine of one instruction set.
#pragma once

#include <cstdint>

namespace assay {

// A row-major matrix of `stride` elements from row to row; `transposed` reads it as its transpose,
// so that a view of an [R,C] block stands for a [C,R] operand.
template <class T>
struct MatrixView {
  const T* data;
  int64_t stride;
  bool transposed = false;
};

// c[m,n] = a[m,k] * b[k,n], or c += with `accumulate`; rows of c are `c_stride` elements apart.
// Extents may be 0 (an empty sum is 0). For float, double, Fp, int32_t, uint32_t, int64_t,
// uint64_t; integers wrap around. Large products run on the threads of the ThreadScope.
template <class T>
void MultiplyViews(MatrixView<T> a, MatrixView<T> b, T* c, int64_t c_stride, int64_t m, int64_t k,
                   int64_t n, bool accumulate = false);

// c = a * b in double, the floats of b widened piece by piece: a large b is never held twice.
void MultiplyWidened(MatrixView<double> a, MatrixView<float> b, double* c, int64_t c_stride,
                     int64_t m, int64_t k, int64_t n);

}  // namespace assay
