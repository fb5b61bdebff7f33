// LH: faults in the attributes of operators that slide a window: Conv, ConvTranspose, pools.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

Status PutAttr(Edit& e, int i, const std::string& name, AttrValue value) {
  Node n = e.Copy(i);
  n.Set(name, std::move(value));
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_CONV_PADS, LH_CT_OUTPUT_SHAPE ----
// "SAME_LOWER" / "SAME_UPPER" / "VALID": another auto_pad; "swap": begins and ends exchanged;
// "shift2": one column from the end to the begin of axis 2 ("shift-2": back); "pad2": one more at
// the begin of axis 2.
std::vector<std::string> PadChanges(const View& v, int i) {
  std::vector<std::string> arguments;
  const std::string auto_pad = v.node(i).String("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER") arguments = {"SAME_LOWER", "VALID"};
  if (auto_pad == "SAME_LOWER") arguments = {"SAME_UPPER", "VALID"};
  std::optional<Window> w = WindowOf(v, i);
  if (!w || auto_pad != "NOTSET") return arguments;
  int n = w->axes();
  bool asymmetric = !std::equal(w->pads.begin(), w->pads.begin() + n, w->pads.begin() + n);
  if (asymmetric) arguments.push_back("swap");
  for (int a = 0; a < n; ++a) {
    // A pool takes no pad as wide as its kernel.
    int64_t most = v.IsAny(i, {"MaxPool", "AveragePool"}) ? w->kernel[a] - 1 : int64_t{1} << 20;
    if (w->pads[a + n] > 0 && w->pads[a] < most)
      arguments.push_back("shift" + std::to_string(a + 2));
    if (w->pads[a] > 0 && w->pads[a + n] < most)
      arguments.push_back("shift-" + std::to_string(a + 2));
    if (w->pads[a] < most) arguments.push_back("pad" + std::to_string(a + 2));
  }
  return arguments;
}
Status ChangePads(Edit& e, int i, const std::string& argument) {
  if (argument.find("SAME") == 0 || argument == "VALID") return PutAttr(e, i, "auto_pad", argument);
  Window w = *WindowOf(e.view(), i);
  int n = w.axes();
  if (argument == "swap") {
    std::rotate(w.pads.begin(), w.pads.begin() + n, w.pads.end());
  } else if (argument.find("pad") == 0) {
    ++w.pads[*ParseInt(argument.substr(3)) - 2];
  } else {
    bool back = argument[5] == '-';
    int64_t a = *ParseInt(argument.substr(back ? 6 : 5)) - 2;
    w.pads[a] += back ? -1 : 1;
    w.pads[a + n] += back ? 1 : -1;
  }
  Node node = e.Copy(i);
  SetPads(&node, w.pads);
  e.Put(i, std::move(node));
  return {};
}
std::vector<std::string> ConvPadArguments(const View& v, int i) {
  return v.IsAny(i, {"Conv", "MaxPool", "AveragePool"}) ? PadChanges(v, i)
                                                        : std::vector<std::string>{};
}
std::vector<std::string> CtShapeArguments(const View& v, int i) {
  if (!v.Is(i, "ConvTranspose") || v.node(i).Find("output_shape")) return {};
  return PadChanges(v, i);
}

// ---- LH_CONV_DILATION: "drop"/"add" a dilation; "+pads": with pads that keep the extents ----
std::vector<std::string> DilationArguments(const View& v, int i) {
  if (!v.Is(i, "Conv") || v.node(i).String("auto_pad", "NOTSET") != "NOTSET") return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w) return {};
  bool dilated = false, wide = false, room = true;
  for (int a = 0; a < w->axes(); ++a) {
    int64_t slack = (w->dilations[a] - 1) * (w->kernel[a] - 1);
    dilated |= slack > 0;
    wide |= w->kernel[a] > 1;
    room &= w->pads[a] >= slack / 2 && w->pads[a + w->axes()] >= slack - slack / 2;
  }
  if (dilated)
    return room ? std::vector<std::string>{"drop", "drop+pads"} : std::vector<std::string>{"drop"};
  return wide ? std::vector<std::string>{"add+pads"} : std::vector<std::string>{};
}
Status ChangeDilation(Edit& e, int i, const std::string& argument) {
  Window w = *WindowOf(e.view(), i);
  Node n = e.Copy(i);
  int64_t now = argument.find("add") == 0 ? 2 : 1;
  for (int a = 0; a < w.axes(); ++a) {
    int64_t grows = (now - w.dilations[a]) * (w.kernel[a] - 1);
    w.pads[a] += grows / 2;
    w.pads[a + w.axes()] += grows - grows / 2;
  }
  n.Set("dilations", std::vector<int64_t>(w.kernel.size(), now));
  if (argument.ends_with("+pads")) SetPads(&n, w.pads);
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_AVGPOOL_COUNT_PAD ----
std::vector<std::string> CountPadArguments(const View& v, int i) {
  if (!v.Is(i, "AveragePool")) return {};
  std::optional<Window> w = WindowOf(v, i);
  bool pads = w && std::any_of(w->pads.begin(), w->pads.end(), [](int64_t p) { return p > 0; });
  if (!pads) return {};
  return {v.node(i).Int("count_include_pad", 0) != 0 ? "0" : "1"};
}
Status FlipCountPad(Edit& e, int i, const std::string& argument) {
  return PutAttr(e, i, "count_include_pad", *ParseInt(argument));
}

// ---- LH_POOL_CEIL ----
std::vector<std::string> CeilArguments(const View& v, int i) {
  if (!v.IsAny(i, {"MaxPool", "AveragePool"}) || v.opset() < 10) return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w || v.node(i).String("auto_pad", "NOTSET") != "NOTSET") return {};
  if (std::all_of(w->strides.begin(), w->strides.end(), [](int64_t s) { return s == 1; }))
    return {};
  return {w->ceil ? "0" : "1"};
}
Status FlipCeil(Edit& e, int i, const std::string& argument) {
  TRY(PutAttr(e, i, "ceil_mode", *ParseInt(argument)));
  return {};
}

