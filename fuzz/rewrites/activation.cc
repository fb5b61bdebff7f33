// Rewrites of elementwise functions: bounds (B18), HardSwish (B19), Gelu (B20), idempotent pairs
// (B49).
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;
constexpr float kSixth = 1.0f / 6.0f;

bool IsReal(const View& v, const std::string& value) {
  DType t = v.ElementType(value);
  return t == DType::kFloat || t == DType::kDouble || t == DType::kFloat16;
}
// Max or Min of two values, one of them a scalar constant that does not enlarge the other.
std::optional<std::pair<std::string, double>> ScalarBound(const View& v, int i, const char* op) {
  if (!v.Is(i, op) || v.node(i).inputs.size() != 2 || !IsReal(v, v.node(i).outputs[0]))
    return std::nullopt;
  std::optional<WithConstant> c = ConstantOperand(v, i);
  std::optional<double> bound = c ? ScalarOf(c->constant) : std::nullopt;
  if (!bound || !v.SameType(c->data, v.node(i).outputs[0])) return std::nullopt;
  return std::pair(c->data, *bound);
}

// ---- B18 ----
Strings BoundArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.inputs.empty() || !IsReal(v, n.inputs[0]) || v.opset() < 8) return {};
  if (v.Is(i, "Relu")) return {"max", "clip"};
  if (std::optional<ClipOperands> b = ClipOf(v, i)) {
    Strings arguments;
    if (b->lo || b->hi) arguments.push_back("minmax");
    if (b->lo == 0.0 && !b->hi) arguments.push_back("relu");
    return arguments;
  }
  Strings arguments;
  std::optional<std::pair<std::string, double>> max = ScalarBound(v, i, "Max"),
                                                min = ScalarBound(v, i, "Min");
  if (max && max->second == 0) arguments.push_back("relu");
  if (max || min) arguments.push_back("clip");
  if (min) {  // Min(Max(x, lo), hi), the order in which Clip is defined
    int j = v.Maker(min->first);
    if (j >= 0 && ScalarBound(v, j, "Max")) arguments.push_back("clip2");
  }
  return arguments;
}
Status RewriteBound(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  DType t = v.ElementType(n.outputs[0]);
  std::optional<ClipOperands> clip = ClipOf(v, i);
  std::optional<std::pair<std::string, double>> max = ScalarBound(v, i, "Max"),
                                                min = ScalarBound(v, i, "Min");
  std::string x = max ? max->first : min ? min->first : n.inputs[0];
  e.Remove(i);
  if (argument == "relu") {
    e.AddMaking("relu", {n.outputs[0]}, "Relu", {x});
  } else if (argument == "max") {
    e.AddMaking("max", {n.outputs[0]}, "Max", {x, AddScalar(e, "zero", t, 0)});
  } else if (argument == "minmax") {
    Into last{n.outputs[0]};
    if (clip->lo)
      x = AddNode(e, "max", "Max", {x, AddScalar(e, "lo", t, *clip->lo)}, {},
                  clip->hi ? Into{} : last);
    if (clip->hi) AddNode(e, "min", "Min", {x, AddScalar(e, "hi", t, *clip->hi)}, {}, last);
  } else {
    ClipOperands b;
    if (v.Is(i, "Relu")) b.lo = 0;
    if (max) b.lo = max->second;
    if (min) b.hi = min->second;
    if (argument == "clip2") {
      std::pair<std::string, double> inner = *ScalarBound(v, v.Maker(x), "Max");
      b.lo = inner.second;
      x = inner.first;
    }
    AddClip(e, "clip", x, t, b, {n.outputs[0]});
  }
  return {};
}

