// Rewrites that carry no arithmetic: pass-through nodes (B22), dead nodes (B25), spelled-out
// defaults (B30, B36), no-ops removed and inserted (B38).
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

bool HasRow(const View& v, const char* op) { return FindOp("", op, v.opset()) != nullptr; }
bool IsLiveValue(const View& v, int i) {
  const Node& n = v.node(i);
  return !n.outputs.empty() && !n.outputs[0].empty() && !v.Constant(n.outputs[0]) &&
         v.Rank(n.outputs[0]) >= 0;
}

// ---- B22 ----
// Identity, or Dropout at inference whose mask nobody reads; not between an input and an output of
// the graph.
bool PassesThrough(const View& v, int i) {
  const Node& n = v.node(i);
  if (!v.IsAny(i, {"Identity", "Dropout"}) || n.outputs[0].empty()) return false;
  if (v.IsOutput(n.outputs[0]) && v.Maker(n.inputs[0]) < 0) return false;
  if (v.IsOutput(n.outputs[0]) && v.IsOutput(n.inputs[0])) return false;
  if (v.Is(i, "Identity")) return true;
  if (n.outputs.size() > 1 && (v.IsOutput(n.outputs[1]) || !v.Readers(n.outputs[1]).empty()))
    return false;
  const Tensor* training = v.ConstantInput(i, 2);
  return !n.HasInput(2) || (training && AllEqual(*training, 0));
}
Strings PassArguments(const View& v, int i) {
  Strings arguments;
  if (PassesThrough(v, i)) arguments.push_back("remove");
  if (IsLiveValue(v, i)) {
    arguments.push_back("insert_Identity");
    if (IsFloat(v.ElementType(v.node(i).outputs[0])) && HasRow(v, "Dropout"))
      arguments.push_back("insert_Dropout");
  }
  return arguments;
}
Status RewritePass(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  if (argument == "remove") {
    e.Bypass(i, n.inputs[0]);
    return {};
  }
  e.Behind(n.outputs[0], "before", [&](const std::string& in, const std::string& out) {
    e.AddMaking("pass", {out}, argument.substr(7), {in});
  });
  return {};
}

// ---- B25 ----
bool IsDead(const View& v, int i) {
  return std::none_of(
      v.node(i).outputs.begin(), v.node(i).outputs.end(),
      [&](const std::string& o) { return !o.empty() && (v.IsOutput(o) || !v.Readers(o).empty()); });
}
Strings DeadArguments(const View& v, int i) {
  if (IsDead(v, i)) return {"remove"};
  return IsLiveValue(v, i) ? Strings{"insert_node", "insert_weight"} : Strings{};
}
Status RewriteDead(Edit& e, int i, const std::string& argument) {
  const std::string& y = e.view().node(i).outputs[0];
  if (argument == "remove") {
    e.Remove(i);
  } else if (argument == "insert_node") {
    e.At(i + 1);
    e.Add("dead", "Identity", {y});
  } else {
    e.Constant("unused", Tensor::Floats({2}, {1, 2}));
  }
  return {};
}

// ---- B30 ----
// The default of an attribute of node i, those that depend on the spatial rank included.
std::optional<AttrValue> DefaultOf(const View& v, int i, const AttrSpec& a) {
  if (a.otherwise) return a.otherwise;
  std::optional<Window> w = WindowOf(v, i);
  if (!w) return std::nullopt;
  size_t n = w->kernel.size();
  if (a.name == "strides" || a.name == "dilations") return std::vector<int64_t>(n, 1);
  if (a.name == "pads" && w->auto_pad == "NOTSET") return std::vector<int64_t>(2 * n, 0);
  if (a.name == "kernel_shape" && v.IsAny(i, {"Conv", "ConvTranspose"})) return w->kernel;
  return std::nullopt;
}
Strings DefaultArguments(const View& v, int i) {
  const OpSpec* spec = SpecOf(v, i);
  if (!spec) return {};
  Strings arguments;
  for (const AttrSpec& a : spec->attrs) {
    if (a.required) continue;
    std::optional<AttrValue> otherwise = DefaultOf(v, i, a);
    const AttrValue* now = v.node(i).Find(a.name);
    // output_shape of ConvTranspose makes auto_pad and pads mean something else.
    if (!otherwise || TypeOf(*otherwise) != a.type || v.node(i).Find("output_shape")) continue;
    if (!now)
      arguments.push_back("set=" + a.name);
    else if (SameAttr(*now, *otherwise))
      arguments.push_back("drop=" + a.name);
  }
  return arguments;
}
Status RewriteDefault(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  std::string name = argument.substr(argument.find('=') + 1);
  if (argument[0] == 'd')
    n.Erase(name);
  else
    n.Set(name, *DefaultOf(e.view(), i, *SpecOf(e.view(), i)->FindAttr(name)));
  e.Put(i, std::move(n));
  return {};
}

