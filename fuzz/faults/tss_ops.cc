// TSS: faults of operators whose data movement follows a convention: DepthToSpace, PRelu, Conv,
// Gather.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

// ---- TSS_D2S_MODE, TSS_D2S_RESHAPE ----
bool IsDepthToSpace(const View& v, int i) {
  if (!v.Is(i, "DepthToSpace")) return false;
  int64_t b = v.node(i).Int("blocksize", 0), c = v.Extent(v.node(i).inputs[0], 1);
  return b > 1 && b < 4096 && c > b * b && v.Rank(v.node(i).inputs[0]) == 4;
}
std::vector<std::string> ModeArguments(const View& v, int i) {
  if (!IsDepthToSpace(v, i) || v.opset() < 11) return {};
  return {v.node(i).String("mode", "DCR") == "DCR" ? "CRD" : "DCR"};
}
Status FlipMode(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("mode", argument);
  e.Put(i, std::move(n));
  return {};
}
std::vector<std::string> DecomposeArguments(const View& v, int i) {
  if (!IsDepthToSpace(v, i) || v.node(i).String("mode", "DCR") != "CRD") return {};
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]);
  int64_t b = v.node(i).Int("blocksize", 1);
  if (!x || (*x)[1] / (b * b) == b) return {};  // both reshapes are one then
  return {"dcr_reshape"};
}
// [N,C,H,W] reshaped as DCR wants it, then permuted as CRD wants it.
Status DecomposeWrongly(Edit& e, int i, const std::string&) {
  const Node& n = e.view().node(i);
  Shape x = *e.view().Extents(n.inputs[0]);
  int64_t b = n.Int("blocksize", 1), c = x[1] / (b * b);
  e.Remove(i);
  std::string blocks = AddReshape(e, "blocks", n.inputs[0], {x[0], b, b, c, x[2], x[3]});
  std::string moved = AddTranspose(e, "moved", blocks, {0, 1, 4, 2, 5, 3});
  AddReshape(e, "joined", moved, {x[0], c, x[2] * b, x[3] * b}, {n.outputs[0]});
  return {};
}

// ---- TSS_PRELU_BROADCAST: the slope of each channel goes along another axis of that extent ----
std::vector<std::string> SlopeArguments(const View& v, int i) {
  if (!v.Is(i, "PRelu")) return {};
  const std::string& x = v.node(i).inputs[0];
  const Tensor* slope = v.ConstantInput(i, 1);
  int rank = v.Rank(x);
  if (!IsFloatTensor(slope) || rank < 2 || slope->size() < 2) return {};
  std::optional<std::vector<double>> channels;
  int from = 0;
  for (; from < rank && !channels; ++from)
    channels = PerChannel(*slope, rank, from, v.Extent(x, from));
  if (!channels || AllEqual(*slope, slope->AsDouble(0))) return {};
  std::vector<std::string> axes;
  for (int a = rank; a-- > 0;) {
    if (a != from - 1 && v.Extent(x, a) == slope->size()) axes.push_back(std::to_string(a));
  }
  return axes;
}
Status MoveSlope(Edit& e, int i, const std::string& argument) {
  const Tensor& slope = *e.view().ConstantInput(i, 1);
  Shape shape(e.view().Rank(e.view().node(i).inputs[0]) - static_cast<size_t>(*ParseInt(argument)),
              1);
  shape[0] = slope.size();
  e.PutConstant(i, 1, "slope", slope.Reshaped(shape));
  return {};
}

