#include "interp/functions.h"

#include <unordered_map>

#include "interp/blocked_layout.h"
#include "interp/gradient.h"
#include "interp/infer.h"
#include "interp/op_spec.h"

namespace assay {
namespace {

constexpr int kMaxCalls = 64;  // of functions within functions

class Inliner {
 public:
  Inliner(const Model& model, const Limits& limits) : model_(model), limits_(limits), names_(model.graph.AllNames()) {
    for (const Function& f : *model.functions) functions_[{f.domain, f.name}] = &f;
  }

  Result<Graph> Run(const Graph& graph) {
    Graph out = graph;
    out.nodes.clear();
    for (const NodePtr& n : graph.nodes) TRY(Add(n, 0, &out.nodes));
    return out;
  }

 private:
  const Function* FunctionOf(const Node& n) const {
    auto it = functions_.find({n.domain, n.op});
    return it == functions_.end() ? nullptr : it->second;
  }

  Status Add(const NodePtr& n, int depth, std::vector<NodePtr>* out) {
    if (const Function* f = FunctionOf(*n)) return Call(*n, *f, depth + 1, out);
    if (static_cast<int64_t>(out->size()) >= limits_.nodes)
      return LimitHit("the functions written out have more than " + std::to_string(limits_.nodes) + " nodes");
    NodePtr copy = n;
    for (size_t i = 0; i < n->attrs.size(); ++i) {
      auto graph = std::get_if<std::shared_ptr<const Graph>>(&n->attrs[i].value);
      if (!graph || !*graph) continue;
      Graph body = TRY(Run(**graph));
      auto with = std::make_shared<Node>(*copy);
      with->attrs[i].value = std::make_shared<const Graph>(std::move(body));
      copy = std::move(with);
    }
    out->push_back(std::move(copy));
    return {};
  }

  Status Call(const Node& call, const Function& f, int depth, std::vector<NodePtr>* out) {
    std::string where = NodeLabel(call);
    if (++calls_ > limits_.nodes) return LimitHit("functions are called more than " + std::to_string(limits_.nodes) + " times");
    if (depth > kMaxCalls) return Invalid("function '" + f.name + "' calls itself, or too many others", where);
    if (call.inputs.size() > f.inputs.size() || call.outputs.size() > f.outputs.size())
      return Invalid("function '" + f.name + "' has fewer operands than the call", where);
    std::unordered_map<std::string, std::string> value{{"", ""}};
    for (size_t i = 0; i < f.inputs.size(); ++i) value[f.inputs[i]] = i < call.inputs.size() ? call.inputs[i] : "";
    for (size_t i = 0; i < call.outputs.size(); ++i) {
      // What a function passes through has two names outside.
      if (call.outputs[i].empty()) continue;
      if (!value.emplace(f.outputs[i], call.outputs[i]).second)
        out->push_back(MakeNode("Identity", {value[f.outputs[i]]}, {call.outputs[i]}, {}, call.name));
    }
    for (const Function::Step& step : f.steps) {
      TRY(SameMeaning(*step.node, f, where));
      for (const std::string& o : step.node->outputs) {
        if (!value.count(o)) value[o] = Fresh(call, o);
      }
    }
    for (const Function::Step& step : f.steps) TRY(Add(TRY(Instance(step, call, f, value)), depth, out));
    return {};
  }

