// Det (ONNX opset 11, 22): the determinant of the matrices [..,M,M], by elimination.
#include "interp/ops/normalization.h"

namespace assay {
namespace {

void DetRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  if (!c.Ranked(0)) return;
  int rank = c.Rank(0);
  c.Require(rank >= 2, "the input holds matrices");
  if (c.failed()) return;
  c.Require(c.In(0, rank - 1) == c.In(0, rank - 2), "the matrices are square");
  c.Out(0, c.dtype(0), std::vector<Dim>(c.Dims(0).begin(), c.Dims(0).end() - 2));
}

// The row from k on to eliminate column k with: of the largest entry, in the field of any that is
// not 0.
template <class W>
int64_t PivotOf(const W* m, int64_t n, int64_t k) {
  int64_t best = k;
  for (int64_t r = k + 1; r < n; ++r) {
    if constexpr (kIsFp<W>) {
      if (m[best * n + k] == W(0)) best = r;
    } else {
      if (std::fabs(m[r * n + k]) > std::fabs(m[best * n + k])) best = r;
    }
  }
  return best;
}

template <class W>
W Determinant(W* m, int64_t n) {
  W det = W(1);
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = PivotOf(m, n, k);
    if (m[pivot * n + k] == W(0)) return W(0);
    if (pivot != k) {
      std::swap_ranges(m + pivot * n, m + pivot * n + n, m + k * n);
      det = -det;
    }
    det *= m[k * n + k];
    W inverse = W(1) / m[k * n + k];
    for (int64_t r = k + 1; r < n; ++r) {
      W factor = m[r * n + k] * inverse;
      for (int64_t j = k; j < n; ++j) m[r * n + j] -= factor * m[k * n + j];
    }
  }
  return det;
}

Status EvalDet(KernelContext& c) {
  const Tensor& x = c.in(0);
  const int64_t n = x.dim(x.rank() - 1), count = ElementCount(c.out_shape(0));
  TRY(c.Charge({count, n, n, n}));
  TRY(c.Out(0));
  return VisitFloat(x, [&](auto zero) -> Status {
    using W = Wide<decltype(zero)>;
    std::vector<W> m = TRY(LoadAs<W>(x)), det(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) det[i] = Determinant(m.data() + i * n * n, n);
    return StoreOutput(c, 0, det);
  });
}

}  // namespace

std::vector<OpSpec> ops_determinant() {
  OpSpec det = Op("Det", 11)
                   .In("X", "T", kFloats16)
                   .Out("Y", "T", kFloats16)
                   .Rule(DetRule)
                   .Eval(EvalDet)
                   .Class(Accuracy::kReduction)
                   .Example("graph(float[2,3,3] x) -> (y) { y = Det(x) }");
  return {det, det.Since(22).Types("T", kFloatsBf16)};
}

}  // namespace assay
