// Rewrites of constants: Constant nodes against initializers (B23), folding and unfolding (B24,
// B40), shared and copied initializers (B26 on values).
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"
#include "interp/exec.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;
constexpr int64_t kMaxFolded = 1 << 20;  // elements of all operands and results of a folded node

constexpr size_t kMostCompared =
    1024;  // nodes or initializers one site looks at, so that large graphs stay cheap

std::string Slot(const char* what, size_t k) { return what + std::to_string(k); }
size_t SlotOf(const std::string& argument) {
  return static_cast<size_t>(*ParseInt(argument.substr(argument.find_first_of("0123456789"))));
}
// Inputs of node i that are initializers of their own right. Numbers that the rule itself reads
// (scales of Resize) stay where they are.
std::vector<size_t> InitializerSlots(const View& v, int i) {
  std::vector<size_t> slots;
  const OpSpec* spec = SpecOf(v, i);
  for (size_t k = 0; k < v.node(i).inputs.size(); ++k) {
    const std::string& name = v.node(i).inputs[k];
    bool parameter = spec && k < spec->inputs.size() && spec->inputs[k].parameter;
    if (!parameter && v.Constant(name) && v.Maker(name) < 0) slots.push_back(k);
  }
  return slots;
}

// ---- B23 ----
Strings ConstantArguments(const View& v, int i) {
  if (v.Is(i, "Constant")) {
    const std::string& y = v.node(i).outputs[0];
    return v.Constant(y) && !v.IsOutput(y) ? Strings{"initializer"} : Strings{};
  }
  Strings arguments;
  const OpSpec* row = FindOp("", "Constant", v.opset());
  for (size_t k : InitializerSlots(v, i)) {
    if (!row || !Contains(row->outputs[0].types, v.ConstantInput(i, k)->dtype())) continue;
    // One reader among several may ask for it: the first.
    if (v.Readers(v.node(i).inputs[k])[0] == i && !v.IsOutput(v.node(i).inputs[k]))
      arguments.push_back(Slot("node", k));
  }
  return arguments;
}
Status RewriteConstant(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  if (argument == "initializer") {
    const std::string& y = v.node(i).outputs[0];
    e.Remove(i);
    e.graph().initializers.push_back({y, *v.Constant(y), {}});
    return {};
  }
  const std::string& name = v.node(i).inputs[SlotOf(argument)];
  Tensor value = *v.Constant(name);
  std::erase_if(e.graph().initializers, [&](const Initializer& x) { return x.name == name; });
  e.At(0);
  e.AddMaking("constant", {name}, "Constant", {}, {{"value", value, {}}});
  return {};
}

