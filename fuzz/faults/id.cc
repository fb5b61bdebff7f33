// ID: faults of the input declaration. The target stays a model that runs, with another interface
// or another meaning of the same extents.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

constexpr int64_t kExampleExtent =
    1;  // what an exporter's example input gave every symbolic extent

const ValueInfo& Input(const View& v, int i) { return v.graph().inputs[i]; }
bool IsUsed(const View& v, int i) {
  return Input(v, i).shape && !v.Readers(Input(v, i).name).empty() &&
         !v.graph().FindInitializer(Input(v, i).name);
}

// ---- ID_LAYOUT_DECL ----
// Channels first to last ("nhwc") or last to first ("nchw"), for rank >= 3.
std::vector<int64_t> LayoutPerm(const std::string& layout, int rank) {
  std::vector<int64_t> perm = {0};
  if (layout == "nchw") perm.push_back(rank - 1);
  for (int a = layout == "nchw" ? 1 : 2; a < (layout == "nchw" ? rank - 1 : rank); ++a)
    perm.push_back(a);
  if (layout == "nhwc") perm.push_back(1);
  return perm;
}
std::vector<DimDecl> Permuted(const std::vector<DimDecl>& dims, const std::vector<int64_t>& perm) {
  std::vector<DimDecl> out;
  for (int64_t p : perm) out.push_back(dims[p]);
  return out;
}
// Do elements change places, that is, do axes longer than 1 change their order?
bool MovesElements(const std::vector<DimDecl>& dims, const std::vector<int64_t>& perm) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (dims[p].value == 1) continue;
    if (p < last) return true;
    last = p;
  }
  return false;
}

// "nhwc+transpose": declared channels last, a Transpose restores; "nhwc": declared so, nothing
// restores; "no_transpose": the Transpose that the source has at its input is gone, the declaration
// follows.
std::vector<std::string> LayoutArguments(const View& v, int i) {
  if (!IsUsed(v, i)) return {};
  const std::vector<DimDecl>& dims = *Input(v, i).shape;
  std::vector<std::string> arguments;
  int reader = v.OnlyReader(Input(v, i).name);
  if (reader >= 0 && PermOf(v, reader) && MovesElements(dims, *PermOf(v, reader)))
    arguments.push_back("no_transpose");
  for (const char* layout : {"nhwc", "nchw"}) {
    if (dims.size() < 3) break;
    std::vector<int64_t> perm = LayoutPerm(layout, static_cast<int>(dims.size()));
    bool declares = Permuted(dims, perm) != dims;
    if (declares || MovesElements(dims, perm))
      arguments.push_back(std::string(layout) + "+transpose");
    if (declares) arguments.push_back(layout);
  }
  return arguments;
}
Status DeclareLayout(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  ValueInfo& in = e.graph().inputs[i];
  if (argument == "no_transpose") {
    int t = v.OnlyReader(in.name);
    in.shape = Permuted(*in.shape, *PermOf(v, t));
    e.Bypass(t, in.name);
    return {};
  }
  std::string layout = argument.substr(0, 4);
  std::vector<int64_t> perm = LayoutPerm(layout, static_cast<int>(in.shape->size()));
  in.shape = Permuted(*in.shape, perm);
  if (argument == layout) return {};
  e.Behind(in.name, "input", [&](const std::string& from, const std::string& to) {
    e.AddMaking("layout", {to}, "Transpose", {from}, {Attr("perm", InversePerm(perm))});
  });
  return {};
}

// ---- ID_SPATIAL_CHANGED: axes behind the channels; "2=9" or "2=9,3=9" ----
std::vector<std::string> SpatialArguments(const View& v, int i) {
  if (!IsUsed(v, i) || Input(v, i).shape->size() < 3) return {};
  const std::vector<DimDecl>& dims = *Input(v, i).shape;
  std::vector<std::string> arguments;
  for (int factor : {1, 2}) {
    std::string all;
    for (size_t a = 2; a < dims.size(); ++a) {
      if (dims[a].value < 1 || dims[a].value > (1 << 20)) continue;
      std::string one = std::to_string(a) + "=" +
                        std::to_string(factor == 1 ? dims[a].value + 1 : 2 * dims[a].value);
      if (factor == 1) arguments.push_back(one);
      all += (all.empty() ? "" : ",") + one;
    }
    if (std::find(arguments.begin(), arguments.end(), all) == arguments.end() && !all.empty())
      arguments.push_back(all);
  }
  return arguments;
}
Status ChangeSpatial(Edit& e, int i, const std::string& argument) {
  for (const std::string& part : Fields(argument, ',')) {
    std::vector<std::string> sides = Fields(part, '=');
    (*e.graph().inputs[i].shape)[static_cast<size_t>(*ParseInt(sides[0]))] = {*ParseInt(sides[1]),
                                                                              ""};
  }
  return {};
}

// ---- ID_BATCH_FROZEN ----
std::vector<std::string> BatchArguments(const View& v, int i) {
  if (!IsUsed(v, i) || Input(v, i).shape->size() < 2) return {};
  const DimDecl& batch = (*Input(v, i).shape)[0];
  if (batch.value == 1) return {"8"};  // the export batch stayed
  return {"1"};
}
Status FreezeBatch(Edit& e, int i, const std::string& argument) {
  (*e.graph().inputs[i].shape)[0] = {*ParseInt(argument), ""};
  return {};
}

