// LH: faults in numbers and modes: epsilons, alphas, bounds, flags, Pad and Resize modes.
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"

namespace assay {
namespace {

Status PutAttr(Edit& e, int i, const std::string& name, AttrValue value) {
  Node n = e.Copy(i);
  n.Set(name, std::move(value));
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_BN_EPS: 1e-3 is the default of Keras, 1e-5 that of ONNX ----
std::vector<std::string> EpsilonArguments(const View& v, int i) {
  if (!v.IsAny(i, {"BatchNormalization", "InstanceNormalization"})) return {};
  return {v.node(i).Float("epsilon", 1e-5f) == 1e-3f ? "1e-5" : "1e-3"};
}
Status ChangeEpsilon(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "epsilon", argument == "1e-3" ? 1e-3f : 1e-5f);
}

// ---- LH_INSTNORM_STATS ----
std::vector<std::string> InstanceNormArguments(const View& v, int i) {
  if (!v.Is(i, "InstanceNormalization") || v.Extent(v.node(i).inputs[1], 0) < 1) return {};
  if (v.Extent(v.node(i).inputs[1], 0) > (1 << 20)) return {};
  return {"running"};
}
// Running statistics that were never updated: mean 0, variance 1.
Status RunningStatistics(Edit& e, int i, const std::string&) {
  Node n = e.Copy(i);
  DType t = e.view().ElementType(n.inputs[1]);
  Shape c = {e.view().Extent(n.inputs[1], 0)};
  std::optional<Tensor> mean = Rounded(t, c, std::vector<double>(static_cast<size_t>(c[0]), 0.0));
  std::optional<Tensor> var = Rounded(t, c, std::vector<double>(static_cast<size_t>(c[0]), 1.0));
  if (!mean || !var) return DoesNotApply();
  n.op = "BatchNormalization";
  n.inputs.push_back(e.Constant("mean", *mean));
  n.inputs.push_back(e.Constant("var", *var));
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_ACT_ALPHA: the default of another framework ----
struct Default {
  const char* op;
  const char* attr;
  float onnx, first, second;  // `first` unless the node has it already
};
constexpr Default kDefaults[] = {
    {"LeakyRelu", "alpha", 0.01f, 0.3f, 0.01f},
    {"Elu", "alpha", 1.0f, 0.5f, 1.0f},
    {"HardSigmoid", "alpha", 0.2f, 1.0f / 6.0f, 0.2f},
    {"Celu", "alpha", 1.0f, 0.5f, 1.0f},
    {"ThresholdedRelu", "alpha", 1.0f, 0.0f, 1.0f},
    {"Selu", "alpha", 1.67326319217681884765625f, 1.0f, 1.6732f},
};
const Default* DefaultOf(const View& v, int i) {
  for (const Default& d : kDefaults) {
    if (v.Is(i, d.op)) return &d;
  }
  return nullptr;
}
std::vector<std::string> AlphaArguments(const View& v, int i) {
  if (!DefaultOf(v, i)) return {};
  return {"alpha"};
}
Status ChangeAlpha(Edit& e, int i, const std::string&) {
  const Default& d = *DefaultOf(e.view(), i);
  bool has = e.view().node(i).Float(d.attr, d.onnx) == d.first;
  return PutAttr(e, i, d.attr, has ? d.second : d.first);
}

// ---- LH_CLIP_BOUND ----
std::vector<std::string> BoundArguments(const View& v, int i) {
  std::optional<ClipOperands> b = ClipOf(v, i);
  if (!b) return {};
  std::vector<std::string> arguments;
  if (b->lo && std::isfinite(*b->lo)) arguments.push_back("min");
  if (b->hi && std::isfinite(*b->hi)) arguments.push_back("max");
  return arguments;
}
Status DropBound(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (e.view().opset() < 11)
    n.Erase(argument);
  else
    n.inputs.at(argument == "min" ? 1 : 2).clear();
  while (!n.inputs.empty() && n.inputs.back().empty()) n.inputs.pop_back();
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_GEMM_FLAGS ----
std::vector<std::string> GemmArguments(const View& v, int i) {
  if (!v.Is(i, "Gemm")) return {};
  const Node& n = v.node(i);
  std::vector<std::string> arguments;
  if (n.Float("alpha", 1) != 1) arguments.push_back("alpha");
  if (n.Float("beta", 1) != 1 && n.HasInput(2)) arguments.push_back("beta");
  const char* flags[] = {"transA", "transB"};
  for (size_t k = 0; k < 2; ++k) {
    int64_t rows = v.Extent(n.inputs[k], 0), columns = v.Extent(n.inputs[k], 1);
    if (rows == columns && rows > 1) arguments.push_back(flags[k]);
  }
  return arguments;
}
Status ChangeFlag(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument.find("trans") == 0)
    n.Set(argument, n.Int(argument, 0) != 0 ? int64_t{0} : int64_t{1});
  else
    n.Erase(argument);
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_PAD_MODE_ORDER ----
std::vector<std::string> PadArguments(const View& v, int i) {
  std::optional<PadOperands> p = PadOf(v, i);
  if (!p || std::all_of(p->pads.begin(), p->pads.end(), [](int64_t x) { return x <= 0; }))
    return {};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  std::vector<std::string> arguments;
  bool reflects = true, order = false;
  for (int a = 0; a < rank; ++a) {
    int64_t extent = v.Extent(x, a);
    reflects &= extent > std::max(p->pads[a], p->pads[a + rank]) && p->pads[a] >= 0 &&
                p->pads[a + rank] >= 0;
  }
  for (size_t j = 0; j < p->pads.size(); ++j) {
    order |= p->pads[j] != p->pads[j % 2 == 0 ? j / 2 : rank + j / 2];
  }
  if (p->mode == "constant" && reflects) arguments.push_back("reflect");
  if (p->mode != "constant") arguments.push_back("constant");
  if (p->mode == "constant" && IsFloat(v.ElementType(x))) arguments.push_back("value");
  if (order) arguments.push_back("interleaved");
  return arguments;
}
Status ChangePad(Edit& e, int i, const std::string& argument) {
  PadOperands p = *PadOf(e.view(), i);
  const Node& n = e.view().node(i);
  size_t rank = p.pads.size() / 2;
  if (argument == "interleaved") {
    std::vector<int64_t> pads(p.pads.size());
    for (size_t a = 0; a < rank; ++a) {
      pads[2 * a] = p.pads[a];
      pads[2 * a + 1] = p.pads[a + rank];
    }
    p.pads = pads;
  } else if (argument == "value") {
    p.value = p.value == 0 ? 1 : 0;
  } else {
    p.mode = argument;
    p.value = 0;
  }
  e.Remove(i);
  AddPad(e, "pad", n.inputs[0], e.view().ElementType(n.inputs[0]), p, {n.outputs[0]});
  return {};
}

// ---- LH_RESIZE_COORD, LH_RESIZE_NEAREST, LH_UPSAMPLE_MODE ----
std::vector<std::string> Others(const std::string& now, std::initializer_list<const char*> all) {
  std::vector<std::string> others;
  for (const char* x : all) {
    if (now != x) others.push_back(x);
  }
  return others;
}
bool Resizes(const View& v, int i) {
  return v.Is(i, "Resize") && v.opset() >= 11 &&
         !v.SameType(v.node(i).inputs[0], v.node(i).outputs[0]);
}
std::vector<std::string> CoordArguments(const View& v, int i) {
  if (!Resizes(v, i)) return {};
  std::string now = v.node(i).String("coordinate_transformation_mode", "half_pixel");
  if (now == "tf_crop_and_resize") return {};
  return Others(now, {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"});
}
Status ChangeCoord(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "coordinate_transformation_mode", argument);
}
std::vector<std::string> NearestArguments(const View& v, int i) {
  if (!Resizes(v, i) || v.node(i).String("mode", "nearest") != "nearest") return {};
  return Others(v.node(i).String("nearest_mode", "round_prefer_floor"),
                {"floor", "ceil", "round_prefer_floor", "round_prefer_ceil"});
}
Status ChangeNearest(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "nearest_mode", argument);
}
std::vector<std::string> UpsampleArguments(const View& v, int i) {
  if (!Resizes(v, i) && !v.Is(i, "Upsample")) return {};
  std::string mode = v.node(i).String("mode", "nearest");
  if (mode != "nearest" && mode != "linear") return {};
  if (mode == "nearest" && !IsFloat(v.ElementType(v.node(i).inputs[0]))) return {};
  return {mode == "nearest" ? "linear" : "nearest"};
}
Status ChangeMode(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "mode", argument);
}

// ---- LH_GELU_APPROX ----
std::vector<std::string> GeluArguments(const View& v, int i) {
  if (!v.Is(i, "Gelu")) return {};
  return {v.node(i).String("approximate", "none") == "none" ? "tanh" : "none"};
}
Status ChangeGelu(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "approximate", argument);
}

std::vector<Transform> Numbers() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "LH_BN_EPS",
       .doc = "epsilon of a normalization is that of another framework, 1e-3 for 1e-5 or back.",
       .cite = "uncited",
       .precondition = "the variance is not far above epsilon",
       .ops = "BatchNormalization,InstanceNormalization",
       .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  y = BatchNormalization(x, s, b, m, v)
})"},
      EpsilonArguments, ChangeEpsilon));
  rows.push_back(
      OnNodes({.name = "LH_INSTNORM_STATS",
               .doc = "InstanceNormalization uses running statistics (mean 0, variance 1).",
               .cite = "pytorch/pytorch#53887",
               .precondition = "an instance is not normalised already",
               .ops = "InstanceNormalization",
               .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  y = InstanceNormalization(x, s, b)
})"},
              InstanceNormArguments, RunningStatistics));
  rows.push_back(OnNodes({.name = "LH_ACT_ALPHA",
                          .doc = "alpha of an activation is the default of another framework.",
                          .cite = "uncited",
                          .precondition = "some input is where alpha matters",
                          .ops = "LeakyRelu,Elu,HardSigmoid,Celu,Selu,ThresholdedRelu",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  y = LeakyRelu(x) {alpha=0.2}
})"},
                         AlphaArguments, ChangeAlpha));
  rows.push_back(OnNodes({.name = "LH_CLIP_BOUND",
                          .doc = "The min or max of Clip is lost.",
                          .cite = "uncited",
                          .precondition = "some input is beyond the bound",
                          .ops = "Clip",
                          .example = R"(
graph(float[2,8] x) -> (float[2,8] y) {
  a = float[] {-0.25}
  b = float[] {0.25}
  y = Clip(x, a, b)
})"},
                         BoundArguments, DropBound));
  rows.push_back(
      OnNodes({.name = "LH_GEMM_FLAGS",
               .doc = "alpha or beta of Gemm is lost, transA or transB of a square operand flips.",
               .cite = "pytorch/pytorch#26328",
               .precondition = "the factor is not 1; the operand is square",
               .ops = "Gemm",
               .example = R"(
graph(float[2,2] x) -> (float[2,2] y) {
  w = float[2,2] {1, 2, 3, 4}
  y = Gemm(x, w) {alpha=0.5, transB=1}
})"},
              GemmArguments, ChangeFlag));
  return rows;
}

