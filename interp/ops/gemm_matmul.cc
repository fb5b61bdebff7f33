// MatMul (ONNX opset 1, 9, 13): numpy's matmul. Gemm (6, 7, 9, 11, 13): Y = alpha * A' * B' + beta
// * C, where A' [M,K] and B' [K,N] are A and B or their transposes and C broadcasts to [M,N].
#include "interp/kernels_matmul.h"
#include "interp/ops/elementwise.h"
#include "interp/ops/matmul.h"

namespace assay {

std::vector<Dim> MatMulDims(RuleContext& c, std::vector<Dim> a, std::vector<Dim> b) {
  const size_t ra = a.size(), rb = b.size();
  c.Require(ra >= 1 && rb >= 1, "no operand is a scalar");
  if (ra < 1 || rb < 1) return {};
  c.Require(a[ra - 1] == b[rb == 1 ? 0 : rb - 2], "the inner extents agree");
  std::vector<Dim> last;
  if (ra > 1) last.push_back(a[ra - 2]);
  if (rb > 1) last.push_back(b[rb - 1]);
  a.resize(ra - std::min<size_t>(ra, 2));
  b.resize(rb - std::min<size_t>(rb, 2));
  std::vector<Dim> y = BroadcastDims(c, a, b);
  y.insert(y.end(), last.begin(), last.end());
  return y;
}

std::vector<Dim> MatMulDims(RuleContext& c, int a, int b) {
  return MatMulDims(c, c.Dims(a), c.Dims(b));
}

Result<MatMulShape> MatMulShapeOf(const KernelContext& c, const Shape& a, const Shape& b) {
  MatMulShape s;
  size_t ra = a.size(), rb = b.size();
  s.m = ra > 1 ? a[ra - 2] : 1;
  s.k = a[ra - 1];
  s.n = rb > 1 ? b[rb - 1] : 1;
  s.batch_a.assign(a.begin(), a.end() - static_cast<int64_t>(std::min<size_t>(ra, 2)));
  s.batch_b.assign(b.begin(), b.end() - static_cast<int64_t>(std::min<size_t>(rb, 2)));
  Shape out = c.out_shape(0);
  s.batch.assign(out.begin(),
                 out.begin() + static_cast<int64_t>(std::max(s.batch_a.size(), s.batch_b.size())));
  TRY(c.Charge({ElementCount(out), s.k}));
  return s;
}

namespace {

// The types that MatrixProduct serves.
template <class T>
inline constexpr bool kMultiplies = kIsFp<T> || std::is_floating_point_v<T> ||
                                    (std::is_integral_v<T> && sizeof(T) >= 4);

// Did a constant B stay float in a run in double?
bool StayedFloat(const KernelContext& c) {
  return c.in(1).store() == Store::kNative && c.in(1).dtype() == DType::kFloat;
}

void MatMulRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  c.Out(0, c.dtype(0), MatMulDims(c, 0, 1));
}

void MultiplyFloats(KernelContext& c, const MatMulShape& s, double* y) {
  const double* a = c.data<double>(0);
  int64_t count = ElementCount(s.batch);
  if (ElementCount(s.batch_b) == 1 && ElementCount(s.batch_a) == count)
    MultiplyWidened({a, s.k}, {c.data<float>(1), s.n}, y, s.n, count * s.m, s.k, s.n);
  else
    MatMulBatches(s, a, c.in(1).To(Store::kDouble).data<double>(), y);
}

Status EvalMatMul(KernelContext& c) {
  MatMulShape shape = TRY(MatMulShapeOf(c, c.in(0).shape(), c.in(1).shape()));
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, double>) {
      if (StayedFloat(c)) {
        MultiplyFloats(c, shape, y->mutable_data<double>());
        return {};
      }
    }
    if constexpr (kMultiplies<T>)
      MatMulBatches(shape, c.data<T>(0), c.data<T>(1), y->mutable_data<T>());
    return {};
  });
}

void GemmRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  c.Require(c.Rank(0) == 2 && c.Rank(1) == 2, "A and B are matrices");
  if (c.failed()) return;
  bool ta = c.IntValue("transA") != 0, tb = c.IntValue("transB") != 0;
  Dim m = c.In(0, ta), n = c.In(1, !tb);
  c.Require(c.In(0, !ta) == c.In(1, tb), "the inner extents agree");
  if (c.Has(2) && c.Ranked(2)) {
    int rank = c.Rank(2);
    c.Require(rank <= 2, "C broadcasts to [M,N]");
    if (rank >= 1)
      c.Require(c.In(2, rank - 1) == n || c.In(2, rank - 1) == Dim(1), "C broadcasts to [M,N]");
    if (rank == 2) c.Require(c.In(2, 0) == m || c.In(2, 0) == Dim(1), "C broadcasts to [M,N]");
  }
  c.Out(0, c.dtype(0), {m, n});
}