// ---- B24 ----
// The outputs of node i when every input is constant: computed in double and rounded once to their
// types.
std::optional<std::vector<Tensor>> Folded(const View& v, int i) {
  const Node& n = v.node(i);
  const OpSpec* spec = SpecOf(v, i);
  if (!spec || n.inputs.empty() || !IsDeterministic(v, i) || v.Is(i, "Constant"))
    return std::nullopt;
  std::vector<Tensor> inputs(n.inputs.size());
  std::vector<const Tensor*> args(n.inputs.size(), nullptr);
  for (size_t k = 0; k < n.inputs.size(); ++k) {
    if (!n.HasInput(k)) continue;
    const Tensor* t = v.ConstantInput(i, k);
    if (!t) return std::nullopt;
    bool parameter = k < spec->inputs.size() && spec->inputs[k].parameter;
    inputs[k] = parameter ? *t : t->To(Store::kDouble);
    args[k] = &inputs[k];
  }
  Result<std::vector<Tensor>> out =
      EvalNode(*spec, n, args, Store::kDouble, Limits::Small(), v.opset());
  if (!out.ok()) return std::nullopt;
  std::vector<Tensor> folded;
  for (const Tensor& t : *out) {
    folded.push_back(t.defined() && IsFloat(t.dtype()) ? t.To(Store::kNative) : t);
    for (int64_t j = 0; IsFloat(t.dtype()) && j < t.size(); ++j) {
      if (!std::isfinite(folded.back().AsDouble(j))) return std::nullopt;
    }
  }
  return folded;
}
bool AllConstant(const View& v, int i) {
  if (v.node(i).inputs.empty() || v.Is(i, "Constant")) return false;
  for (size_t k = 0; k < v.node(i).inputs.size(); ++k) {
    if (v.node(i).HasInput(k) && !v.ConstantInput(i, k)) return false;
  }
  return true;
}
// Are all outputs of node i inner values, and is it small enough to evaluate?
bool Foldable(const View& v, int i) {
  if (!AllConstant(v, i) || !IsDeterministic(v, i)) return false;
  int64_t elements = 0;
  auto add = [&](const std::string& value) {
    std::optional<Shape> shape = v.Extents(value);
    int64_t count = shape ? ElementCount(*shape) : -1;
    elements += count < 0 || count > kMaxFolded ? kMaxFolded + 1 : count;
  };
  for (const std::string& x : v.node(i).inputs) {
    if (!x.empty()) add(x);
  }
  for (const std::string& y : v.node(i).outputs) {
    if (v.IsOutput(y)) return false;
    if (!y.empty()) add(y);
  }
  return elements <= kMaxFolded;
}
Strings FoldArguments(const View& v, int i) {
  if (AllConstant(v, i)) return Foldable(v, i) ? Strings{"fold"} : Strings{};
  Strings arguments;
  for (size_t k : InitializerSlots(v, i)) {
    const Tensor& t = *v.ConstantInput(i, k);
    if (t.rank() >= 2 && IsFloat(t.dtype()) && t.size() > 0) arguments.push_back(Slot("unfold", k));
  }
  return arguments;
}
Status RewriteFold(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  if (argument == "fold") {
    std::optional<std::vector<Tensor>> values = Folded(v, i);
    if (!values) return DoesNotApply("the folded values are not finite, or can't be computed");
    e.Remove(i);
    for (size_t o = 0; o < n.outputs.size(); ++o) {
      if (!n.outputs[o].empty()) e.graph().initializers.push_back({n.outputs[o], (*values)[o], {}});
    }
    return {};
  }
  // The weight stored with its axes reversed, and a Transpose that restores it.
  size_t k = SlotOf(argument);
  const Tensor& t = *v.ConstantInput(i, k);
  Shape shape(t.shape().rbegin(), t.shape().rend()), strides = Strides(t.shape());
  Tensor stored = Tensor::Make(t.dtype(), shape).value();
  Shape at(shape.size(), 0);
  for (int64_t j = 0; j < stored.size(); ++j) {
    int64_t from = 0;
    for (size_t d = 0; d < at.size(); ++d) from += at[d] * strides[at.size() - 1 - d];
    std::copy_n(t.raw() + from * t.element_bytes(), t.element_bytes(),
                stored.mutable_raw() + j * t.element_bytes());
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < shape[d]) break;
      at[d] = 0;
    }
  }
  std::vector<int64_t> perm;
  for (int a = t.rank(); a-- > 0;) perm.push_back(a);
  e.Reroute(i, k, AddTranspose(e, "weight", e.Constant("stored", std::move(stored)), perm));
  return {};
}

// ---- B40 ----
Strings ShapeArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Shape", "Size"}) || AllConstant(v, i)) return {};
  const std::string& y = v.node(i).outputs[0];
  return v.Constant(y) && !v.IsOutput(y) ? Strings{"fold"} : Strings{};
}
Status FoldShape(Edit& e, int i, const std::string&) {
  e.Bypass(i, e.Constant("shape", *e.view().Constant(e.view().node(i).outputs[0])));
  return {};
}

