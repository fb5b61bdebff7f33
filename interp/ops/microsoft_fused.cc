// What ONNX Runtime's optimizer fuses (com.microsoft version 1): FusedConv, FusedGemm and
// FusedMatMul. They are Conv, Gemm and MatMul with something before or behind: those rows' own
// rules and kernels do the work.
#include "interp/convolve.h"
#include "interp/movement.h"
#include "interp/ops/elementwise.h"
#include "interp/ops/matmul.h"

namespace assay {
namespace {

constexpr char kDomain[] = "com.microsoft";

const OpSpec& Plain(const std::string& name, int opset = 13) {
  const OpSpec* row = FindOp("", name, opset);
  CHECK(row != nullptr);
  return *row;
}

const std::vector<std::string> kActivations = {"",
                                               "Relu",
                                               "Sigmoid",
                                               "Tanh",
                                               "LeakyRelu",
                                               "Clip",
                                               "HardSigmoid",
                                               "Elu",
                                               "ThresholdedRelu",
                                               "Selu",
                                               "Softplus",
                                               "Softsign"};

// The activation on the first output, with its numbers: alpha and beta (gamma), or min and max.
Status Activate(KernelContext& c, const std::string& name, float first, float second) {
  if (name.empty()) return {};
  constexpr int kOpset = 10;  // Clip has attributes
  const OpSpec& row = Plain(name, kOpset);
  std::vector<Attribute> attrs;
  for (const AttrSpec& a : row.attrs) {
    const bool leads = a.name == "alpha" || a.name == "min";
    attrs.push_back({a.name, leads ? first : second, {}});
  }
  Tensor& y = c.results()[0];
  const NodePtr node = MakeNode(name, {"x"}, {"y"}, attrs);
  const std::vector<const Tensor*> inputs = {&y};
  const std::vector<TypeInfo> inferred = {TypeInfo::Of(y)};
  KernelContext activation(row, *node, inputs, inferred, c.store(), c.limits(), kOpset);
  TRY(row.eval(activation));
  c.Set(0, activation.results()[0]);
  return {};
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
  const std::string name = c.String("activation");
  return Activate(c, name, c.Float("activation_alpha"),
                  c.Float(name == "Selu" ? "activation_gamma" : "activation_beta"));
}

// ---- FusedMatMul: alpha * A' * B'. transBatch moves the first axis behind the other batch axes,
// [M,B1..Bn,K] to [B1..Bn,M,K]; trans swaps the last two axes then. A vector stays as it is.

template <class Extents>
Extents Turned(Extents extents, bool batch, bool swap) {
  if (extents.size() < 2) return extents;
  if (batch) std::rotate(extents.begin(), extents.begin() + 1, extents.end() - 1);
  if (swap) std::swap(extents.rbegin()[0], extents.rbegin()[1]);
  return extents;
}

void FusedMatMulRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  c.Out(0, c.dtype(0),
        MatMulDims(c, Turned(c.Dims(0), c.IntValue("transBatchA") != 0, c.IntValue("transA") != 0),
                   Turned(c.Dims(1), c.IntValue("transBatchB") != 0, c.IntValue("transB") != 0)));
}

// An operand with its batch axes in front, row by row.
Result<Tensor> BatchFirst(KernelContext& c, int i, const char* attr) {
  const Tensor& x = c.in(i);
  if (c.Int(attr) == 0 || x.rank() < 3) return x;
  Tensor y = TRY(c.Scratch(x.dtype(), Turned(x.shape(), true, false)));
  TRY(CopyWalk(x, {y.shape(), Turned(Strides(x.shape()), true, false), Strides(y.shape())}, y));
  return y;
}

Status EvalFusedMatMul(KernelContext& c) {
  const Tensor a = TRY(BatchFirst(c, 0, "transBatchA")), b = TRY(BatchFirst(c, 1, "transBatchB"));
  const bool ta = c.Int("transA") != 0 && a.rank() > 1, tb = c.Int("transB") != 0 && b.rank() > 1;
  const MatMulShape s =
      TRY(MatMulShapeOf(c, Turned(a.shape(), false, ta), Turned(b.shape(), false, tb)));
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  return VisitFloat(a, [&](auto zero) -> Status {
    using T = decltype(zero);
    T* out = y->mutable_data<T>();
    ForBroadcast2(s.batch, s.batch_a, s.batch_b, [&](int64_t i, int64_t ia, int64_t ib) {
      MatrixProduct(a.data<T>() + ia * s.m * s.k, b.data<T>() + ib * s.k * s.n, out + i * s.m * s.n,
                    s.m, s.k, s.n, ta, tb);
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