// ---- TSS_PUSH_THROUGH_CONV: height and width swapped around a Conv, its weights left as they were
// ----
std::vector<std::string> PushArguments(const View& v, int i) {
  if (!v.Is(i, "Conv") || v.Rank(v.node(i).inputs[0]) != 4) return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w || w->kernel[0] != w->kernel[1] || w->kernel[0] < 2 ||
      v.Extent(v.node(i).inputs[0], 2) == 1)
    return {};
  return {"0,1,3,2"};
}
Status PushThrough(Edit& e, int i, const std::string& argument) {
  std::vector<int64_t> perm = *ParseInts(argument);
  Window w = *WindowOf(e.view(), i);
  Node n = e.Copy(i);
  std::string y = n.outputs[0];
  n.inputs[0] = AddTranspose(e, "in", n.inputs[0], perm);
  n.outputs[0] = e.Fresh("out");
  SetPads(&n, {w.pads[1], w.pads[0], w.pads[3], w.pads[2]});
  n.Set("strides", std::vector<int64_t>{w.strides[1], w.strides[0]});
  n.Set("dilations", std::vector<int64_t>{w.dilations[1], w.dilations[0]});
  std::string out = n.outputs[0];
  e.Put(i, std::move(n));
  e.At(i + 1);
  e.AddMaking("back", {y}, "Transpose", {out}, {Attr("perm", perm)});
  return {};
}

// ---- TSS_RANK_KEPT ----
std::vector<std::string> RankArguments(const View& v, int i) {
  if (!v.Is(i, "Gather")) return {};
  const Tensor* index = v.ConstantInput(i, 1);
  if (!index || index->rank() != 0 || v.Constant(v.node(i).outputs[0])) return {};
  return {"keep"};
}
Status KeepRank(Edit& e, int i, const std::string&) {
  e.PutConstant(i, 1, "index", e.view().ConstantInput(i, 1)->Reshaped({1}));
  return {};
}

}  // namespace

std::vector<Transform> faults_tss_ops() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "TSS_D2S_MODE",
               .doc = "DepthToSpace in the other mode, DCR for CRD or back.",
               .cite = "PINTO0309/onnx2tf#91; microsoft/onnxscript#2891; iree-org/iree#24179",
               .precondition = "more than one channel comes out",
               .ops = "DepthToSpace",
               .example = R"(
graph(float[1,8,2,2] x) -> (float[1,2,4,4] y) {
  y = DepthToSpace(x) {blocksize=2, mode="CRD"}
})"},
              ModeArguments, FlipMode));
  rows.push_back(
      OnNodes({.name = "TSS_D2S_RESHAPE",
               .doc = "DepthToSpace in mode CRD decomposed with the reshape of mode DCR.",
               .cite = "llvm/torch-mlir#4351",
               .precondition = "more than one channel comes out, and not as many as the blocksize",
               .ops = "DepthToSpace,Reshape,Transpose",
               .example = R"(
graph(float[1,12,2,2] x) -> (float[1,3,4,4] y) {
  y = DepthToSpace(x) {blocksize=2, mode="CRD"}
})"},
              DecomposeArguments, DecomposeWrongly));
  rows.push_back(OnNodes({.name = "TSS_PRELU_BROADCAST",
                          .doc = "The slopes of PRelu go along another axis than the channels.",
                          .cite = "pytorch/pytorch#70570; apache/tvm#18598",
                          .precondition = "another axis has as many entries, and the slopes differ",
                          .ops = "PRelu",
                          .example = R"(
graph(float[1,3,2,3] x) -> (float[1,3,2,3] y) {
  s = float[3,1,1] {0.1, 0.5, 0.9}
  y = PRelu(x, s)
})"},
                         SlopeArguments, MoveSlope));
  rows.push_back(OnNodes(
      {.name = "TSS_PUSH_THROUGH_CONV",
       .doc = "A Transpose of height and width is pushed through a Conv, the weights unchanged.",
       .cite = "onnx/tensorflow-onnx#356",
       .precondition = "a square kernel that is not symmetric",
       .ops = "Transpose,Conv",
       .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,3,3] y) {
  w = float[1,1,2,2] {1, 2, 3, 4}
  y = Conv(x, w)
})"},
      PushArguments, PushThrough));
  rows.push_back(OnNodes({.name = "TSS_RANK_KEPT",
                          .doc = "Gather with a scalar index keeps the axis that it should drop.",
                          .cite = "pytorch/pytorch#68003",
                          .precondition = "what follows takes the extra axis and broadcasts",
                          .ops = "Gather",
                          .example = R"(
graph(float[3,3] x) -> (float[3,3] y) {
  i = int64[] {1}
  r = Gather(x, i) {axis=1}
  y = Add(x, r)
})"},
                         RankArguments, KeepRank));
  return rows;
}

}  // namespace assay
