#include "interp/infer.h"

#include <algorithm>
#include <climits>

#include "interp/exec.h"
#include "interp/functions.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

// Values up to this many elements are folded while inferring: shape arithmetic, not weights.
constexpr int64_t kFoldElements = 1024;

const char* kAttrTypeNames[] = {"int", "float", "string", "ints", "floats", "strings", "tensor", "graph", "other"};

Status CheckAttributes(const OpSpec& spec, const Node& node) {
  for (size_t i = 0; i < node.attrs.size(); ++i) {
    const Attribute& a = node.attrs[i];
    for (size_t j = 0; j < i; ++j) {
      if (node.attrs[j].name == a.name) return Invalid("attribute '" + a.name + "' is given twice");
    }
    const AttrSpec* s = spec.FindAttr(a.name);
    if (!s) return Invalid("no attribute '" + a.name + "' in " + spec.name + "-" + std::to_string(spec.since));
    if (TypeOf(a.value) != s->type) {
      return Invalid("attribute '" + a.name + "': want " + kAttrTypeNames[static_cast<int>(s->type)] + ", got " +
                     kAttrTypeNames[static_cast<int>(TypeOf(a.value))]);
    }
    const std::vector<std::string>& choices = s->domain.strings;
    if (auto text = std::get_if<std::string>(&a.value)) {
      if (!choices.empty() && std::find(choices.begin(), choices.end(), *text) == choices.end()) {
        return Invalid("attribute '" + a.name + "': '" + *text + "' is not a value of " + spec.name);
      }
    }
  }
  for (const AttrSpec& s : spec.attrs) {
    if (s.required && !node.Find(s.name)) return Invalid("attribute '" + s.name + "' is missing");
  }
  return {};
}

Status CheckArity(const OpSpec& spec, const Node& node, const std::vector<const TypeInfo*>& inputs) {
  int n = static_cast<int>(inputs.size()), m = static_cast<int>(node.outputs.size());
  if (n > spec.MaxInputs() || m > spec.MaxOutputs()) {
    return Invalid(spec.name + "-" + std::to_string(spec.since) + " takes at most " +
                   std::to_string(n > spec.MaxInputs() ? spec.MaxInputs() : spec.MaxOutputs()) +
                   (n > spec.MaxInputs() ? " inputs; got " + std::to_string(n) : " outputs; got " + std::to_string(m)));
  }
  for (int i = 0; i < static_cast<int>(spec.inputs.size()); ++i) {
    // Loop has any number of states, none included.
    bool any_number = spec.inputs[i].arity == Arity::kVariadic && spec.Has(kRunsGraphs);
    if (spec.inputs[i].arity != Arity::kOptional && !any_number && (i >= n || !inputs[i])) {
      return Invalid("input " + std::to_string(i) + " (" + spec.inputs[i].name + ") is missing");
    }
  }
  for (int i = 0; i < n; ++i) {
    if (!inputs[i] && spec.InputAt(i).arity == Arity::kVariadic) {
      return Invalid("input " + std::to_string(i) + " (" + spec.InputAt(i).name + ") is missing");
    }
  }
  if (m < spec.MinOutputs()) return Invalid("needs " + std::to_string(spec.MinOutputs()) + " outputs; got " + std::to_string(m));
  return {};
}

Status CheckElementTypes(const OpSpec& spec, const std::vector<const TypeInfo*>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) continue;
    const Formal& f = spec.InputAt(static_cast<int>(i));
    DType t = inputs[i]->dtype;
    if (!Contains(f.types, t)) {
      return Invalid("input " + std::to_string(i) + " (" + f.name + "): element type " + DTypeName(t) +
                     " is not allowed by " + spec.name + "-" + std::to_string(spec.since));
    }
    if (f.type.empty() || !f.homogeneous) continue;
    // The first input whose formal has this type name; rows have few names, so it is found soon.
    for (size_t j = 0; j < i; ++j) {
      const Formal& other = spec.InputAt(static_cast<int>(j));
      if (!inputs[j] || !other.homogeneous || other.type != f.type) continue;
      if (inputs[j]->dtype == t) break;
      return Invalid("input " + std::to_string(i) + " (" + f.name + "): element type " + DTypeName(t) +
                     " differs from " + DTypeName(inputs[j]->dtype) + " of another " + f.type);
    }
  }
  return {};
}

}  // namespace

