// LH: faults in the axes of Softmax, Reduce*, Gather, Slice, ArgMax.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

constexpr int64_t kMaxIndex = int64_t{1} << 40;  // no tensor is longer

Status PutAxis(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("axis", *ParseInt(argument));
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_SOFTMAX_AXIS ----
std::vector<std::string> SoftmaxArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Softmax", "LogSoftmax", "Hardmax"})) return {};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  if (rank < 2) return {};
  int64_t axis = NormalizedAxis(v.node(i).Int("axis", v.opset() < 13 ? 1 : -1), rank);
  std::vector<std::string> axes;
  for (int a = 0; a < rank; ++a) {
    if (a == axis || axis < 0) continue;
    // All ones either way when both axes have extent 1.
    if (v.Extent(x, a) == 1 && v.Extent(x, static_cast<int>(axis)) == 1) continue;
    axes.push_back(std::to_string(a));
  }
  return axes;
}

// ---- LH_REDUCE_AXES, LH_REDUCE_KEEPDIMS ----
// "axes=1": another axis alone; "all": every axis, the extents of 1 kept.
std::vector<std::string> ReduceArguments(const View& v, int i) {
  std::optional<ReducedAxes> r = ReductionOf(v, i);
  if (!r || r->noop) return {};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  std::vector<std::string> arguments;
  for (int a = 0; a < rank && r->axes.size() == 1; ++a) {
    if (a != r->axes[0] && v.Extent(x, a) != 1) arguments.push_back("axes=" + std::to_string(a));
  }
  if (r->keepdims && static_cast<int>(r->axes.size()) < rank) arguments.push_back("all");
  return arguments;
}
Status ChangeAxes(Edit& e, int i, const std::string& argument) {
  ReducedAxes r = *ReductionOf(e.view(), i);
  const Node& n = e.view().node(i);
  std::vector<int64_t> axes;
  for (int a = 0; a < e.view().Rank(n.inputs[0]) && argument == "all"; ++a) axes.push_back(a);
  if (argument != "all") axes = {*ParseInt(argument.substr(5))};
  e.Remove(i);
  AddReduce(e, "reduce", n.op, n.inputs[0], axes, r.keepdims, {n.outputs[0]});
  return {};
}
std::vector<std::string> KeepdimsArguments(const View& v, int i) {
  std::optional<ReducedAxes> r = ReductionOf(v, i);
  if (!r || r->axes.empty() || v.IsOutput(v.node(i).outputs[0])) return {};
  return {r->keepdims ? "0" : "1"};
}
Status FlipKeepdims(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("keepdims", *ParseInt(argument));
  e.Put(i, std::move(n));
  return {};
}

// ---- LH_GATHER_AXIS ----
std::vector<std::string> GatherArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Gather", "GatherElements"})) return {};
  const std::string& x = v.node(i).inputs[0];
  const Tensor* indices = v.ConstantInput(i, 1);
  int rank = v.Rank(x);
  if (rank < 2) return {};
  int64_t axis = NormalizedAxis(v.node(i).Int("axis", 0), rank);
  if (axis < 0) return {};
  int64_t need = v.Extent(x, static_cast<int>(axis));  // extent that every index fits
  if (indices) {
    need = 1;
    for (int64_t j : indices->AsInts()) {
      if (j < -kMaxIndex || j > kMaxIndex) return {};
      need = std::max(need, j < 0 ? -j : j + 1);
    }
  }
  std::vector<std::string> axes;
  for (int a = 0; a < rank; ++a) {
    if (a != axis && need >= 0 && v.Extent(x, a) >= need) axes.push_back(std::to_string(a));
  }
  return axes;
}

// ---- LH_SLICE_MASK, LH_SLICE_NEG_STEP ----
std::vector<std::string> SliceAxisArguments(const View& v, int i) {
  std::optional<SliceOperands> s = SliceOf(v, i);
  if (!s || s->axes.size() != 1) return {};
  int rank = v.Rank(v.node(i).inputs[0]);
  std::vector<std::string> axes;
  for (int a = 0; a < rank; ++a) {
    if (a != s->axes[0] && v.Extent(v.node(i).inputs[0], a) != 1) axes.push_back(std::to_string(a));
  }
  return axes;
}
Status MoveSlice(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  SliceOperands s = *SliceOf(e.view(), i);
  s.axes = {*ParseInt(argument)};
  e.Remove(i);
  AddSlice(e, "slice", n.inputs[0], s, {n.outputs[0]});
  return {};
}
std::vector<std::string> NegativeStepArguments(const View& v, int i) {
  std::optional<SliceOperands> s = SliceOf(v, i);
  if (!s) return {};
  for (int64_t step : s->steps) {
    if (step < 0) return {"start-1"};
  }
  return {};
}
Status StartLater(Edit& e, int i, const std::string&) {
  const Node& n = e.view().node(i);
  SliceOperands s = *SliceOf(e.view(), i);
  for (size_t a = 0; a < s.steps.size(); ++a) {
    if (s.steps[a] >= 0) continue;
    int64_t extent = e.view().Extent(n.inputs[0], static_cast<int>(s.axes[a]));
    if (extent < 2) return DoesNotApply();
    int64_t first =
        s.starts[a] < 0 ? std::max<int64_t>(s.starts[a], -extent) + extent : s.starts[a];
    s.starts[a] = std::min(first, extent - 1) - 1;
    if (s.starts[a] < 0) return DoesNotApply();
  }
  e.Remove(i);
  AddSlice(e, "slice", n.inputs[0], s, {n.outputs[0]});
  return {};
}

