#include "oracle/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace assay {
namespace {

// A product this small may have lost bits to underflow.
constexpr double kUnderflow = 1e-36;
constexpr double kNear = 64;
// Room for the double arithmetic of the fit itself.
constexpr double kSlack = 1 + 1e-6;

}  // namespace

std::optional<WeightView> ViewWeights(const Node& node, int input, const Shape& w) {
  WeightView v;
  int64_t total = ElementCount(w);
  if (total <= 0 || !node.domain.empty()) return std::nullopt;
  if (node.op == "Conv" && input == 1 && w.size() >= 3) {
    v.groups = node.Int("group", 1);
    if (v.groups < 1 || w[0] % v.groups != 0) return std::nullopt;
    v.n = w[0], v.k = total / w[0], v.stride_n = v.k, v.stride_k = 1;
    v.channels_per_group = w[1], v.spatial = v.k / w[1];
    return v;
  }
  if (node.op == "ConvTranspose" && input == 1 && w.size() >= 3) {
    v.transposed_conv = true;
    v.groups = node.Int("group", 1);
    if (v.groups < 1 || w[0] % v.groups != 0) return std::nullopt;
    v.per_group = w[1], v.channels_per_group = w[0] / v.groups;
    v.spatial = total / (w[0] * w[1]);
    v.n = w[1] * v.groups, v.k = v.channels_per_group * v.spatial;
    return v;
  }
  if (w.size() != 2) return std::nullopt;
  bool rows = false;  // output channels are the rows
  if (node.op == "Gemm" && input == 1)
    rows = node.Int("transB", 0) != 0;
  else if (node.op == "Gemm" && input == 0)
    rows = node.Int("transA", 0) == 0;
  else if (node.op == "MatMul" && (input == 0 || input == 1))
    rows = input == 0;
  else if (node.op != "Gather" || input != 0 || node.Int("axis", 0) != 0)
    return std::nullopt;
  v.n = rows ? w[0] : w[1], v.k = rows ? w[1] : w[0];
  v.stride_n = rows ? v.k : 1, v.stride_k = rows ? 1 : v.n;
  v.channels_per_group = v.k;
  return v;
}

double RoundingUnit(DType t) {
  switch (t) {
    case DType::kFloat16:
      return 0x1p-11;
    case DType::kBfloat16:
      return 0x1p-8;
    case DType::kFloat:
      return 0x1p-24;
    default:
      return 0x1p-51;
  }
}

double HalfUlp(DType t, double v) {
  // The power of two at or below |v|, by its exponent bits.
  double power = std::bit_cast<double>(std::bit_cast<uint64_t>(v) & 0x7ff0000000000000ULL);
  double least = t == DType::kFloat16  ? 0x1p-14
                 : t == DType::kDouble ? 0x1p-1022
                                       : 0x1p-126;  // normal numbers
  return RoundingUnit(t) * std::max(power, least);
}

ColumnFit FitColumn(const std::vector<WeightPair>& column, DType t, double factor_bound,
                    double roundings) {
  ColumnFit fit;
  double lo = 1 - factor_bound, hi = 1 + factor_bound;
  const double u = RoundingUnit(t);
  // The factors that explain a weight are an interval; all of them must share a point.
  auto interval = [&](const WeightPair& p, double* from, double* to) {
    double room = (HalfUlp(t, p.got) + (roundings - 1) * u * std::fabs(p.got)) * kSlack;
    double a = (p.got - room) / p.want, b = (p.got + room) / p.want;
    *from = std::min(a, b), *to = std::max(a, b);
  };
  std::vector<std::pair<double, int>> ends;
  bool shared = true;
  for (const WeightPair& p : column) {
    fit.near = std::isfinite(p.got) && std::isfinite(p.want);
    bool tiny = std::fabs(p.want) < kUnderflow;
    if (tiny && std::fabs(p.got) > kUnderflow) fit.near = false;
    if (!fit.near) return fit;
    if (tiny) continue;
    double from, to;
    interval(p, &from, &to);
    fit.near = from <= 1 + kNear * u && to >= 1 - kNear * u;
    if (!fit.near) return fit;
    lo = std::max(lo, from), hi = std::min(hi, to);
    shared = shared && lo <= hi;
  }
  if (shared) {
    fit.fits = true;
    return fit;
  }
  // The most weights that one factor explains.
  int weights = 0;
  for (const WeightPair& p : column) {
    if (std::fabs(p.want) < kUnderflow) continue;
    double from, to;
    interval(p, &from, &to);
    ++weights;
    from = std::max(from, 1 - factor_bound), to = std::min(to, 1 + factor_bound);
    if (from > to) continue;
    ends.push_back({from, -1});
    ends.push_back({to, 1});
  }
  std::sort(ends.begin(), ends.end());
  int open = 0, most = 0;
  for (const auto& [at, kind] : ends) most = std::max(most, open -= kind);
  fit.outliers = weights - most;
  return fit;
}

bool FoldedColumn(const std::vector<WeightPair>& column, DType t, double factor_bound, int most,
                  double slack) {
  for (int roundings = 1; roundings <= most; ++roundings) {
    ColumnFit fit = FitColumn(column, t, factor_bound, roundings + slack);
    if (fit.fits || !fit.near) return fit.fits;
    constexpr size_t
        kFew = 32,
        kMany = 33;  // a second rounding moves a quarter of the weights, one in kMany at least
    if (column.size() >= kFew &&
        static_cast<size_t>(fit.outliers) < std::max<size_t>(2, column.size() / kMany))
      return false;
  }
  return false;
}

}  // namespace assay