  // The node of a function as this call makes it.
  Result<NodePtr> Instance(const Function::Step& step, const Node& call, const Function& f,
                           const std::unordered_map<std::string, std::string>& value) {
    auto n = std::make_shared<Node>(*step.node);
    n->name = call.name + "/" + n->name;
    for (std::string& i : n->inputs) {
      auto it = value.find(i);
      if (it == value.end()) return Invalid("nothing in function '" + f.name + "' makes '" + i + "'", NodeLabel(call));
      i = it->second;
    }
    for (std::string& o : n->outputs) o = value.at(o);
    for (Attribute& a : n->attrs) {
      auto graph = std::get_if<std::shared_ptr<const Graph>>(&a.value);
      if (graph && *graph) a.value = std::make_shared<const Graph>(Captured(**graph, value));
    }
    for (const auto& [name, outer] : step.references) {
      const AttrValue* given = call.Find(outer);
      for (const Attribute& d : f.defaults) {
        if (!given && d.name == outer) given = &d.value;
      }
      if (given) n->Set(name, *given);
      else n->Erase(name);
    }
    return NodePtr(std::move(n));
  }

  // A subgraph inside a function reads the function's values under their outer names; its own stay.
  static Graph Captured(const Graph& body, std::unordered_map<std::string, std::string> value) {
    Graph g = body;
    for (const ValueInfo& i : g.inputs) value.erase(i.name);
    for (const Initializer& i : g.initializers) value.erase(i.name);
    for (const NodePtr& n : g.nodes) {
      for (const std::string& o : n->outputs) value.erase(o);
    }
    auto rename = [&](std::string& s) {
      if (auto it = value.find(s); it != value.end()) s = it->second;
    };
    for (NodePtr& n : g.nodes) {
      auto copy = std::make_shared<Node>(*n);
      for (std::string& i : copy->inputs) rename(i);
      for (Attribute& a : copy->attrs) {
        auto graph = std::get_if<std::shared_ptr<const Graph>>(&a.value);
        if (graph && *graph) a.value = std::make_shared<const Graph>(Captured(**graph, value));
      }
      n = std::move(copy);
    }
    for (ValueInfo& o : g.outputs) rename(o.name);
    return g;
  }

  // Do the function's and the model's version of the operator set agree on this operator?
  Status SameMeaning(const Node& n, const Function& f, const std::string& where) const {
    auto own = f.opsets.find(n.domain);
    if (FunctionOf(n) || own == f.opsets.end() || own->second == model_.Opset(n.domain)) return {};
    const OpSpec *there = FindOp(n.domain, n.op, own->second), *here = FindOp(n.domain, n.op, model_.Opset(n.domain));
    // Most versions only add element types.
    bool same = there == here || (there && here && there->eval == here->eval && there->rule == here->rule &&
                                  there->inputs.size() == here->inputs.size() && there->attrs.size() == here->attrs.size());
    if (same) return {};
    return Unsupported("function '" + f.name + "' has " + n.op + " of version " + std::to_string(own->second) +
                           ", which is another in the model's version " + std::to_string(model_.Opset(n.domain)), where);
  }

  std::string Fresh(const Node& call, const std::string& inner) {
    std::string stem = (call.name.empty() ? call.op : call.name) + "/" + inner, name = stem;
    for (int k = 2; !names_.insert(name).second; ++k) name = stem + "_" + std::to_string(k);
    return name;
  }

  const Model& model_;
  const Limits& limits_;
  std::set<std::string> names_;
  int64_t calls_ = 0;
  std::map<std::pair<std::string, std::string>, const Function*> functions_;
};

}  // namespace

bool NeedsInlining(const Model& model) {
  return model.functions || HasGradients(model.graph) || HasBlockedLayout(model);
}

Result<Model> Inlined(const Model& model, const Limits& limits) {
  if (!NeedsInlining(model)) return model;
  Model out = model;
  if (model.functions) {
    out.graph = TRY(Inliner(model, limits).Run(model.graph));
    out.functions = nullptr;
    // Domains that the functions use and the model need not import.
    for (const Function& f : *model.functions) {
      for (const auto& [domain, version] : f.opsets) out.opsets.emplace(domain, version);
    }
  }
  if (HasGradients(out.graph)) out.graph = TRY(WithoutGradients(out.graph));
  if (HasBlockedLayout(out)) out = TRY(WithPlainLayout(out));
  return out;
}

}  // namespace assay
