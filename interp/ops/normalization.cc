// InstanceNormalization (ONNX opset 6), LayerNormalization (17), MeanVarianceNormalization (9, 13):
// shifted to mean 0 and scaled to variance 1; LpNormalization (1): scaled to p-norm 1; LRN (1, 13):
// divided by the energy of neighbouring channels.
#include "interp/ops/normalization.h"
#include "interp/draw.h"
#include "interp/ops/reduction.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

template <class W>
W AttrAs(const KernelContext& c, const char* name) {
  return static_cast<W>(static_cast<double>(c.Float(name)));
}

// ---- InstanceNormalization: y = scale[c] * (x - mean) / sqrt(var + epsilon) + B[c] over each
// [n,c] ---------------

void InstanceRule(RuleContext& c) {
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  c.Require(c.Rank(0) >= 3, "the input is [N,C,D1,..]");
  for (int i : {1, 2}) {
    if (!c.Ranked(i)) continue;
    c.Require(c.Rank(i) == 1, "scale and B have one element a channel");
    c.Require(c.In(i, 0) == c.In(0, 1), "scale and B have one element a channel");
  }
  // One element has no variance; what is left of it depends on the order of subtraction.
  if (c.solving()) c.Require(Product(c.Dims(0), 2) != Dim(1), "one element is not generated");
  c.Out(0, c.dtype(0), c.Dims(0));
}

Status EvalInstance(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t channels = y->dim(1), inner = y->size() / y->dim(0) / channels;
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    const W epsilon = AttrAs<W>(c, "epsilon");
    const T *x = c.data<T>(0), *scale = c.data<T>(1), *bias = c.data<T>(2);
    T* out = y->mutable_data<T>();
    for (int64_t plane = 0; plane * inner < y->size(); ++plane, x += inner, out += inner) {
      Moments<W> m = MomentsOf<W>(inner, [&](int64_t i) { return static_cast<W>(x[i]); });
      const W factor = static_cast<W>(scale[plane % channels]) / ScalarSqrt(m.variance + epsilon);
      const W add = static_cast<W>(bias[plane % channels]);
      for (int64_t i = 0; i < inner; ++i)
        out[i] = static_cast<T>((static_cast<W>(x[i]) - m.mean) * factor + add);
    }
    return {};
  });
}

// ---- LayerNormalization: y = (x - mean) / sqrt(var + epsilon) * Scale + B over the axes from
// `axis` on -----------

void LayerRule(RuleContext& c) {
  int64_t stash = c.IntValue("stash_type");
  DType statistics = stash == 16 ? DType::kBfloat16 : DType::kFloat;
  c.Require(stash == 1 || stash == 16, "stash_type is float or bfloat16");
  if (!c.Ranked(0)) {
    for (int i = 0; i < 3; ++i) c.OutUnranked(i, i ? statistics : c.dtype(0));
    return;
  }
  int rank = c.Rank(0), axis = c.Axis(c.IntValue("axis"), rank);
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) <= rank, "Scale and B broadcast to the input");
    for (int d = 1; d <= std::min(rank, c.Rank(i)); ++d) {
      Dim extent = c.In(i, c.Rank(i) - d);
      c.Require(extent == c.In(0, rank - d) || extent == Dim(1),
                "Scale and B broadcast to the input");
    }
  }
  std::vector<Dim> reduced = c.Dims(0);
  for (int d = axis; d < rank; ++d) {
    c.Require(reduced[d] >= Dim(1), "no normalized extent is 0");
    reduced[d] = Dim(1);
  }
  c.Out(0, c.dtype(0), c.Dims(0));
  c.Out(1, statistics, reduced);
  c.Out(2, statistics, reduced);
}

template <class T>
Status NormalizeLayers(KernelContext& c, Tensor* y) {
  using W = Wide<T>;
  int64_t axis = c.Int("axis"), inner = 1;
  if (axis < 0) axis += y->rank();
  for (int64_t d = axis; d < y->rank(); ++d) inner = WrapMul(inner, y->dim(static_cast<int>(d)));
  const int64_t rows = y->size() > 0 ? y->size() / inner : 0;
  const W epsilon = AttrAs<W>(c, "epsilon");
  std::vector<W> mean(static_cast<size_t>(rows)), inverse(static_cast<size_t>(rows));
  const T *x = c.data<T>(0), *scale = c.data<T>(1);
  T* out = y->mutable_data<T>();
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = x + r * inner;
    Moments<W> m = MomentsOf<W>(inner, [&](int64_t i) { return static_cast<W>(row[i]); });
    mean[r] = m.mean;
    inverse[r] = W(1) / ScalarSqrt(m.variance + epsilon);
  }
  ForBroadcast2(y->shape(), y->shape(), c.in(1).shape(), [&](int64_t i, int64_t, int64_t is) {
    int64_t r = i / inner;
    out[i] =
        static_cast<T>((static_cast<W>(x[i]) - mean[r]) * inverse[r] * static_cast<W>(scale[is]));
  });
  if (c.Has(2)) {
    const T* bias = c.data<T>(2);
    ForBroadcast2(y->shape(), y->shape(), c.in(2).shape(),
                  [&](int64_t i, int64_t, int64_t ib) { out[i] = out[i] + bias[ib]; });
  }
  TRY(StoreOutput(c, 1, mean));
  return StoreOutput(c, 2, inverse);
}