std::vector<Transform> Modes() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "LH_PAD_MODE_ORDER",
       .doc = "Pad in another mode, with another value, or with begins and ends interleaved.",
       .cite = "onnx/tensorflow-onnx#103",
       .precondition = "something is padded",
       .ops = "Pad",
       .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,4,5] y) {
  p = int64[8] {0, 0, 0, 1, 0, 0, 1, 1}
  y = Pad(x, p)
})"},
      PadArguments, ChangePad));
  rows.push_back(OnNodes(
      {.name = "LH_RESIZE_COORD",
       .doc = "Resize with another coordinate_transformation_mode.",
       .cite = "onnx/tensorflow-onnx#914; onnx/tensorflow-onnx#1144; pytorch/pytorch#183523; "
               "pytorch/pytorch#79361; NVIDIA/TensorRT#273; onnx/onnx-tensorrt#457; "
               "microsoft/onnxruntime#17564",
       .precondition = "an extent changes",
       .ops = "Resize",
       .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,6,6] y) {
  s = float[4] {1, 1, 2, 2}
  y = Resize(x, _, s) {mode="linear"}
})"},
      CoordArguments, ChangeCoord));
  rows.push_back(OnNodes({.name = "LH_RESIZE_NEAREST",
                          .doc = "Resize rounds coordinates in another way.",
                          .cite = "onnx/tensorflow-onnx#2168; sonos/tract#2554; apache/tvm#18835; "
                                  "microsoft/onnxruntime#28291",
                          .precondition = "mode nearest; coordinates are no integers",
                          .ops = "Resize",
                          .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,5,5] y) {
  s = float[4] {1, 1, 1.7, 1.7}
  y = Resize(x, _, s) {mode="nearest"}
})"},
                         NearestArguments, ChangeNearest));
  rows.push_back(OnNodes(
      {.name = "LH_UPSAMPLE_MODE",
       .doc = "Resize or Upsample by linear interpolation instead of the nearest element or back.",
       .cite = "pytorch/pytorch#12647; microsoft/onnxruntime#1179",
       .precondition = "an extent changes",
       .ops = "Upsample,Resize",
       .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,6,6] y) {
  s = float[4] {1, 1, 2, 2}
  y = Resize(x, _, s) {mode="nearest"}
})"},
      UpsampleArguments, ChangeMode));
  if (KnownOp("", "Gelu")) {
    rows.push_back(OnNodes({.name = "LH_GELU_APPROX",
                            .doc = "Gelu with the tanh approximation instead of none or back.",
                            .cite = "apache/tvm#18750; openvinotoolkit/openvino#24215",
                            .precondition = "none; the difference is 1.5e-4 at most",
                            .ops = "Gelu",
                            .example = R"(
opset 20
graph(float[2,3] x) -> (float[2,3] y) {
  y = Gelu(x)
})"},
                           GeluArguments, ChangeGelu));
  }
  return rows;
}

}  // namespace

std::vector<Transform> faults_lh_value() {
  std::vector<Transform> rows = Numbers();
  for (Transform& r : Modes()) rows.push_back(std::move(r));
  return rows;
}

}  // namespace assay
