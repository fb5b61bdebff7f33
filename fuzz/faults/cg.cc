// CG: faults of the graph: nodes lost, swapped, frozen.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

constexpr double kConstantOfMatrix = 5;  // openvinotoolkit/openvino#30996: "all outputs 5"
constexpr int64_t kMaxFrozen = 1 << 16;  // elements of a value that becomes a constant

// Does dropping node i leave everything as it was?
bool IsNoOp(const View& v, int i) {
  if (v.IsAny(i, {"Identity", "Dropout", "Cast", "Reshape", "Expand", "Squeeze", "Unsqueeze",
                  "Flatten", "Constant"})) {
    return v.SameType(v.node(i).inputs.empty() ? "" : v.node(i).inputs[0], v.node(i).outputs[0]);
  }
  if (v.Is(i, "Transpose")) return PermOf(v, i) && IsIdentityPerm(*PermOf(v, i));
  if (v.IsAny(i, {"Concat", "Sum", "Max", "Min"})) return v.node(i).inputs.size() == 1;
  return false;
}

// ---- CG_NODE_DROPPED: the input that takes the place of the first output ----
std::vector<std::string> DropArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.outputs.empty() || n.outputs[0].empty() || v.Constant(n.outputs[0]) || IsNoOp(v, i))
    return {};
  for (size_t o = 1; o < n.outputs.size(); ++o) {
    if (v.IsOutput(n.outputs[o]) || !v.Readers(n.outputs[o]).empty()) return {};
  }
  std::vector<std::string> arguments;
  for (size_t k = 0; k < n.inputs.size(); ++k) {
    if (!n.HasInput(k) || v.Constant(n.inputs[k])) continue;
    bool type = v.ElementType(n.inputs[k]) == v.ElementType(n.outputs[0]);
    int rank = v.Rank(n.outputs[0]);
    if (type && rank >= 0 && rank == v.Rank(n.inputs[k])) arguments.push_back(std::to_string(k));
  }
  return arguments;
}
Status DropNode(Edit& e, int i, const std::string& argument) {
  e.Bypass(i, e.view().node(i).inputs[static_cast<size_t>(*ParseInt(argument))]);
  return {};
}

// ---- CG_IDEMPOTENT: the second of two nodes that look alike, but do not make the second a no-op
// ----
std::vector<std::string> IdempotentArguments(const View& v, int i) {
  if (v.node(i).inputs.empty() || !v.SameType(v.node(i).inputs[0], v.node(i).outputs[0])) return {};
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || v.node(j).outputs[0] != v.node(i).inputs[0]) return {};
  auto rectifies = [&](int k) {
    return v.IsAny(k, {"Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "Tanh",
                       "HardSigmoid", "PRelu", "HardSwish", "Softplus", "Softsign"});
  };
  bool both = (rectifies(i) && rectifies(j)) || v.node(i).op == v.node(j).op;
  if (!both || !(IsPointwise(v, i) || v.IsAny(i, {"Softmax", "PRelu"}))) return {};
  bool same = v.node(i).op == v.node(j).op;
  if (same && v.IsAny(i, {"Relu", "Abs", "Identity", "Round", "Ceil", "Floor", "Sign"})) return {};
  return {"second"};
}
Status DropSecond(Edit& e, int i, const std::string&) {
  e.Bypass(i, e.view().node(i).inputs[0]);
  return {};
}

// ---- CG_CONSTANT_OF_MATRIX ----
std::vector<std::string> ConstantArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.outputs.size() != 1 || v.Constant(n.outputs[0]) || !IsFloat(v.ElementType(n.outputs[0])))
    return {};
  std::optional<Shape> shape = v.Extents(n.outputs[0]);
  if (!shape || ElementCount(*shape) < 1 || ElementCount(*shape) > kMaxFrozen) return {};
  return {"5"};
}
Status Freeze(Edit& e, int i, const std::string&) {
  const std::string& y = e.view().node(i).outputs[0];
  Shape shape = *e.view().Extents(y);
  std::vector<double> values(static_cast<size_t>(ElementCount(shape)), kConstantOfMatrix);
  e.Bypass(i, e.Constant("constant", *Rounded(e.view().ElementType(y), shape, values)));
  return {};
}

