#include "oracle/proposal.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace assay {

#define ENTRY(stem) RepairStrategy repair_##stem();
#include "oracle_repairs.inc"
#undef ENTRY

const std::vector<RepairStrategy>& RepairStrategies() {
  static const std::vector<RepairStrategy> table = [] {
    std::vector<RepairStrategy> t;
#define ENTRY(stem) t.push_back(repair_##stem());
#include "oracle_repairs.inc"
#undef ENTRY
    return t;
  }();
  return table;
}

bool RepairScene::SameOperand(const PreparedNode& tn, size_t i, const PreparedNode& sn, size_t j) const {
  int a = i < tn.inputs.size() ? tn.inputs[i] : -1, b = j < sn.inputs.size() ? sn.inputs[j] : -1;
  if (a < 0 || b < 0) return a < 0 && b < 0;
  if (t().initializer[a] >= 0 && s().initializer[b] >= 0 && t().content[a] == s().content[b]) return true;
  const Signature &x = target.signature[a], &y = source.signature[b];
  return x.defined() && y.defined() && x.ordered == y.ordered;
}

std::vector<int> RepairScene::Counterparts(int target_node, size_t most) const {
  const PreparedNode& tn = t().nodes[target_node];
  std::vector<std::pair<int, int>> ranked;  // (-score, node)
  for (size_t n = 0; n < s().nodes.size(); ++n) {
    const PreparedNode& sn = s().nodes[n];
    if (sn.node->op != tn.node->op || sn.node->domain != tn.node->domain || sn.constant) continue;
    int score = 0;
    for (size_t i = 0; i < std::max(tn.inputs.size(), sn.inputs.size()); ++i) score += SameOperand(tn, i, sn, i) ? 4 : 0;
    if (sn.hash == tn.hash) score += 2;
    bool missing = std::all_of(sn.outputs.begin(), sn.outputs.end(),
                               [&](int o) { return o < 0 || alignment.target_of[o] < 0; });
    if (missing) score += 3;
    ranked.push_back({-score, static_cast<int>(n)});
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<int> out;
  for (size_t i = 0; i < ranked.size() && i < most; ++i) out.push_back(ranked[i].second);
  return out;
}

bool RepairScene::NearInput(int value) const {
  // A preprocessing block is short: a handful of element-wise nodes behind the input.
  constexpr int kLongest = 6;
  for (int steps = 0; steps < kLongest; ++steps) {
    if (value < 0) return false;
    if (std::find(t().inputs.begin(), t().inputs.end(), value) != t().inputs.end()) return true;
    int n = t().producer[value];
    if (n < 0) return false;
    const PreparedNode& pn = t().nodes[n];
    static const std::set<std::string> kPreprocessing = {"Add", "Sub", "Mul", "Div", "Gather", "Cast", "Concat", "Slice", "Unsqueeze", "Identity"};
    if (!kPreprocessing.count(pn.node->op)) return false;
    int data = -1;
    for (int i : pn.inputs) {
      if (i >= 0 && !t().constant[i]) data = i;
    }
    value = data;
  }
  return false;
}

Model ReplaceNode(const Prepared& m, int node, NodePtr replacement) {
  Model out = m.model;
  for (NodePtr& n : out.graph.nodes) {
    if (n == m.nodes[node].node) n = replacement;
  }
  return out;
}

namespace {
// Nodes whose outputs nobody reads, directly or through other such nodes.
std::set<std::string> DeadOutputs(const Graph& g) {
  Graph live = g;
  live.RemoveDead();
  std::set<std::string> kept, dead;
  for (const NodePtr& n : live.nodes) kept.insert(n->outputs.begin(), n->outputs.end());
  for (const NodePtr& n : g.nodes) {
    for (const std::string& o : n->outputs) {
      if (!kept.count(o)) dead.insert(o);
    }
  }
  return dead;
}
}  // namespace

void RemoveNewlyDead(const Graph& before, Graph* after) {
  std::set<std::string> was_dead = DeadOutputs(before), is_dead = DeadOutputs(*after);
  // What a node that was dead before still reads stays with it.
  auto newly_dead = [&](const std::string& o) { return is_dead.count(o) > 0 && was_dead.count(o) == 0; };
  for (size_t size = 0; size != after->nodes.size();) {
    size = after->nodes.size();
    std::set<std::string> read;
    for (const NodePtr& n : after->nodes) {
      for (const std::string& r : ReadBy(*n)) read.insert(r);
    }
    std::erase_if(after->nodes, [&](const NodePtr& n) {
      return std::all_of(n->outputs.begin(), n->outputs.end(),
                         [&](const std::string& o) { return newly_dead(o) && !read.count(o); });
    });
  }
  std::set<std::string> read_before, read;
  for (const NodePtr& n : before.nodes) {
    for (const std::string& r : ReadBy(*n)) read_before.insert(r);
  }
  for (const NodePtr& n : after->nodes) {
    for (const std::string& r : ReadBy(*n)) read.insert(r);
  }
  std::erase_if(after->initializers, [&](const Initializer& i) {
    return !read.count(i.name) && read_before.count(i.name) && !after->IsOutput(i.name) && !after->FindInput(i.name);
  });
}

namespace {
// Graph output `name` becomes what `to` holds; what made it keeps its readers under an inner name.
void RedirectOutput(const Prepared& m, const std::string& name, const std::string& to, Graph* g) {
  std::string inner = name + "__inner";
  g->RedirectReaders(name, inner);
  for (NodePtr& n : g->nodes) {
    if (std::find(n->outputs.begin(), n->outputs.end(), name) == n->outputs.end()) continue;
    auto renamed = std::make_shared<Node>(*n);
    std::replace(renamed->outputs.begin(), renamed->outputs.end(), name, inner);
    n = renamed;
  }
  if (m.number.count(to) == 0) {
    // A value that the edit itself made can carry the output's name.
    g->RedirectReaders(to, name);
    for (NodePtr& n : g->nodes) {
      if (std::find(n->outputs.begin(), n->outputs.end(), to) == n->outputs.end()) continue;
      auto renamed = std::make_shared<Node>(*n);
      std::replace(renamed->outputs.begin(), renamed->outputs.end(), to, name);
      n = renamed;
    }
  } else {
    g->nodes.push_back(MakeNode("Identity", {to == name ? inner : to}, {name}, {}, name + "__healed"));
  }
}
}  // namespace

Model Redirect(const Prepared& m, int from, const std::string& to, Readers readers) {
  Model out = m.model;
  Graph& g = out.graph;
  const std::string name = m.names[from];
  if (readers == Readers::kAll) g.RedirectReaders(name, to);
  if (g.IsOutput(name)) RedirectOutput(m, name, to, &g);
  return out;
}

std::set<int> DependentsOf(const Prepared& m, int v, const std::vector<std::vector<int>>& readers) {
  std::set<int> seen{v};
  std::vector<int> work{v};
  while (!work.empty()) {
    int x = work.back();
    work.pop_back();
    for (int n : readers[x]) {
      for (int o : m.nodes[n].outputs) {
        if (o >= 0 && seen.insert(o).second) work.push_back(o);
      }
    }
  }
  return seen;
}

namespace {
std::string Fresh(const Graph& g, const std::string& base) {
  auto taken = [&](const std::string& name) {
    auto is = [&](const auto& x) { return x.name == name; };
    return std::any_of(g.inputs.begin(), g.inputs.end(), is) ||
           std::any_of(g.initializers.begin(), g.initializers.end(), is) ||
           std::any_of(g.nodes.begin(), g.nodes.end(), [&](const NodePtr& n) {
             return std::count(n->outputs.begin(), n->outputs.end(), name) +
                        std::count(n->inputs.begin(), n->inputs.end(), name) > 0;
           });
  };
  std::string name = base;
  for (int i = 2; taken(name); ++i) name = base + "_" + std::to_string(i);
  return name;
}
}  // namespace

Result<std::string> ImportConstant(const RepairScene& scene, int v, Model* model) {
  const Prepared& s = scene.s();
  CHECK(s.initializer[v] >= 0);
  const Prepared& t = scene.t();
  for (size_t i = 0; i < t.names.size(); ++i) {
    if (t.initializer[i] >= 0 && t.content[i] == s.content[v] && model->graph.FindInitializer(t.names[i])) return t.names[i];
  }
  std::string name = Fresh(model->graph, s.names[v] + "__healed");
  model->graph.SetInitializer(name, s.Initial(v));
  return name;
}

Result<std::string> ImportSlice(const RepairScene& scene, int source_value, const std::set<int>& avoid, Model* model,
                                std::vector<const Node*>* copied, size_t most_nodes) {
  const Prepared& s = scene.s();
  const Prepared& t = scene.t();
  // Target values usable in place of source values, by signature.
  std::unordered_map<uint64_t, int> usable;
  for (size_t v = 0; v < t.names.size(); ++v) {
    if (scene.target.signature[v].defined() && !t.constant[v] && !avoid.count(static_cast<int>(v))) {
      usable.emplace(scene.target.signature[v].ordered, static_cast<int>(v));
    }
  }
  // Of several equal values the one that the edited place reads already.
  for (int i : scene.node().inputs) {
    auto it = i >= 0 && scene.target.signature[i].defined() ? usable.find(scene.target.signature[i].ordered) : usable.end();
    if (it != usable.end() && !t.constant[i] && !avoid.count(i)) it->second = i;
  }
  std::map<int, std::string> name_of;  // source value -> target name
  auto same_shape = [&](int sv, int tv) {
    for (size_t k = 0; k < scene.source.values.size(); ++k) {
      if (scene.source.values[k][sv].shape() != scene.target.values[k][tv].shape()) return false;
    }
    return true;
  };
  auto substitute = [&](int v) -> bool {
    auto it = s.constant[v] ? usable.end() : usable.find(scene.source.signature[v].ordered);
    if (it == usable.end()) return false;
    if (same_shape(v, it->second)) {
      name_of[v] = t.names[it->second];
      return true;
    }
    // Equal elements under another shape: a Reshape, when the shape does not vary between contexts.
    const Shape& want = scene.source.values[0][v].shape();
    for (const std::vector<Tensor>& context : scene.source.values) {
      if (context[v].shape() != want) return false;
    }
    if (std::count(want.begin(), want.end(), 0) > 0) return false;
    std::string shape = Fresh(model->graph, s.names[v] + "__shape");
    model->graph.SetInitializer(shape, Tensor::Vector(want));
    std::string out = Fresh(model->graph, s.names[v] + "__healed");
    model->graph.nodes.push_back(MakeNode("Reshape", {t.names[it->second], shape}, {out}, {}, out));
    name_of[v] = out;
    return true;
  };
  if (substitute(source_value)) return name_of[source_value];
  // Nodes to copy, found backwards, copied in topological order.
  std::set<int> needed;
  std::vector<int> work{source_value};
  while (!work.empty()) {
    int v = work.back();
    work.pop_back();
    if (name_of.count(v)) continue;
    if (v != source_value && substitute(v)) continue;
    if (s.initializer[v] >= 0) {
      name_of[v] = TRY(ImportConstant(scene, v, model));
      continue;
    }
    if (s.producer[v] < 0) return Invalid("a source input has no counterpart in the target");
    if (!needed.insert(s.producer[v]).second) continue;
    if (needed.size() > most_nodes) return Invalid("the slice is too large");
    for (int i : s.nodes[s.producer[v]].inputs) {
      if (i >= 0) work.push_back(i);
    }
  }
  for (int n : needed) {
    const PreparedNode& pn = s.nodes[n];
    if (FindOp(pn.row->domain, pn.row->name, model->Opset(pn.row->domain)) != pn.row) {
      return Unsupported("operator " + pn.row->name + " has another version in the target");
    }
    auto node = std::make_shared<Node>(*pn.node);
    node->name = pn.node->name.empty() ? "" : pn.node->name + "__healed";
    for (size_t i = 0; i < node->inputs.size(); ++i) {
      if (pn.inputs[i] >= 0) node->inputs[i] = name_of.at(pn.inputs[i]);
    }
    for (size_t o = 0; o < node->outputs.size(); ++o) {
      if (pn.outputs[o] < 0) continue;
      node->outputs[o] = Fresh(model->graph, pn.node->outputs[o] + "__healed");
      name_of.emplace(pn.outputs[o], node->outputs[o]);
    }
    model->graph.nodes.push_back(node);
    if (copied) copied->push_back(pn.node.get());
  }
  return name_of.at(source_value);
}

std::string AttrText(const AttrValue& v) {
  return std::visit(
      [](const auto& x) -> std::string {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, int64_t>) return std::to_string(x);
        else if constexpr (std::is_same_v<T, float>) return fmt::format("{}", x);
        else if constexpr (std::is_same_v<T, std::string>) return x;
        else if constexpr (std::is_same_v<T, std::vector<int64_t>> || std::is_same_v<T, std::vector<float>>)
          return fmt::format("[{}]", fmt::join(x, ","));
        else if constexpr (std::is_same_v<T, std::vector<std::string>>) return fmt::format("[{}]", fmt::join(x, ","));
        else if constexpr (std::is_same_v<T, Tensor>) return TensorText(x);
        else return "(not shown)";
      },
      v);
}

