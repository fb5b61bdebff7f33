// GraphBuilder: replacing a graph input by a computed value, and the finished model.
#include "gen/builder.h"

#include <algorithm>

#include "gen/catalog.h"

namespace assay {
namespace {

constexpr int kReplaceSpan = 64;    // nodes among which the readers of a replaced input lie
constexpr size_t kMaxAffected = 4;  // nodes that are evaluated again

}  // namespace

std::vector<int> GraphBuilder::Order(int first) const {
  // Nodes are in order but for those that Replace has put before their readers: each comes after
  // what makes its inputs, found depth first with a stack of our own.
  std::vector<bool> placed(nodes_.size() - static_cast<size_t>(first), false);
  std::vector<int> order, stack;
  order.reserve(nodes_.size());
  for (int n = first; n < static_cast<int>(nodes_.size()); ++n) {
    stack.push_back(n);
    while (!stack.empty()) {
      int at = stack.back();
      size_t before = stack.size();
      for (int id : nodes_[at].inputs) {
        int producer = id < 0 || placed[at - first] ? -1 : values_[id].producer;
        if (producer >= first && !placed[producer - first]) stack.push_back(producer);
      }
      if (stack.size() > before) continue;
      stack.pop_back();
      if (placed[at - first]) continue;
      placed[at - first] = true;
      order.push_back(at);
    }
  }
  return order;
}

// The nodes that depend on `id`, each after those it reads from. False when there are too many, or
// some can't be evaluated again, or `by` depends on `id` itself.
bool GraphBuilder::Downstream(int id, int by, std::vector<int>* affected) const {
  int end = static_cast<int>(nodes_.size()), begin = std::max(0, end - kReplaceSpan);
  if (values_[id].uses == 0 || values_[id].first_reader < begin) return false;
  std::vector<int> depends = {id};
  auto depending = [&](int v) {
    return std::find(depends.begin(), depends.end(), v) != depends.end();
  };
  std::vector<bool> found(static_cast<size_t>(end - begin), false);
  // A producer that Replace has added stands behind its readers: as many passes as there are such.
  for (bool more = true; more;) {
    more = false;
    for (int n = begin; n < end; ++n) {
      if (found[n - begin]) continue;
      const GenNode& g = nodes_[n];
      if (std::none_of(g.inputs.begin(), g.inputs.end(), depending)) continue;
      for (size_t i = 0; i < g.inputs.size(); ++i) {
        int read = g.inputs[i];
        if (read >= 0 && values_[read].retired) return false;
        // The name of what is captured stands in a body.
        if (i >= g.node->inputs.size() && read == id) return false;
      }
      for (int o : g.outputs) {
        if (values_[o].retired || (values_[o].uses > 0 && values_[o].first_reader < begin))
          return false;
        depends.push_back(o);
      }
      found[n - begin] = more = true;
    }
  }
  if (depending(by)) return false;
  for (int n : Order(begin)) {
    if (found[n - begin]) affected->push_back(n);
  }
  return affected->size() <= kMaxAffected;
}

bool GraphBuilder::Replaceable(int id) const {
  std::vector<int> affected;
  return values_[id].kind == GenValue::Kind::kInput && Downstream(id, -1, &affected);
}

void GraphBuilder::Redirect(GenNode* g, int id, int by) {
  g->node = std::make_shared<Node>(*g->node);
  for (size_t i = 0; i < g->inputs.size(); ++i) {
    if (g->inputs[i] != id) continue;
    g->inputs[i] = by;
    g->node->inputs[i] = values_[by].name;
  }
}

// Evaluates a node again; false when it is refused now.
bool GraphBuilder::Redo(int node) {
  GenNode& g = nodes_[node];
  for (size_t i = 0; i < g.inputs.size(); ++i) {
    if (g.inputs[i] < 0) continue;
    const GenValue& v = values_[g.inputs[i]];
    Demand d = DemandOf(*g.spec, static_cast<int>(i), v.dtype);
    if (d.Any() && !v.range.Within(d.range)) return false;
  }
  Trial trial(values_, *g.spec, *g.node, g.inputs, opset_, limits_, g.allow);
  if (!trial.Run()) return false;
  for (size_t i = 0; i < g.outputs.size(); ++i) {
    GenValue& v = values_[g.outputs[i]];
    if (trial.output(i)[0].native.shape() != v.shape()) return false;
    v.samples = std::move(trial.output(i));
    v.largest = trial.largest();
    Describe(*g.spec, *g.node, g.inputs, static_cast<int>(i), &v);
  }
  return true;
}

bool GraphBuilder::Replace(int id, int by) {
  if (values_[id].kind != GenValue::Kind::kInput || values_[by].dtype != values_[id].dtype ||
      values_[by].shape() != values_[id].shape()) {
    return false;
  }
  std::vector<int> affected;
  if (!Downstream(id, by, &affected)) return false;
  std::vector<std::pair<int, GenValue>> old_values;
  std::vector<std::pair<int, GenNode>> old_nodes;
  bool redone = true;
  for (int n : affected) {
    old_nodes.push_back({n, nodes_[n]});
    for (int o : nodes_[n].outputs) old_values.push_back({o, values_[o]});
    Redirect(&nodes_[n], id, by);
    redone = Redo(n);
    if (!redone) break;
  }
  if (!redone) {
    for (auto& [n, node] : old_nodes) nodes_[n] = std::move(node);
    for (auto& [v, value] : old_values) values_[v] = std::move(value);
    return false;
  }
  values_[by].first_reader = values_[by].uses == 0
                                 ? values_[id].first_reader
                                 : std::min(values_[by].first_reader, values_[id].first_reader);
  values_[by].uses += values_[id].uses;
  values_[id].uses = 0;
  return true;
}

std::vector<int> GraphBuilder::OutputIds() const {
  std::vector<int> ids;
  for (size_t v = 0; v < values_.size(); ++v) {
    const GenValue& x = values_[v];
    bool out = x.exposed || (x.uses == 0 && !x.hidden);
    if (x.kind == GenValue::Kind::kNode && out && !x.name.empty())
      ids.push_back(static_cast<int>(v));
  }
  return ids;
}

Model GraphBuilder::Finish() const {
  Model m;
  m.opsets[""] = opset_;
  Graph& g = m.graph;
  g.name = "generated";
  for (int id : input_ids_) {
    if (values_[id].uses > 0)
      g.inputs.push_back(ValueInfo::Of(values_[id].name, values_[id].dtype, values_[id].shape()));
  }
  for (const GenValue& v : values_) {
    if (v.overridable && v.uses > 0) g.inputs.push_back(ValueInfo::Of(v.name, v.dtype, v.shape()));
  }
  for (int id : OutputIds()) {
    g.outputs.push_back(ValueInfo::Of(values_[id].name, values_[id].dtype, values_[id].shape()));
  }
  for (const GenValue& v : values_) {
    if (v.kind == GenValue::Kind::kConstant && v.uses > 0)
      g.initializers.push_back({v.name, v.samples[0].native, {}});
  }
  g.nodes.reserve(nodes_.size());
  for (int n : Order()) {
    const std::string& domain = nodes_[n].node->domain;
    if (!domain.empty()) m.opsets[domain] = VersionOf(domain, opset_);
    g.nodes.push_back(nodes_[n].node);
  }
  return m;
}

std::vector<Tensor> GraphBuilder::InputSample() const {
  std::vector<Tensor> out;
  for (int id : input_ids_) {
    if (values_[id].uses > 0) out.push_back(values_[id].samples[0].native);
  }
  return out;
}

std::vector<Tensor> GraphBuilder::OutputSample() const {
  std::vector<Tensor> out;
  for (int id : OutputIds()) out.push_back(values_[id].samples[0].native);
  return out;
}

}  // namespace assay
