// Matrix products with batches, shared by MatMul, MatMulInteger and QLinearMatMul: numpy's matmul.
#pragma once

#include "interp/kernels.h"

namespace assay {

// Extents of a[..,M,K] * b[..,K,N] for inputs `a` and `b`: batches broadcast, a 1-d operand counts
// as a row or column whose axis the result lacks. Violates the rule when they don't fit; both
// inputs must be ranked.
std::vector<Dim> MatMulDims(RuleContext& c, int a, int b);
// The same of operands with these extents.
std::vector<Dim> MatMulDims(RuleContext& c, std::vector<Dim> a, std::vector<Dim> b);

// The product of operands of those shapes as batches of [M,K] * [K,N].
struct MatMulShape {
  int64_t m, k, n;
  Shape batch_a, batch_b, batch;  // without the two last axes; `batch` is their broadcast
};
// LimitHit when the product is too much work.
Result<MatMulShape> MatMulShapeOf(const KernelContext& c, const Shape& a, const Shape& b);

// y = a * b; T: float, double, Fp, int32_t, uint32_t, int64_t, uint64_t.
template <class T>
void MatMulBatches(const MatMulShape& s, const T* a, const T* b, T* y) {
  int64_t count = ElementCount(s.batch);
  if (ElementCount(s.batch_b) == 1 && ElementCount(s.batch_a) == count) {
    MatrixProduct(a, b, y, count * s.m, s.k, s.n);  // one b for all rows
    return;
  }
  ForBroadcast2(s.batch, s.batch_a, s.batch_b, [&](int64_t i, int64_t ia, int64_t ib) {
    MatrixProduct(a + ia * s.m * s.k, b + ib * s.k * s.n, y + i * s.m * s.n, s.m, s.k, s.n);
  });
}

}  // namespace assay
