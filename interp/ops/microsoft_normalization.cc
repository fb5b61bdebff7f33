// SkipLayerNormalization and SkipSimplifiedLayerNormalization (com.microsoft version 1): input +
// skip + bias, normalized over the last axis by mean and variance, or by the root of the mean
// square alone, times gamma plus beta. skip has the input's shape, or lacks the batch.
#include "interp/movement.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

constexpr char kDomain[] = "com.microsoft";

// Input numbers: the simplified form has no beta.
int BiasOf(const OpSpec& spec) { return spec.name == "SkipLayerNormalization" ? 4 : 3; }

void SkipRule(RuleContext& c) {
  SameAsInput0(c);
  for (int i : {1, 2}) c.OutUnranked(i, DType::kFloat);
  c.OutUnranked(3, c.dtype(0));
  if (!c.Ranked(0)) return;
  int rank = c.Rank(0);
  c.Require(rank >= 1, "the input has an axis");
  if (c.failed()) return;
  c.Require(c.In(0, rank - 1) >= Dim(1), "the last axis is not empty");
  if (c.Ranked(1)) {
    c.Require(c.Rank(1) >= 1 && c.Rank(1) <= rank,
              "skip has the shape of the input, or lacks the batch");
    for (int d = 1; d <= std::min(c.Rank(1), rank); ++d) {
      Dim extent = c.In(1, c.Rank(1) - d);
      c.Require(extent == c.In(0, rank - d) || (Known(d == rank) && extent == Dim(1)),
                "skip has the shape of the input, or lacks the batch");
    }
  }
  for (int i = 2; i <= BiasOf(c.spec()); ++i) {
    if (!c.Has(i) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) == 1, "gamma, beta and bias are as long as the last axis");
    c.Require(c.In(i, 0) == c.In(0, rank - 1), "gamma, beta and bias are as long as the last axis");
  }
  std::vector<Dim> lines = c.Dims(0);
  lines.back() = Dim(1);
  for (int i : {1, 2}) c.Out(i, DType::kFloat, lines);
  c.Out(3, c.dtype(0), c.Dims(0));
}

template <class W>
Status Run(KernelContext& c) {
  const Shape& shape = c.in(0).shape();
  const bool simplified = c.spec().name != "SkipLayerNormalization";
  const int64_t n = shape.back();
  const W epsilon = static_cast<W>(static_cast<double>(c.Float("epsilon")));
  std::vector<W> x = TRY(LoadAs<W>(c.in(0))), skip = TRY(LoadAs<W>(c.in(1))),
                 gamma = TRY(LoadAs<W>(c.in(2))), beta, bias;
  if (!simplified && c.Has(3)) beta = TRY(LoadAs<W>(c.in(3)));
  if (c.Has(BiasOf(c.spec()))) bias = TRY(LoadAs<W>(c.in(BiasOf(c.spec()))));
  ForBroadcast2(shape, shape, c.in(1).shape(), [&](int64_t i, int64_t, int64_t is) {
    x[i] += skip[is];
    if (!bias.empty()) x[i] += bias[i % n];
  });
  TRY(StoreOutput(c, 3, x));
  std::vector<W> means, inverses;
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(n)) {
    W* line = x.data() + at;
    Moments<W> m = MomentsOf<W>(n, [&](int64_t i) { return line[i]; });
    if (simplified) {
      m = {W(0), W(0)};
      for (int64_t i = 0; i < n; ++i) m.variance += line[i] * line[i];
      m.variance = m.variance / FromInteger<W>(n);
    }
    W inverse = W(1) / ScalarSqrt(m.variance + epsilon);
    for (int64_t i = 0; i < n; ++i) {
      line[i] = (line[i] - m.mean) * inverse * gamma[i];
      if (!beta.empty()) line[i] += beta[i];
    }
    means.push_back(m.mean);
    inverses.push_back(inverse);
  }
  TRY(StoreOutput(c, 0, x));
  TRY(StoreOutput(c, 1, means));
  return StoreOutput(c, 2, inverses);
}

Status EvalSkip(KernelContext& c) {
  return VisitFloat(c.in(0), [&](auto zero) -> Status { return Run<Wide<decltype(zero)>>(c); });
}

}  // namespace

std::vector<OpSpec> ops_microsoft_normalization() {
  constexpr DTypeSet kTypes = kFloatsBf16 & ~Bit(DType::kDouble), kStatistics = Bit(DType::kFloat);
  std::vector<OpSpec> rows;
  for (const char* name : {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization"}) {
    OpSpec row = Op(name, 1, kDomain)
                     .In("input", "T", kTypes)
                     .In("skip", "T", kTypes)
                     .In("gamma", "T", kTypes);
    if (rows.empty()) row.In("beta", "T", kTypes, Arity::kOptional);
    row.In("bias", "T", kTypes, Arity::kOptional).Out("output", "T", kTypes);
    row.Out("mean", "U", kStatistics, Arity::kOptional)
        .Out("inv_std_var", "U", kStatistics, Arity::kOptional);
    row.Out("input_skip_bias_sum", "T", kTypes, Arity::kOptional);
    row.Float("epsilon", 1e-12f, {.floats = {1e-12, 1e-5}}).Rule(SkipRule).Eval(EvalSkip);
    rows.push_back(row.LeftOut("com.microsoft").Class(Accuracy::kReduction));
  }
  return rows;
}

}  // namespace assay
