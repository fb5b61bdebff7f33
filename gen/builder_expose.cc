// GraphBuilder: does every input and weight still count in the finished graph? Each node depends on
// all it reads (Trial), but a chain of them may not: what one lets pass only here and there, the
// next may drop.
#include <algorithm>

#include "gen/builder.h"

namespace assay {
namespace {
const Limits kLimits = Limits::Small();
}

// Reverse: values on which some output surely depends, because only sums, products and changes of
// layout lie between, and the inputs and weights that such values are made of.
std::vector<bool> GraphBuilder::SurelySeen(const std::vector<int>& order) const {
  std::vector<bool> seen(values_.size(), false);
  for (size_t v = 0; v < values_.size(); ++v)
    seen[v] = values_[v].kind == GenValue::Kind::kNode && values_[v].uses == 0;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const GenNode& n = nodes_[*it];
    const OpSpec& spec = *n.spec;
    if (!seen[n.outputs[0]] || spec.Has(kReadsShape)) continue;
    const GenValue& out = values_[n.outputs[0]];
    bool normalizes = Normalizes(spec);
    bool sums = SumsOrMultiplies(spec) && !normalizes && IsFloat(out.dtype);
    bool all = sums || spec.Has(kLayoutOnly);
    // No element of an elementwise function is saturated when all differ from sample to sample.
    bool first = all || (spec.Has(kElementwise) && !spec.Has(kDiscontinuous) &&
                         AllDiffer(out.samples[0].wide, out.samples[1].wide));
    // The node's trial has shown that what is made depends on each operand as a whole.
    bool leaves = !n.allow.dull && !normalizes && !spec.Has(kRunsGraphs) && out.varies &&
                  n.outputs.size() == 1 && !IsList(out.dtype);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (n.inputs[i] < 0) continue;
      bool leaf = values_[n.inputs[i]].kind != GenValue::Kind::kNode && i < 32 &&
                  (n.values_read >> i & 1) == 0 && !TypeOnly(spec, static_cast<int>(i));
      // What two nodes read one may take away again: a zero point on the way there and back.
      bool alone = values_[n.inputs[i]].uses == 1;
      if (all || (first && i == 0) || (leaves && leaf && alone)) seen[n.inputs[i]] = true;
    }
  }
  return seen;
}

bool GraphBuilder::Noticed(int leaf, int way, const std::vector<int>& order,
                           const std::vector<bool>& seen, int* last) const {
  std::vector<std::pair<int, Tensor>> changed;
  changed.push_back({leaf, Altered(values_[leaf].samples[0].wide, way)});
  auto value = [&](int id) -> const Tensor* {
    for (const auto& [c, t] : changed) {
      if (c == id) return &t;
    }
    return &values_[id].samples[0].wide;
  };
  for (int n : order) {
    const GenNode& g = nodes_[n];
    bool reads = std::any_of(changed.begin(), changed.end(), [&](const auto& c) {
      return std::find(g.inputs.begin(), g.inputs.end(), c.first) != g.inputs.end();
    });
    if (!reads) continue;
    std::vector<const Tensor*> args(g.inputs.size(), nullptr);
    bool retype = g.types.empty();
    for (size_t i = 0; i < g.inputs.size(); ++i) {
      if (g.inputs[i] < 0) continue;
      args[i] = value(g.inputs[i]);
      const Tensor& given = values_[g.inputs[i]].samples[0].wide;
      if (args[i] == &given) continue;
      retype |= i >= 32 || (g.values_read >> i & 1) != 0 || args[i]->shape() != given.shape();
    }
    Result<std::vector<Tensor>> r =
        retype ? EvalNode(*g.spec, *g.node, args, Store::kDouble, kLimits, opset_)
               : EvalInferred(*g.spec, *g.node, args, g.types, Store::kDouble, kLimits, opset_);
    if (!r.ok()) return true;
    for (size_t i = 0; i < g.outputs.size(); ++i) {
      const GenValue& v = values_[g.outputs[i]];
      if (v.name.empty() || Alike((*r)[i], v.samples[0].wide)) continue;
      // Another shape is seen, if only in that the readers refuse it.
      if ((*r)[i].shape() != v.samples[0].wide.shape()) return true;
      if (v.uses == 0 || v.exposed || seen[g.outputs[i]]) return true;
      changed.push_back({g.outputs[i], std::move((*r)[i])});
    }
  }
  // A list shows only what is taken out of it.
  for (const auto& [id, value] : changed) {
    if (!IsList(values_[id].dtype)) *last = id;
  }
  return false;
}

void GraphBuilder::ExposeIdle() {
  bool all_live =
      std::none_of(values_.begin(), values_.end(), [](const GenValue& v) { return v.retired; });
  if (nodes_.size() > kMostFollowed || !all_live) return;
  std::vector<int> order = Order();
  std::vector<bool> seen = SurelySeen(order);
  for (size_t v = 0; v < values_.size(); ++v) {
    int id = static_cast<int>(v), last = id;
    if (values_[v].kind == GenValue::Kind::kNode || values_[v].uses == 0 || seen[v]) continue;
    if (Noticed(id, 0, order, seen, &last) || Noticed(id, 1, order, seen, &last)) continue;
    // Where not even its readers have noticed, it takes more.
    if (last == id && Noticed(id, 2, order, seen, &last)) continue;
    if (last != id) values_[last].exposed = true;
  }
}

}  // namespace assay
