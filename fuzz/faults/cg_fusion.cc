// CG: faults of graph optimizers: fusions and eliminations without their side condition.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

// ---- CG_PAD_AVGPOOL_FUSION ----
// The constant zero Pad of spatial axes that alone feeds data input 0 of node i.
std::optional<PadOperands> ZeroPadBefore(const View& v, int i) {
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || v.OnlyReader(v.node(i).inputs[0]) != i) return std::nullopt;
  std::optional<PadOperands> p = PadOf(v, j);
  if (!p || p->mode != "constant" || p->value != 0) return std::nullopt;
  size_t rank = p->pads.size() / 2;
  bool spatial = rank >= 3 && p->pads[0] == 0 && p->pads[1] == 0 && p->pads[rank] == 0 &&
                 p->pads[rank + 1] == 0;
  bool any = std::any_of(p->pads.begin(), p->pads.end(), [](int64_t x) { return x > 0; });
  bool negative = std::any_of(p->pads.begin(), p->pads.end(), [](int64_t x) { return x < 0; });
  return spatial && any && !negative ? p : std::nullopt;
}
std::vector<std::string> PadPoolArguments(const View& v, int i) {
  if (!v.Is(i, "AveragePool") || v.node(i).Int("count_include_pad", 0) != 0 || !ZeroPadBefore(v, i))
    return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w || v.node(i).String("auto_pad", "NOTSET").find("SAME") == 0) return {};
  PadOperands p = *ZeroPadBefore(v, i);
  for (int a = 0; a < w->axes(); ++a) {
    int64_t begin = p.pads[a + 2], end = p.pads[a + 4 + w->axes()];
    if (w->pads[a] + begin >= w->kernel[a] || w->pads[a + w->axes()] + end >= w->kernel[a])
      return {};
  }
  return {"fuse"};
}
Status FusePadPool(Edit& e, int i, const std::string&) {
  Window w = *WindowOf(e.view(), i);
  PadOperands p = *ZeroPadBefore(e.view(), i);
  Node n = e.Copy(i);
  for (int a = 0; a < w.axes(); ++a) {
    w.pads[a] += p.pads[a + 2];
    w.pads[a + w.axes()] += p.pads[a + 4 + w.axes()];
  }
  SetPads(&n, w.pads);
  int pad = e.view().Maker(n.inputs[0]);
  n.inputs[0] = e.view().node(pad).inputs[0];
  e.Put(i, std::move(n));
  return {};
}

// ---- CG_GEMM_TRANSPOSE_IDENT: a Transpose that moves nothing becomes transA / transB ----
std::vector<std::string> IdentityTransposeArguments(const View& v, int i) {
  if (!v.Is(i, "Gemm")) return {};
  std::vector<std::string> arguments;
  for (size_t k : {size_t{0}, size_t{1}}) {
    const std::string& x = v.node(i).inputs[k];
    int j = v.Maker(x);
    bool identity = j >= 0 && PermOf(v, j) && IsIdentityPerm(*PermOf(v, j));
    if (identity && v.Extent(x, 0) > 1 && v.Extent(x, 0) == v.Extent(x, 1))
      arguments.push_back(k == 0 ? "transA" : "transB");
  }
  return arguments;
}
Status FoldIdentityTranspose(Edit& e, int i, const std::string& argument) {
  size_t k = argument == "transA" ? 0 : 1;
  Node n = e.Copy(i);
  n.Set(argument, n.Int(argument, 0) != 0 ? int64_t{0} : int64_t{1});
  n.inputs[k] = e.view().node(e.view().Maker(n.inputs[k])).inputs[0];
  e.Put(i, std::move(n));
  return {};
}

