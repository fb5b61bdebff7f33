// BatchNormalization (ONNX opset 6, 7, 9, 14, 15): Y = (X - mean) / sqrt(var + epsilon) * scale + B
// for each channel of X [N,C,D1..Dn]. With training_mode (14, 15) mean and variance are the
// batch's, and the running ones are momentum * old + (1 - momentum) * batch.
//
// Surprises: with spatial=0 (until opset 8) statistics are kept for each [C,D1..Dn]; until opset 13
// more than one output means training, whose outputs the specification leaves open: not supported.
#include "interp/kernels_parallel.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

bool Spatial(RuleContext& c) { return !c.spec().FindAttr("spatial") || c.IntValue("spatial") != 0; }

void Rule(RuleContext& c) {
  int first_training = c.spec().FindAttr("training_mode") ? 3 : 5;
  for (int i = 1; i < c.outputs(); ++i) {
    // The statistics have the element type of the mean.
    if (c.Ranked(3))
      c.Out(i, c.dtype(3), c.Dims(3));
    else
      c.OutUnranked(i, c.dtype(3));
  }
  bool training = c.IntValue("training_mode") != 0;
  c.Require(!training || c.outputs() <= first_training, "training has three outputs");
  if (first_training == 3)
    c.Require(training || c.outputs() == 1, "only training has more than one output");
  if (c.solving()) c.Require(c.outputs() == 1, "only inference is generated");
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  int rank = c.Rank(0);
  c.Require(rank >= (c.spec().since < 9 || c.solving() ? 2 : 1), "the input is [N,C,D1,..]");
  if (c.failed()) return;
  std::vector<Dim> statistics = {rank > 1 ? c.In(0, 1) : Dim(1)};
  if (!Spatial(c)) statistics.assign(c.Dims(0).begin() + 1, c.Dims(0).end());
  for (int i = 1; i < 5; ++i) {
    if (!c.Ranked(i)) continue;
    c.Require(c.Rank(i) == static_cast<int>(statistics.size()),
              "scale, B, mean and var have one element a channel");
    for (size_t d = 0; d < statistics.size(); ++d) {
      c.Require(c.In(i, static_cast<int>(d)) == statistics[d],
                "scale, B, mean and var have one element a channel");
    }
  }
  if (training) {
    for (int d = 0; d < rank; ++d) {
      if (d != 1) c.Require(c.In(0, d) >= Dim(1), "a batch to train on is not empty");
    }
  }
  c.Out(0, c.dtype(0), c.Dims(0));
}

// X as [batch, channels, inner].
struct BatchShape {
  int64_t batch = 1, channels = 1, inner = 1;
  BatchShape(const KernelContext& c) {  // NOLINT: a view of the context
    const Shape& x = c.in(0).shape();
    channels = c.in(3).size();
    batch = c.in(0).size() > 0 ? x[0] : 0;
    inner = batch > 0 ? c.in(0).size() / batch / channels : 0;
  }
};

// Replaces mean and variance by those of the batch and returns the running ones.
template <class T, class W>
void Train(KernelContext& c, const BatchShape& s, std::vector<W>& mean, std::vector<W>& variance,
           std::vector<W>& running_mean, std::vector<W>& running_variance) {
  const T* x = c.data<T>(0);
  W keep = static_cast<W>(static_cast<double>(c.Float("momentum"))), take = W(1) - keep;
  running_mean = mean;
  running_variance = variance;
  for (int64_t k = 0; k < s.channels; ++k) {
    Moments<W> m = MomentsOf<W>(s.batch * s.inner, [&](int64_t i) {
      return static_cast<W>(x[(i / s.inner * s.channels + k) * s.inner + i % s.inner]);
    });
    running_mean[k] = mean[k] * keep + m.mean * take;
    running_variance[k] = variance[k] * keep + m.variance * take;
    mean[k] = m.mean;
    variance[k] = m.variance;
  }
}

template <class T>
Status Normalize(KernelContext& c, Tensor* y) {
  using W = Wide<T>;
  BatchShape s(c);
  std::vector<W> scale = TRY(LoadAs<W>(c.in(1))), bias = TRY(LoadAs<W>(c.in(2)));
  std::vector<W> mean = TRY(LoadAs<W>(c.in(3))), variance = TRY(LoadAs<W>(c.in(4)));
  if (c.Int("training_mode") != 0) {
    std::vector<W> running_mean, running_variance;
    Train<T, W>(c, s, mean, variance, running_mean, running_variance);
    TRY(StoreOutput(c, 1, running_mean));
    TRY(StoreOutput(c, 2, running_variance));
  }
  const W epsilon = static_cast<W>(static_cast<double>(c.Float("epsilon")));
  const T* x = c.data<T>(0);
  T* out = y->mutable_data<T>();
  auto normalize = [&](int64_t k) {
    const W factor = scale[k] / ScalarSqrt(variance[k] + epsilon), shift = mean[k], add = bias[k];
    for (int64_t n = 0; n < s.batch; ++n) {
      int64_t begin = (n * s.channels + k) * s.inner;
      for (int64_t i = begin; i < begin + s.inner; ++i) {
        out[i] = static_cast<T>((static_cast<W>(x[i]) - shift) * factor + add);
      }
    }
  };
  ForPlanes(s.channels, s.batch * s.inner, normalize);
  return {};
}

Status Eval(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status { return Normalize<decltype(zero)>(c, y); });
}

// Inputs scale and B have type `t1`, mean and var and their outputs `t2`.
OpSpec Row(int since, const char* t1, const char* t2, DTypeSet types) {
  OpSpec row =
      Op("BatchNormalization", since).In("X", "T", types).In("scale", t1, types).In("B", t1, types);
  bool old = since < 14;
  row.In(old ? "mean" : "input_mean", t2, types).In(old ? "var" : "input_var", t2, types);
  row.Safe(old ? "var" : "input_var", {.lo = 0.4, .hi = 2, .nonzero = true, .constant = true});
  row.Out("Y", "T", types).Out(old ? "mean" : "running_mean", t2, types, Arity::kOptional);
  row.Out(old ? "var" : "running_var", t2, types, Arity::kOptional);
  if (old)
    row.Out("saved_mean", t2, types, Arity::kOptional)
        .Out("saved_var", t2, types, Arity::kOptional);
  row.Float("epsilon", 1e-5f, EpsilonDomain())
      .Float("momentum", 0.9f, {.floats = {0.9, 0.99, 0.1}});
  return row.Rule(Rule).Eval(Eval).Traits(kInPlace);
}

}  // namespace

std::vector<OpSpec> ops_batch_norm() {
  OpSpec v7 = Row(7, "T", "T", kFloats16).Int("spatial", 1, {.ints = {1}});
  return {v7.Since(6).Int("is_test", 0, {.ints = {1}}), v7, Row(9, "T", "T", kFloats16),
          Row(14, "T", "U", kFloatsBf16).Int("training_mode", 0),
          Row(15, "T1", "T2", kFloatsBf16).Int("training_mode", 0)};
}

}  // namespace assay
