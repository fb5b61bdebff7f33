// Rewrites of Transpose: composed and split (B10), the inside of a graph in another layout (B11),
// Transpose against Reshape (B12).
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

std::vector<int64_t> Reversal(int rank) {
  std::vector<int64_t> perm;
  for (int a = rank; a-- > 0;) perm.push_back(a);
  return perm;
}
// The permutation of Transpose(Transpose(x, first), second).
std::vector<int64_t> Compose(const std::vector<int64_t>& first,
                             const std::vector<int64_t>& second) {
  std::vector<int64_t> both;
  for (int64_t p : second) both.push_back(first[p]);
  return both;
}

// ---- B10 ----
std::vector<std::string> ComposeArguments(const View& v, int i) {
  std::vector<std::string> arguments;
  std::optional<std::vector<int64_t>> perm = PermOf(v, i);
  if (perm) {
    int j = v.Maker(v.node(i).inputs[0]);
    if (j >= 0 && PermOf(v, j)) arguments.push_back("compose");
    if (perm->size() >= 2) arguments.push_back("split");
  }
  const Node& n = v.node(i);
  bool value = !n.outputs.empty() && !n.outputs[0].empty() && !v.Constant(n.outputs[0]);
  if (value && v.Rank(n.outputs[0]) >= 2) arguments.push_back("insert");
  return arguments;
}
Status RewriteTransposes(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  if (argument == "insert") {
    std::vector<int64_t> perm = Reversal(v.Rank(n.outputs[0]));
    e.Behind(n.outputs[0], "before", [&](const std::string& in, const std::string& out) {
      AddTranspose(e, "back", AddTranspose(e, "there", in, perm), InversePerm(perm), {out});
    });
    return {};
  }
  std::vector<int64_t> perm = *PermOf(v, i);
  if (argument == "split") {
    std::vector<int64_t> first = Reversal(static_cast<int>(perm.size()));
    e.Remove(i);
    std::string half = AddTranspose(e, "first", n.inputs[0], first);
    AddTranspose(e, "second", half, Compose(InversePerm(first), perm), {n.outputs[0]});
    return {};
  }
  int j = v.Maker(n.inputs[0]);
  const std::string& x = v.node(j).inputs[0];
  std::vector<int64_t> both = Compose(*PermOf(v, j), perm);
  if (IsIdentityPerm(both)) {
    e.Bypass(i, x);
    return {};
  }
  e.Remove(i);
  AddTranspose(e, "composed", x, both, {n.outputs[0]});
  return {};
}

// ---- B12 ----
// The permutation that a Reshape is when it only moves axes of extent 1.
std::optional<std::vector<int64_t>> ReshapePerm(const View& v, int i) {
  if (!v.Is(i, "Reshape")) return std::nullopt;
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]), y = v.Extents(v.node(i).outputs[0]);
  if (!x || !y || x->size() != y->size() || *x == *y) return std::nullopt;
  std::vector<int64_t> ones, others, perm;
  for (size_t a = 0; a < x->size(); ++a)
    ((*x)[a] == 1 ? ones : others).push_back(static_cast<int64_t>(a));
  size_t one = 0, other = 0;
  for (int64_t extent : *y) {
    std::vector<int64_t>& from = extent == 1 ? ones : others;
    size_t& at = extent == 1 ? one : other;
    if (at == from.size() || (*x)[from[at]] != extent) return std::nullopt;
    perm.push_back(from[at++]);
  }
  return perm;
}
std::vector<std::string> ReshapeArguments(const View& v, int i) {
  if (std::optional<std::vector<int64_t>> perm = PermOf(v, i)) {
    int64_t last = -1;
    for (int64_t p : *perm) {
      if (v.Extent(v.node(i).inputs[0], static_cast<int>(p)) == 1) continue;
      if (p < last) return {};
      last = p;
    }
    return ReshapeTarget(v, v.node(i).outputs[0]) ? std::vector<std::string>{"reshape"}
                                                  : std::vector<std::string>{};
  }
  return ReshapePerm(v, i) ? std::vector<std::string>{"transpose"} : std::vector<std::string>{};
}
Status RewriteReshape(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  if (argument == "reshape") {
    AddReshape(e, "reshape", n.inputs[0], *ReshapeTarget(e.view(), n.outputs[0]), {n.outputs[0]});
  } else {
    AddTranspose(e, "transpose", n.inputs[0], *ReshapePerm(e.view(), i), {n.outputs[0]});
  }
  return {};
}