// ---- LH_CT_OUTPUT_PADDING ----
std::vector<std::string> OutputPaddingArguments(const View& v, int i) {
  if (!v.Is(i, "ConvTranspose") || v.node(i).Find("output_shape")) return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w) return {};
  std::vector<int64_t> padding = v.node(i).Ints("output_padding");
  if (std::any_of(padding.begin(), padding.end(), [](int64_t p) { return p != 0; })) return {"0"};
  bool all = std::all_of(w->strides.begin(), w->strides.end(), [](int64_t s) { return s > 1; });
  return all ? std::vector<std::string>{"1"} : std::vector<std::string>{};
}
Status ChangeOutputPadding(Edit& e, int i, const std::string& argument) {
  size_t axes = WindowOf(e.view(), i)->kernel.size();
  return PutAttr(e, i, "output_padding", std::vector<int64_t>(axes, *ParseInt(argument)));
}

}  // namespace

std::vector<Transform> faults_lh_window() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "LH_CONV_PADS",
       .doc = "Pads change: SAME_UPPER for SAME_LOWER, VALID for SAME, begins for ends, one column "
              "from one side to the other (shift), one more (pad).",
       .cite = "microsoft/MMdnn#379; pytorch/pytorch#27602",
       .precondition = "the window sees other elements (even kernel or stride > 1 for SAME)",
       .ops = "Conv,MaxPool,AveragePool",
       .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,4,4] y) {
  w = float[1,1,3,3] {1, 2, 3, 4, 5, 6, 7, 8, 9}
  y = Conv(x, w) {pads=[1,1,1,1]}
})"},
      ConvPadArguments, ChangePads));
  rows.push_back(
      OnNodes({.name = "LH_CT_OUTPUT_SHAPE",
               .doc = "The padding of ConvTranspose is split between begin and end in another way.",
               .cite = "microsoft/onnxruntime#4698; openvinotoolkit/openvino#20848; "
                       "onnx/tensorflow-onnx#323",
               .precondition = "the pads change",
               .ops = "ConvTranspose",
               .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,6,6] y) {
  w = float[1,1,3,3] {1, 2, 3, 4, 5, 6, 7, 8, 9}
  y = ConvTranspose(x, w) {strides=[2,2], pads=[0,0,1,1]}
})"},
              CtShapeArguments, ChangePads));
  rows.push_back(OnNodes(
      {.name = "LH_CONV_DILATION",
       .doc = "dilations lost or set where there were none; +pads: pads that keep the extents.",
       .cite = "onnx/tensorflow-onnx#1728; PINTO0309/onnx2tf#251; onnx/tensorflow-onnx#945",
       .precondition = "a kernel longer than 1",
       .ops = "Conv",
       .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,4,4] y) {
  w = float[1,1,3,3] {1, 2, 3, 4, 5, 6, 7, 8, 9}
  y = Conv(x, w) {pads=[1,1,1,1]}
})"},
      DilationArguments, ChangeDilation));
  rows.push_back(
      OnNodes({.name = "LH_AVGPOOL_COUNT_PAD",
               .doc = "count_include_pad of AveragePool flips.",
               .cite = "microsoft/MMdnn#628; VeriSilicon/TIM-VX#423; microsoft/onnxruntime#27375; "
                       "microsoft/onnxruntime#16203",
               .precondition = "there are pads",
               .ops = "AveragePool",
               .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,4,4] y) {
  y = AveragePool(x) {kernel_shape=[3,3], pads=[1,1,1,1]}
})"},
              CountPadArguments, FlipCountPad));
  rows.push_back(OnNodes(
      {.name = "LH_POOL_CEIL",
       .doc = "ceil_mode of a pool flips.",
       .cite = "pytorch/pytorch#71549; microsoft/onnxruntime#15446; onnx/onnx#5711; onnx/onnx#4958",
       .precondition = "a stride longer than 1 that leaves a rest",
       .ops = "MaxPool,AveragePool",
       .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,1,1] y) {
  y = MaxPool(x) {kernel_shape=[3,3], strides=[2,2]}
})"},
      CeilArguments, FlipCeil));
  rows.push_back(
      OnNodes({.name = "LH_CT_OUTPUT_PADDING",
               .doc = "output_padding of ConvTranspose is lost, or 1 where there was none.",
               .cite = "pytorch/pytorch#104206; apache/tvm#18635",
               .precondition = "what follows takes the other extents",
               .ops = "ConvTranspose",
               .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,7,7] y) {
  w = float[1,1,3,3] {1, 2, 3, 4, 5, 6, 7, 8, 9}
  y = ConvTranspose(x, w) {strides=[2,2]}
})"},
              OutputPaddingArguments, ChangeOutputPadding));
  return rows;
}

}  // namespace assay