std::string NodeLabel(const Node& node) {
  if (!node.name.empty()) return node.op + " '" + node.name + "'";
  return node.op + " making '" + (node.outputs.empty() ? std::string() : node.outputs[0]) + "'";
}

Result<std::vector<TypeInfo>> InferNode(const OpSpec& spec, const Node& node,
                                        const std::vector<const TypeInfo*>& inputs,
                                        const std::vector<const Tensor*>& values, const BodyTypes* bodies,
                                        uint32_t* values_read) {
  if (inputs.size() > node.inputs.size()) {  // captures follow
    auto own = static_cast<ptrdiff_t>(node.inputs.size());
    return InferNode(spec, node, {inputs.begin(), inputs.begin() + own}, {values.begin(), values.begin() + own}, bodies,
                     values_read);
  }
  TRY(CheckArity(spec, node, inputs));
  TRY(CheckAttributes(spec, node));
  TRY(CheckElementTypes(spec, inputs));
  RuleContext context(spec, node, inputs, values);
  context.Bodies(bodies);
  spec.rule(context);
  if (values_read) *values_read = context.values_read();
  if (context.failed()) {
    std::string got;
    for (const TypeInfo* t : inputs) got += (got.empty() ? "" : ", ") + (t ? t->ToString() : std::string("none"));
    return Error{context.code(), context.failure() + " (inputs " + got + ")", {}};
  }
  return std::move(context.result());
}

Result<std::vector<TypeInfo>> InferNodeAt(int opset, const OpSpec& spec, const Node& node,
                                          const std::vector<const TypeInfo*>& inputs,
                                          const std::vector<const Tensor*>& values, const BodyTypes* bodies,
                                          uint32_t* values_read) {
  Result<std::vector<TypeInfo>> out = InferNode(spec, node, inputs, values, bodies, values_read);
  bool newer = spec.domain.empty() && opset > kNewestOpset && spec.since <= kNewestOpset;
  if (out.ok() || !newer || out.error().code != Code::kInvalid) return out;
  return Unsupported(out.error().message + "; opset " + std::to_string(opset) + " may allow it, " + spec.name +
                     " is known up to opset " + std::to_string(kNewestOpset));
}

Result<const OpSpec*> RowFor(const Model& model, const Node& node) {
  std::string domain = node.domain == "ai.onnx" ? "" : node.domain;
  int opset = model.Opset(domain);
  const OpSpec* spec = FindOp(domain, node.op, opset);
  if (spec) return spec;
  std::string name = (domain.empty() ? "" : domain + ".") + node.op;
  if (domain.empty() && opset == 0) return Invalid("the model imports no operator set for this node", NodeLabel(node));
  return Unsupported("operator " + name + " at opset " + std::to_string(opset) + " is not supported", NodeLabel(node));
}