// ---- CG_NOP_ELIM: removed as a no-op though it broadcasts, rounds or pads ----
std::vector<std::string> NopArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.outputs.empty() || v.Constant(n.outputs[0])) return {};
  if (v.Is(i, "Expand") || v.Is(i, "Tile")) {
    return v.SameType(n.inputs[0], n.outputs[0]) ? std::vector<std::string>{}
                                                 : std::vector<std::string>{"drop"};
  }
  if (v.Is(i, "Pad")) {
    std::optional<PadOperands> p = PadOf(v, i);
    bool pads = p && std::any_of(p->pads.begin(), p->pads.end(), [](int64_t x) { return x != 0; });
    return pads ? std::vector<std::string>{"drop"} : std::vector<std::string>{};
  }
  if (v.Is(i, "Cast")) {  // a pair to a narrower type and back
    int j = v.Maker(n.inputs[0]);
    if (j < 0 || !v.Is(j, "Cast")) return {};
    DType wide = v.ElementType(n.outputs[0]), narrow = v.ElementType(n.inputs[0]);
    bool back = v.ElementType(v.node(j).inputs[0]) == wide && wide != narrow;
    return back && IsFloat(wide) ? std::vector<std::string>{"pair"} : std::vector<std::string>{};
  }
  if (v.IsAny(i, {"Add", "Mul"})) {
    std::optional<WithConstant> c = ConstantOperand(v, i);
    bool neutral = c && AllEqual(*c->constant, v.Is(i, "Mul") ? 1 : 0);
    return neutral && !v.SameType(c->data, n.outputs[0]) ? std::vector<std::string>{"unit"}
                                                         : std::vector<std::string>{};
  }
  return {};
}
Status DropNop(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  std::string x = v.node(i).inputs[0];
  if (argument == "unit") x = ConstantOperand(v, i)->data;
  if (argument == "pair") x = v.node(v.Maker(x)).inputs[0];
  e.Bypass(i, x);
  return {};
}

// ---- CG_LAYERNORM_FUSION, CG_SKIPLAYERNORM_FUSION ----
std::vector<std::string> LayerNormArguments(const View& v, int i) {
  if (!v.Is(i, "LayerNormalization")) return {};
  std::vector<std::string> arguments = {"epsilon"};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  int64_t axis = NormalizedAxis(v.node(i).Int("axis", -1), std::max(rank, 0));
  // One axis less in the normalised part: the scale still broadcasts.
  if (axis > 0 && v.Extent(x, static_cast<int>(axis) - 1) > 1) arguments.push_back("axis");
  return arguments;
}
Status FuseLayerNormWrongly(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument == "epsilon") {
    n.Set("epsilon", n.Float("epsilon", 1e-5f) == 1e-3f ? 1e-5f : 1e-3f);
  } else {
    n.Set("axis", NormalizedAxis(n.Int("axis", -1), e.view().Rank(n.inputs[0])) - 1);
  }
  e.Put(i, std::move(n));
  return {};
}
std::vector<std::string> SkipArguments(const View& v, int i) {
  if (!v.Is(i, "LayerNormalization")) return {};
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || !v.Is(j, "Add")) return {};
  std::vector<std::string> arguments;
  for (size_t k : {size_t{0}, size_t{1}}) {
    const std::string& kept = v.node(j).inputs[1 - k];
    if (v.SameType(kept, v.node(i).inputs[0]) && !v.Constant(kept))
      arguments.push_back("skip" + std::to_string(k));
  }
  return arguments;
}
Status LoseSkip(Edit& e, int i, const std::string& argument) {
  int j = e.view().Maker(e.view().node(i).inputs[0]);
  e.Reroute(i, 0, e.view().node(j).inputs[argument == "skip0" ? 1 : 0]);
  return {};
}

// ---- CG_HSWISH_ARTIFACT ----
std::vector<std::string> HardSwishArguments(const View& v, int i) {
  if (v.Is(i, "HardSwish")) return {"hardsigmoid"};
  return {};
}
// x * HardSigmoid(x) with the defaults of ONNX (alpha 0.2) instead of 1/6.
Status HardSwishByDefault(Edit& e, int i, const std::string&) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  std::string gate = e.Add("gate", "HardSigmoid", {n.inputs[0]});
  e.AddMaking("mul", {n.outputs[0]}, "Mul", {n.inputs[0], gate});
  return {};
}