// y = alpha * y + beta * c. Integers are scaled in double and cut off, unless the factor is 1.
template <class T>
void ScaleAndAdd(KernelContext& c, double alpha, double beta, Tensor* y) {
  auto scale = [](double factor, T* v, int64_t n) {
    if (factor == 1) return;
    if constexpr (std::is_integral_v<T>) {
      for (int64_t i = 0; i < n; ++i) v[i] = TruncateTo<T>(factor * static_cast<double>(v[i]));
    } else {
      const T f = static_cast<T>(factor);
      for (int64_t i = 0; i < n; ++i) v[i] = f * v[i];
    }
  };
  T* out = y->mutable_data<T>();
  scale(alpha, out, y->size());
  if (!c.Has(2) || beta == 0) return;
  std::vector<T> addend(c.in(2).span<T>().begin(), c.in(2).span<T>().end());
  scale(beta, addend.data(), c.in(2).size());
  ForBroadcast2(y->shape(), y->shape(), c.in(2).shape(),
                [&](int64_t i, int64_t, int64_t ic) { out[i] = WrapAdd(out[i], addend[ic]); });
}

Status EvalGemm(KernelContext& c) {
  bool ta = c.Int("transA") != 0, tb = c.Int("transB") != 0;
  int64_t k = c.in(0).dim(!ta);
  Tensor* y = TRY(c.Out(0));
  TRY(c.Charge({y->size(), k}));
  double alpha = c.Float("alpha"), beta = c.Float("beta");
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    if constexpr (kMultiplies<T>) {
      T* out = y->mutable_data<T>();
      int64_t m = y->dim(0), n = y->dim(1);
      bool widened = false;
      if constexpr (std::is_same_v<T, double>) {
        widened = StayedFloat(c);
        if (widened)
          MultiplyWidened({c.data<T>(0), c.in(0).dim(1), ta}, {c.data<float>(1), c.in(1).dim(1), tb}, out, n, m, k, n);
      }
      if (!widened) MatrixProduct(c.data<T>(0), c.data<T>(1), out, m, k, n, ta, tb);
      ScaleAndAdd<T>(c, alpha, beta, y);
    }
    return {};
  });
}

void MatMulVersions(std::vector<OpSpec>& rows) {
  OpSpec v1 =
      Op("MatMul", 1).In("A", "T", kFloats16).In("B", "T", kFloats16).Out("Y", "T", kFloats16).StaysFloat("B");
  v1.Rule(MatMulRule).Eval(EvalMatMul).Class(Accuracy::kReduction);
  rows.push_back(v1);
  rows.push_back(v1.Since(9).Types("T", kFloats16 | kInts32_64));
  rows.push_back(v1.Since(13).Types("T", kFloatsBf16 | kInts32_64));
}

void GemmVersions(std::vector<OpSpec>& rows) {
  const AttrDomain factor{.floats = {1.0, 0.5, 2.0, -1.0, 0.25}}, flag{.ints = {0, 1}};
  OpSpec v7 = Op("Gemm", 7)
                  .In("A", "T", kFloats16)
                  .In("B", "T", kFloats16)
                  .In("C", "T", kFloats16)
                  .Out("Y", "T", kFloats16);
  v7.Float("alpha", 1, factor)
      .Float("beta", 1, factor)
      .Int("transA", 0, flag)
      .Int("transB", 0, flag);
  v7.StaysFloat("B").Rule(GemmRule).Eval(EvalGemm).Class(Accuracy::kReduction);
  OpSpec v11 = v7.Since(11).Types("T", kFloats16 | kInts32_64);
  v11.inputs[2].arity = Arity::kOptional;
  // Before opset 7 `broadcast` had to be set for a C of another shape; it may be set, and is not
  // asked for.
  rows.push_back(v7.Since(6).Int("broadcast", 0));
  rows.push_back(v7);
  rows.push_back(v7.Since(9).Types("T", kFloats16 | kInts32_64));
  rows.push_back(v11);
  rows.push_back(v11.Since(13).Types("T", kFloatsBf16 | kInts32_64));
}

}  // namespace

std::vector<OpSpec> ops_gemm_matmul() {
  std::vector<OpSpec> rows;
  MatMulVersions(rows);
  GemmVersions(rows);
  return rows;
}

}  // namespace assay