Status EvalLayer(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(0),
                    [&](auto zero) -> Status { return NormalizeLayers<decltype(zero)>(c, y); });
}

// Scale and B of the normalized axes' shape, as every runtime takes them.
bool DrawLayer(Choices& choices, Draft& d) {
  if (!d.concrete(0) || d.shape(0).empty()) return false;
  Shape x = d.shape(0);
  int64_t rank = static_cast<int64_t>(x.size()),
          axis = choices.Chance(0.6) ? rank - 1 : choices.Between(0, rank - 1);
  Shape normalized(x.begin() + axis, x.end());
  if (ElementCount(normalized) < 2 || ElementCount(normalized) > d.max_elements) return false;
  d.Set("axis", choices.Chance(0.5) ? axis : axis - rank);
  d.SetConstant(1, RandomConstant(choices, d.inputs[0].dtype, normalized));
  if (choices.Chance(0.7)) d.SetConstant(2, RandomConstant(choices, d.inputs[0].dtype, normalized));
  return true;
}

// ---- MeanVarianceNormalization: y = (x - mean) / (sqrt(var) + 1e-9) over `axes`
// ------------------------------------

std::vector<bool> AxesMask(const std::vector<int64_t>& axes, int rank) {
  std::vector<bool> mask(static_cast<size_t>(rank), false);
  for (int64_t a : axes) mask[a < 0 ? a + rank : a] = true;
  return mask;
}

void MeanVarianceRule(RuleContext& c) {
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  std::vector<bool> seen(static_cast<size_t>(c.Rank(0)), false);
  for (const Dim& d : c.Ints("axes")) {
    int axis = c.Axis(d.value(), c.Rank(0));
    if (c.failed()) return;
    c.Require(!seen[axis], "no axis is given twice");
    seen[axis] = true;
  }
  c.Out(0, c.dtype(0), c.Dims(0));
}

Status EvalMeanVariance(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Reduction r(y->shape(), AxesMask(c.Ints("axes"), y->rank()));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    const T* x = c.data<T>(0);
    std::vector<W> mean(static_cast<size_t>(r.out_size())), spread(mean);
    const W factor = W(1) / W(r.count()), epsilon = static_cast<W>(static_cast<double>(1e-9f));
    r.Accumulate(
        x, mean.data(), [](T v) { return static_cast<W>(v); },
        [](W& a, T v, int64_t) { a += static_cast<W>(v); });
    for (W& m : mean) m *= factor;
    r.ForEachRun([&](int64_t in, int64_t o, int64_t n, int64_t step, bool) {
      for (int64_t i = 0; i < n; ++i) {
        W d = static_cast<W>(x[in + i]) - mean[o + i * step];
        spread[o + i * step] += d * d;
      }
    });
    for (W& s : spread) s = W(1) / (ScalarSqrt(s * factor) + epsilon);
    r.Map(x, y->mutable_data<T>(), [&](T v, int64_t o) {
      return static_cast<T>((static_cast<W>(v) - mean[o]) * spread[o]);
    });
    return {};
  });
}

// ---- LpNormalization: y = x / p-norm of x along `axis`
// ------------------------------------------------------------

void LpRule(RuleContext& c) {
  c.Require(c.IntValue("p") == 1 || c.IntValue("p") == 2, "p is 1 or 2");
  if (c.Ranked(0)) c.Axis(c.IntValue("axis"), c.Rank(0));
  SameAsInput0(c);
}

Status EvalLp(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Reduction r(y->shape(), AxesMask({c.Int("axis")}, y->rank()));
  bool squares = c.Int("p") == 2;
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    auto term = [&](T v) {
      W x = static_cast<W>(v);
      return squares ? x * x : ScalarAbs(x);
    };
    std::vector<W> norm(static_cast<size_t>(r.out_size()));
    r.Accumulate(c.data<T>(0), norm.data(), term, [&](W& a, T v, int64_t) { a += term(v); });
    for (W& n : norm) {
      if (squares) n = ScalarSqrt(n);
      // A line of zeros stays so, as in runtimes.
      n = !kIsFp<T> && n == W(0) ? W(0) : W(1) / n;
    }
    r.Map(c.data<T>(0), y->mutable_data<T>(),
          [&](T v, int64_t o) { return static_cast<T>(static_cast<W>(v) * norm[o]); });
    return {};
  });
}

