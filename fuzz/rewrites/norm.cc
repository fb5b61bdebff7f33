// Rewrites of normalizations: LayerNormalization (B21), InstanceNormalization (B44), the axis of
// Softmax (B31).
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

bool OneOutput(const Node& n) {
  return std::all_of(n.outputs.begin() + 1, n.outputs.end(),
                     [](const std::string& o) { return o.empty(); });
}
// (x - mean) / sqrt(mean of squares + epsilon) over `axes`; returns its name.
std::string AddNormalized(Edit& e, const std::string& x, const std::vector<int64_t>& axes, DType t,
                          float epsilon, bool pow, const Into& into) {
  std::string mean = AddReduce(e, "mean", "ReduceMean", x, axes, true);
  std::string centred = e.Add("sub", "Sub", {x, mean});
  std::string squared = pow ? e.Add("square", "Pow", {centred, AddScalar(e, "two", t, 2)})
                            : e.Add("square", "Mul", {centred, centred});
  std::string var = AddReduce(e, "var", "ReduceMean", squared, axes, true);
  std::string shifted = e.Add("add", "Add", {var, AddScalar(e, "epsilon", t, epsilon)});
  return AddNode(e, "div", "Div", {centred, e.Add("sqrt", "Sqrt", {shifted})}, {}, into);
}

// ---- B21 ----
struct Normalization {
  std::string x;
  int64_t axis = 0;
  float epsilon = 0;
};
// The normalization that Div i finishes, as PyTorch exports it.
std::optional<Normalization> NormalizationAt(const View& v, int i) {
  auto maker = [&](const std::string& value, const char* op) {
    int j = v.Maker(value);
    return j >= 0 && v.Is(j, op) ? j : -1;
  };
  if (!v.Is(i, "Div") || v.opset() < 17) return std::nullopt;
  const std::string& centred = v.node(i).inputs[0];
  int sub = maker(centred, "Sub"), sqrt = maker(v.node(i).inputs[1], "Sqrt");
  int add = sqrt < 0 ? -1 : maker(v.node(sqrt).inputs[0], "Add");
  std::optional<WithConstant> eps = add < 0 ? std::nullopt : ConstantOperand(v, add);
  int var = eps ? maker(eps->data, "ReduceMean") : -1;
  int mean = sub < 0 ? -1 : maker(v.node(sub).inputs[1], "ReduceMean");
  if (var < 0 || mean < 0 || v.node(mean).inputs[0] != v.node(sub).inputs[0]) return std::nullopt;
  int square = v.Maker(v.node(var).inputs[0]);
  bool squares = square >= 0 && v.node(square).inputs[0] == centred &&
                 ((v.Is(square, "Pow") && ScalarOf(v.ConstantInput(square, 1)) == 2.0) ||
                  (v.Is(square, "Mul") && v.node(square).inputs[1] == centred));
  std::optional<ReducedAxes> a = ReductionOf(v, mean), b = ReductionOf(v, var);
  std::optional<double> epsilon = ScalarOf(eps->constant);
  if (!squares || !a || !b || a->axes != b->axes || !a->keepdims || !b->keepdims || a->axes.empty())
    return std::nullopt;
  if (a->noop || b->noop || !epsilon ||
      static_cast<double>(static_cast<float>(*epsilon)) != *epsilon)
    return std::nullopt;
  int rank = v.Rank(centred);
  for (size_t k = 0; k < a->axes.size(); ++k) {  // the last axes
    if (a->axes[k] != rank - static_cast<int64_t>(a->axes.size() - k)) return std::nullopt;
  }
  return Normalization{v.node(sub).inputs[0], a->axes[0], static_cast<float>(*epsilon)};
}
// Extents of the normalised axes.
std::optional<Shape> NormalizedShape(const View& v, const std::string& x, int64_t axis) {
  Shape shape;
  for (int a = static_cast<int>(axis); a < v.Rank(x); ++a) {
    int64_t extent = v.Extent(x, a);
    if (extent < 1 || extent > (1 << 20)) return std::nullopt;
    shape.push_back(extent);
  }
  return ElementCount(shape) > 0 && ElementCount(shape) <= (1 << 20) ? std::optional<Shape>(shape)
                                                                     : std::nullopt;
}
bool IsReal(DType t) { return t == DType::kFloat || t == DType::kDouble; }

