// Rewrites of what carries no meaning: names (B27), orders (B28). Every conversion ends with both.
#include <algorithm>
#include <set>

#include "fuzz/edit.h"
#include "interp/choices.h"

namespace assay {
namespace {

// ---- B27 ----
// Styles of names that converters give: PyTorch's paths, Keras' layers, TensorFlow's scopes,
// numbers.
std::string StyledName(uint64_t style, const std::string& op, size_t index) {
  std::string lower = op;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string n = std::to_string(index);
  switch (style % 4) {
    case 0:
      return "/features/" + lower + "." + n + "/" + op + "_output_0";
    case 1:
      return lower + "_" + n;
    case 2:
      return "StatefulPartitionedCall/model/" + lower + "_" + n + ":0";
    default:
      return n;
  }
}

using Renaming = std::unordered_map<std::string, std::string>;

const std::string& Renamed(const Renaming& names, const std::string& name) {
  auto it = names.find(name);
  return it == names.end() ? name : it->second;
}

// Values that subgraphs define themselves; new outer names must not clash with them. Depth is
// bounded by the loader.
void NamesInside(const Graph& g, std::set<std::string>* names) {
  for (const ValueInfo& v : g.inputs) names->insert(v.name);
  for (const Initializer& i : g.initializers) names->insert(i.name);
  for (const NodePtr& n : g.nodes) {
    names->insert(n->outputs.begin(), n->outputs.end());
    for (const Attribute& a : n->attrs) {
      if (auto sub = std::get_if<std::shared_ptr<const Graph>>(&a.value)) NamesInside(**sub, names);
    }
  }
}
void RenameNode(const Renaming& names, Node* n);
std::shared_ptr<const Graph> RenameCaptures(const Renaming& names,
                                            const std::shared_ptr<const Graph>& sub) {
  auto copy = std::make_shared<Graph>(*sub);
  for (NodePtr& n : copy->nodes) {
    Node changed = *n;
    RenameNode(names, &changed);
    n = std::make_shared<const Node>(std::move(changed));
  }
  for (ValueInfo& o : copy->outputs) o.name = Renamed(names, o.name);
  return copy;
}
void RenameNode(const Renaming& names, Node* n) {
  for (std::string& x : n->inputs) x = Renamed(names, x);
  for (std::string& x : n->outputs) x = Renamed(names, x);
  for (Attribute& a : n->attrs) {
    if (auto sub = std::get_if<std::shared_ptr<const Graph>>(&a.value))
      a.value = RenameCaptures(names, *sub);
  }
}

// "<seed>": inner values and nodes; "<seed>,io": inputs and outputs too, their order kept.
Result<Model> RenameAll(const View& view, const std::string& argument) {
  std::vector<std::string> fields = Fields(argument, ',');
  std::optional<int64_t> seed = ParseInt(fields[0]);
  bool io = fields.size() == 2 && fields[1] == "io";
  if (!seed || *seed < 0 || fields.size() > 2 || (fields.size() == 2 && !io)) {
    return Invalid("B27 takes a seed, or a seed and io; got '" + argument + "'");
  }
  Choices choices(static_cast<uint64_t>(*seed));
  uint64_t style = choices.Below(4);
  size_t index = static_cast<size_t>(choices.Below(100));
  Model model = view.subject().model;
  Graph& g = model.graph;
  std::set<std::string> taken = g.AllNames();
  NamesInside(g, &taken);
  Renaming names;
  auto rename = [&](const std::string& old, const std::string& op) {
    if (old.empty() || names.count(old) || (!io && (view.IsInput(old) || view.IsOutput(old))))
      return;
    std::string fresh;
    do fresh = StyledName(style, op, index++);
    while (!taken.insert(fresh).second);
    names.emplace(old, fresh);
  };
  for (const ValueInfo& v : g.inputs) rename(v.name, "input");
  for (const Initializer& i : g.initializers) rename(i.name, "weight");
  for (const NodePtr& n : g.nodes) {
    for (const std::string& o : n->outputs) rename(o, n->op);
  }
  for (NodePtr& n : g.nodes) {
    Node changed = *n;
    RenameNode(names, &changed);
    changed.name =
        style == 3 && choices.Chance(0.5) ? "" : changed.op + "_" + std::to_string(index++);
    n = std::make_shared<const Node>(std::move(changed));
  }
  for (ValueInfo& v : g.inputs) v.name = Renamed(names, v.name);
  for (ValueInfo& v : g.outputs) v.name = Renamed(names, v.name);
  for (ValueInfo& v : g.value_info) v.name = Renamed(names, v.name);
  for (Initializer& i : g.initializers) i.name = Renamed(names, i.name);
  return model;
}

// ---- B28 ----
// A random topological order: of the nodes that are ready, any may be next.
Result<Model> Reorder(const View& view, const std::string& argument) {
  std::optional<int64_t> seed = ParseInt(argument);
  if (!seed || *seed < 0) return Invalid("B28 takes a seed; got '" + argument + "'");
  Choices choices(static_cast<uint64_t>(*seed));
  Model model = view.subject().model;
  Graph& g = model.graph;
  std::vector<int> waiting(g.nodes.size(), 0), ready;
  std::vector<std::vector<int>> readers(g.nodes.size());
  for (int i = 0; i < view.size(); ++i) {
    for (const std::string& r : ReadBy(view.node(i))) {
      int maker = view.Maker(r);
      if (maker < 0) continue;
      ++waiting[i];
      readers[maker].push_back(i);
    }
    if (waiting[i] == 0) ready.push_back(i);
  }
  std::vector<NodePtr> order;
  while (!ready.empty()) {
    size_t k = static_cast<size_t>(choices.Below(ready.size()));
    int i = ready[k];
    ready[k] = ready.back();
    ready.pop_back();
    order.push_back(g.nodes[i]);
    for (int r : readers[i]) {
      if (--waiting[r] == 0) ready.push_back(r);
    }
  }
  if (order.size() != g.nodes.size()) return Invalid("the graph has a cycle");
  g.nodes = std::move(order);
  choices.Shuffle(g.initializers);
  choices.Shuffle(g.value_info);
  return model;
}

}  // namespace

std::vector<Transform> rewrites_names() {
  std::vector<Transform> rows;
  auto seeds = [](const View&) { return std::vector<std::string>{"1"}; };
  rows.push_back(
      OnGraph({.name = "B27",
               .doc = "Nodes and inner values get other names; with io, inputs and outputs too.",
               .cite = "luludak/DiTOX passes.txt: rename_input_output; PINTO0309/onnx2tf#178",
               .precondition = "the order of inputs and outputs stays",
               .ops = "all",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  w = float[3] {1, 2, 3}
  h = Mul(x, w)
  y = Relu(h)
})"},
              seeds, RenameAll));
  rows.push_back(
      OnGraph({.name = "B28",
               .doc = "Another topological order of the nodes, another order of initializers.",
               .cite = "uncited",
               .precondition = "every value is made before it is read",
               .ops = "all",
               .example = R"(
graph(float[2,3] x) -> (float[2,3] y) {
  w = float[3] {1, 2, 3}
  v = float[3] {3, 2, 1}
  a = Mul(x, w)
  b = Add(x, v)
  y = Sub(a, b)
})"},
              seeds, Reorder));
  return rows;
}

}  // namespace assay
