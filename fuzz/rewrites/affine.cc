// Rewrites of affine maps per channel and of linear layers: BatchNormalization, biases, Gemm.
#include <algorithm>
#include <cmath>

#include "fuzz/fold.h"

namespace assay {
namespace {

// ---- B04, B05 ----
std::vector<std::string> FoldConvArguments(const View& v, int i) {
  std::optional<Linear> l = LinearBeforeBatchNorm(v, i);
  return l && l->op == LinearOp::kConv ? std::vector<std::string>{"fold"}
                                       : std::vector<std::string>{};
}
std::vector<std::string> FoldOtherArguments(const View& v, int i) {
  std::optional<Linear> l = LinearBeforeBatchNorm(v, i);
  return l && l->op != LinearOp::kConv ? std::vector<std::string>{"fold"}
                                       : std::vector<std::string>{};
}
Status FoldBatchNorm(Edit& e, int i, const std::string&) {
  BatchNorm b = *BatchNormOf(e.view(), i);
  return FoldAffine(e, *LinearBeforeBatchNorm(e.view(), i), i, b.Factor(), b.Offset());
}

// ---- B06 ----
// "split": Mul and Add; "normalise": mean 0, variance 1; "fuse": Mul and Add by channels become
// one.
std::vector<double> Times(std::vector<double> v, double factor) {
  for (double& x : v) x *= factor;
  return v;
}
struct ScaleShift {
  int mul = -1;
  std::string data;
  std::vector<double> scale, shift;
};
std::optional<ScaleShift> ScaleShiftAt(const View& v, int i) {
  if (!v.Is(i, "Add")) return std::nullopt;
  std::optional<WithConstant> add = ConstantOperand(v, i);
  int j = add ? v.Maker(add->data) : -1;
  if (j < 0 || !v.Is(j, "Mul") || v.OnlyReader(add->data) != i) return std::nullopt;
  std::optional<WithConstant> mul = ConstantOperand(v, j);
  if (!mul || !IsFloatTensor(mul->constant) || !v.SameType(mul->data, v.node(i).outputs[0]))
    return std::nullopt;
  int rank = v.Rank(mul->data);
  int64_t channels = v.Extent(mul->data, 1);
  if (rank < 2 || channels < 1 || channels > (1 << 20)) return std::nullopt;
  std::optional<std::vector<double>> s = PerChannel(*mul->constant, rank, 1, channels);
  std::optional<std::vector<double>> b = PerChannel(*add->constant, rank, 1, channels);
  if (!s || !b) return std::nullopt;
  return ScaleShift{j, mul->data, *s, *b};
}
std::vector<std::string> BatchNormArguments(const View& v, int i) {
  if (BatchNormOf(v, i) && v.Rank(v.node(i).inputs[0]) >= 2) return {"split", "normalise"};
  if (ScaleShiftAt(v, i)) return {"fuse"};
  return {};
}
Status Normalise(Edit& e, const Node& n, DType t, const std::string& x,
                 const std::vector<double>& factor, const std::vector<double>& offset) {
  constexpr float kEpsilon = 1e-5f;
  Shape c = {static_cast<int64_t>(factor.size())};
  // Variance 1 leaves a factor of 1/sqrt(1 + epsilon), which the scale takes back.
  std::optional<Tensor> scale = Rounded(t, c, Times(factor, std::sqrt(1.0 + kEpsilon)));
  std::optional<Tensor> bias = Rounded(t, c, offset);
  std::optional<Tensor> mean = Rounded(t, c, std::vector<double>(factor.size(), 0.0));
  std::optional<Tensor> var = Rounded(t, c, std::vector<double>(factor.size(), 1.0));
  if (!scale || !bias || !mean || !var) return DoesNotApply();
  e.AddMaking("batchnorm", {n.outputs[0]}, "BatchNormalization",
              {x, e.Constant("scale", *scale), e.Constant("bias", *bias), e.Constant("mean", *mean),
               e.Constant("var", *var)},
              {Attr("epsilon", kEpsilon)});
  return {};
}
Status RewriteBatchNorm(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  e.Remove(i);
  DType t = v.ElementType(n.outputs[0]);
  if (argument == "fuse") {
    ScaleShift s = *ScaleShiftAt(v, i);
    return Normalise(e, n, t, s.data, s.scale, s.shift);
  }
  BatchNorm b = *BatchNormOf(v, i);
  if (argument == "normalise") return Normalise(e, n, t, n.inputs[0], b.Factor(), b.Offset());
  Shape shape(static_cast<size_t>(v.Rank(n.inputs[0]) - 1), 1);
  shape[0] = static_cast<int64_t>(b.scale.size());
  std::optional<Tensor> factor = Rounded(t, shape, b.Factor()),
                        offset = Rounded(t, shape, b.Offset());
  if (!factor || !offset) return DoesNotApply();
  std::string scaled = e.Add("mul", "Mul", {n.inputs[0], e.Constant("scale", *factor)});
  e.AddMaking("add", {n.outputs[0]}, "Add", {scaled, e.Constant("shift", *offset)});
  return {};
}

// ---- B07, B42: a constant added to or multiplied with the result of a layer ----
struct Absorbed {
  Linear linear;
  std::vector<double> factor, offset;
};
std::optional<Absorbed> AbsorbedAt(const View& v, int i) {
  if (!v.IsAny(i, {"Add", "Sub", "Mul", "Div"})) return std::nullopt;
  std::optional<WithConstant> c = ConstantOperand(v, i);
  if (!c || !IsFloatTensor(c->constant)) return std::nullopt;
  std::optional<Linear> l = LinearBefore(v, i, 1 - c->constant_at);
  if (!l || !v.SameType(c->data, v.node(i).outputs[0])) return std::nullopt;
  std::optional<std::vector<double>> k =
      PerChannel(*c->constant, v.Rank(c->data), l->channel_axis, l->channels);
  if (!k) return std::nullopt;
  size_t n = k->size();
  if (v.Is(i, "Add")) return Absorbed{*l, std::vector<double>(n, 1.0), *k};
  if (v.Is(i, "Sub") && c->constant_at == 1)
    return Absorbed{*l, std::vector<double>(n, 1.0), Times(*k, -1)};
  if (v.Is(i, "Mul")) return Absorbed{*l, *k, std::vector<double>(n, 0.0)};
  if (v.Is(i, "Div") && c->constant_at == 1) {
    for (double& x : *k) {
      if (x == 0) return std::nullopt;
      x = 1 / x;
    }
    return Absorbed{*l, *k, std::vector<double>(n, 0.0)};
  }
  return std::nullopt;
}
std::vector<std::string> BiasArguments(const View& v, int i) {
  if (v.IsAny(i, {"Add", "Sub"})) {
    std::optional<Absorbed> a = AbsorbedAt(v, i);
    bool conv = a && (a->linear.op == LinearOp::kConv || a->linear.op == LinearOp::kConvTranspose);
    return conv ? std::vector<std::string>{"fold"} : std::vector<std::string>{};
  }
  bool splits = v.IsAny(i, {"Conv", "ConvTranspose"}) && IsFloatTensor(v.ConstantInput(i, 2)) &&
                v.ConstantInput(i, 2)->rank() == 1 && v.Rank(v.node(i).outputs[0]) >= 3;
  return splits ? std::vector<std::string>{"split"} : std::vector<std::string>{};
}
Status RewriteBias(Edit& e, int i, const std::string& argument) {
  if (argument == "fold") {
    Absorbed a = *AbsorbedAt(e.view(), i);
    return FoldAffine(e, a.linear, i, a.factor, a.offset);
  }
  const Tensor& bias = *e.view().ConstantInput(i, 2);
  Node n = e.Copy(i);
  std::string y = n.outputs[0];
  Shape shape(static_cast<size_t>(e.view().Rank(y) - 1), 1);
  shape[0] = bias.size();
  n.inputs.resize(2);
  n.outputs[0] = e.Fresh("nobias");
  std::string product = n.outputs[0];
  e.Put(i, std::move(n));
  e.At(i + 1);
  e.AddMaking("add", {y}, "Add", {product, e.Constant("bias", bias.Reshaped(shape))});
  return {};
}
// B42: "fold" a Mul or Div; "alpha", "beta": Gemm's factors into its constants.
std::vector<std::string> FactorArguments(const View& v, int i) {
  if (v.IsAny(i, {"Mul", "Div"}))
    return AbsorbedAt(v, i) ? std::vector<std::string>{"fold"} : std::vector<std::string>{};
  if (!v.Is(i, "Gemm")) return {};
  const Node& n = v.node(i);
  std::vector<std::string> arguments;
  if (n.Float("alpha", 1) != 1 && IsFloatTensor(v.ConstantInput(i, 1)))
    arguments.push_back("alpha");
  if (n.Float("beta", 1) != 1 && IsFloatTensor(v.ConstantInput(i, 2))) arguments.push_back("beta");
  return arguments;
}
Status FoldFactor(Edit& e, int i, const std::string& argument) {
  if (argument == "fold") {
    Absorbed a = *AbsorbedAt(e.view(), i);
    return FoldAffine(e, a.linear, i, a.factor, a.offset);
  }
  size_t k = argument == "alpha" ? 1 : 2;
  const Tensor& old = *e.view().ConstantInput(i, k);
  std::optional<Tensor> t =
      Rounded(old.dtype(), old.shape(), Times(Doubles(old), e.view().node(i).Float(argument, 1)));
  if (!t) return DoesNotApply();
  Node n = e.Copy(i);
  n.Erase(argument);
  n.inputs[k] = e.Constant(argument, *t);
  e.Put(i, std::move(n));
  return {};
}

// ---- B08 ----
std::vector<std::string> GemmArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (v.Is(i, "Gemm")) {
    bool plain = n.Float("alpha", 1) == 1 && n.Float("beta", 1) == 1 && n.Int("transA", 0) == 0 &&
                 n.Int("transB", 0) == 0;
    return plain ? std::vector<std::string>{"split"} : std::vector<std::string>{};
  }
  if (!v.Is(i, "Add") || !IsFloat(v.ElementType(n.outputs[0]))) return {};
  std::vector<std::string> arguments;
  for (size_t k : {size_t{0}, size_t{1}}) {
    int j = v.Maker(n.inputs[k]);
    if (j < 0 || !v.Is(j, "MatMul") || v.OnlyReader(n.inputs[k]) != i) continue;
    bool flat = v.Rank(v.node(j).inputs[0]) == 2 && v.Rank(v.node(j).inputs[1]) == 2;
    // C broadcasts one way only: the sum has the type of the product.
    if (flat && v.SameType(n.inputs[k], n.outputs[0]))
      arguments.push_back("fuse" + std::to_string(k));
  }
  return arguments;
}
Status RewriteGemm(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  if (argument != "split") {
    size_t k = argument == "fuse0" ? 0 : 1;
    const Node& product = e.view().node(e.view().Maker(n.inputs[k]));
    e.AddMaking("gemm", {n.outputs[0]}, "Gemm",
                {product.inputs[0], product.inputs[1], n.inputs[1 - k]});
    return {};
  }
  if (!n.HasInput(2)) {
    e.AddMaking("matmul", {n.outputs[0]}, "MatMul", {n.inputs[0], n.inputs[1]});
    return {};
  }
  std::string product = e.Add("matmul", "MatMul", {n.inputs[0], n.inputs[1]});
  e.AddMaking("add", {n.outputs[0]}, "Add", {product, n.inputs[2]});
  return {};
}

// ---- B09 ----
std::vector<std::string> GemmTransposeArguments(const View& v, int i) {
  if (!v.Is(i, "Gemm")) return {};
  const Node& n = v.node(i);
  std::vector<std::string> arguments;
  for (size_t k : {size_t{0}, size_t{1}}) {
    const char* flag = k == 0 ? "transA" : "transB";
    if (n.Int(flag, 0) != 0) arguments.push_back(std::string("split_") + flag);
    int j = v.Maker(n.inputs[k]);
    if (j >= 0 && PermOf(v, j) == std::vector<int64_t>{1, 0})
      arguments.push_back(std::string("fold_") + flag);
  }
  return arguments;
}
Status MoveTranspose(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  std::string flag = argument.substr(argument.find('_') + 1);
  size_t k = flag == "transA" ? 0 : 1;
  bool fold = argument[0] == 'f';
  n.inputs[k] = fold ? e.view().node(e.view().Maker(n.inputs[k])).inputs[0]
                     : AddTranspose(e, "transpose", n.inputs[k], {1, 0});
  n.Set(flag, n.Int(flag, 0) != 0 ? int64_t{0} : int64_t{1});
  e.Put(i, std::move(n));
  return {};
}

}  // namespace