// ---- B19 ----
// x * HardSigmoid(x) with alpha 1/6 and beta 0.5: the HardSigmoid's node and x.
std::optional<std::string> GatedBySixth(const View& v, int i) {
  if (!v.Is(i, "Mul") || v.opset() < 14) return std::nullopt;
  for (size_t k : {size_t{0}, size_t{1}}) {
    int j = v.Maker(v.node(i).inputs[k]);
    if (j < 0 || !v.Is(j, "HardSigmoid")) continue;
    const Node& gate = v.node(j);
    bool sixth = gate.Float("alpha", 0.2f) == kSixth && gate.Float("beta", 0.5f) == 0.5f;
    if (sixth && gate.inputs[0] == v.node(i).inputs[1 - k]) return gate.inputs[0];
  }
  return std::nullopt;
}
Strings HardSwishArguments(const View& v, int i) {
  // An attribute holds a sixth as a float: for doubles that is another number.
  bool is_double = v.ElementType(v.node(i).outputs[0]) == DType::kDouble;
  if (v.Is(i, "HardSwish")) {
    if (!IsReal(v, v.node(i).inputs[0])) return {};
    return is_double ? Strings{"clip"} : Strings{"hardsigmoid", "clip"};
  }
  if (v.Is(i, "HardSigmoid")) return IsReal(v, v.node(i).inputs[0]) ? Strings{"affine"} : Strings{};
  bool fuses = !is_double && GatedBySixth(v, i) && IsReal(v, v.node(i).outputs[0]);
  return fuses ? Strings{"fuse"} : Strings{};
}
Status RewriteHardSwish(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  const std::string& x = n.inputs[0];
  DType t = v.ElementType(n.outputs[0]);
  std::optional<std::string> gated = GatedBySixth(v, i);
  e.Remove(i);
  if (argument == "fuse") {
    e.AddMaking("hardswish", {n.outputs[0]}, "HardSwish", {*gated});
  } else if (argument == "hardsigmoid") {
    std::string gate =
        e.Add("gate", "HardSigmoid", {x}, {Attr("alpha", kSixth), Attr("beta", 0.5f)});
    e.AddMaking("mul", {n.outputs[0]}, "Mul", {x, gate});
  } else if (argument == "clip") {
    std::string shifted = e.Add("add", "Add", {x, AddScalar(e, "three", t, 3)});
    std::string clipped = AddClip(e, "relu6", shifted, t, {0, 6});
    std::string product = e.Add("mul", "Mul", {x, clipped});
    e.AddMaking("div", {n.outputs[0]}, "Div", {product, AddScalar(e, "six", t, 6)});
  } else {  // HardSigmoid = Clip(alpha x + beta, 0, 1)
    std::string scaled = e.Add("mul", "Mul", {x, AddScalar(e, "alpha", t, n.Float("alpha", 0.2f))});
    std::string shifted =
        e.Add("add", "Add", {scaled, AddScalar(e, "beta", t, n.Float("beta", 0.5f))});
    AddClip(e, "clip", shifted, t, {0, 1}, {n.outputs[0]});
  }
  return {};
}

// ---- B20: Gelu = 0.5 x (1 + erf(x / sqrt 2)) ----
bool IsNear(std::optional<double> v, double want) {
  return v && std::fabs(*v - want) < 1e-6 * want;
}
// The x of Mul(Mul(x, Add(Erf(Div(x, sqrt 2)), 1)), 0.5), as PyTorch exports it.
std::optional<std::string> GeluInput(const View& v, int i) {
  std::optional<WithConstant> half = v.Is(i, "Mul") ? ConstantOperand(v, i) : std::nullopt;
  if (!half || ScalarOf(half->constant) != 0.5) return std::nullopt;
  int mul = v.Maker(half->data);
  if (mul < 0 || !v.Is(mul, "Mul")) return std::nullopt;
  for (size_t k : {size_t{0}, size_t{1}}) {
    int add = v.Maker(v.node(mul).inputs[k]);
    std::optional<WithConstant> one =
        add >= 0 && v.Is(add, "Add") ? ConstantOperand(v, add) : std::nullopt;
    int erf = one && ScalarOf(one->constant) == 1.0 ? v.Maker(one->data) : -1;
    int div = erf >= 0 && v.Is(erf, "Erf") ? v.Maker(v.node(erf).inputs[0]) : -1;
    std::optional<WithConstant> root =
        div >= 0 && v.Is(div, "Div") ? ConstantOperand(v, div) : std::nullopt;
    if (!root || root->constant_at != 1 || !IsNear(ScalarOf(root->constant), std::sqrt(2.0)))
      continue;
    if (root->data == v.node(mul).inputs[1 - k] && v.SameType(root->data, v.node(i).outputs[0]))
      return root->data;
  }
  return std::nullopt;
}
Strings GeluArguments(const View& v, int i) {
  if (v.Is(i, "Gelu"))
    return v.node(i).String("approximate", "none") == "none" ? Strings{"split"} : Strings{};
  if (!GeluInput(v, i)) return {};
  return v.opset() >= 20 ? Strings{"fuse", "half_first"} : Strings{"half_first"};
}
Status RewriteGelu(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  DType t = v.ElementType(n.outputs[0]);
  std::string x = argument == "split" ? n.inputs[0] : *GeluInput(v, i);
  e.Remove(i);
  if (argument == "fuse") {
    e.AddMaking("gelu", {n.outputs[0]}, "Gelu", {x});
    return {};
  }
  std::string scaled = e.Add("div", "Div", {x, AddScalar(e, "sqrt2", t, std::sqrt(2.0))});
  std::string erf = e.Add("erf", "Erf", {scaled});
  std::string gate = e.Add("add", "Add", {erf, AddScalar(e, "one", t, 1)});
  std::string half = AddScalar(e, "half", t, 0.5);
  if (argument == "split") {
    e.AddMaking("mul2", {n.outputs[0]}, "Mul", {e.Add("mul", "Mul", {x, gate}), half});
  } else {  // the other usual spelling
    e.AddMaking("mul2", {n.outputs[0]}, "Mul", {e.Add("mul", "Mul", {x, half}), gate});
  }
  return {};
}

