// WB: faults of BatchNormalization parameters, kept or folded into what comes before.
#include <cmath>

#include "fuzz/fold.h"

namespace assay {
namespace {

// ---- WB_BN_PARAMS_SWAP ----
std::vector<std::string> SwapArguments(const View& v, int i) {
  std::optional<BatchNorm> b = BatchNormOf(v, i);
  if (!b) return {};
  std::vector<std::string> arguments;
  if (b->scale != b->bias) arguments.push_back("1,2");
  if (b->bias != b->mean) arguments.push_back("2,3");
  if (b->scale != b->mean) arguments.push_back("1,3");
  bool positive = true;  // the new variance
  for (double s : b->scale) positive &= s > 0;
  if (positive && b->scale != b->var) arguments.push_back("1,4");
  return arguments;
}
Status SwapParameters(Edit& e, int i, const std::string& argument) {
  std::vector<int64_t> slots = *ParseInts(argument);
  Node n = e.Copy(i);
  std::swap(n.inputs[slots[0]], n.inputs[slots[1]]);
  e.Put(i, std::move(n));
  return {};
}

// ---- WB_BN_PARAMS_NORMALISED ----
std::vector<std::string> NormaliseArguments(const View& v, int i) {
  std::optional<BatchNorm> b = BatchNormOf(v, i);
  if (!b) return {};
  bool already = true;
  for (size_t c = 0; c < b->mean.size(); ++c) already &= b->mean[c] == 0 && b->var[c] == 1;
  return already ? std::vector<std::string>{} : std::vector<std::string>{"normalise"};
}
Status Normalise(Edit& e, int i, const std::string&) {
  const Tensor& mean = *e.view().ConstantInput(i, 3);
  const Tensor& var = *e.view().ConstantInput(i, 4);
  std::vector<double> zeros(static_cast<size_t>(mean.size()), 0.0), ones(zeros.size(), 1.0);
  e.PutConstant(i, 3, "zeros", *Rounded(mean.dtype(), mean.shape(), zeros));
  e.PutConstant(i, 4, "ones", *Rounded(var.dtype(), var.shape(), ones));
  return {};
}

// ---- WB_BN_FOLD_WRONG, WB_BN_FOLD_CT_LAYOUT ----
// "noeps": sqrt(var); "nomean": the bias without the term of the mean; "axis": the factor along the
// input channels.
std::vector<std::string> WrongFoldArguments(const View& v, int i) {
  std::optional<BatchNorm> b = BatchNormOf(v, i);
  std::optional<Linear> linear = LinearBeforeBatchNorm(v, i);
  if (!linear || linear->op == LinearOp::kConvTranspose) return {};
  std::vector<std::string> arguments = {"noeps"};
  for (double x : b->var) {
    if (!(x > 0)) arguments.clear();
  }
  for (double m : b->mean) {
    if (m != 0) {
      arguments.push_back("nomean");
      break;
    }
  }
  if (linear->op == LinearOp::kConv && linear->group == 1 &&
      linear->weights->dim(0) == linear->weights->dim(1) && linear->weights->dim(0) > 1) {
    arguments.push_back("axis");
  }
  return arguments;
}
Status FoldWrongly(Edit& e, int i, const std::string& argument) {
  BatchNorm b = *BatchNormOf(e.view(), i);
  if (argument == "noeps") b.epsilon = 0;
  std::vector<double> factor = b.Factor(), offset = b.Offset();
  if (argument == "nomean") offset = b.bias;
  Linear linear = *LinearBeforeBatchNorm(e.view(), i);
  if (argument == "axis") linear.column_axis = 1;
  return FoldAffine(e, linear, i, factor, offset);
}
std::vector<std::string> CtArguments(const View& v, int i) {
  std::optional<Linear> linear = LinearBeforeBatchNorm(v, i);
  if (!linear || linear->op != LinearOp::kConvTranspose || linear->group != 1) return {};
  const Tensor& w = *linear->weights;
  if (w.dim(0) != w.dim(1) || w.dim(0) < 2) return {};
  return {"axis0"};
}
Status FoldCt(Edit& e, int i, const std::string&) {
  BatchNorm b = *BatchNormOf(e.view(), i);
  Linear linear = *LinearBeforeBatchNorm(e.view(), i);
  linear.column_axis = 0;
  return FoldAffine(e, linear, i, b.Factor(), b.Offset());
}

}  // namespace

std::vector<Transform> faults_wb_batchnorm() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "WB_BN_PARAMS_SWAP",
                          .doc = "Two of scale, bias, mean and variance are taken for one another.",
                          .cite = "onnx/keras-onnx#213",
                          .precondition = "they differ; a new variance is positive",
                          .ops = "BatchNormalization",
                          .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  y = BatchNormalization(x, s, b, m, v)
})"},
                         SwapArguments, SwapParameters));
  rows.push_back(
      OnNodes({.name = "WB_BN_PARAMS_NORMALISED",
               .doc = "Mean and variance are set to 0 and 1 and scale and bias left as they were.",
               .cite = "onnx/onnxmltools#323",
               .precondition = "mean and variance were others",
               .ops = "BatchNormalization",
               .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  y = BatchNormalization(x, s, b, m, v)
})"},
              NormaliseArguments, Normalise));
  rows.push_back(OnNodes(
      {.name = "WB_BN_FOLD_WRONG",
       .doc =
           "BatchNormalization folded into the layer before without epsilon (noeps), without the "
           "term of the mean (nomean), or along the wrong axis of the weights (axis).",
       .cite = "onnx/onnx#2677; onnx/optimizer#178; onnx/optimizer#133; onnxsim/onnxsim#50; "
               "onnx/onnx-tensorrt#594",
       .precondition = "the layer's result is read by the BatchNormalization alone",
       .ops = "Conv,Gemm,BatchNormalization",
       .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  w = float[2,2,1,1] {1, 2, 3, 4}
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  h = Conv(x, w)
  y = BatchNormalization(h, s, b, m, v)
})"},
      WrongFoldArguments, FoldWrongly));
  rows.push_back(OnNodes(
      {.name = "WB_BN_FOLD_CT_LAYOUT",
       .doc =
           "BatchNormalization folded into ConvTranspose scaling axis 0 (inputs) of the weights.",
       .cite = "onnx/optimizer#106",
       .precondition = "as many input as output channels, so that no shape check sees it",
       .ops = "ConvTranspose,BatchNormalization",
       .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  w = float[2,2,1,1] {1, 2, 3, 4}
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  h = ConvTranspose(x, w)
  y = BatchNormalization(h, s, b, m, v)
})"},
      CtArguments, FoldCt));
  return rows;
}

}  // namespace assay
