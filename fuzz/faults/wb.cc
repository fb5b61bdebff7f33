// WB: faults of weights and biases: constants drifted, lost, mixed up.
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"
#include "interp/choices.h"

namespace assay {
namespace {

// Inputs of node i that hold weights: constants of floats that scale or shift data. Variances stay
// positive, so they are left to the faults of BatchNormalization.
std::vector<size_t> WeightSlots(const View& v, int i) {
  static const struct {
    const char* op;
    std::vector<size_t> slots;
  } kSlots[] = {
      {"Conv", {1, 2}},
      {"ConvTranspose", {1, 2}},
      {"Gemm", {0, 1, 2}},
      {"MatMul", {0, 1}},
      {"Add", {0, 1}},
      {"Sub", {0, 1}},
      {"Mul", {0, 1}},
      {"Div", {1}},
      {"PRelu", {1}},
      {"Gather", {0}},
      {"LSTM", {1, 2, 3}},
      {"GRU", {1, 2, 3}},
      {"RNN", {1, 2, 3}},
      {"LayerNormalization", {1, 2}},
      {"InstanceNormalization", {1, 2}},
      {"BatchNormalization", {1, 2, 3}},
      {"Concat", {0, 1, 2, 3}},
      {"Max", {0, 1}},
      {"Min", {0, 1}},
      {"Einsum", {0, 1}},
      {"Where", {1, 2}},
      {"Sum", {0, 1}},
      {"Expand", {0}},
  };
  std::vector<size_t> slots;
  for (const auto& row : kSlots) {
    if (!v.Is(i, row.op)) continue;
    for (size_t k : row.slots) {
      const Tensor* t = v.ConstantInput(i, k);
      if (IsFloatTensor(t) && t->size() > 0) slots.push_back(k);
    }
  }
  // A node of constants alone makes a constant; its readers hold the weight.
  bool folded = !v.node(i).outputs.empty() && v.Constant(v.node(i).outputs[0]);
  return folded ? std::vector<size_t>{} : slots;
}

std::string Slot(size_t k, const std::string& rest) {
  return "w" + std::to_string(k) + (rest.empty() ? "" : "," + rest);
}
size_t SlotOf(const std::string& argument) {
  return static_cast<size_t>(*ParseInt(Fields(argument, ',')[0].substr(1)));
}

// ---- WB_DRIFT: w += eps * U(-1,1) ----
std::vector<std::string> DriftArguments(const View& v, int i) {
  std::vector<std::string> arguments;
  for (size_t k : WeightSlots(v, i)) {
    for (const char* eps : {"1e-2", "1e-3", "1e-4", "1e-6"}) arguments.push_back(Slot(k, eps));
  }
  return arguments;
}
// The noise follows from the step: node, slot, size, element.
Status Drift(Edit& e, int i, const std::string& argument) {
  size_t k = SlotOf(argument);
  const Tensor& old = *e.view().ConstantInput(i, k);
  static const std::pair<const char*, double> kSizes[] = {
      {"1e-2", 1e-2}, {"1e-3", 1e-3}, {"1e-4", 1e-4}, {"1e-6", 1e-6}};
  double eps = 0;
  for (const auto& [text, size] : kSizes) {
    if (Fields(argument, ',')[1] == text) eps = size;
  }
  Choices noise(HashText(SiteName(e.view().node(i)) + argument));
  std::vector<double> values = Doubles(old);
  for (double& x : values) x += eps * noise.Uniform(-1, 1);
  std::optional<Tensor> t = Rounded(old.dtype(), old.shape(), values);
  if (!t || t->Identical(old))
    return DoesNotApply("the drift is below the rounding of the weights");
  e.PutConstant(i, k, "drifted", *t);
  return {};
}

// ---- WB_CONST_GARBAGE ----
std::vector<std::string> GarbageArguments(const View& v, int i) {
  std::vector<std::string> arguments;
  for (size_t k : WeightSlots(v, i)) {
    const Tensor& t = *v.ConstantInput(i, k);
    if (!AllEqual(t, 0)) arguments.push_back(Slot(k, "zeros"));
    if (t.size() > 1 && !AllEqual(t, t.AsDouble(0))) arguments.push_back(Slot(k, "shift"));
  }
  return arguments;
}
Status Garbage(Edit& e, int i, const std::string& argument) {
  size_t k = SlotOf(argument);
  Tensor t = e.view().ConstantInput(i, k)->Clone();
  std::vector<double> old = Doubles(t);
  bool shift = argument.ends_with(
      "shift");  // read one element too late; zeros: the second half was never written
  for (int64_t j = 0; j < t.size(); ++j) {
    if (shift)
      t.Set(j, old[(j + 1) % t.size()]);
    else if (j >= t.size() / 2)
      t.Set(j, 0);
  }
  if (t.Identical(*e.view().ConstantInput(i, k)))
    return DoesNotApply("the constant is like that already");
  e.PutConstant(i, k, "garbage", std::move(t));
  return {};
}

// ---- WB_GENERIC, WB_BIAS_WRONG_TENSOR: the tensor of another layer ----
// Slots of other nodes of the same operator that hold a different tensor of the same type and
// shape, as "w1,conv_2,1".
std::vector<std::string> OtherTensors(const View& v, int i, size_t k) {
  constexpr size_t kMost = 4;
  const Tensor& mine = *v.ConstantInput(i, k);
  std::vector<std::string> arguments;
  for (int j = 0; j < v.size() && arguments.size() < kMost; ++j) {
    if (j == i || v.node(j).op != v.node(i).op || v.Find(SiteName(v.node(j))) != j) continue;
    for (size_t other : WeightSlots(v, j)) {
      const Tensor& t = *v.ConstantInput(j, other);
      if (t.dtype() != mine.dtype() || t.shape() != mine.shape() || t.Identical(mine)) continue;
      arguments.push_back(Slot(k, SiteName(v.node(j)) + "," + std::to_string(other)));
    }
  }
  return arguments;
}
Status TakeOther(Edit& e, int i, const std::string& argument) {
  std::vector<std::string> fields = Fields(argument, ',');
  if (fields.size() < 3) return DoesNotApply();
  // The name of the other node may hold commas itself.
  size_t first = argument.find(','), last = argument.rfind(',');
  int j = e.view().Find(argument.substr(first + 1, last - first - 1));
  size_t other = static_cast<size_t>(*ParseInt(argument.substr(last + 1)));
  e.PutConstant(i, SlotOf(argument), "other", *e.view().ConstantInput(j, other));
  return {};
}
bool IsBias(const View& v, int i, size_t k) {
  return k == 2 && v.IsAny(i, {"Conv", "ConvTranspose", "Gemm"});
}
std::vector<std::string> GenericArguments(const View& v, int i) {
  std::vector<std::string> arguments;
  for (size_t k : WeightSlots(v, i)) {
    if (IsBias(v, i, k)) continue;
    for (std::string& a : OtherTensors(v, i, k)) arguments.push_back(std::move(a));
  }
  return arguments;
}
std::vector<std::string> WrongBiasArguments(const View& v, int i) {
  std::vector<std::string> arguments;
  for (size_t k : WeightSlots(v, i)) {
    if (!IsBias(v, i, k)) continue;
    for (std::string& a : OtherTensors(v, i, k)) arguments.push_back(std::move(a));
  }
  return arguments;
}

// ---- WB_BIAS_DROPPED ----
std::vector<std::string> BiasArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Conv", "ConvTranspose", "Gemm"})) return {};
  const Tensor* bias = v.ConstantInput(i, 2);
  if (!IsFloatTensor(bias) || AllEqual(*bias, 0)) return {};
  return {"drop"};
}
Status DropBias(Edit& e, int i, const std::string&) {
  if (e.view().Is(i, "Gemm") && e.view().opset() < 11) {  // C is required there
    const Tensor& bias = *e.view().ConstantInput(i, 2);
    std::vector<double> zeros(static_cast<size_t>(bias.size()), 0.0);
    e.PutConstant(i, 2, "zeros", *Rounded(bias.dtype(), bias.shape(), zeros));
    return {};
  }
  Node n = e.Copy(i);
  n.inputs.resize(2);
  e.Put(i, std::move(n));
  return {};
}

// ---- WB_DW_LAYOUT: output channels of a grouped Conv in the order (M,G) instead of (G,M) ----
std::vector<std::string> DepthwiseArguments(const View& v, int i) {
  if (!v.Is(i, "Conv")) return {};
  int64_t group = v.node(i).Int("group", 1);
  const Tensor* w = v.ConstantInput(i, 1);
  if (!IsFloatTensor(w) || w->rank() < 3 || group < 2 || w->dim(0) % group != 0 ||
      w->dim(0) / group < 2)
    return {};
  return {"transpose"};
}
Status TransposeDepthwise(Edit& e, int i, const std::string&) {
  const Tensor& old = *e.view().ConstantInput(i, 1);
  Tensor t = old.Clone();
  int64_t group = e.view().node(i).Int("group", 1), m = old.dim(0) / group,
          row = old.size() / old.dim(0);
  for (int64_t g = 0; g < group; ++g) {
    for (int64_t c = 0; c < m; ++c) {
      for (int64_t j = 0; j < row; ++j)
        t.Set((c * group + g) * row + j, old.AsDouble((g * m + c) * row + j));
    }
  }
  e.PutConstant(i, 1, "transposed", std::move(t));
  return {};
}

// ---- WB_LSTM_BIAS_DOUBLED: Rb := Wb ----
std::vector<std::string> RecurrentBiasArguments(const View& v, int i) {
  if (!v.IsAny(i, {"LSTM", "GRU", "RNN"})) return {};
  const Tensor* b = v.ConstantInput(i, 3);
  if (!IsFloatTensor(b) || b->rank() != 2 || b->dim(1) % 2 != 0) return {};
  return {"copy"};
}
Status DoubleBias(Edit& e, int i, const std::string&) {
  Tensor b = e.view().ConstantInput(i, 3)->Clone();
  int64_t half = b.dim(1) / 2;
  for (int64_t d = 0; d < b.dim(0); ++d) {
    for (int64_t j = 0; j < half; ++j) b.Set(d * 2 * half + half + j, b.AsDouble(d * 2 * half + j));
  }
  if (b.Identical(*e.view().ConstantInput(i, 3))) return DoesNotApply();
  e.PutConstant(i, 3, "doubled", std::move(b));
  return {};
}

}  // namespace

