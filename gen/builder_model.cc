// GraphBuilder: replacing a graph input by a computed value, and the finished model.
#include "gen/builder.h"

namespace assay {

std::vector<int> GraphBuilder::Order() const {
  // Nodes are in order but for those that Replace has put before their readers: few passes place
  // all.
  std::vector<bool> made(values_.size(), false), placed(nodes_.size(), false);
  for (size_t v = 0; v < values_.size(); ++v) made[v] = values_[v].kind != GenValue::Kind::kNode;
  std::vector<int> order;
  order.reserve(nodes_.size());
  while (order.size() < nodes_.size()) {
    size_t before = order.size();
    for (size_t n = 0; n < nodes_.size(); ++n) {
      bool ready = !placed[n];
      for (int id : nodes_[n].inputs) ready = ready && (id < 0 || made[id]);
      if (!ready) continue;
      placed[n] = true;
      order.push_back(static_cast<int>(n));
      for (int id : nodes_[n].outputs) made[id] = true;
    }
    CHECK(order.size() > before);
  }
  return order;
}

bool GraphBuilder::Replace(int id, int by) {
  if (values_[id].kind != GenValue::Kind::kInput || values_[by].dtype != values_[id].dtype ||
      values_[by].shape() != values_[id].shape()) {
    return false;
  }
  std::vector<int> order = Order();
  // Everything that depends on the input; `by` must not.
  std::vector<bool> depends(values_.size(), false);
  depends[id] = true;
  std::vector<int> affected;
  for (int n : order) {
    bool reads = false;
    for (int i : nodes_[n].inputs) reads |= i >= 0 && depends[i];
    if (!reads) continue;
    affected.push_back(n);
    for (int o : nodes_[n].outputs) depends[o] = true;
  }
  if (depends[by]) return false;
  std::vector<GenValue> old_values = values_;
  std::vector<GenNode> old_nodes = nodes_;
  auto refuse = [&] {
    values_ = std::move(old_values);
    nodes_ = std::move(old_nodes);
    return false;
  };
  for (int n : affected) {
    GenNode& g = nodes_[n];
    g.node = std::make_shared<Node>(*g.node);
    for (size_t i = 0; i < g.inputs.size(); ++i) {
      if (g.inputs[i] != id) continue;
      g.inputs[i] = by;
      g.node->inputs[i] = values_[by].name;
      --values_[id].uses;
      ++values_[by].uses;
    }
    for (size_t i = 0; i < g.inputs.size(); ++i) {
      if (g.inputs[i] < 0) continue;
      Demand d = DemandOf(*g.spec, static_cast<int>(i), values_[g.inputs[i]].dtype);
      if (d.Any() && !values_[g.inputs[i]].range.Within(d.range)) return refuse();
    }
    Outputs out;
    if (!Evaluate(*g.spec, *g.node, g.inputs, &out) || !Accept(*g.spec, *g.node, g.inputs, out))
      return refuse();
    for (size_t i = 0; i < g.outputs.size(); ++i) {
      GenValue& v = values_[g.outputs[i]];
      if (out[i][0].native.shape() != v.shape()) return refuse();
      v.samples = std::move(out[i]);
      Describe(*g.spec, *g.node, g.inputs, static_cast<int>(i), &v);
    }
  }
  return true;
}

std::vector<int> GraphBuilder::InputIds() const {
  std::vector<int> ids;
  for (size_t v = 0; v < values_.size(); ++v) {
    if (values_[v].kind == GenValue::Kind::kInput && values_[v].uses > 0)
      ids.push_back(static_cast<int>(v));
  }
  return ids;
}

std::vector<int> GraphBuilder::OutputIds() const {
  std::vector<int> ids;
  for (size_t v = 0; v < values_.size(); ++v) {
    const GenValue& x = values_[v];
    if (x.kind == GenValue::Kind::kNode && x.uses == 0 && !x.name.empty())
      ids.push_back(static_cast<int>(v));
  }
  return ids;
}

Model GraphBuilder::Finish() const {
  Model m;
  m.opsets[""] = opset_;
  Graph& g = m.graph;
  g.name = "generated";
  for (int id : InputIds())
    g.inputs.push_back(ValueInfo::Of(values_[id].name, values_[id].dtype, values_[id].shape()));
  for (int id : OutputIds()) {
    g.outputs.push_back(ValueInfo::Of(values_[id].name, values_[id].dtype, values_[id].shape()));
  }
  for (const GenValue& v : values_) {
    if (v.kind == GenValue::Kind::kConstant && v.uses > 0)
      g.initializers.push_back({v.name, v.samples[0].native, {}});
  }
  for (int n : Order()) g.nodes.push_back(nodes_[n].node);
  return m;
}

std::vector<Tensor> GraphBuilder::InputSample(int sample) const {
  std::vector<Tensor> out;
  for (int id : InputIds()) out.push_back(values_[id].samples[sample].native);
  return out;
}

std::vector<Tensor> GraphBuilder::OutputSample(int sample) const {
  std::vector<Tensor> out;
  for (int id : OutputIds()) out.push_back(values_[id].samples[sample].native);
  return out;
}

}  // namespace assay