std::string TensorText(const Tensor& t) {
  std::string s = t.TypeString();
  if (t.dtype() == DType::kString || t.size() == 0) return s;
  constexpr int64_t kShown = 4;
  s += " = ";
  for (int64_t i = 0; i < std::min(t.size(), kShown); ++i) s += (i ? ", " : "") + fmt::format("{:g}", t.AsDouble(i));
  return t.size() > kShown ? s + ", ..." : s;
}

bool IsLayoutOp(const std::string& op) {
  static const std::set<std::string> kLayout = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
                                                "DepthToSpace", "SpaceToDepth", "Expand"};
  return kLayout.count(op) > 0;
}

std::string ClassOf(const RepairScene& scene, const std::string& op, bool constant, int data_value) {
  static const std::set<std::string> kPreprocessing = {"Add", "Sub", "Mul", "Div", "Gather"};
  if (IsLayoutOp(op)) return "TSS";
  if (kPreprocessing.count(op) && data_value >= 0 && scene.NearInput(data_value)) return "PP";
  static const std::set<std::string> kHyperparameterOperands = {"Clip", "Slice", "Pad", "Gather", "Resize", "Upsample", "TopK",
                                                                "Tile", "Split", "CumSum", "OneHot", "ReduceSum", "Range"};
  if (constant) return kHyperparameterOperands.count(op) ? "LH" : "WB";
  return "LH";
}

}  // namespace assay