// ---- CG_EMBEDDING_SEQ: a node and the one before it in the other order ----
bool KeepsType(const View& v, int i) {
  if (v.node(i).inputs.empty() || v.node(i).outputs.size() != 1) return false;
  if (!v.SameType(v.node(i).inputs[0], v.node(i).outputs[0])) return false;
  return IsPointwise(v, i) || BatchNormOf(v, i) ||
         v.IsAny(i, {"Softmax", "LogSoftmax", "InstanceNormalization"}) ||
         (ConstantOperand(v, i) && ConstantOperand(v, i)->data == v.node(i).inputs[0] &&
          v.IsAny(i, {"Add", "Sub", "Mul", "Div", "PRelu", "Pow", "Max", "Min"}));
}
bool SameNode(const Node& a, const Node& b) {
  if (a.op != b.op || a.attrs.size() != b.attrs.size()) return false;
  for (size_t k = 0; k < a.attrs.size(); ++k) {
    if (a.attrs[k].name != b.attrs[k].name || !SameAttr(a.attrs[k].value, b.attrs[k].value))
      return false;
  }
  return std::equal(a.inputs.begin() + 1, a.inputs.end(), b.inputs.begin() + 1, b.inputs.end());
}
std::vector<std::string> OrderArguments(const View& v, int i) {
  if (!KeepsType(v, i)) return {};
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || !KeepsType(v, j) || v.OnlyReader(v.node(i).inputs[0]) != i ||
      SameNode(v.node(i), v.node(j)))
    return {};
  // Constants that broadcast with the shape between serve both places: the type is the same.
  return {"swap"};
}
Status SwapOrder(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  int j = v.Maker(v.node(i).inputs[0]);
  Node first = e.Copy(i), second = e.Copy(j);
  std::swap(first.name, second.name);
  std::swap(first.inputs[0], second.inputs[0]);
  std::swap(first.outputs, second.outputs);
  e.Put(j, std::move(first));
  e.Put(i, std::move(second));
  return {};
}

// ---- CG_LOGIC_MASK ----
std::vector<std::string> MaskArguments(const View& v, int i) {
  if (v.Is(i, "And")) return {"Or"};
  if (v.Is(i, "Or")) return {"And"};
  if (v.Is(i, "Not")) return {"drop"};
  if (v.Is(i, "Where") && v.node(i).inputs[1] != v.node(i).inputs[2]) return {"branches"};
  return {};
}
Status ChangeMask(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument == "drop") {
    e.Bypass(i, n.inputs[0]);
    return {};
  }
  if (argument == "branches")
    std::swap(n.inputs[1], n.inputs[2]);
  else
    n.op = argument;
  e.Put(i, std::move(n));
  return {};
}

// ---- CG_TRACED_BRANCH: Where frozen to the branch that tracing saw ----
std::vector<std::string> BranchArguments(const View& v, int i) {
  if (!v.Is(i, "Where") || v.Constant(v.node(i).outputs[0]) ||
      v.node(i).inputs[1] == v.node(i).inputs[2])
    return {};
  std::vector<std::string> arguments;
  for (int k : {1, 2}) {
    if (v.SameType(v.node(i).inputs[k], v.node(i).outputs[0]))
      arguments.push_back(std::to_string(k));
  }
  return arguments;
}

// ---- CG_COND_BRANCH ----
std::vector<std::string> IfArguments(const View& v, int i) {
  bool both = v.Is(i, "If") && v.node(i).Find("then_branch") && v.node(i).Find("else_branch");
  return both ? std::vector<std::string>{"swap"} : std::vector<std::string>{};
}
Status SwapBranches(Edit& e, int i, const std::string&) {
  Node n = e.Copy(i);
  AttrValue then_branch = *n.Find("then_branch"), else_branch = *n.Find("else_branch");
  n.Set("then_branch", else_branch);
  n.Set("else_branch", then_branch);
  e.Put(i, std::move(n));
  return {};
}

