#include "interp/graph.h"

#include <algorithm>

namespace assay {

int64_t Node::Int(std::string_view attr, int64_t otherwise) const {
  const AttrValue* v = Find(attr);
  const int64_t* i = v ? std::get_if<int64_t>(v) : nullptr;
  return i ? *i : otherwise;
}
float Node::Float(std::string_view attr, float otherwise) const {
  const AttrValue* v = Find(attr);
  const float* f = v ? std::get_if<float>(v) : nullptr;
  return f ? *f : otherwise;
}
std::string Node::String(std::string_view attr, std::string_view otherwise) const {
  const AttrValue* v = Find(attr);
  const std::string* s = v ? std::get_if<std::string>(v) : nullptr;
  return s ? *s : std::string(otherwise);
}
std::vector<int64_t> Node::Ints(std::string_view attr) const {
  const AttrValue* v = Find(attr);
  const std::vector<int64_t>* s = v ? std::get_if<std::vector<int64_t>>(v) : nullptr;
  return s ? *s : std::vector<int64_t>{};
}
void Node::Set(const std::string& attr, AttrValue value) {
  for (Attribute& a : attrs) {
    if (a.name == attr) {
      a.value = std::move(value);
      return;
    }
  }
  attrs.push_back({attr, std::move(value), {}});
}
void Node::Erase(std::string_view attr) {
  std::erase_if(attrs, [&](const Attribute& a) { return a.name == attr; });
}

ValueInfo ValueInfo::Of(std::string name, DType dtype, const Shape& shape) {
  ValueInfo v{std::move(name), dtype, std::vector<DimDecl>{}, {}};
  for (int64_t d : shape) v.shape->push_back({d, {}});
  return v;
}
bool ValueInfo::Static() const {
  return shape && std::all_of(shape->begin(), shape->end(), [](const DimDecl& d) { return d.value >= 0; });
}
Shape ValueInfo::StaticShape() const {
  CHECK(Static());
  Shape s;
  for (const DimDecl& d : *shape) s.push_back(d.value);
  return s;
}

const Initializer* Graph::FindInitializer(const std::string& value) const {
  for (const Initializer& i : initializers) {
    if (i.name == value) return &i;
  }
  return nullptr;
}
const ValueInfo* Graph::FindInput(const std::string& value) const {
  for (const ValueInfo& i : inputs) {
    if (i.name == value) return &i;
  }
  return nullptr;
}
std::vector<ValueInfo> Graph::RequiredInputs() const {
  std::set<std::string> defaults;
  for (const Initializer& i : initializers) defaults.insert(i.name);
  std::vector<ValueInfo> required;
  for (const ValueInfo& i : inputs) {
    if (!defaults.count(i.name)) required.push_back(i);
  }
  return required;
}

namespace {
// Values that a subgraph reads from outside itself. Nesting depth is bounded by the loader.
void Captures(const Graph& sub, std::vector<std::string>* reads) {
  std::set<std::string> own;
  for (const ValueInfo& i : sub.inputs) own.insert(i.name);
  for (const Initializer& i : sub.initializers) own.insert(i.name);
  for (const NodePtr& n : sub.nodes) own.insert(n->outputs.begin(), n->outputs.end());
  for (const NodePtr& n : sub.nodes) {
    for (const std::string& r : ReadBy(*n)) {
      if (!own.count(r)) reads->push_back(r);
    }
  }
  for (const ValueInfo& o : sub.outputs) {
    if (!own.count(o.name)) reads->push_back(o.name);
  }
}
}  // namespace

std::vector<std::string> ReadBy(const Node& node) {
  std::vector<std::string> reads;
  for (const std::string& i : node.inputs) {
    if (!i.empty()) reads.push_back(i);
  }
  for (const Attribute& a : node.attrs) {
    if (auto g = std::get_if<std::shared_ptr<const Graph>>(&a.value)) Captures(**g, &reads);
  }
  return reads;
}

std::vector<std::string> OperandsOf(const Node& node) {
  std::vector<std::string> operands = node.inputs;
  std::vector<std::string> captured;
  for (const Attribute& a : node.attrs) {
    if (auto g = std::get_if<std::shared_ptr<const Graph>>(&a.value)) Captures(**g, &captured);
  }
  for (std::string& c : captured) {
    bool seen = std::find(operands.begin() + static_cast<ptrdiff_t>(node.inputs.size()), operands.end(), c) != operands.end();
    if (!c.empty() && !seen) operands.push_back(std::move(c));
  }
  return operands;
}

std::unordered_map<std::string, int> Graph::Producers() const {
  std::unordered_map<std::string, int> made;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& o : nodes[i]->outputs) {
      if (!o.empty()) made[o] = static_cast<int>(i);
    }
  }
  return made;
}
std::unordered_map<std::string, std::vector<int>> Graph::Consumers() const {
  std::unordered_map<std::string, std::vector<int>> read;
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const std::string& r : ReadBy(*nodes[i])) {
      std::vector<int>& v = read[r];
      if (v.empty() || v.back() != static_cast<int>(i)) v.push_back(static_cast<int>(i));
    }
  }
  return read;
}
std::set<std::string> Graph::AllNames() const {
  std::set<std::string> names;
  for (const ValueInfo& v : inputs) names.insert(v.name);
  for (const Initializer& i : initializers) names.insert(i.name);
  for (const NodePtr& n : nodes) {
    names.insert(n->outputs.begin(), n->outputs.end());
    for (const std::string& r : ReadBy(*n)) names.insert(r);
  }
  return names;
}
bool Graph::IsOutput(const std::string& value) const {
  return std::any_of(outputs.begin(), outputs.end(), [&](const ValueInfo& o) { return o.name == value; });
}