// ---- B11: Transpose, the node with permuted axes, attributes and constants, Transpose back ----
Tensor Permuted(const Tensor& t, const std::vector<int64_t>& perm) {
  Shape shape, strides = Strides(t.shape());
  for (int64_t p : perm) shape.push_back(t.dim(static_cast<int>(p)));
  Tensor out = Tensor::Make(t.dtype(), shape).value();
  Shape at(shape.size(), 0);
  int64_t from = 0, bytes = t.element_bytes();
  for (int64_t i = 0; i < out.size(); ++i) {
    std::copy_n(t.raw() + from * bytes, bytes, out.mutable_raw() + i * bytes);
    for (size_t d = shape.size(); d-- > 0;) {
      from += strides[perm[d]];
      if (++at[d] < shape[d]) break;
      from -= strides[perm[d]] * shape[d];
      at[d] = 0;
    }
  }
  return out;
}
int64_t NewAxis(const std::vector<int64_t>& perm, int64_t axis) { return InversePerm(perm)[axis]; }

bool IsElementwiseBinary(const View& v, int i) {
  return v.node(i).inputs.size() == 2 &&
         v.IsAny(i, {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "PRelu"});
}
bool HasAxis(const View& v, int i) {
  return v.Is(i, "Concat") || (v.IsAny(i, {"Softmax", "LogSoftmax", "Hardmax"}) && v.opset() >= 13);
}
bool IsWindow2d(const View& v, int i) {
  bool op = v.IsAny(i, {"Conv", "MaxPool", "AveragePool"}) && v.node(i).outputs.size() == 1;
  std::optional<Window> w = op ? WindowOf(v, i) : std::nullopt;
  if (!w || w->axes() != 2 || (v.Is(i, "Conv") && !v.ConstantInput(i, 1))) return false;
  return w->auto_pad == "NOTSET" || w->auto_pad == "VALID";
}
// Operands that a permuted node can take: of full rank, or constants that broadcast.
bool OperandsPermute(const View& v, int i, int rank) {
  for (size_t k = 0; k < v.node(i).inputs.size(); ++k) {
    const Tensor* c = v.ConstantInput(i, k);
    int own = v.Rank(v.node(i).inputs[k]);
    if (own < 0 || own > rank || (own < rank && !c) || (c && c->dtype() == DType::kString))
      return false;
  }
  return true;
}
std::vector<std::string> LayoutArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.outputs.size() != 1 || n.inputs.empty() || v.Constant(n.outputs[0])) return {};
  int rank = v.Rank(n.outputs[0]);
  if (rank < 2 || rank != v.Rank(n.inputs[0])) {
    // The first operand may be a constant that broadcasts.
    if (rank < 2 || !IsElementwiseBinary(v, i)) return {};
  }
  if (IsWindow2d(v, i)) return {"0,1,3,2"};
  bool fits = IsPointwise(v, i) ||
              ((IsElementwiseBinary(v, i) || HasAxis(v, i)) && OperandsPermute(v, i, rank));
  if (v.Is(i, "PRelu") && !v.ConstantInput(i, 1)) fits = false;
  std::optional<ReducedAxes> r = ReductionOf(v, i);
  fits |= r && r->keepdims && !r->noop;
  if (!fits) return {};
  std::vector<int64_t> perm = {0};
  for (int a = 2; a < rank; ++a) perm.push_back(a);
  perm.insert(perm.end(), 1, 1);
  if (rank == 2) perm = {1, 0};
  return {Join(perm)};
}