// ---- LRN: y = x / (bias + alpha / size * sum of x^2 over `size` channels around)^beta
// ----------------------------

void LrnRule(RuleContext& c) {
  c.Require(c.IntValue("size") >= 1, "size is at least 1");
  if (c.Ranked(0)) c.Require(c.Rank(0) >= 2, "the input is [N,C,..]");
  SameAsInput0(c);
}

Status EvalLrn(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t channels = y->dim(1), inner = y->size() / y->dim(0) / channels, size = c.Int("size");
  TRY(c.Charge({y->size(), std::min(size, channels)}));
  // The even one is longer after the channel than before it.
  int64_t before = (size - 1) / 2, after = std::min(size - 1 - before, channels);
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    const W alpha = AttrAs<W>(c, "alpha") / W(size), beta = AttrAs<W>(c, "beta"),
            bias = AttrAs<W>(c, "bias");
    const T* x = c.data<T>(0);
    T* out = y->mutable_data<T>();
    for (int64_t i = 0; i < y->size(); ++i) {
      int64_t channel = i / inner % channels;
      const T* line = x + (i - channel * inner);
      W sum = W(0);
      for (int64_t k = std::max<int64_t>(0, channel - before);
           k <= std::min(channels - 1, channel + after); ++k) {
        W v = static_cast<W>(line[k * inner]);
        sum += v * v;
      }
      out[i] = static_cast<T>(static_cast<W>(x[i]) / ScalarPow(bias + alpha * sum, beta));
    }
    return {};
  });
}

OpSpec Row(const char* name, int since, DTypeSet types, RuleFn rule, EvalFn eval) {
  return Op(name, since)
      .In("X", "T", types)
      .Out("Y", "T", types)
      .Rule(rule)
      .Eval(eval)
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_normalization() {
  std::vector<OpSpec> rows;
  OpSpec instance =
      Op("InstanceNormalization", 6).In("input", "T", kFloats16).In("scale", "T", kFloats16);
  instance.In("B", "T", kFloats16)
      .Out("output", "T", kFloats16)
      .Float("epsilon", 1e-5f, EpsilonDomain());
  rows.push_back(instance.Rule(InstanceRule).Eval(EvalInstance).Class(Accuracy::kReduction));

  constexpr DTypeSet kStatistics = Bit(DType::kFloat) | Bit(DType::kBfloat16);
  OpSpec layer =
      Op("LayerNormalization", 17).In("X", "T", kFloatsBf16).In("Scale", "T", kFloatsBf16);
  layer.In("B", "T", kFloatsBf16, Arity::kOptional).Out("Y", "T", kFloatsBf16);
  layer.Out("Mean", "U", kStatistics, Arity::kOptional)
      .Out("InvStdDev", "U", kStatistics, Arity::kOptional);
  layer.Int("axis", -1).Float("epsilon", 1e-5f, EpsilonDomain()).Int("stash_type", 1);
  layer.Rule(LayerRule).Eval(EvalLayer).Draw(DrawLayer).Class(Accuracy::kReduction);
  // ONNX Runtime's optimizer writes it into models of any operator set.
  rows.insert(rows.end(), {layer.Since(1).LeftOut("before opset 17 ONNX Runtime's own"), layer});

  OpSpec mvn = Row("MeanVarianceNormalization", 9, kFloats16, MeanVarianceRule, EvalMeanVariance);
  mvn.Attr({"axes", AttrType::kInts, false, AttrValue(std::vector<int64_t>{0, 2, 3}), {}});
  rows.insert(rows.end(), {mvn, mvn.Since(13).Types("T", kFloatsBf16)});

  OpSpec lp = Op("LpNormalization", 1).In("input", "T", kFloats16).Out("output", "T", kFloats16);
  lp.Int("axis", -1, {.lo = 0, .hi = 3}).Int("p", 2, {.ints = {2, 1}});
  rows.push_back(lp.Rule(LpRule).Eval(EvalLp).Class(Accuracy::kReduction));

  OpSpec lrn = Row("LRN", 1, kFloats16, LrnRule, EvalLrn);
  lrn.Float("alpha", 1e-4f, {.floats = {1e-4, 1e-3, 0.5}})
      .Float("beta", 0.75f, {.floats = {0.75, 0.5, 1.0}});
  lrn.Float("bias", 1, {.floats = {1.0, 2.0}}).Int("size", 0, {.lo = 1, .hi = 5});
  lrn.attrs.back().required = true;
  lrn.attrs.back().otherwise.reset();
  rows.insert(rows.end(), {lrn, lrn.Since(13).Types("T", kFloatsBf16)});
  PushBfloat16(rows, "T");
  return rows;
}

}  // namespace assay