// ---- CG_FOLD_DROPS_AXES, CG_SQUEEZE_FUSE ----
std::vector<std::string> SqueezeAllArguments(const View& v, int i) {
  if (!v.Is(i, "Squeeze")) return {};
  std::optional<std::vector<int64_t>> axes = RawAxes(v, i);
  if (!axes || axes->empty()) return {};
  return {"all"};
}
Status SqueezeAll(Edit& e, int i, const std::string&) {
  Node n = e.Copy(i);
  n.Erase("axes");
  n.inputs.resize(1);
  e.Put(i, std::move(n));
  return {};
}
// Squeeze(Squeeze(x, a), b) -> Squeeze(x, a+b) without counting b anew.
std::optional<std::vector<int64_t>> NaiveAxes(const View& v, int i) {
  if (!v.Is(i, "Squeeze")) return std::nullopt;
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || !v.Is(j, "Squeeze")) return std::nullopt;
  std::optional<std::vector<int64_t>> a = RawAxes(v, j), b = RawAxes(v, i);
  int rank = v.Rank(v.node(j).inputs[0]), between = v.Rank(v.node(i).inputs[0]);
  if (!a || !b || a->empty() || b->empty() || rank < 0 || between < 0) return std::nullopt;
  a = NormalizedAxes(*a, rank);
  b = NormalizedAxes(*b, between);
  if (!a || !b) return std::nullopt;
  std::vector<int64_t> all = *a;
  all.insert(all.end(), b->begin(), b->end());
  return NormalizedAxes(all, rank);
}
std::vector<std::string> SqueezeFuseArguments(const View& v, int i) {
  if (!NaiveAxes(v, i)) return {};
  return {"fuse"};
}
Status FuseSqueezes(Edit& e, int i, const std::string&) {
  std::vector<int64_t> axes = *NaiveAxes(e.view(), i);
  int j = e.view().Maker(e.view().node(i).inputs[0]);
  std::string y = e.view().node(i).outputs[0];
  e.Remove(i);
  AddSqueeze(e, "squeeze", e.view().node(j).inputs[0], axes, {y});
  return {};
}

// ---- CG_QDQ_FOLDED ----
std::vector<std::string> QdqArguments(const View& v, int i) {
  if (!v.Is(i, "DequantizeLinear")) return {};
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || !v.Is(j, "QuantizeLinear") || !v.SameType(v.node(j).inputs[0], v.node(i).outputs[0]))
    return {};
  return {"drop"};
}
Status DropQdq(Edit& e, int i, const std::string&) {
  int j = e.view().Maker(e.view().node(i).inputs[0]);
  e.Bypass(i, e.view().node(j).inputs[0]);
  return {};
}

std::vector<Transform> Fusions() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "CG_PAD_AVGPOOL_FUSION",
               .doc = "A zero Pad is fused into the pads of AveragePool without count_include_pad.",
               .cite = "microsoft/onnxruntime#22177",
               .precondition = "spatial pads only",
               .ops = "Pad,AveragePool",
               .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,4,4] y) {
  p = int64[8] {0, 0, 1, 1, 0, 0, 1, 1}
  h = Pad(x, p)
  y = AveragePool(h) {kernel_shape=[2,2]}
})"},
              PadPoolArguments, FusePadPool));
  rows.push_back(
      OnNodes({.name = "CG_GEMM_TRANSPOSE_IDENT",
               .doc = "A Transpose with the identity perm is folded into Gemm as transA or transB.",
               .cite = "microsoft/onnxruntime#32228; microsoft/onnxruntime#32418",
               .precondition = "a square operand, so that no shape check sees it",
               .ops = "Transpose,Gemm",
               .example = R"(
graph(float[2,2] x) -> (float[2,2] y) {
  w = float[2,2] {1, 2, 3, 4}
  t = Transpose(x) {perm=[0,1]}
  y = Gemm(t, w)
})"},
              IdentityTransposeArguments, FoldIdentityTranspose));
  rows.push_back(OnNodes(
      {.name = "CG_LAYERNORM_FUSION",
       .doc = "LayerNormalization fused with another epsilon or axis.",
       .cite = "microsoft/onnxruntime#4293",
       .precondition = "the variance is not far above epsilon; the extra axis is longer than 1",
       .ops = "LayerNormalization",
       .example = R"(
graph(float[2,4] x) -> (float[2,4] y) {
  s = float[4] {1, 2, 3, 4}
  y = LayerNormalization(x, s)
})"},
      LayerNormArguments, FuseLayerNormWrongly));
  rows.push_back(OnNodes({.name = "CG_SKIPLAYERNORM_FUSION",
                          .doc = "Fusing Add and LayerNormalization loses an operand of the Add.",
                          .cite = "microsoft/onnxruntime#17689",
                          .precondition = "the other operand has the type of the sum",
                          .ops = "Add,LayerNormalization",
                          .example = R"(
graph(float[2,4] x) -> (float[2,4] y) {
  s = float[4] {1, 2, 3, 4}
  r = Sigmoid(x)
  h = Add(x, r)
  y = LayerNormalization(h, s)
})"},
                         SkipArguments, LoseSkip));
  rows.push_back(OnNodes(
      {.name = "CG_HSWISH_ARTIFACT",
       .doc = "HardSwish rewritten as x * HardSigmoid(x) with the default alpha 0.2 for 1/6.",
       .cite = "onnx/tensorflow-onnx#1039",
       .precondition = "some input is in (-3, 3)",
       .ops = "HardSwish,HardSigmoid,Mul",
       .example = R"(
graph(float[2,4] x) -> (float[2,4] y) {
  y = HardSwish(x)
})"},
      HardSwishArguments, HardSwishByDefault));
  return rows;
}