// ---- values that depend on open extents ----
// The model as the exporter's example saw it: every symbol and unnamed extent bound.
std::optional<Inference> Traced(const View& v) {
  Model bound = v.subject().model;
  bool open = false;
  for (ValueInfo& in : bound.graph.inputs) {
    if (!in.shape) return std::nullopt;
    for (DimDecl& d : *in.shape) {
      open |= d.value < 0;
      if (d.value < 0) d = {kExampleExtent, ""};
    }
  }
  if (!open) return std::nullopt;
  Result<Inference> known = Infer(bound);
  if (!known.ok()) return std::nullopt;
  return std::move(known).value();
}
const Tensor* TracedConstant(const std::optional<Inference>& traced, const View& v,
                             const std::string& value) {
  if (!traced || v.Constant(value)) return nullptr;
  auto it = traced->constants.find(value);
  return it == traced->constants.end() ? nullptr : &it->second;
}
bool HasOpenInput(const View& v) {
  for (const ValueInfo& in : v.graph().inputs) {
    const TypeInfo* t = v.Type(in.name);
    if (!t || !t->Static()) return true;
  }
  return false;
}

std::vector<std::string> ShapeFoldArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Shape", "Size"}) || !HasOpenInput(v)) return {};
  if (v.Constant(v.node(i).outputs[0]) || v.IsOutput(v.node(i).outputs[0])) return {};
  return {std::to_string(kExampleExtent)};
}
Status FoldShape(Edit& e, int i, const std::string&) {
  const std::string& out = e.view().node(i).outputs[0];
  std::optional<Inference> traced = Traced(e.view());
  const Tensor* t = TracedConstant(traced, e.view(), out);
  if (!t) return DoesNotApply("the shape stays open with the example's extents");
  e.Bypass(i, e.Constant("traced", *t));
  return {};
}

// "traced": the other operand follows from open extents; "x2": a scalar that was right at half the
// size.
std::vector<std::string> ScaleArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Mul", "Div"})) return {};
  const Node& n = v.node(i);
  std::optional<WithConstant> c = ConstantOperand(v, i);
  if (c && IsFloatTensor(c->constant) && ScalarOf(c->constant).value_or(0) != 0) return {"x2"};
  if (c || !HasOpenInput(v)) return {};
  std::optional<Inference> traced = Traced(v);
  for (size_t k : {size_t{1}, size_t{0}}) {
    if (TracedConstant(traced, v, n.inputs[k])) return {"traced" + std::to_string(k)};
  }
  return {};
}
Status FreezeScale(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  if (argument == "x2") {
    WithConstant c = *ConstantOperand(v, i);
    std::optional<Tensor> t =
        Rounded(c.constant->dtype(), c.constant->shape(), {2 * c.constant->AsDouble(0)});
    if (!t) return DoesNotApply();
    e.PutConstant(i, c.constant_at, "traced", *t);
    return {};
  }
  size_t k = argument.back() == '1' ? 1 : 0;
  std::optional<Inference> traced = Traced(v);
  e.Reroute(i, k, e.Constant("traced", *TracedConstant(traced, v, v.node(i).inputs[k])));
  return {};
}

}  // namespace

std::vector<Transform> faults_id() {
  std::vector<Transform> rows;
  rows.push_back(OnInputs(
      {.name = "ID_LAYOUT_DECL",
       .doc = "An input is declared channels last instead of first or back, with a Transpose "
              "that restores it (+transpose), without, or without the one that was there.",
       .cite = "onnx/tensorflow-onnx#1986; PINTO0309/tflite2tensorflow#26",
       .precondition = "extents differ (the interface shows it) or elements change places",
       .ops = "graph.input,Transpose",
       .example = R"(
graph(float[1,4,4,4] x) -> (float[1,4,4,4] y) {
  y = Relu(x)
})"},
      LayoutArguments, DeclareLayout));
  rows.push_back(
      OnInputs({.name = "ID_SPATIAL_CHANGED",
                .doc = "The declared height or width of an input changes; the weights stay.",
                .cite = "MPolaris/onnx2tflite#98",
                .precondition = "the network takes other spatial extents",
                .ops = "graph.input",
                .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,1,1] y) {
  y = GlobalAveragePool(x)
})"},
               SpatialArguments, ChangeSpatial));
  rows.push_back(
      OnInputs({.name = "ID_BATCH_FROZEN",
                .doc = "The batch extent of an input is frozen at that of the export.",
                .cite = "pytorch/pytorch#157621; pytorch/pytorch#82330; roboflow/rf-detr#949",
                .precondition = "the batch was open or another number",
                .ops = "graph.input,Reshape,Tile,Expand",
                .example = R"(
graph(float[N,3] x) -> (float[N,3] y) {
  y = Relu(x)
})"},
               BatchArguments, FreezeBatch));
  rows.push_back(OnNodes(
      {.name = "ID_SHAPE_FOLDED",
       .doc = "Shape of a value with open extents becomes the constant of the example input.",
       .cite = "pytorch/pytorch#43795",
       .precondition = "an open extent; wrong only for other sizes",
       .ops = "Shape,Gather,Constant",
       .example = R"(
graph(float[N,3] x) -> (float[N] y) {
  s = Shape(x)
  z = int64[1] {0}
  n = Gather(s, z) {axis=0}
  one = float[1] {1}
  y = Expand(one, n)
})"},
      ShapeFoldArguments, FoldShape));
  rows.push_back(
      OnNodes({.name = "ID_SCALE_TRACED_CONST",
               .doc = "A scale that depends on the input size is the constant that tracing saw.",
               .cite = "pytorch/pytorch#33443",
               .precondition = "the scale is not 0",
               .ops = "Mul,Div,Constant",
               .example = R"(
graph(float[1,4] x) -> (float[1,4] y) {
  s = float[] {0.5}
  y = Mul(x, s)
})"},
              ScaleArguments, FreezeScale));
  return rows;
}

}  // namespace assay