// ---- B36 ----
Strings MomentumArguments(const View& v, int i) {
  if (!BatchNormOf(v, i)) return {};
  return {v.node(i).Float("momentum", 0.9f) == 0.1f ? "0.99" : "0.1"};
}
Status ChangeMomentum(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("momentum", argument == "0.1" ? 0.1f : 0.99f);
  e.Put(i, std::move(n));
  return {};
}

// ---- B38 ----
// The input that a no-op passes on; "": node i is none.
std::string NoOpSource(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.inputs.empty() || n.outputs.size() != 1) return "";
  bool same = v.SameType(n.inputs[0], n.outputs[0]);
  if (v.IsAny(i, {"Cast", "Reshape", "Expand", "Squeeze", "Unsqueeze", "Flatten"}))
    return same ? n.inputs[0] : "";
  if (v.Is(i, "Transpose")) return PermOf(v, i) && IsIdentityPerm(*PermOf(v, i)) ? n.inputs[0] : "";
  if (v.IsAny(i, {"Concat", "Sum", "Max", "Min"})) return n.inputs.size() == 1 ? n.inputs[0] : "";
  if (v.Is(i, "Split")) return same ? n.inputs[0] : "";
  if (v.Is(i, "Pad")) {
    std::optional<PadOperands> p = PadOf(v, i);
    bool zero = p && std::all_of(p->pads.begin(), p->pads.end(), [](int64_t x) { return x == 0; });
    return zero ? n.inputs[0] : "";
  }
  if (!v.IsAny(i, {"Add", "Sub", "Mul", "Div"})) return "";
  std::optional<WithConstant> c = ConstantOperand(v, i);
  if (!c || !v.SameType(c->data, n.outputs[0])) return "";
  if (c->constant_at == 0 && v.IsAny(i, {"Sub", "Div"})) return "";
  return AllEqual(*c->constant, v.IsAny(i, {"Mul", "Div"}) ? 1 : 0) ? c->data : "";
}
Strings NoOpArguments(const View& v, int i) {
  Strings arguments;
  std::string source = NoOpSource(v, i);
  bool between = v.IsOutput(v.node(i).outputs.empty() ? "" : v.node(i).outputs[0]) &&
                 (v.Maker(source) < 0 || v.IsOutput(source));
  if (!source.empty() && !between) arguments.push_back("remove");
  if (!IsLiveValue(v, i)) return arguments;
  const std::string& y = v.node(i).outputs[0];
  DType t = v.ElementType(y);
  int rank = v.Rank(y);
  if (rank >= 1) arguments.push_back("Transpose");
  if (rank >= 1) arguments.push_back("Concat");
  if (rank >= 1 && ReshapeTarget(v, y)) arguments.push_back("Reshape");
  if (HasRow(v, "Expand") && t != DType::kBfloat16) arguments.push_back("Expand");
  if (t == DType::kFloat || t == DType::kDouble) {
    for (const char* op : {"Cast", "Add", "Mul", "Div"}) arguments.push_back(op);
    if (rank >= 1) arguments.push_back("Pad");
  }
  return arguments;
}
void InsertNoOp(Edit& e, const std::string& op, const std::string& y, const std::string& in,
                const std::string& out) {
  const View& v = e.view();
  DType t = v.ElementType(y);
  size_t rank = static_cast<size_t>(v.Rank(y));
  if (op == "Transpose") {
    std::vector<int64_t> perm;
    for (size_t a = 0; a < rank; ++a) perm.push_back(static_cast<int64_t>(a));
    AddTranspose(e, "noop", in, perm, {out});
  } else if (op == "Concat") {
    e.AddMaking("noop", {out}, op, {in}, {Attr("axis", 0)});
  } else if (op == "Reshape") {
    AddReshape(e, "noop", in, *ReshapeTarget(v, y), {out});
  } else if (op == "Expand") {
    e.AddMaking("noop", {out}, op, {in, e.Ints("ones", std::vector<int64_t>(rank, 1))});
  } else if (op == "Cast") {
    e.AddMaking("noop", {out}, op, {in}, {Attr("to", static_cast<int>(t))});
  } else if (op == "Pad") {
    AddPad(e, "noop", in, t,
           {.mode = "constant", .pads = std::vector<int64_t>(2 * rank, 0), .value = 0}, {out});
  } else {
    e.AddMaking("noop", {out}, op, {in, AddScalar(e, "unit", t, op == "Add" ? 0 : 1)});
  }
}
Status RewriteNoOp(Edit& e, int i, const std::string& argument) {
  if (argument == "remove") {
    e.Bypass(i, NoOpSource(e.view(), i));
    return {};
  }
  const std::string& y = e.view().node(i).outputs[0];
  e.Behind(y, "before", [&](const std::string& in, const std::string& out) {
    InsertNoOp(e, argument, y, in, out);
  });
  return {};
}

}  // namespace