std::vector<Transform> faults_wb() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "WB_DRIFT",
                          .doc = "A weight tensor drifts by eps * U(-1,1).",
                          .cite = "gmalivenko/pytorch2keras#124; onnx/tensorflow-onnx#2394",
                          .precondition = "the drift is above the rounding of the weights",
                          .ops = "Conv,Gemm,MatMul",
                          .example = R"(
graph(float[2,3] x) -> (float[2,2] y) {
  w = float[3,2] {1, 2, 3, 4, 5, 6}
  y = MatMul(x, w)
})"},
                         DriftArguments, Drift));
  rows.push_back(OnNodes(
      {.name = "WB_CONST_GARBAGE",
       .doc = "A constant holds wrong bytes: read one element too late, or its end never written.",
       .cite = "microsoft/onnxruntime#8422; microsoft/onnxruntime#29788",
       .precondition = "the values change",
       .ops = "Constant",
       .example = R"(
graph(float[1,4] x) -> (float[1,4] y) {
  w = float[4] {1, 2, 3, 4}
  y = Mul(x, w)
})"},
      GarbageArguments, Garbage));
  rows.push_back(OnNodes({.name = "WB_GENERIC",
                          .doc = "Weights of another layer of the same operator and equal shape.",
                          .cite = "microsoft/MMdnn#868; microsoft/MMdnn#318",
                          .precondition = "the tensors differ",
                          .ops = "Conv,Gemm",
                          .example = R"(
graph(float[1,2] x) -> (float[1,2] y) {
  a = float[2,2] {1, 2, 3, 4}
  b = float[2,2] {5, 6, 7, 8}
  h = MatMul(x, a)
  y = MatMul(h, b)
})"},
                         GenericArguments, TakeOther));
  rows.push_back(OnNodes({.name = "WB_BIAS_WRONG_TENSOR",
                          .doc = "The bias of another layer, or another tensor of that length.",
                          .cite = "pytorch/pytorch#166797",
                          .precondition = "the tensors differ",
                          .ops = "Conv",
                          .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  w = float[2,2,1,1] {1, 2, 3, 4}
  a = float[2] {1, 2}
  b = float[2] {3, 5}
  h = Conv(x, w, a)
  y = Conv(h, w, b)
})"},
                         WrongBiasArguments, TakeOther));
  rows.push_back(OnNodes({.name = "WB_BIAS_DROPPED",
                          .doc = "The bias is lost.",
                          .cite = "onnx/tensorflow-onnx#1740",
                          .precondition = "the bias is not 0",
                          .ops = "Conv,ConvTranspose,Gemm",
                          .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  w = float[2,2,1,1] {1, 2, 3, 4}
  a = float[2] {1, 2}
  y = Conv(x, w, a)
})"},
                         BiasArguments, DropBias));
  rows.push_back(OnNodes({.name = "WB_DW_LAYOUT",
                          .doc = "Weights of a grouped Conv in the layout (M,C) instead of (C,M).",
                          .cite = "onnx/tensorflow-onnx#1100; onnx/tensorflow-onnx#824",
                          .precondition = "two groups and two outputs a group or more",
                          .ops = "Conv",
                          .example = R"(
graph(float[1,2,2,2] x) -> (float[1,4,2,2] y) {
  w = float[4,1,1,1] {1, 2, 3, 4}
  y = Conv(x, w) {group=2}
})"},
                         DepthwiseArguments, TransposeDepthwise));
  rows.push_back(OnNodes(
      {.name = "WB_LSTM_BIAS_DOUBLED",
       .doc = "The recurrent half of the bias is a copy of the input half: it counts twice.",
       .cite = "onnx/keras-onnx#98",
       .precondition = "the halves differ",
       .ops = "LSTM,GRU,RNN",
       .example = R"(
graph(float[2,1,2] x) -> (float[2,1,1,1] y) {
  w = float[1,1,2] {0.5, -0.4}
  r = float[1,1,1] {0.3}
  b = float[1,2] {0.2, 0.1}
  y = RNN(x, w, r, b) {hidden_size=1}
})"},
      RecurrentBiasArguments, DoubleBias));
  return rows;
}

}  // namespace assay