// ---- LH_ARGMIN ----
std::vector<std::string> ArgArguments(const View& v, int i) {
  if (!v.IsAny(i, {"ArgMin", "ArgMax"})) return {};
  return {v.Is(i, "ArgMin") ? "ArgMax" : "ArgMin"};
}
Status SwapArg(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.op = argument;
  e.Put(i, std::move(n));
  return {};
}

}  // namespace

std::vector<Transform> faults_lh_axis() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "LH_SOFTMAX_AXIS",
               .doc = "The axis of Softmax, LogSoftmax or Hardmax changes.",
               .cite = "onnx/tensorflow-onnx#1763; pytorch/pytorch#9576; apache/tvm#1642; "
                       "PINTO0309/onnx2tf#152",
               .precondition = "one of both axes is longer than 1",
               .ops = "Softmax,LogSoftmax",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  y = Softmax(x) {axis=1}
})"},
              SoftmaxArguments, PutAxis));
  rows.push_back(
      OnNodes({.name = "LH_REDUCE_AXES",
               .doc = "A reduction runs along another axis, or along all.",
               .cite = "openvinotoolkit/openvino#38238; PINTO0309/onnx2tf#617",
               .precondition = "the other axis is longer than 1",
               .ops = "ReduceMean,ReduceSum,ReduceMax,ReduceMin,ReduceL1,ReduceLogSumExp",
               .example = R"(
graph(float[3,3] x) -> (float[3,3] y) {
  m = ReduceMax(x) {axes=[1], keepdims=1}
  y = Sub(x, m)
})"},
              ReduceArguments, ChangeAxes));
  rows.push_back(OnNodes({.name = "LH_REDUCE_KEEPDIMS",
                          .doc = "keepdims of a reduction flips and broadcasting hides it.",
                          .cite = "uncited",
                          .precondition = "what follows broadcasts",
                          .ops = "ReduceMean,ReduceSum,ReduceMax,ReduceMin",
                          .example = R"(
graph(float[3,3] x) -> (float[3,3] y) {
  m = ReduceMax(x) {axes=[1], keepdims=1}
  y = Sub(x, m)
})"},
                         KeepdimsArguments, FlipKeepdims));
  rows.push_back(OnNodes({.name = "LH_GATHER_AXIS",
                          .doc = "Gather along another axis.",
                          .cite = "onnx/tensorflow-onnx#1317",
                          .precondition = "the other axis takes the indices",
                          .ops = "Gather,GatherElements",
                          .example = R"(
graph(float[3,3] x) -> (float[3,2] y) {
  i = int64[2] {2, 0}
  y = Gather(x, i) {axis=1}
})"},
                         GatherArguments, PutAxis));
  rows.push_back(OnNodes({.name = "LH_SLICE_MASK",
                          .doc = "Slice along another axis.",
                          .cite = "onnx/tensorflow-onnx#400",
                          .precondition = "the other axis is longer than 1",
                          .ops = "Slice",
                          .example = R"(
graph(float[3,3] x) -> (float[3,2] y) {
  s = int64[1] {1}
  t = int64[1] {3}
  a = int64[1] {1}
  y = Slice(x, s, t, a)
})"},
                         SliceAxisArguments, MoveSlice));
  rows.push_back(OnNodes({.name = "LH_SLICE_NEG_STEP",
                          .doc = "A Slice with a negative step starts one element too late.",
                          .cite = "iree-org/iree#24584",
                          .precondition = "a negative step",
                          .ops = "Slice",
                          .example = R"(
graph(float[5] x) -> (float[2] y) {
  s = int64[1] {4}
  t = int64[1] {0}
  a = int64[1] {0}
  p = int64[1] {-2}
  y = Slice(x, s, t, a, p)
})"},
                         NegativeStepArguments, StartLater));
  rows.push_back(OnNodes({.name = "LH_ARGMIN",
                          .doc = "ArgMin computed as ArgMax or back.",
                          .cite = "openvinotoolkit/openvino#13491; openvinotoolkit/openvino#30666",
                          .precondition = "the values differ along the axis",
                          .ops = "ArgMin,ArgMax",
                          .example = R"(
graph(float[2,3] x) -> (int64[2,1] y) {
  y = ArgMin(x) {axis=1}
})"},
                         ArgArguments, SwapArg));
  return rows;
}

}  // namespace assay