// ---- B49 ----
bool IsIdempotent(const View& v, int i) {
  return v.IsAny(i, {"Relu", "Abs", "Ceil", "Floor", "Round", "Sign"}) || ClipOf(v, i);
}
Strings IdempotentArguments(const View& v, int i) {
  if (!IsIdempotent(v, i)) return {};
  Strings arguments = {"double"};
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || v.node(j).op != v.node(i).op || !IsIdempotent(v, j)) return arguments;
  bool between = v.IsOutput(v.node(i).outputs[0]) && v.IsOutput(v.node(i).inputs[0]);
  std::optional<ClipOperands> a = ClipOf(v, i), b = ClipOf(v, j);
  bool same = !a || (a->lo == b->lo && a->hi == b->hi);
  if (same && !between) arguments.push_back("collapse");
  return arguments;
}
Status RewriteIdempotent(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  if (argument == "collapse") {
    e.Bypass(i, n.inputs[0]);
    return {};
  }
  e.Behind(n.outputs[0], "once", [&](const std::string& in, const std::string& out) {
    std::vector<std::string> inputs = n.inputs;
    inputs[0] = in;
    e.AddMaking("again", {out}, n.op, inputs, n.attrs);
  });
  return {};
}

}  // namespace

std::vector<Transform> rewrites_activation() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "B18",
                          .doc = "Clip, Relu, Max and Min written as one another.",
                          .cite = "the tf2onnx sequences of the ISSTA 2024 study: Min>Max",
                          .precondition = "scalar bounds",
                          .ops = "Clip,Min,Max,Relu",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  a = float[] {0}
  b = float[] {0.5}
  m = Max(x, a)
  n = Min(b, m)
  r = Relu(n)
  y = Clip(r, a, b)
})"},
                         BoundArguments, RewriteBound));
  rows.push_back(OnNodes(
      {.name = "B19",
       .doc = "HardSwish as x * HardSigmoid(x; 1/6, 0.5), as x * Clip(x + 3, 0, 6) / 6, and back; "
              "HardSigmoid as Clip(alpha x + beta, 0, 1).",
       .cite = "onnx/tensorflow-onnx#1039",
       .precondition = "alpha is 1/6 and beta 0.5",
       .ops = "HardSwish,HardSigmoid,Clip,Mul,Div",
       .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  h = HardSwish(x)
  y = HardSigmoid(h)
})"},
      HardSwishArguments, RewriteHardSwish));
  rows.push_back(OnNodes(
      {.name = "B20",
       .doc = "Gelu as Div, Erf, Add, Mul, Mul (split) and back (fuse); the half multiplied first.",
       .cite = "the torch sequences of the ISSTA 2024 study: Div>Erf>Add>Mul>Mul; apache/tvm#18750",
       .precondition = "approximate is none; Gelu needs opset 20",
       .ops = "Gelu,Erf",
       .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  r = float[] {1.4142135}
  o = float[] {1}
  h = float[] {0.5}
  d = Div(x, r)
  e = Erf(d)
  a = Add(e, o)
  m = Mul(x, a)
  y = Mul(m, h)
})"},
      GeluArguments, RewriteGelu));
  rows.push_back(OnNodes({.name = "B49",
                          .doc = "An idempotent operator behind itself collapsed, or doubled.",
                          .cite = "luludak/DiTOX passes.txt: eliminate_consecutive_idempotent_ops",
                          .precondition = "Clip: the same bounds",
                          .ops = "Relu,Clip,Abs,Ceil,Floor,Round,Sign",
                          .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  r = Relu(x)
  y = Relu(r)
})"},
                         IdempotentArguments, RewriteIdempotent));
  return rows;
}

}  // namespace assay
