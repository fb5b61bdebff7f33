#include "gen/body.h"

#include <algorithm>
#include <map>

#include "gen/sketch.h"

namespace assay {
namespace {

using Names = std::map<std::string, std::string>;

void Rename(const Names& names, std::string* name) {
  auto it = names.find(*name);
  if (it != names.end()) *name = it->second;
}

// Names are unique in the whole model, so that every use of one means the same value.
void RenameAll(const Names& names, const std::string& prefix, Graph* g) {
  for (ValueInfo& v : g->inputs) Rename(names, &v.name);
  for (ValueInfo& v : g->outputs) Rename(names, &v.name);
  for (Initializer& i : g->initializers) Rename(names, &i.name);
  for (NodePtr& n : g->nodes) {
    auto copy = std::make_shared<Node>(*n);
    copy->name = prefix + copy->name;
    for (std::string& i : copy->inputs) Rename(names, &i);
    for (std::string& o : copy->outputs) Rename(names, &o);
    for (Attribute& a : copy->attrs) {
      auto inner = std::get_if<std::shared_ptr<const Graph>>(&a.value);
      if (!inner) continue;
      Graph renamed = **inner;
      RenameAll(names, prefix, &renamed);
      a.value = std::make_shared<const Graph>(std::move(renamed));
    }
    n = std::move(copy);
  }
}

// Every name that `g` and the bodies inside it define.
void AddDefined(const Graph& g, const std::string& prefix, Names* names) {
  auto add = [&](const std::string& name) { (*names)[name] = prefix + name; };
  for (const ValueInfo& v : g.inputs) add(v.name);
  for (const Initializer& i : g.initializers) add(i.name);
  for (const NodePtr& n : g.nodes) {
    for (const std::string& o : n->outputs) {
      if (!o.empty()) add(o);
    }
    for (const Attribute& a : n->attrs) {
      if (auto inner = std::get_if<std::shared_ptr<const Graph>>(&a.value))
        AddDefined(**inner, prefix, names);
    }
  }
}

ValueInfo Declared(const std::string& name, const TypeInfo& t) {
  return ValueInfo::Of(name, t.dtype, t.StaticShape());
}

// What the body gives as output `i`; an Identity where it is made outside or given twice.
void AddOutput(const GraphBuilder& b, const BodySpec& spec, size_t i, Graph* body) {
  const GenValue& v = b.value(spec.outputs[i]);
  bool inside =
      v.kind == GenValue::Kind::kNode && spec.outputs[i] >= static_cast<int>(spec.mark.values);
  for (const ValueInfo& o : body->outputs) inside = inside && o.name != v.name;
  std::string name = v.name;
  if (!inside) {
    name = "out" + std::to_string(i) + "_" + v.name;
    body->nodes.push_back(MakeNode("Identity", {v.name}, {name}, {}, "out" + std::to_string(i)));
  }
  body->outputs.push_back(Declared(name, v.type()));
}

}  // namespace

std::string BodyPrefix(const GraphBuilder& builder, const char* what) {
  return what + std::to_string(builder.nodes().size()) + "_";
}

Graph TakeBody(GraphBuilder& builder, const BodySpec& spec) {
  Graph body;
  body.name = spec.prefix + "body";
  Names names;
  std::vector<std::pair<std::string, Tensor>> outside;
  for (size_t n = spec.mark.nodes; n < builder.nodes().size(); ++n)
    body.nodes.push_back(builder.nodes()[n].node);
  for (size_t i = 0; i < spec.outputs.size(); ++i) AddOutput(builder, spec, i, &body);
  std::vector<std::string> read;
  for (const NodePtr& n : body.nodes) {
    for (std::string& name : ReadBy(*n)) read.push_back(std::move(name));
  }
  for (size_t v = spec.mark.values; v < builder.values().size(); ++v) {
    const GenValue& x = builder.value(static_cast<int>(v));
    if (x.kind != GenValue::Kind::kConstant || std::count(read.begin(), read.end(), x.name) == 0)
      continue;
    if (spec.captured_constants)
      outside.push_back({x.name, x.samples[0].native});
    else
      body.initializers.push_back({x.name, x.samples[0].native, {}});
  }
  AddDefined(body, spec.prefix, &names);
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const auto& [id, type] = spec.inputs[i];
    std::string name = "in" + std::to_string(i);
    body.inputs.push_back(Declared(name, type));
    if (id >= 0) names[builder.value(id).name] = spec.prefix + name;
    names[name] = spec.prefix + name;
  }
  builder.Rollback(spec.start);
  for (auto& [name, tensor] : outside)
    names[name] = builder.value(builder.AddConstant(std::move(tensor))).name;
  RenameAll(names, spec.prefix, &body);
  return body;
}

int AddWithBodies(GraphBuilder& builder, const char* op, const std::vector<int>& inputs,
                  std::vector<Attribute> attrs, int outputs) {
  const OpSpec* spec = FindOp("", op, builder.opset());
  if (!spec) return -1;
  for (int id : inputs) {
    if (id < Sketch::kAbsent) return -1;
  }
  Node node;
  node.outputs.assign(static_cast<size_t>(outputs), "y");
  node.attrs = std::move(attrs);
  return builder.AddNode(*spec, std::move(node), inputs);
}

int AddCondition(Choices& choices, GraphBuilder& builder, int id) {
  Sketch s(choices, builder);
  const GenValue& v = builder.value(id);
  if (!IsFloat(v.dtype) || v.dtype == DType::kFloat16) return -1;
  double a = Measure(v.samples[0].wide).hi, b = Measure(v.samples[1].wide).hi;
  int largest = v.rank() == 0 ? id : s.Node("ReduceMax", {id}, {{"keepdims", 0}});
  if (largest < 0) return -1;
  return s.Node("Greater", {largest, s.Scalar(id, (a + b) / 2)});
}

int AddChoice(Choices& choices, GraphBuilder& builder, int condition, int id) {
  auto branch = [&](const char* what) {
    BodySpec spec{builder.Here(), builder.Here(), BodyPrefix(builder, what), {}, {}, false};
    Sketch s(choices, builder);
    int out = IsFloat(builder.value(id).dtype)
                  ? s.Node(choices.PickOf({"Neg", "Abs", "Relu"}), {id})
                  : id;
    spec.outputs = {out < 0 ? id : out};
    return std::make_shared<const Graph>(TakeBody(builder, spec));
  };
  std::shared_ptr<const Graph> a = branch("then"), b = branch("else");
  return AddWithBodies(builder, "If", {condition},
                       {{"then_branch", std::move(a), {}}, {"else_branch", std::move(b), {}}});
}

int AddCapture(Choices& choices, GraphBuilder& builder, int id) {
  GraphBuilder::Mark start = builder.Here();
  bool decided = choices.Chance(0.5);
  int condition =
      decided ? builder.AddConstant(ScalarOf(DType::kBool, 1)) : AddCondition(choices, builder, id);
  int made = condition < 0 ? -1 : AddChoice(choices, builder, condition, id);
  if (made < 0) builder.Rollback(start);
  return made;
}

}  // namespace assay