// ---- B26: nodes and initializers merged and copied ----
bool SameNode(const Node& a, const Node& b) {
  if (a.op != b.op || a.domain != b.domain || a.inputs != b.inputs ||
      a.attrs.size() != b.attrs.size())
    return false;
  if (a.outputs.size() != b.outputs.size()) return false;
  for (size_t k = 0; k < a.attrs.size(); ++k) {
    if (a.attrs[k].name != b.attrs[k].name || !SameAttr(a.attrs[k].value, b.attrs[k].value))
      return false;
  }
  return true;
}
// An earlier node that computes the same; -1: none.
int TwinOf(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.inputs.empty() || n.inputs[0].empty() || !IsDeterministic(v, i)) return -1;
  const std::vector<int>& readers = v.Readers(n.inputs[0]);
  for (size_t r = 0; r < readers.size() && r < kMostCompared; ++r) {
    int j = readers[r];
    if (j >= i) break;
    if (SameNode(v.node(j), n)) return j;
  }
  return -1;
}
// The first initializer that equals input k of node i, when that is another one; "" otherwise.
std::string TwinInitializer(const View& v, int i, size_t k) {
  const std::string& name = v.node(i).inputs[k];
  const Tensor& t = *v.Constant(name);
  size_t compared = 0;
  for (const Initializer& x : v.graph().initializers) {
    if (x.name == name || ++compared > kMostCompared) return "";
    if (x.value.size() == t.size() && x.value.Identical(t) && !v.IsInput(x.name)) return x.name;
  }
  return "";
}
Strings CommonArguments(const View& v, int i) {
  Strings arguments;
  if (TwinOf(v, i) >= 0) arguments.push_back("merge");
  for (size_t k : InitializerSlots(v, i)) {
    if (!TwinInitializer(v, i, k).empty()) arguments.push_back(Slot("share", k));
    if (v.OnlyReader(v.node(i).inputs[k]) < 0) arguments.push_back(Slot("copy", k));
  }
  const Node& n = v.node(i);
  if (n.outputs.size() == 1 && v.Readers(n.outputs[0]).size() >= 2 && IsDeterministic(v, i))
    arguments.push_back("twice");
  return arguments;
}
Status RewriteCommon(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  if (argument == "merge") {
    const Node& twin = v.node(TwinOf(v, i));
    e.Remove(i);
    for (size_t o = 0; o < n.outputs.size(); ++o) {
      if (n.outputs[o].empty()) continue;
      if (twin.outputs[o].empty()) return DoesNotApply();
      e.Forward(n.outputs[o], twin.outputs[o]);
    }
    return {};
  }
  if (argument == "twice") {
    int last = v.Readers(n.outputs[0]).back();
    std::string again = e.Add("again", n.op, n.inputs, n.attrs);
    for (size_t k = 0; k < v.node(last).inputs.size(); ++k) {
      if (v.node(last).inputs[k] == n.outputs[0]) e.Reroute(last, k, again);
    }
    return {};
  }
  size_t k = SlotOf(argument);
  bool share = argument[0] == 's';
  e.Reroute(i, k,
            share ? TwinInitializer(v, i, k)
                  : e.Constant("copy" + std::to_string(k), *v.ConstantInput(i, k)));
  return {};
}

}  // namespace

std::vector<Transform> rewrites_constants() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes(
      {.name = "B23",
       .doc = "A Constant node as initializer, and an initializer as Constant node.",
       .cite = "luludak/DiTOX passes.txt: extract_constant_to_initializer; onnx/optimizer#133",
       .precondition = "the initializer is no graph input",
       .ops = "Constant",
       .example = R"(
graph(float[2] x) -> (float[2] y) {
  w = float[2] {1, 2}
  c = Constant() {"value"=float[2] {3, 4}}
  h = Mul(x, w)
  y = Add(h, c)
})"},
      ConstantArguments, RewriteConstant));
  rows.push_back(OnNodes({.name = "B24",
                          .doc = "A node of constants folded, in double and rounded once (fold); a "
                                 "weight stored with its "
                                 "axes reversed behind a Transpose (unfold).",
                          .cite = "onnx/onnx#2331",
                          .precondition = "deterministic; the result is finite",
                          .ops = "all",
                          .example = R"(
graph(float[2] x) -> (float[2] y) {
  a = float[2] {0.1, 0.2}
  b = float[2] {0.3, 0.7}
  w = Div(a, b)
  y = Mul(x, w)
})"},
                         FoldArguments, RewriteFold));
  rows.push_back(OnNodes(
      {.name = "B26",
       .doc =
           "Equal nodes or initializers merged (merge, share), a node or initializer with several "
           "readers doubled (twice, copy).",
       .cite = "luludak/DiTOX passes.txt: eliminate_common_subexpression, "
               "eliminate_duplicate_initializer",
       .precondition = "deterministic",
       .ops = "all",
       .example = R"(
graph(float[2] x) -> (float[2] y) {
  v = float[2] {1, 2}
  w = float[2] {1, 2}
  a = Mul(x, w)
  b = Mul(x, w)
  c = Add(b, v)
  y = Add(a, c)
})"},
      CommonArguments, RewriteCommon));
  rows.push_back(
      OnNodes({.name = "B40",
               .doc = "Shape or Size of a value with known extents becomes a constant.",
               .cite = "luludak/DiTOX passes.txt: eliminate_shape_op, eliminate_slice_after_shape",
               .precondition = "known extents",
               .ops = "Shape,Size",
               .example = R"(
graph(float[2,3] x, float[6] z) -> (float[2,3] y) {
  s = Shape(x)
  y = Reshape(z, s)
})"},
              ShapeArguments, FoldShape));
  return rows;
}

}  // namespace assay