std::vector<Transform> rewrites_structure() {
  std::vector<Transform> rows;
  const char* chain = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  h = Neg(x)
  i = Identity(h)
  y = Abs(i)
})";
  rows.push_back(
      OnNodes({.name = "B22",
               .doc = "Identity or Dropout (inference) removed or inserted.",
               .cite = "luludak/DiTOX passes.txt: eliminate_nop_dropout, eliminate_identity; "
                       "pytorch/pytorch#16547",
               .precondition = "training_mode is false and the mask is not read",
               .ops = "Dropout,Identity",
               .example = chain},
              PassArguments, RewritePass));
  rows.push_back(OnNodes(
      {.name = "B25",
       .doc = "A node that nobody reads removed; such a node or an unused initializer inserted.",
       .cite = "luludak/DiTOX passes.txt: eliminate_deadend, eliminate_unused_initializer",
       .precondition = "no graph output depends on it",
       .ops = "all",
       .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  dead = Neg(x)
  y = Abs(x)
})"},
      DeadArguments, RewriteDead));
  rows.push_back(OnNodes({.name = "B30",
                          .doc = "A default attribute spelled out (set) or left out (drop).",
                          .cite = "apache/singa#719; apache/tvm#7899",
                          .precondition = "the value is the default of the operator's version",
                          .ops = "all",
                          .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,3,3] y) {
  w = float[1,1,2,2] {1, 2, 3, 4}
  y = Conv(x, w) {dilations=[1,1], group=1}
})"},
                         DefaultArguments, RewriteDefault));
  rows.push_back(OnNodes({.name = "B36",
                          .doc = "momentum of BatchNormalization changes.",
                          .cite = "pytorch/pytorch#18525; gmalivenko/pytorch2keras#70",
                          .precondition = "inference mode",
                          .ops = "BatchNormalization",
                          .example = R"(
graph(float[1,2,2,2] x) -> (float[1,2,2,2] y) {
  s = float[2] {1, 2}
  b = float[2] {0.5, -0.5}
  m = float[2] {0.25, 0.75}
  v = float[2] {1.5, 0.5}
  y = BatchNormalization(x, s, b, m, v)
})"},
                         MomentumArguments, ChangeMomentum));
  rows.push_back(
      OnNodes({.name = "B38",
               .doc = "A no-op removed or inserted: Cast to the same type, zero Pad, identity "
                      "Transpose, Reshape "
                      "or Expand, Concat of one, + 0, * 1, / 1.",
               .cite = "luludak/DiTOX passes.txt: eliminate_nop_*; eliminate_nop_with_unit",
               .precondition = "the type stays",
               .ops = "Cast,Pad,Transpose,Reshape,Expand,Concat,Add,Sub,Mul,Div",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  z = float[3] {0, 0, 0}
  h = Neg(x)
  i = Add(h, z)
  y = Abs(i)
})"},
              NoOpArguments, RewriteNoOp));
  return rows;
}

}  // namespace assay