namespace {

TypeInfo FromDeclaration(const ValueInfo& v, const std::map<std::string, int64_t>& bindings) {
  TypeInfo t{v.dtype, v.shape.has_value(), {}};
  if (!v.shape) return t;
  for (const DimDecl& d : *v.shape) {
    auto it = d.value < 0 && !d.symbol.empty() ? bindings.find(d.symbol) : bindings.end();
    if (d.value >= 0) t.dims.push_back(Dim(d.value));
    else if (it != bindings.end()) t.dims.push_back(Dim(it->second));
    else t.dims.push_back(Dim::Unknown());
  }
  return t;
}

// Folds a node whose inputs are all known small integers (or whose output needs only shapes) to its value.
void FoldConstant(const OpSpec& spec, const Node& node, const std::vector<const TypeInfo*>& types,
                  const std::vector<const Tensor*>& values, const std::vector<TypeInfo>& outputs, int opset,
                  Inference* known) {
  if (!spec.eval || spec.Has(kNondeterministic) || outputs.size() != 1 || node.outputs[0].empty()) return;
  if (outputs[0].Static() && ElementCount(outputs[0].StaticShape()) > kFoldElements) return;
  std::vector<Tensor> stand_ins(types.size());
  std::vector<const Tensor*> inputs(types.size(), nullptr);
  bool needs_shape_only = spec.Has(kReadsShape);
  for (size_t i = 0; i < types.size(); ++i) {
    if (!types[i]) continue;
    if (values[i]) {
      inputs[i] = values[i];
    } else if (needs_shape_only && types[i]->Static()) {
      // Only the shape is read: give a tensor that has it, over no memory of its own where that is large.
      if (ElementCount(types[i]->StaticShape()) > (int64_t{1} << 16)) {
        // Shape of a large tensor: answer without building it.
        if (spec.name != "Shape" || node.Find("start") || node.Find("end")) return;
        Shape s = types[i]->StaticShape();
        known->constants[node.outputs[0]] = Tensor::Vector(s);
        return;
      }
      Result<Tensor> t = Tensor::Make(types[i]->dtype, types[i]->StaticShape());
      if (!t.ok()) return;
      stand_ins[i] = *t;
      if (t->dtype() != DType::kString && t->bytes() > 0) std::fill_n(stand_ins[i].mutable_raw(), t->bytes(), std::byte{0});
      inputs[i] = &stand_ins[i];
    } else {
      return;
    }
    if (inputs[i]->size() > kFoldElements && !needs_shape_only) return;
  }
  Result<std::vector<Tensor>> out = EvalNode(spec, node, inputs, Store::kNative, Limits::Small(), opset);
  if (out.ok() && (*out)[0].defined() && (*out)[0].size() <= kFoldElements) {
    known->constants[node.outputs[0]] = (*out)[0];
  }
}

}  // namespace