void Graph::SetInitializer(const std::string& value, Tensor tensor) {
  for (Initializer& i : initializers) {
    if (i.name == value) {
      i.value = std::move(tensor);
      return;
    }
  }
  initializers.push_back({value, std::move(tensor), {}});
}

namespace {
std::shared_ptr<const Graph> RenameInSubgraph(const std::shared_ptr<const Graph>& sub, const std::string& from,
                                              const std::string& to);
// The node with reads of `from` renamed; the same pointer when it reads no such value.
NodePtr RenameReads(const NodePtr& n, const std::string& from, const std::string& to) {
  std::vector<std::string> reads = ReadBy(*n);
  if (std::find(reads.begin(), reads.end(), from) == reads.end()) return n;
  auto copy = std::make_shared<Node>(*n);
  std::replace(copy->inputs.begin(), copy->inputs.end(), from, to);
  for (Attribute& a : copy->attrs) {
    if (auto g = std::get_if<std::shared_ptr<const Graph>>(&a.value)) a.value = RenameInSubgraph(*g, from, to);
  }
  return copy;
}
std::shared_ptr<const Graph> RenameInSubgraph(const std::shared_ptr<const Graph>& sub, const std::string& from,
                                              const std::string& to) {
  std::vector<std::string> reads;
  Captures(*sub, &reads);
  if (std::find(reads.begin(), reads.end(), from) == reads.end()) return sub;
  auto copy = std::make_shared<Graph>(*sub);
  for (NodePtr& n : copy->nodes) n = RenameReads(n, from, to);
  for (ValueInfo& o : copy->outputs) {
    if (o.name == from) o.name = to;
  }
  return copy;
}
}  // namespace

void Graph::RedirectReaders(const std::string& from, const std::string& to, bool outputs_too) {
  for (NodePtr& n : nodes) n = RenameReads(n, from, to);
  if (!outputs_too) return;
  for (ValueInfo& o : outputs) {
    if (o.name == from) o.name = to;
  }
}

