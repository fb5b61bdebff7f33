// What ONNX Runtime's optimizer fuses (com.microsoft version 1): FusedConv, FusedGemm and
// FusedMatMul. They are Conv, Gemm and MatMul with something before or behind: those rows' own
// rules and kernels do the work.
#include "interp/convolve.h"
#include "interp/ops/elementwise.h"
#include "interp/ops/matmul.h"

namespace assay {
namespace {

constexpr char kDomain[] = "com.microsoft";

const OpSpec& Plain(const char* name) {
  constexpr int kOpset = 13;
  const OpSpec* row = FindOp("", name, kOpset);
  CHECK(row != nullptr);
  return *row;
}

const std::vector<std::string> kActivations = {"",          "Relu", "Sigmoid",     "Tanh",
                                               "LeakyRelu", "Clip", "HardSigmoid", "Elu"};

// The activation on the first output, with its numbers a and b.
Status Activate(KernelContext& c, const std::string& name, float first, float second) {
  if (name.empty()) return {};
  Tensor& y = c.results()[0];
  return VisitFloat(y, [&](auto zero) -> Status {
    using T = decltype(zero);
    T* v = y.mutable_data<T>();
    const T a = T(static_cast<double>(first)), b = T(static_cast<double>(second));
    auto map = [&](auto fn) {
      for (int64_t i = 0; i < y.size(); ++i) v[i] = fn(v[i]);
    };
    if (name == "Relu")
      map([](T x) { return ScalarMax(x, T()); });
    else if (name == "Sigmoid")
      map([](T x) { return ScalarSigmoid(x); });
    else if (name == "Tanh")
      map([](T x) { return ScalarTanh(x); });
    else if (name == "LeakyRelu")
      map([&](T x) { return x < T() ? a * x : x; });
    else if (name == "Elu")
      map([&](T x) { return x < T() ? a * (ScalarExp(x) - T(1)) : x; });
    else if (name == "Clip")
      map([&](T x) { return ScalarMin(b, ScalarMax(a, x)); });
    else
      map([&](T x) { return ScalarMax(T(), ScalarMin(T(1), a * x + b)); });  // HardSigmoid
    return {};
  });
}

// ---- FusedConv: act(Conv(X, W, B) + Z)

void FusedConvRule(RuleContext& c) {
  Plain("Conv").rule(c);
  if (c.failed() || !c.Has(3) || !c.Ranked(3) || !c.result()[0].ranked) return;
  const std::vector<Dim>& y = c.result()[0].dims;
  c.Require(c.Rank(3) == static_cast<int>(y.size()), "Z has the shape of the output");
  for (int d = 0; d < c.Rank(3) && !c.failed(); ++d)
    c.Require(c.In(3, d) == y[d], "Z has the shape of the output");
}

Status EvalFusedConv(KernelContext& c) {
  TRY(Plain("Conv").eval(c));
  Tensor& y = c.results()[0];
  if (c.Has(3)) {
    TRY(VisitFloat(y, [&](auto zero) -> Status {
      using T = decltype(zero);
      for (int64_t i = 0; i < y.size(); ++i) y.mutable_data<T>()[i] += c.data<T>(3)[i];
      return {};
    }));
  }
  std::vector<float> p = c.FloatList("activation_params");
  std::string name = c.String("activation");
  p.resize(2, name == "Clip" ? std::numeric_limits<float>::max() : 0);
  return Activate(c, name, p[0], p[1]);
}

// ---- FusedGemm: act(Gemm(A, B, C))

void FusedGemmRule(RuleContext& c) { Plain("Gemm").rule(c); }

Status EvalFusedGemm(KernelContext& c) {
  TRY(Plain("Gemm").eval(c));
  return Activate(c, c.String("activation"), c.Float("activation_alpha"),
                  c.Float("activation_beta"));
}

// ---- FusedMatMul: alpha * A' * B', each with its last two axes swapped or not

std::vector<Dim> BatchOf(RuleContext& c, int i) {
  std::vector<Dim> batch = c.Dims(i);
  batch.resize(static_cast<size_t>(std::max(0, c.Rank(i) - 2)));
  return batch;
}

void FusedMatMulRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  if (!c.Ranked(0) || !c.Ranked(1)) return;
  int ra = c.Rank(0), rb = c.Rank(1);
  c.Require(ra >= 2 && rb >= 2, "A and B are matrices");
  if (c.failed()) return;
  bool ta = c.IntValue("transA") != 0, tb = c.IntValue("transB") != 0;
  c.Require(c.In(0, ta ? ra - 2 : ra - 1) == c.In(1, tb ? rb - 1 : rb - 2),
            "the inner extents agree");
  std::vector<Dim> y = BroadcastDims(c, BatchOf(c, 0), BatchOf(c, 1));
  y.push_back(c.In(0, ta ? ra - 1 : ra - 2));
  y.push_back(c.In(1, tb ? rb - 2 : rb - 1));
  if (!c.failed()) c.Out(0, c.dtype(0), y);
}

Status EvalFusedMatMul(KernelContext& c) {
  if (c.Int("transBatchA") != 0 || c.Int("transBatchB") != 0)
    return Unsupported("FusedMatMul with turned batches");
  const bool ta = c.Int("transA") != 0, tb = c.Int("transB") != 0;
  const Tensor &a = c.in(0), &b = c.in(1);
  Tensor* y = TRY(c.Out(0));
  const int64_t m = y->dim(y->rank() - 2), n = y->dim(y->rank() - 1),
                k = a.dim(ta ? a.rank() - 2 : a.rank() - 1);
  TRY(c.Charge({y->size(), k}));
  if (y->size() == 0) return {};
  auto batch = [](const Tensor& t) { return Shape(t.shape().begin(), t.shape().end() - 2); };
  return VisitFloat(a, [&](auto zero) -> Status {
    using T = decltype(zero);
    T* out = y->mutable_data<T>();
    ForBroadcast2(batch(*y), batch(a), batch(b), [&](int64_t i, int64_t ia, int64_t ib) {
      MatrixProduct(c.data<T>(0) + ia * m * k, c.data<T>(1) + ib * k * n, out + i * m * n, m, k, n,
                    ta, tb);
    });
    const T alpha = T(static_cast<double>(c.Float("alpha")));
    for (int64_t i = 0; i < y->size(); ++i) out[i] = alpha * out[i];
    return {};
  });
}

OpSpec Row(const char* name, RuleFn rule, EvalFn eval) {
  return Op(name, 1, kDomain)
      .Rule(rule)
      .Eval(eval)
      .LeftOut("com.microsoft")
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_microsoft_fused() {
  const AttrDomain activations{.strings = kActivations}, flag{.lo = 0, .hi = 1},
      factor{.floats = {1.0, 0.5}};
  OpSpec conv = Row("FusedConv", FusedConvRule, EvalFusedConv)
                    .In("X", "T", kFloats16)
                    .In("W", "T", kFloats16);
  conv.In("B", "T", kFloats16, Arity::kOptional)
      .In("Z", "T", kFloats16, Arity::kOptional)
      .Out("Y", "T", kFloats16);
  ConvAttributes(conv)
      .String("activation", "", activations)
      .Attr({"activation_params", AttrType::kFloats, false, std::nullopt, {}});
  OpSpec gemm = Row("FusedGemm", FusedGemmRule, EvalFusedGemm)
                    .In("A", "T", kFloats16)
                    .In("B", "T", kFloats16);
  gemm.In("C", "T", kFloats16, Arity::kOptional).Out("Y", "T", kFloats16);
  gemm.Float("alpha", 1, factor)
      .Float("beta", 1, factor)
      .Int("transA", 0, flag)
      .Int("transB", 0, flag);
  gemm.String("activation", "", activations);
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"})
    gemm.Float(name, 0, factor);
  OpSpec matmul = Row("FusedMatMul", FusedMatMulRule, EvalFusedMatMul)
                      .In("A", "T", kFloats16)
                      .In("B", "T", kFloats16);
  matmul.Out("Y", "T", kFloats16).Float("alpha", 1, factor);
  for (const char* name : {"transA", "transB", "transBatchA", "transBatchB"})
    matmul.Int(name, 0, flag);
  return {conv, gemm, matmul};
}

}  // namespace assay