std::vector<Transform> Eliminations() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "CG_NOP_ELIM",
       .doc = "Removed as a no-op though it broadcasts (Expand, Tile, + 0, * 1), rounds (a pair of "
              "Casts) or pads.",
       .cite = "onnx/optimizer#275; onnx/optimizer#273; onnx/optimizer#261; onnx/optimizer#252",
       .precondition = "what follows takes the other extents; values are rounded",
       .ops = "Expand,Cast,Pad,Mul,Add,Tile",
       .example = R"(
graph(float[1,3] x) -> (float[2,3] y) {
  s = int64[2] {2, 3}
  y = Expand(x, s)
})"},
      NopArguments, DropNop));
  rows.push_back(OnNodes({.name = "CG_FOLD_DROPS_AXES",
                          .doc = "Squeeze loses its axes and squeezes every axis of extent 1.",
                          .cite = "microsoft/onnxscript#2810",
                          .precondition = "another axis of extent 1, and what follows broadcasts",
                          .ops = "Squeeze",
                          .example = R"(
graph(float[3,1,1] x) -> (float[3,3] y) {
  a = int64[1] {2}
  h = Squeeze(x, a)
  z = float[1,3] {1, 2, 3}
  y = Add(h, z)
})"},
                         SqueezeAllArguments, SqueezeAll));
  rows.push_back(OnNodes({.name = "CG_SQUEEZE_FUSE",
                          .doc = "Two Squeezes fused without counting the axes of the second anew.",
                          .cite = "onnx/optimizer#253",
                          .precondition = "the axes, as they stand, are others of extent 1",
                          .ops = "Squeeze",
                          .example = R"(
graph(float[1,1,3,1,2,1] x) -> (float[3,1,2] y) {
  a = int64[2] {0, 1}
  b = int64[1] {3}
  h = Squeeze(x, a)
  y = Squeeze(h, b)
})"},
                         SqueezeFuseArguments, FuseSqueezes));
  rows.push_back(OnNodes({.name = "CG_QDQ_FOLDED",
                          .doc = "A pair of QuantizeLinear and DequantizeLinear is folded away.",
                          .cite = "onnx/tensorflow-onnx#1719",
                          .precondition = "values are rounded",
                          .ops = "QuantizeLinear,DequantizeLinear",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  s = float[] {0.25}
  z = uint8[] {128}
  q = QuantizeLinear(x, s, z)
  y = DequantizeLinear(q, s, z)
})"},
                         QdqArguments, DropQdq));
  return rows;
}

}  // namespace

std::vector<Transform> faults_cg_fusion() {
  std::vector<Transform> rows = Fusions();
  for (Transform& r : Eliminations()) rows.push_back(std::move(r));
  return rows;
}

}  // namespace assay