// ---- CG_SCATTER_REDUCTION ----
std::vector<std::string> ScatterArguments(const View& v, int i) {
  if (!v.IsAny(i, {"ScatterElements", "ScatterND"}) ||
      v.node(i).String("reduction", "none") == "none")
    return {};
  return {"none"};
}
Status Overwrite(Edit& e, int i, const std::string&) {
  Node n = e.Copy(i);
  n.Erase("reduction");
  e.Put(i, std::move(n));
  return {};
}

std::vector<Transform> Lost() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "CG_NODE_DROPPED",
                          .doc = "A node is lost; one of its inputs takes the place of its output.",
                          .cite = "PINTO0309/onnx2tf#182; onnx/tensorflow-onnx#1532",
                          .precondition = "same element type and rank; the node is no no-op",
                          .ops = "any",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  h = Relu(x)
  y = Sigmoid(h)
})"},
                         DropArguments, DropNode));
  rows.push_back(
      OnNodes({.name = "CG_IDEMPOTENT",
               .doc = "The second of two operators is removed as idempotent though it is not.",
               .cite = "onnx/optimizer#259",
               .precondition = "another operator, or one that changes its own results",
               .ops = "Relu,Clip,LeakyRelu,Sigmoid,Tanh,Softmax",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  h = LeakyRelu(x) {alpha=0.2}
  y = LeakyRelu(h) {alpha=0.3}
})"},
              IdempotentArguments, DropSecond));
  rows.push_back(OnNodes({.name = "CG_CONSTANT_OF_MATRIX",
                          .doc = "A result becomes a constant (every element 5).",
                          .cite = "openvinotoolkit/openvino#30996; pytorch/pytorch#43283",
                          .precondition = "static extents",
                          .ops = "any",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  y = Exp(x)
})"},
                         ConstantArguments, Freeze));
  rows.push_back(OnNodes({.name = "CG_EMBEDDING_SEQ",
                          .doc = "Two operators run in the other order.",
                          .cite = "pytorch/pytorch#20329",
                          .precondition = "both keep the type and do not commute",
                          .ops = "any",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  h = Exp(x)
  y = Sigmoid(h)
})"},
                         OrderArguments, SwapOrder));
  return rows;
}

std::vector<Transform> Branches() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "CG_LOGIC_MASK",
                          .doc = "And for Or or back, a Not lost, the branches of Where exchanged.",
                          .cite = "pytorch/pytorch#34054",
                          .precondition = "the mask is not all one value",
                          .ops = "And,Or,Not,Where",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  z = float[] {0}
  m = Less(x, z)
  y = Where(m, x, z)
})"},
                         MaskArguments, ChangeMask));
  rows.push_back(OnNodes({.name = "CG_TRACED_BRANCH",
                          .doc = "Where is frozen to the branch that tracing saw.",
                          .cite = "wenet-e2e/wenet#1651; pytorch/pytorch#80973",
                          .precondition = "the branch has the type of the result",
                          .ops = "Where",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  z = float[] {0}
  m = Less(x, z)
  y = Where(m, x, z)
})"},
                         BranchArguments, DropNode));
  rows.push_back(OnNodes({.name = "CG_SCATTER_REDUCTION",
                          .doc = "A scatter that reduces overwrites instead (reduction none).",
                          .cite = "pytorch/pytorch#91357; pytorch/pytorch#32960",
                          .precondition = "data differs from what is written",
                          .ops = "ScatterElements,ScatterND",
                          .example = R"(
graph(float[3] x) -> (float[3] y) {
  i = int64[2,1] {0, 2}
  u = float[2] {5, 7}
  y = ScatterND(x, i, u) {reduction="add"}
})"},
                         ScatterArguments, Overwrite));
  if (KnownOp("", "If")) {
    rows.push_back(OnNodes({.name = "CG_COND_BRANCH",
                            .doc = "The branches of If are exchanged.",
                            .cite = "onnx/tensorflow-onnx#304",
                            .precondition = "the branches differ",
                            .ops = "If"},
                           IfArguments, SwapBranches));
  }
  return rows;
}

}  // namespace

std::vector<Transform> faults_cg() {
  std::vector<Transform> rows = Lost();
  for (Transform& r : Branches()) rows.push_back(std::move(r));
  return rows;
}

}  // namespace assay
