// Rewrites by laws of arithmetic: analytic identities (B52), reassociation and commutation (B53).
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

bool IsReal(const View& v, const std::string& value) {
  DType t = v.ElementType(value);
  return t == DType::kFloat || t == DType::kDouble;
}

// ---- B52 ----
// The axis of the Softmax that alone feeds Log i; -1: none.
int SoftmaxBefore(const View& v, int i) {
  if (!v.Is(i, "Log")) return -1;
  int j = v.Maker(v.node(i).inputs[0]);
  return j >= 0 && v.Is(j, "Softmax") ? j : -1;
}
// The constant divisor's reciprocals, rounded once.
std::optional<Tensor> Reciprocals(const View& v, int i) {
  std::optional<WithConstant> c = v.Is(i, "Div") ? ConstantOperand(v, i) : std::nullopt;
  if (!c || c->constant_at != 1 || !IsFloatTensor(c->constant)) return std::nullopt;
  std::vector<double> values = Doubles(*c->constant);
  for (double& x : values) x = 1 / x;
  return Rounded(c->constant->dtype(), c->constant->shape(), values);
}
Strings IdentityArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.inputs.empty() || !IsReal(v, n.inputs[0]) || n.outputs.empty()) return {};
  if (v.Is(i, "Sigmoid")) return {"exp"};
  if (v.Is(i, "Sub")) return {"neg"};
  if (v.Is(i, "Reciprocal")) return {"div"};
  if (v.Is(i, "Neg")) return {"minus"};
  if (v.Is(i, "Sqrt")) return {"pow"};
  if (SoftmaxBefore(v, i) >= 0) return {"logsoftmax"};
  if (Reciprocals(v, i)) return {"reciprocal"};
  if (v.Is(i, "Mul") && n.inputs[0] == n.inputs[1]) return {"pow"};
  bool square = v.Is(i, "Pow") && ScalarOf(v.ConstantInput(i, 1)) == 2.0 &&
                v.SameType(n.inputs[0], n.outputs[0]);
  return square ? Strings{"mul"} : Strings{};
}
Status RewriteIdentity(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  const std::string& x = n.inputs[0];
  DType t = v.ElementType(x);
  Into y{n.outputs[0]};
  e.Remove(i);
  if (argument == "exp") {  // 1 / (1 + exp(-x))
    std::string exp = e.Add("exp", "Exp", {e.Add("neg", "Neg", {x})});
    std::string one = AddScalar(e, "one", t, 1);
    AddNode(e, "div", "Div", {one, e.Add("add", "Add", {exp, one})}, {}, y);
  } else if (argument == "neg") {
    AddNode(e, "add", "Add", {x, e.Add("neg", "Neg", {n.inputs[1]})}, {}, y);
  } else if (argument == "div") {
    AddNode(e, "div", "Div", {AddScalar(e, "one", t, 1), x}, {}, y);
  } else if (argument == "minus") {
    AddNode(e, "mul", "Mul", {x, AddScalar(e, "minus", t, -1)}, {}, y);
  } else if (argument == "pow") {
    AddNode(e, "pow", "Pow", {x, AddScalar(e, "exponent", t, v.Is(i, "Sqrt") ? 0.5 : 2)}, {}, y);
  } else if (argument == "mul") {
    AddNode(e, "mul", "Mul", {x, x}, {}, y);
  } else if (argument == "reciprocal") {
    AddNode(e, "mul", "Mul", {x, e.Constant("reciprocal", *Reciprocals(v, i))}, {}, y);
  } else {
    const Node& softmax = v.node(SoftmaxBefore(v, i));
    AddNode(e, "logsoftmax", "LogSoftmax", {softmax.inputs[0]}, softmax.attrs, y);
  }
  return {};
}

// ---- B53 ----
Strings AssociateArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.inputs.size() != 2 ||
      !v.IsAny(i, {"Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal"}))
    return {};
  Strings arguments;
  if (n.inputs[0] != n.inputs[1]) arguments.push_back("commute");
  if (!v.IsAny(i, {"Add", "Mul", "Max", "Min"})) return arguments;
  for (size_t k : {size_t{0}, size_t{1}}) {
    int j = v.Maker(n.inputs[k]);
    bool chain = j >= 0 && v.node(j).op == n.op && v.node(j).inputs.size() == 2 &&
                 v.OnlyReader(n.inputs[k]) == i;
    if (chain) arguments.push_back(k == 0 ? "left" : "right");
  }
  return arguments;
}
// (a op b) op c -> a op (b op c), and the mirror image.
Status Reassociate(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument == "commute") {
    std::swap(n.inputs[0], n.inputs[1]);
    e.Put(i, std::move(n));
    return {};
  }
  bool left = argument == "left";
  const Node& inner = e.view().node(e.view().Maker(n.inputs[left ? 0 : 1]));
  if (left) {
    n.inputs = {inner.inputs[0], e.Add("inner", n.op, {inner.inputs[1], n.inputs[1]}, n.attrs)};
  } else {
    n.inputs = {e.Add("inner", n.op, {n.inputs[0], inner.inputs[0]}, n.attrs), inner.inputs[1]};
  }
  e.Put(i, std::move(n));
  return {};
}

}  // namespace

std::vector<Transform> rewrites_algebra() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "B52",
               .doc = "Analytic identities: Log(Softmax) = LogSoftmax, Sigmoid = 1/(1+exp(-x)), a "
                      "- b = a + (-b), "
                      "division by a constant as product, squares, roots and reciprocals.",
               .cite = "uncited; luludak/DiTOX passes.txt: fuse_consecutive_log_softmax",
               .precondition = "floating point; reciprocals are finite",
               .ops = "LogSoftmax,Sigmoid,Sub,Div,Sqrt,Pow,Neg,Reciprocal",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  c = float[3] {3, 0.7, -2}
  s = Sigmoid(x)
  d = Div(s, c)
  e = Sub(d, x)
  f = Softmax(e)
  y = Log(f)
})"},
              IdentityArguments, RewriteIdentity));
  rows.push_back(OnNodes({.name = "B53",
                          .doc = "Chains of Add, Mul, Max or Min reassociated; operands exchanged.",
                          .cite = "onnx/optimizer#255",
                          .precondition = "no other reader of the inner node",
                          .ops = "Add,Mul,Max,Min,And,Or,Xor,Equal",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  c = float[3] {3, 0.7, -2}
  r = Abs(x)
  h = Add(x, c)
  y = Add(h, r)
})"},
                         AssociateArguments, Reassociate));
  return rows;
}

}  // namespace assay