// Swaps the two spatial axes of a Conv or pool.
void SwapSpatial(Edit& e, int i, Node* n) {
  Window w = *WindowOf(e.view(), i);
  n->Set("strides", std::vector<int64_t>{w.strides[1], w.strides[0]});
  if (n->Find("dilations"))
    n->Set("dilations", std::vector<int64_t>{w.dilations[1], w.dilations[0]});
  if (n->Find("kernel_shape"))
    n->Set("kernel_shape", std::vector<int64_t>{w.kernel[1], w.kernel[0]});
  SetPads(n, {w.pads[1], w.pads[0], w.pads[3], w.pads[2]});
  if (e.view().Is(i, "Conv")) {
    n->inputs[1] = e.Constant("weight", Permuted(*e.view().ConstantInput(i, 1), {0, 1, 3, 2}));
  }
}
void PermuteOperands(Edit& e, int i, const std::vector<int64_t>& perm, Node* n) {
  bool pointwise = IsPointwise(e.view(), i);
  for (size_t k = 0; k < n->inputs.size(); ++k) {
    if (!n->HasInput(k) || (pointwise && k > 0)) continue;
    const Tensor* c = e.view().ConstantInput(i, k);
    std::string what = "in" + std::to_string(k);
    if (!c) {
      n->inputs[k] = AddTranspose(e, what, n->inputs[k], perm);
      continue;
    }
    Shape full(perm.size() - c->shape().size(), 1);
    full.insert(full.end(), c->shape().begin(), c->shape().end());
    if (c->size() != 1) n->inputs[k] = e.Constant(what, Permuted(c->Reshaped(full), perm));
  }
}
Status Sandwich(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  std::vector<int64_t> perm = *ParseInts(argument);
  Node n = e.Copy(i);
  int rank = static_cast<int>(perm.size());
  if (IsWindow2d(v, i)) {
    n.inputs[0] = AddTranspose(e, "in", n.inputs[0], perm);
    SwapSpatial(e, i, &n);
  } else if (std::optional<ReducedAxes> r = ReductionOf(v, i)) {
    std::vector<int64_t> axes;
    for (int64_t a : r->axes) axes.push_back(NewAxis(perm, a));
    std::sort(axes.begin(), axes.end());
    std::string y =
        AddReduce(e, "reduce", n.op, AddTranspose(e, "in", n.inputs[0], perm), axes, true);
    e.Remove(i);
    AddTranspose(e, "out", y, InversePerm(perm), {n.outputs[0]});
    return {};
  } else {
    if (HasAxis(v, i)) n.Set("axis", NewAxis(perm, NormalizedAxis(n.Int("axis", -1), rank)));
    PermuteOperands(e, i, perm, &n);
  }
  std::string y = n.outputs[0];
  n.outputs[0] = e.Fresh("permuted");
  std::string permuted = n.outputs[0];
  e.Put(i, std::move(n));
  e.At(i + 1);
  AddTranspose(e, "out", permuted, InversePerm(perm), {y});
  return {};
}

}  // namespace

std::vector<Transform> rewrites_transpose() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "B10",
       .doc = "Two Transposes composed, inverse pairs cancelled (compose); one split in two "
              "(split); an "
              "inverse pair put behind a node (insert).",
       .cite = "luludak/DiTOX passes.txt: fuse_consecutive_transposes, eliminate_nop_transpose",
       .precondition = "none: the composition is p[q]",
       .ops = "Transpose",
       .example = R"(
graph(float[2,3,4] x) -> (float[4,2,3] y) {
  t = Transpose(x) {perm=[1,0,2]}
  y = Transpose(t) {perm=[2,1,0]}
})"},
      ComposeArguments, RewriteTransposes));
  rows.push_back(OnNodes(
      {.name = "B11",
       .doc = "A node in another layout: Transpose, the node with permuted axes, attributes and "
              "constants, Transpose back.",
       .cite = "onnx/onnx#5460; onnx/tensorflow-onnx#1729",
       .precondition = "elementwise, Concat, Softmax-13, Reduce* with keepdims, 2-d Conv and pools",
       .ops = "Transpose,Conv,Concat,Softmax,Reduce*",
       .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  c = float[3,1,1] {1, 2, 3}
  m = Mul(x, c)
  y = Softmax(m) {axis=1}
})"},
      LayoutArguments, Sandwich));
  rows.push_back(
      OnNodes({.name = "B12",
               .doc = "A Transpose that only moves axes of extent 1 as Reshape, and back.",
               .cite = "onnx/tensorflow-onnx#1729",
               .precondition = "the axes longer than 1 keep their order",
               .ops = "Transpose,Reshape",
               .example = R"(
graph(float[1,3,1,2] x) -> (float[3,1,1,2] y) {
  t = Transpose(x) {perm=[0,2,1,3]}
  s = int64[4] {3, 1, 1, 2}
  y = Reshape(t, s)
})"},
              ReshapeArguments, RewriteReshape));
  return rows;
}

}  // namespace assay