void Graph::RemoveDead() {
  std::set<std::string> live;
  for (const ValueInfo& o : outputs) live.insert(o.name);
  std::unordered_map<std::string, int> made = Producers();
  std::vector<bool> keep(nodes.size(), false);
  std::vector<std::string> work(live.begin(), live.end());
  while (!work.empty()) {
    std::string v = std::move(work.back());
    work.pop_back();
    auto it = made.find(v);
    if (it == made.end() || keep[it->second]) continue;
    keep[it->second] = true;
    for (const std::string& r : ReadBy(*nodes[it->second])) {
      if (live.insert(r).second) work.push_back(r);
    }
  }
  std::vector<NodePtr> kept;
  std::set<std::string> exists;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!keep[i]) continue;
    kept.push_back(nodes[i]);
    exists.insert(nodes[i]->outputs.begin(), nodes[i]->outputs.end());
  }
  nodes = std::move(kept);
  std::erase_if(initializers, [&](const Initializer& i) { return !live.count(i.name) && !FindInput(i.name); });
  std::erase_if(value_info, [&](const ValueInfo& v) { return !exists.count(v.name); });
}

Result<std::vector<NodePtr>> Sorted(const Graph& graph) {
  std::unordered_map<std::string, int> made;
  std::set<std::string> given;
  for (const ValueInfo& v : graph.inputs) given.insert(v.name);
  for (const Initializer& i : graph.initializers) given.insert(i.name);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const std::string& o : graph.nodes[i]->outputs) {
      if (o.empty()) continue;
      if (!made.emplace(o, static_cast<int>(i)).second || given.count(o)) {
        return Invalid("value '" + o + "' is made twice", graph.nodes[i]->op + " '" + graph.nodes[i]->name + "'");
      }
    }
  }
  size_t n = graph.nodes.size();
  std::vector<int> waiting(n, 0);
  std::vector<std::vector<int>> readers(n);
  for (size_t i = 0; i < n; ++i) {
    for (const std::string& r : ReadBy(*graph.nodes[i])) {
      auto it = made.find(r);
      if (it == made.end()) continue;  // a graph input, an initializer, an outer value; executors check
      ++waiting[i];
      readers[it->second].push_back(static_cast<int>(i));
    }
  }
  // Lowest file position first keeps a valid file order as it is.
  std::set<int> ready;
  for (size_t i = 0; i < n; ++i) {
    if (waiting[i] == 0) ready.insert(static_cast<int>(i));
  }
  std::vector<NodePtr> order;
  order.reserve(n);
  while (!ready.empty()) {
    int i = *ready.begin();
    ready.erase(ready.begin());
    order.push_back(graph.nodes[i]);
    for (int r : readers[i]) {
      if (--waiting[r] == 0) ready.insert(r);
    }
  }
  if (order.size() < n) {
    for (size_t i = 0; i < n; ++i) {
      if (waiting[i] > 0) {
        const Node& n = *graph.nodes[i];
        std::string label = n.name.empty() && !n.outputs.empty() ? " making '" + n.outputs[0] : " '" + n.name;
        return Invalid("the graph has a cycle through this node", n.op + label + "'");
      }
    }
  }
  return order;
}

int Model::Opset(const std::string& domain) const {
  auto it = opsets.find(domain);
  return it == opsets.end() ? 0 : it->second;
}

NodePtr MakeNode(std::string op, std::vector<std::string> inputs, std::vector<std::string> outputs,
                 std::vector<Attribute> attrs, std::string name, std::string domain) {
  auto n = std::make_shared<Node>();
  n->name = std::move(name);
  n->op = std::move(op);
  n->domain = std::move(domain);
  n->inputs = std::move(inputs);
  n->outputs = std::move(outputs);
  n->attrs = std::move(attrs);
  return n;
}

bool SameAttr(const AttrValue& a, const AttrValue& b) {
  if (a.index() != b.index()) return false;
  if (auto t = std::get_if<Tensor>(&a)) return t->Identical(std::get<Tensor>(b));
  if (auto g = std::get_if<std::shared_ptr<const Graph>>(&a)) return *g == std::get<std::shared_ptr<const Graph>>(b);
  return std::visit(
      [&](const auto& x) {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, std::shared_ptr<const Graph>>) return false;
        else return x == std::get<T>(b);
      },
      a);
}

}  // namespace assay