Strings LayerNormArguments(const View& v, int i) {
  if (v.Is(i, "LayerNormalization")) {
    const Node& n = v.node(i);
    int rank = v.Rank(n.inputs[0]);
    bool fits = rank > 0 && NormalizedAxis(n.Int("axis", -1), rank) >= 0 &&
                IsReal(v.ElementType(n.inputs[0]));
    return fits && OneOutput(n) ? Strings{"pow", "mul"} : Strings{};
  }
  std::optional<Normalization> n = NormalizationAt(v, i);
  return n && IsReal(v.ElementType(n->x)) && NormalizedShape(v, n->x, n->axis) ? Strings{"fuse"}
                                                                               : Strings{};
}
Status RewriteLayerNorm(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  e.Remove(i);
  DType t = v.ElementType(n.outputs[0]);
  if (argument == "fuse") {
    Normalization norm = *NormalizationAt(v, i);
    Shape shape = *NormalizedShape(v, norm.x, norm.axis);
    std::vector<double> ones(static_cast<size_t>(ElementCount(shape)), 1.0);
    e.AddMaking("layernorm", {n.outputs[0]}, "LayerNormalization",
                {norm.x, e.Constant("scale", *Rounded(t, shape, ones))},
                {Attr("axis", norm.axis), Attr("epsilon", norm.epsilon)});
    return {};
  }
  int rank = v.Rank(n.inputs[0]);
  std::vector<int64_t> axes;
  for (int64_t a = NormalizedAxis(n.Int("axis", -1), rank); a < rank; ++a) axes.push_back(a);
  std::string y =
      AddNormalized(e, n.inputs[0], axes, t, n.Float("epsilon", 1e-5f), argument == "pow", {});
  Into last{n.outputs[0]};
  y = AddNode(e, "scaled", "Mul", {y, n.inputs[1]}, {}, n.HasInput(2) ? Into{} : last);
  if (n.HasInput(2)) AddNode(e, "shifted", "Add", {y, n.inputs[2]}, {}, last);
  return {};
}

// ---- B44 ----
Strings InstanceNormArguments(const View& v, int i) {
  if (!v.Is(i, "InstanceNormalization")) return {};
  const Node& n = v.node(i);
  const Tensor *scale = v.ConstantInput(i, 1), *bias = v.ConstantInput(i, 2);
  int rank = v.Rank(n.inputs[0]);
  if (rank < 3 || !IsFloatTensor(scale) || !IsFloatTensor(bias) || !IsReal(scale->dtype()))
    return {};
  std::optional<Shape> x = v.Extents(n.inputs[0]);
  constexpr int64_t kMostInstances = 1 << 16;
  bool merges = x && ElementCount(*x) > 0 && (*x)[0] * (*x)[1] <= kMostInstances;
  return merges ? Strings{"reduce", "merge"} : Strings{"reduce"};
}
Status RewriteInstanceNorm(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  const Tensor &scale = *v.ConstantInput(i, 1), &bias = *v.ConstantInput(i, 2);
  int rank = v.Rank(n.inputs[0]);
  DType t = scale.dtype();
  float epsilon = n.Float("epsilon", 1e-5f);
  e.Remove(i);
  std::string y;
  if (argument == "reduce") {
    std::vector<int64_t> axes;
    for (int a = 2; a < rank; ++a) axes.push_back(a);
    y = AddNormalized(e, n.inputs[0], axes, t, epsilon, false, {});
  } else {  // [N,C,..] as [1,N*C,..]: the instances are channels
    Shape x = *v.Extents(n.inputs[0]), merged = {1, x[0] * x[1]};
    merged.insert(merged.end(), x.begin() + 2, x.end());
    size_t channels = static_cast<size_t>(merged[1]);
    std::string ones =
        e.Constant("ones", *Rounded(t, {merged[1]}, std::vector<double>(channels, 1.0)));
    std::string zeros =
        e.Constant("zeros", *Rounded(t, {merged[1]}, std::vector<double>(channels, 0.0)));
    y = AddReshape(e, "merged", n.inputs[0], merged);
    y = e.Add("norm", "InstanceNormalization", {y, ones, zeros}, {Attr("epsilon", epsilon)});
    y = AddReshape(e, "back", y, x);
  }
  Shape channel(static_cast<size_t>(rank - 1), 1);
  channel[0] = scale.size();
  y = e.Add("scaled", "Mul", {y, e.Constant("scale", scale.Reshaped(channel))});
  e.AddMaking("shifted", {n.outputs[0]}, "Add", {y, e.Constant("bias", bias.Reshaped(channel))});
  return {};
}

