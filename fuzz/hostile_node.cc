#include "fuzz/hostile_node.h"

#include <cmath>
#include <limits>

#include "interp/draw.h"

namespace assay {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min(),
                  kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMostElements = 4096;

int64_t DrawInt(Choices& choices) {
  if (choices.Chance(0.6)) return choices.Between(-3, 6);
  return choices.PickOf<int64_t>({16, 17, 64, 100, -100, 1 << 20, int64_t{1} << 31,
                                  -(int64_t{1} << 31), int64_t{1} << 32, int64_t{1} << 40,
                                  int64_t{1} << 61, int64_t{1} << 62, -(int64_t{1} << 62), kMax,
                                  kMax - 1, kMin, kMin + 1});
}

double DrawReal(Choices& choices) {
  return choices.PickOf<double>({0.5,   1,   -1,   0,      2,        -0.25,     3,    -2,    7,
                                 0.125, 1.5, -3,   -0.0,   1e-30,    1e30,      3e38, -3e38, 1e300,
                                 4.5,   1e9, -1e9, 9.3e18, INFINITY, -INFINITY, NAN,  0.75});
}

std::string DrawText(Choices& choices) {
  return choices.PickOf<std::string>({"", "a", "a b", "1.5", "-1e999", "\xff([", "\xf0\x9f",
                                      "x*)+?{9}", "Tanh", "linear", "NOTSET", "...ij,jk->ik"});
}

DType DrawType(Choices& choices, DTypeSet types) {
  for (DType t : {DType::kFloat, DType::kInt64}) {
    if (Contains(types, t) && choices.Chance(0.4)) return t;
  }
  std::vector<DType> all;
  for (int i = 1; i < 32; ++i) {
    if (Contains(types, static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  }
  return all.empty() ? DType::kFloat : choices.Pick(all);
}

// Small extents that often fit each other; at times empty, long or beyond what can be made.
Shape DrawShape(Choices& choices, const Shape& like) {
  if (choices.Chance(0.5)) return like;
  if (!like.empty() && choices.Chance(0.4)) return {choices.Pick(like)};  // parameters of channels
  Shape shape(choices.Below(6));
  for (int64_t& d : shape) d = choices.PickOf<int64_t>({2, 1, 3, 4, 2, 1, 6, 8, 0, 5, 17, 33});
  if (choices.Chance(0.03)) shape = {0, 1 << 14, 1 << 15};
  int64_t n = ElementCount(shape);
  return n < 0 || n > kMostElements ? Shape{3} : shape;
}

// The first elements are drawn one by one, the others repeat them: few choices fill a long tensor.
Tensor DrawTensor(Choices& choices, DType dtype, const Shape& shape) {
  constexpr size_t kDrawn = 12;
  Tensor t = Tensor::Make(dtype, shape).value();
  const size_t n = std::min(static_cast<size_t>(t.size()), kDrawn);
  if (n == 0) return t;
  const bool wild = choices.Chance(0.4);
  std::vector<double> reals(n);
  std::vector<int64_t> ints(n);
  std::vector<std::string> texts(n);
  for (size_t i = 0; i < n; ++i) {
    if (dtype == DType::kString) texts[i] = DrawText(choices);
    ints[i] = wild ? DrawInt(choices) : choices.Between(-2, 5);
    reals[i] = wild ? DrawReal(choices) : static_cast<double>(ints[i]) / 4;
  }
  for (int64_t i = 0; i < t.size(); ++i) {
    const size_t from = static_cast<size_t>(i) % n;
    if (dtype == DType::kString)
      t.mutable_strings()[static_cast<size_t>(i)] = texts[from];
    else if (dtype == DType::kInt64)
      t.mutable_data<int64_t>()[i] = ints[from];
    else if (dtype == DType::kComplex64)
      t.mutable_data<std::complex<float>>()[i] = static_cast<float>(reals[from]);
    else if (dtype == DType::kComplex128)
      t.mutable_data<std::complex<double>>()[i] = reals[from];
    else if (dtype == DType::kBool)
      t.Set(i, static_cast<double>(ints[from] & 1));
    else if (IsInt(dtype))
      t.Set(i, static_cast<double>(ints[from]));
    else if (IsFloat(dtype))
      t.Set(i, reals[from]);
    else
      t.Set(i,
            std::clamp(reals[from], 0.0, 1.0));  // small floats and integers: any bits are a value
  }
  return t;
}

Tensor DrawValue(Choices& choices, DType dtype, const Shape& like) {
  if (!IsList(dtype)) return DrawTensor(choices, dtype, DrawShape(choices, like));
  const DType of =
      choices.PickOf<DType>({DType::kFloat, DType::kInt64, DType::kString, DType::kBool});
  std::vector<Tensor> items(choices.Below(dtype == kOptional ? 2 : 4));
  const bool nested = dtype == kOptional && choices.Chance(0.2);
  for (Tensor& t : items) {
    t = DrawTensor(choices, of, DrawShape(choices, like));
    if (nested) t = Tensor::List(kSequence, {of}, {t});
  }
  return Tensor::List(dtype, nested ? std::vector<DType>{kSequence, of} : std::vector<DType>{of},
                      items);
}

// A subgraph that hands its inputs on, and a constant where it has more outputs.
std::shared_ptr<const Graph> DrawBody(Choices& choices) {
  auto g = std::make_shared<Graph>();
  g->name = "body";
  const size_t inputs = choices.Below(5), outputs = choices.Below(5);
  for (size_t i = 0; i < inputs; ++i) {
    ValueInfo v;
    v.name = "in" + std::to_string(i);
    if (choices.Chance(0.5))
      v.dtype = choices.PickOf<DType>({DType::kFloat, DType::kInt64, DType::kBool});
    g->inputs.push_back(v);
  }
  for (size_t i = 0; i < outputs; ++i) {
    ValueInfo v;
    v.name = "out" + std::to_string(i);
    if (inputs > 0 && choices.Chance(0.7)) {
      g->nodes.push_back(
          MakeNode("Identity", {"in" + std::to_string(choices.Below(inputs))}, {v.name}));
    } else {
      Tensor t =
          choices.Chance(0.5) ? Tensor::Of<uint8_t>(DType::kBool, {}, {1}) : Tensor::ScalarFloat(2);
      g->initializers.push_back({v.name + "c", t, {}});
      g->nodes.push_back(MakeNode("Identity", {v.name + "c"}, {v.name}));
    }
    g->outputs.push_back(v);
  }
  return g;
}

AttrValue DrawAttr(Choices& choices, const AttrSpec& a, int rank) {
  const AttrDomain& d = a.domain;
  const bool tame = choices.Chance(0.7);
  auto number = [&]() -> int64_t {
    if (tame && !d.ints.empty()) return choices.Pick(d.ints);
    if (tame && d.lo < d.hi) return choices.Between(d.lo, d.hi);
    return DrawInt(choices);
  };
  auto text = [&] {
    return tame && !d.strings.empty() ? choices.Pick(d.strings) : DrawText(choices);
  };
  size_t n = choices.Below(6);
  if (tame && d.len_const >= 0)
    n = static_cast<size_t>(std::max(0, d.len_rank * rank + d.len_const));
  AttrType type = a.type;
  if (choices.Chance(0.02)) type = static_cast<AttrType>(choices.Below(9));
  switch (type) {
    case AttrType::kInt:
      return number();
    case AttrType::kFloat:
      return static_cast<float>(tame && !d.floats.empty() ? choices.Pick(d.floats)
                                                          : DrawReal(choices));
    case AttrType::kString:
      return text();
    case AttrType::kInts: {
      std::vector<int64_t> v(n);
      for (int64_t& i : v) i = number();
      return v;
    }
    case AttrType::kFloats: {
      std::vector<float> v(n);
      for (float& f : v) f = static_cast<float>(DrawReal(choices));
      return v;
    }
    case AttrType::kStrings: {
      std::vector<std::string> v(n);
      for (std::string& s : v) s = text();
      return v;
    }
    case AttrType::kTensor:
      return DrawTensor(choices, DrawType(choices, kAll25),
                        DrawShape(choices, {static_cast<int64_t>(n)}));
    case AttrType::kGraph:
      return DrawBody(choices);
    case AttrType::kOpaque:
      return Opaque{};
  }
  return Opaque{};
}

std::vector<std::string> Names(const char* stem, size_t n) {
  std::vector<std::string> names;
  for (size_t i = 0; i < n; ++i) names.push_back(stem + std::to_string(i));
  return names;
}

HostileNode Free(Choices& choices, const OpSpec& spec) {
  HostileNode r;
  const int least = spec.MinInputs(), most = std::min(spec.MaxInputs(), least + 5);
  size_t count = static_cast<size_t>(choices.Between(least, std::max(least, most)));
  const Shape like = DrawShape(choices, {2, 3, 4, 4});
  std::vector<std::pair<std::string, DType>> bound;
  std::vector<std::string> inputs = Names("x", count);
  for (size_t i = 0; i < count; ++i) {
    const Formal& f = spec.InputAt(static_cast<int>(i));
    DType type = DrawType(choices, choices.Chance(0.02) ? kAll25 : f.types);
    for (const auto& [name, dtype] : bound)
      type = !f.type.empty() && f.homogeneous && name == f.type ? dtype : type;
    bound.push_back({f.type, type});
    bool absent = choices.Chance(f.arity == Arity::kOptional ? 0.4 : 0.01);
    r.inputs.push_back(absent ? Tensor() : DrawValue(choices, type, like));
    if (absent) inputs[i].clear();
  }
  size_t wanted = static_cast<size_t>(
      choices.Between(spec.MinOutputs(), std::min(spec.MaxOutputs(), spec.MinOutputs() + 4)));
  std::vector<std::string> outputs = Names("y", wanted);
  for (size_t i = 1; i < wanted; ++i) {
    if (choices.Chance(0.1)) outputs[i].clear();
  }
  std::vector<Attribute> attrs;
  for (const AttrSpec& a : spec.attrs) {
    if (a.required || choices.Chance(0.4))
      attrs.push_back({a.name, DrawAttr(choices, a, static_cast<int>(like.size())), {}});
  }
  r.node = MakeNode(spec.name, inputs, outputs, attrs, "", spec.domain);
  return r;
}

// What the row's callback drafts; undefined inputs where it drafts nothing.
HostileNode Drafted(Choices& choices, const OpSpec& spec) {
  Draft d;
  d.spec = &spec;
  d.opset = std::max(7, spec.since);
  d.max_elements = kMostElements;
  d.anything = choices.Chance(0.5);
  const int needed = std::max(spec.MinInputs(), spec.inputs.empty() ? 0 : 1);
  Shape filled = DrawShape(choices, {2, 3, 4, 4});  // callbacks serve tensors that have elements
  for (int64_t& d : filled) d = std::clamp<int64_t>(d, 1, 33);
  std::vector<std::pair<std::string, DType>> bound;
  for (int i = 0; i < needed; ++i) {
    const Formal& f = spec.InputAt(i);
    DType type = DrawType(choices, f.types);
    if (IsList(type)) return {};
    for (const auto& [name, dtype] : bound) type = name == f.type && !f.type.empty() ? dtype : type;
    bound.push_back({f.type, type});
    d.inputs.push_back(i == 0 ? TypeInfo::Of(type, filled) : TypeInfo{type, false, {}});
  }
  d.constants.resize(d.inputs.size());
  if (!spec.draw(choices, d)) return {};
  d.constants.resize(d.inputs.size());
  HostileNode r;
  std::vector<std::string> inputs = Names("x", d.inputs.size());
  for (size_t i = 0; i < d.inputs.size(); ++i) {
    const TypeInfo& t = d.inputs[i];
    if (IsList(t.dtype)) return {};
    const size_t like = t.Static() ? i : 0;
    const Shape shape = d.inputs[like].Static() ? d.shape(like) : Shape{};
    if (t.dtype == DType::kUndefined)
      r.inputs.emplace_back();
    else if (d.constants[i])
      r.inputs.push_back(*d.constants[i]);
    else
      r.inputs.push_back(DrawTensor(choices, t.dtype, shape));
    if (t.dtype == DType::kUndefined) inputs[i].clear();
  }
  std::vector<std::string> outputs =
      Names("y", static_cast<size_t>(std::max(d.outputs, spec.MinOutputs())));
  for (int i : d.absent) outputs[static_cast<size_t>(i)].clear();
  for (const AttrSpec& a : spec.attrs) {
    bool set = std::any_of(d.attrs.begin(), d.attrs.end(),
                           [&](const Attribute& b) { return b.name == a.name; });
    if (!set && a.required)
      d.attrs.push_back(
          {a.name,
           DrawAttr(choices, a, d.inputs[0].ranked ? static_cast<int>(d.inputs[0].dims.size()) : 0),
           {}});
  }
  r.node = MakeNode(spec.name, inputs, outputs, d.attrs, "", spec.domain);
  return r;
}

// Changes one thing: an operand's values or shape, an attribute, a number in a list.
void Spoil(Choices& choices, const OpSpec& spec, HostileNode* h) {
  const size_t which = choices.Below(h->inputs.size() + spec.attrs.size() + 1);
  if (which < h->inputs.size()) {
    Tensor& t = h->inputs[which];
    if (!t.defined() || IsList(t.dtype())) return;
    t = DrawTensor(choices, t.dtype(), DrawShape(choices, t.shape()));
  } else if (which < h->inputs.size() + spec.attrs.size()) {
    const AttrSpec& a = spec.attrs[which - h->inputs.size()];
    Node n = *h->node;
    AttrValue value = DrawAttr(choices, a, h->inputs.empty() ? 0 : h->inputs[0].rank());
    const AttrValue* old = n.Find(a.name);
    auto list = old ? std::get_if<std::vector<int64_t>>(old) : nullptr;
    if (list && !list->empty() && choices.Chance(0.7)) {
      std::vector<int64_t> changed = *list;
      changed[choices.Below(changed.size())] = DrawInt(choices);
      value = changed;
    }
    n.Set(a.name, value);
    h->node = std::make_shared<const Node>(std::move(n));
  }
}

}  // namespace

HostileNode DrawHostileNode(Choices& choices, const OpSpec& spec) {
  if (spec.draw && choices.Chance(0.5)) {
    HostileNode drafted = Drafted(choices, spec);
    if (drafted.node) {
      Spoil(choices, spec, &drafted);
      return drafted;
    }
  }
  return Free(choices, spec);
}

std::vector<TypeInfo> PartlyKnown(Choices& choices, const HostileNode& node) {
  std::vector<TypeInfo> types;
  for (const Tensor& t : node.inputs) {
    types.push_back(t.defined() ? TypeInfo::Of(t) : TypeInfo{});
    for (Dim& d : types.back().dims) d = choices.Chance(0.4) ? Dim::Unknown() : d;
    if (choices.Chance(0.1)) types.back() = {types.back().dtype, false, {}, types.back().of};
  }
  return types;
}

}  // namespace assay