std::vector<Transform> rewrites_affine() {
  std::vector<Transform> rows;
  const char* batch_norm_after = R"(
graph(float[1,2,3,3] x) -> (float[1,2,2,2] y) {
  w = float[2,2,2,2] {1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1}
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  h = Conv(x, w, b)
  y = BatchNormalization(h, s, b, m, v)
})";
  rows.push_back(OnNodes(
      {.name = "B04",
       .doc = "BatchNormalization folded into the weights and bias of the Conv before.",
       .cite = "luludak/DiTOX passes.txt: fuse_bn_into_conv; PINTO0309/openvino2tensorflow#68",
       .precondition = "inference mode, constant parameters, no other reader of the Conv",
       .ops = "Conv,BatchNormalization",
       .example = batch_norm_after},
      FoldConvArguments, FoldBatchNorm));
  rows.push_back(OnNodes({.name = "B05",
                          .doc = "BatchNormalization folded into ConvTranspose, Gemm or MatMul.",
                          .cite = "onnx/optimizer#106",
                          .precondition = "as B04; the layer's channels are axis 1",
                          .ops = "ConvTranspose,Gemm,MatMul,BatchNormalization",
                          .example = R"(
graph(float[2,3] x) -> (float[2,2] y) {
  w = float[3,2] {1, 2, 3, 4, 5, 6}
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  h = Gemm(x, w, b) {alpha=0.5, beta=2.0}
  y = BatchNormalization(h, s, b, m, v)
})"},
                         FoldOtherArguments, FoldBatchNorm));
  rows.push_back(OnNodes(
      {.name = "B06",
       .doc =
           "BatchNormalization as Mul and Add (split) and back (fuse), or with mean 0 and variance "
           "1 (normalise).",
       .cite = "onnx/tensorflow-onnx#1079; onnx/onnxmltools#323",
       .precondition = "inference mode, constant parameters",
       .ops = "BatchNormalization,Mul,Add",
       .example = batch_norm_after},
      BatchNormArguments, RewriteBatchNorm));
  rows.push_back(OnNodes(
      {.name = "B07",
       .doc =
           "Add of a constant per channel folded into the bias of Conv (fold), and back (split).",
       .cite = "onnx/onnx#707; luludak/DiTOX passes.txt: fuse_add_bias_into_conv",
       .precondition = "the constant varies along the channels alone",
       .ops = "Conv,ConvTranspose,Add",
       .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  w = float[2,2,1,1] {1, 2, 3, 4}
  a = float[2] {1, 2}
  b = float[2,1,1] {3, 5}
  h = Conv(x, w, a)
  y = Add(b, h)
})"},
      BiasArguments, RewriteBias));
  rows.push_back(OnNodes(
      {.name = "B08",
       .doc = "MatMul and Add as Gemm (fuse), Gemm as MatMul and Add (split).",
       .cite = "onnx/onnx#1682; luludak/DiTOX passes.txt: fuse_matmul_add_bias_into_gemm",
       .precondition =
           "rank 2; the addend does not enlarge the product; Gemm without factors and flags",
       .ops = "MatMul,Add,Gemm",
       .example = R"(
graph(float[2,3] x) -> (float[2,2] y) {
  w = float[3,2] {1, 2, 3, 4, 5, 6}
  b = float[2] {0.5, -0.5}
  h = MatMul(x, w)
  g = Add(h, b)
  y = Gemm(x, w, g)
})"},
      GemmArguments, RewriteGemm));
  rows.push_back(OnNodes(
      {.name = "B09",
       .doc = "Transpose absorbed in transA or transB of Gemm (fold) and back (split).",
       .cite = "luludak/DiTOX passes.txt: fuse_transpose_into_gemm; microsoft/onnxruntime#32228",
       .precondition = "perm is [1,0]",
       .ops = "Transpose,Gemm",
       .example = R"(
graph(float[3,2] x) -> (float[2,2] y) {
  w = float[2,3] {1, 2, 3, 4, 5, 6}
  t = Transpose(x) {perm=[1,0]}
  y = Gemm(t, w) {transB=1}
})"},
      GemmTransposeArguments, MoveTranspose));
  rows.push_back(OnNodes(
      {.name = "B42",
       .doc = "Mul or Div by a constant per channel folded into the layer before (fold); alpha and "
              "beta of Gemm folded into its constants.",
       .cite = "uncited",
       .precondition = "constant weights, no other reader of the layer",
       .ops = "Gemm,Conv,MatMul,Mul,Div",
       .example = R"(
graph(float[2,3] x) -> (float[2,2] y) {
  w = float[3,2] {1, 2, 3, 4, 5, 6}
  c = float[2] {3, 5}
  k = float[] {0.3}
  h = Gemm(x, w, c) {alpha=0.5, beta=2.0}
  y = Mul(h, k)
})"},
      FactorArguments, FoldFactor));
  return rows;
}

}  // namespace assay