namespace {

TypeInfo DeclaredType(const ValueInfo& v, const std::map<std::string, int64_t>& bindings) {
  if (v.dtype != DType::kUndefined) return FromDeclaration(v, bindings);
  ListType list = ListTypeOf(v);
  if (list.kind == DType::kUndefined) return {};
  TypeInfo t = FromDeclaration({v.name, list.kind, std::move(list.shape), {}}, bindings);
  t.of = std::move(list.of);
  return t;
}

Status InferGraph(const Graph& g, const Model& model, Inference* known);

// What a subgraph of `node` gives, in the scope of `outer`.
Result<std::vector<TypeInfo>> InferBody(const Graph& body, const std::vector<TypeInfo>& inputs, const Node& node,
                                        const Model& model, const Inference& outer) {
  Inference known;
  std::vector<std::string> operands = OperandsOf(node);
  for (size_t i = node.inputs.size(); i < operands.size(); ++i) {
    auto type = outer.types.find(operands[i]);
    if (type == outer.types.end()) continue;
    known.types.insert(*type);
    auto value = outer.constants.find(operands[i]);
    if (value != outer.constants.end()) known.constants.insert(*value);
  }
  if (inputs.size() != body.inputs.size()) {
    return Invalid("the subgraph has " + std::to_string(body.inputs.size()) + " inputs and is given " +
                   std::to_string(inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    bool given = inputs[i].dtype != DType::kUndefined;
    known.types[body.inputs[i].name] = given ? inputs[i] : DeclaredType(body.inputs[i], {});
  }
  TRY(InferGraph(body, model, &known));
  std::vector<TypeInfo> outputs;
  for (const ValueInfo& o : body.outputs) outputs.push_back(known.types.at(o.name));
  return outputs;
}

bool HasBody(const Node& n) {
  return std::any_of(n.attrs.begin(), n.attrs.end(), [](const Attribute& a) { return TypeOf(a.value) == AttrType::kGraph; });
}

// `known`: the types of the graph's inputs and of what it captures; the rest is added.
Status InferGraph(const Graph& g, const Model& model, Inference* known) {
  for (const Initializer& i : g.initializers) {
    if (!i.value.defined()) return Unsupported("initializer '" + i.name + "' is of an element type that is not supported");
    known->types[i.name] = TypeInfo::Of(i.value);
    // A default of a graph input may be overridden: its type is fixed, its value is not.
    if (!g.FindInput(i.name)) known->constants[i.name] = i.value;
  }
  std::vector<NodePtr> order = TRY(Sorted(g));
  for (const NodePtr& n : order) {
    const OpSpec* spec = TRY(RowFor(model, *n));
    std::vector<const TypeInfo*> types;
    std::vector<const Tensor*> values;
    for (const std::string& name : OperandsOf(*n)) {
      if (name.empty()) {
        types.push_back(nullptr);
        values.push_back(nullptr);
        continue;
      }
      auto it = known->types.find(name);
      if (it == known->types.end()) return Invalid("nothing makes input '" + name + "'", NodeLabel(*n));
      types.push_back(&it->second);
      auto c = known->constants.find(name);
      values.push_back(c == known->constants.end() ? nullptr : &c->second);
    }
    BodyTypes bodies = [&](const Graph& body, const std::vector<TypeInfo>& inputs) {
      return InferBody(body, inputs, *n, model, *known);
    };
    bool has_body = HasBody(*n);
    Result<std::vector<TypeInfo>> out =
        InferNodeAt(model.Opset(spec->domain), *spec, *n, types, values, has_body ? &bodies : nullptr);
    if (!out.ok()) return out.error().In(NodeLabel(*n));
    if (!has_body) FoldConstant(*spec, *n, types, values, *out, model.Opset(n->domain), known);
    for (size_t i = 0; i < n->outputs.size(); ++i) {
      if (n->outputs[i].empty()) continue;
      auto folded = known->constants.find(n->outputs[i]);
      known->types[n->outputs[i]] = folded == known->constants.end() ? (*out)[i] : TypeInfo::Of(folded->second);
    }
  }
  for (const ValueInfo& o : g.outputs) {
    if (!known->types.count(o.name)) return Invalid("nothing makes graph output '" + o.name + "'");
  }
  return {};
}

}  // namespace

Result<Inference> Infer(const Model& model, const std::map<std::string, int64_t>& bindings, const Limits& limits) {
  if (NeedsInlining(model)) return Infer(TRY(Inlined(model, limits)), bindings, limits);
  const Graph& g = model.graph;
  if (static_cast<int64_t>(g.nodes.size()) > limits.nodes) {
    return LimitHit("the graph has more than " + std::to_string(limits.nodes) + " nodes");
  }
  Inference known;
  for (const ValueInfo& v : g.inputs) {
    TypeInfo type = DeclaredType(v, bindings);
    if (type.dtype == DType::kUndefined) return Unsupported("input '" + v.name + "' is not a tensor");
    known.types[v.name] = std::move(type);
  }
  TRY(InferGraph(g, model, &known));
  return known;
}

Status Validate(const Model& model, const Limits& limits) {
  Inference known = TRY(Infer(model, {}, limits));
  for (const ValueInfo& o : model.graph.outputs) {
    const TypeInfo& t = known.types.at(o.name);
    if (o.dtype != DType::kUndefined && o.dtype != t.dtype) {
      return Invalid("graph output '" + o.name + "' is declared " + DTypeName(o.dtype) + " and is " + DTypeName(t.dtype));
    }
    if (!o.shape || !t.ranked) continue;
    bool fits = o.shape->size() == t.dims.size();
    for (size_t i = 0; fits && i < t.dims.size(); ++i) {
      int64_t declared = (*o.shape)[i].value;
      fits = declared < 0 || (Dim(declared) == t.dims[i]) != Truth::kFalse;
    }
    if (!fits) return Invalid("graph output '" + o.name + "': declared shape does not fit " + t.ToString());
  }
  return {};
}

}  // namespace assay