// ---- B31 ----
// "last": Transpose, Softmax along the last axis, Transpose (opset 13); "flat": the coercion of
// opset < 13 written out.
Strings SoftmaxArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Softmax", "LogSoftmax", "Hardmax"})) return {};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  int64_t axis = NormalizedAxis(v.node(i).Int("axis", v.opset() < 13 ? 1 : -1), std::max(rank, 0));
  if (axis < 0) return {};
  if (v.opset() >= 13) return axis < rank - 1 ? Strings{"last"} : Strings{};
  std::optional<Shape> shape = v.Extents(x);
  return shape && ElementCount(*shape) > 0 && rank != 2 ? Strings{"flat"} : Strings{};
}
Status RewriteSoftmax(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  int rank = v.Rank(n.inputs[0]);
  int64_t axis = NormalizedAxis(n.Int("axis", v.opset() < 13 ? 1 : -1), rank);
  e.Remove(i);
  if (argument == "flat") {
    std::string flat = e.Add("flat", "Flatten", {n.inputs[0]}, {Attr("axis", axis)});
    std::string y = e.Add("rows", n.op, {flat}, {Attr("axis", 1)});
    AddReshape(e, "back", y, *v.Extents(n.inputs[0]), {n.outputs[0]});
    return {};
  }
  std::vector<int64_t> perm;
  for (int64_t a = 0; a < rank; ++a) {
    if (a != axis) perm.push_back(a);
  }
  perm.push_back(axis);
  std::string y =
      e.Add("last", n.op, {AddTranspose(e, "moved", n.inputs[0], perm)}, {Attr("axis", -1)});
  AddTranspose(e, "back", y, InversePerm(perm), {n.outputs[0]});
  return {};
}

}  // namespace

std::vector<Transform> rewrites_norm() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "B21",
                          .doc = "LayerNormalization as ReduceMean, Sub, Pow (or Mul), ReduceMean, "
                                 "Add, Sqrt, Div, Mul, Add, "
                                 "and back (fuse).",
                          .cite = "NVIDIA/TransformerEngine#111",
                          .precondition = "mean and inverse deviation are not read; the last axes",
                          .ops = "LayerNormalization,Div",
                          .example = R"(
graph(float[2,4] x) -> (float[2,4] y) {
  s = float[4] {1, 2, 3, 4}
  b = float[4] {0.5, 0, -1, 2}
  l = LayerNormalization(x, s, b) {epsilon=0.01}
  m = ReduceMean(l) {axes=[1]}
  d = Sub(l, m)
  q = Mul(d, d)
  v = ReduceMean(q) {axes=[1]}
  e = float[] {0.001}
  a = Add(v, e)
  r = Sqrt(a)
  y = Div(d, r)
})"},
                         LayerNormArguments, RewriteLayerNorm));
  rows.push_back(OnNodes({.name = "B31",
                          .doc = "Softmax along the last axis between Transposes (last), or below "
                                 "opset 13 its coercion to "
                                 "rank 2 written out (flat).",
                          .cite = "onnx/onnx#6608; onnx/onnx#6340",
                          .precondition = "flat: known extents",
                          .ops = "Softmax,LogSoftmax,Hardmax",
                          .example = R"(
graph(float[2,3,4] x) -> (float[2,3,4] y) {
  y = Softmax(x) {axis=1}
})"},
                         SoftmaxArguments, RewriteSoftmax));
  rows.push_back(OnNodes({.name = "B44",
                          .doc = "InstanceNormalization by reductions (reduce), or over instances "
                                 "as channels with scale and "
                                 "bias behind it (merge).",
                          .cite = "uncited",
                          .precondition = "constant scale and bias; merge: known extents",
                          .ops = "InstanceNormalization",
                          .example = R"(
graph(float[2,2,2,2] x) -> (float[2,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  y = InstanceNormalization(x, s, b)
})"},
                         InstanceNormArguments, RewriteInstanceNorm));
  return rows;
}

}  // namespace assay
