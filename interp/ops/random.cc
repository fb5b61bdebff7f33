// RandomNormal, RandomUniform and their Like forms (ONNX opset 1, 22), Bernoulli (15, 22) and
// Multinomial (7, 22).
#include "interp/ops/random.h"

#include "interp/movement.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

// The type that attribute `dtype` asks for, or `otherwise`.
DType TypeOf(RuleContext& c, DType otherwise) {
  if (!c.HasAttr("dtype") && otherwise != DType::kUndefined) return otherwise;
  int64_t type = c.IntValue("dtype");
  bool known = type > 0 && type < kDTypeCount &&
               Contains(c.spec().outputs[0].types, static_cast<DType>(type));
  c.Require(known, "dtype is one that the operator makes");
  return known ? static_cast<DType>(type) : DType::kFloat;
}

void ShapeRule(RuleContext& c) {
  DType type = TypeOf(c, DType::kUndefined);
  std::vector<Dim> dims = c.Ints("shape");
  c.Require(static_cast<int64_t>(dims.size()) <= kMaxRank, "the output has at most 64 axes");
  if (!c.failed()) c.Out(0, type, dims);
}
void LikeRule(RuleContext& c) {
  DType type = TypeOf(c, c.dtype(0));
  c.Require(Contains(c.spec().outputs[0].types, type),
            "without dtype the input has a type that the operator makes");
  OutLike(c, 0, type);
}

Status EvalNormal(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  Choices random = RandomOf(c);
  const double mean = static_cast<double>(c.Float("mean")),
               scale = static_cast<double>(c.Float("scale"));
  for (int64_t i = 0; i < y->size(); ++i) y->Set(i, mean + scale * random.Normal());
  return {};
}
Status EvalUniform(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  Choices random = RandomOf(c);
  const double low = static_cast<double>(c.Float("low")),
               high = static_cast<double>(c.Float("high"));
  for (int64_t i = 0; i < y->size(); ++i) y->Set(i, random.Uniform(low, high));
  return {};
}

// 1 with the probability that the input says.
Status EvalBernoulli(KernelContext& c) {
  std::vector<double> p = TRY(RealInput(c, 0));
  Tensor* y = TRY(c.Out(0));
  Choices random = RandomOf(c);
  for (size_t i = 0; i < p.size(); ++i)
    y->Set(static_cast<int64_t>(i), random.Uniform() < p[i] ? 1 : 0);
  return {};
}

// ---- Multinomial: sample_size classes for each row of unnormalized log-probabilities

void MultinomialRule(RuleContext& c) {
  int64_t size = c.IntValue("sample_size");
  c.Require(size >= 1, "sample_size is at least 1");
  DType type = TypeOf(c, DType::kUndefined);
  if (c.Ranked(0)) c.Require(c.Rank(0) == 2, "the input is [batch, classes]");
  if (c.failed()) return;
  if (c.Ranked(0)) c.Require(c.In(0, 1) >= Dim(1), "there is a class");
  c.Out(0, type, {c.Ranked(0) ? c.In(0, 0) : Dim::Unknown(), Dim(size)});
}

Status EvalMultinomial(KernelContext& c) {
  std::vector<double> x = TRY(RealInput(c, 0));
  Tensor* y = TRY(c.Out(0));
  const int64_t classes = c.in(0).dim(1), samples = y->dim(1);
  TRY(c.Charge({y->dim(0), std::max(classes, samples)}));
  Choices random = RandomOf(c);
  std::vector<double> sums(static_cast<size_t>(classes));
  for (int64_t b = 0; b < y->dim(0); ++b) {
    const double* row = x.data() + b * classes;
    double largest = *std::max_element(row, row + classes), sum = 0;
    for (int64_t k = 0; k < classes; ++k) sums[k] = sum += std::exp(row[k] - largest);
    for (int64_t s = 0; s < samples; ++s) {
      auto at = std::upper_bound(sums.begin(), sums.end(), random.Uniform() * sum);
      y->Set(b * samples + s,
             static_cast<double>(std::min<int64_t>(at - sums.begin(), classes - 1)));
    }
  }
  return {};
}

constexpr uint32_t kTraits = kNondeterministic;
constexpr char kRandom[] = "draws random numbers: its outputs can't be compared";

AttrSpec Seed() { return {"seed", AttrType::kFloat, false, std::nullopt, {}}; }

// `like`: of the shape of an input, else of attribute shape.
OpSpec Row(const std::string& name, int since, DTypeSet types, bool like) {
  const bool normal = name.find("Normal") != std::string::npos;
  OpSpec row = Op(name, since).Out("output", like ? "T2" : "T", types).Attr(Seed());
  if (like)
    row.In("input", "T1", since < 22 ? kAll7 : kAll13)
        .Attr({"dtype", AttrType::kInt, false, std::nullopt, {.ints = {1, 11}}});
  else
    row.Int("dtype", 1, {.ints = {1, 11}})
        .Attr({"shape", AttrType::kInts, true, std::nullopt, {.lo = 1, .hi = 4}});
  row.Float(normal ? "mean" : "low", 0, {.floats = {0.0, -1.0}})
      .Float(normal ? "scale" : "high", 1, {.floats = {1.0, 2.0}});
  return row.Rule(like ? LikeRule : ShapeRule)
      .Eval(normal ? EvalNormal : EvalUniform)
      .Traits(kTraits)
      .LeftOut(kRandom);
}

}  // namespace

std::vector<OpSpec> ops_random() {
  std::vector<OpSpec> rows;
  for (const char* name :
       {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}) {
    bool like = std::string(name).ends_with("Like");
    rows.push_back(Row(name, 1, kFloats16, like));
    rows.push_back(Row(name, 22, kFloatsBf16, like));
  }
  OpSpec bernoulli = Op("Bernoulli", 15)
                         .In("input", "T1", kFloats16)
                         .Out("output", "T2", kFloatsBf16 | kInts | kBoolSet)
                         .Attr({"dtype", AttrType::kInt, false, std::nullopt, {.ints = {1, 6, 9}}})
                         .Attr(Seed())
                         .Rule(LikeRule)
                         .Eval(EvalBernoulli)
                         .Traits(kTraits)
                         .LeftOut(kRandom);
  rows.insert(rows.end(), {bernoulli, bernoulli.Since(22).Types("T1", kFloatsBf16)});
  OpSpec multinomial = Op("Multinomial", 7)
                           .In("input", "T1", kFloats16)
                           .Out("output", "T2", kIndexInts)
                           .Int("dtype", 6, {.ints = {6, 7}})
                           .Int("sample_size", 1, {.lo = 1, .hi = 8})
                           .Attr(Seed())
                           .Rule(MultinomialRule)
                           .Eval(EvalMultinomial)
                           .Traits(kTraits)
                           .LeftOut(kRandom);
  rows.insert(rows.end(), {multinomial, multinomial.Since(22).Types("T1", kFloatsBf16)});
  return rows;
}

}  // namespace assay
