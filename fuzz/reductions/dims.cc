// shrink_dim: a smaller extent of a graph input or constant, and of everything that has to follow
// it.
//
// After the first cut, inference names the node that no longer fits; its constants are cut to match
// (a weight's input channels, a bias, a target shape), and so on until the graph is valid again or
// nothing helps.
#include <algorithm>
#include <charconv>
#include <numeric>

#include "fuzz/reduce.h"

namespace assay {
namespace {

constexpr int kMostRepairs = 32;

// Extents that changed on the way to a node: old -> new.
using Change = std::pair<int64_t, int64_t>;

struct Cut {
  int axis = 0;
  int64_t extent = 0;
};
// "2=1": axis 2 to extent 1.
std::optional<Cut> ParseCut(const std::string& text) {
  Cut c;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, c.axis);
  if (error != std::errc() || at == end || *at != '=') return std::nullopt;
  auto [stop, error2] = std::from_chars(at + 1, end, c.extent);
  if (error2 != std::errc() || stop != end) return std::nullopt;
  return c;
}

void AddSites(const std::string& value, const Shape& shape, std::vector<Site>* sites) {
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] < 2) continue;
    sites->push_back({value, std::to_string(axis) + "=1"});
    if (shape[axis] > 3)
      sites->push_back({value, std::to_string(axis) + "=" + std::to_string(shape[axis] / 2)});
    if (shape[axis] > 2)
      sites->push_back({value, std::to_string(axis) + "=" + std::to_string(shape[axis] - 1)});
  }
}

std::vector<Site> DimSites(const Subject& s) {
  std::vector<Site> sites;
  const Graph& g = s.model.graph;
  for (const ValueInfo& v : g.RequiredInputs()) {
    if (v.Static()) AddSites(v.name, v.StaticShape(), &sites);
  }
  for (const Initializer& i : g.initializers) {
    if (!g.FindInput(i.name) && IsFloat(i.value.dtype())) AddSites(i.name, i.value.shape(), &sites);
  }
  return sites;
}

// Cuts a required input or a plain initializer. False when there is no such value or extent.
bool Apply(Model* m, const std::string& value, const Cut& cut) {
  Graph& g = m->graph;
  if (IsPlainInitializer(g, value)) {
    const Tensor& t = g.FindInitializer(value)->value;
    if (cut.axis < 0 || cut.axis >= t.rank() || cut.extent < 1 || cut.extent >= t.dim(cut.axis))
      return false;
    g.SetInitializer(value, Prefix(t, cut.axis, cut.extent));
    return true;
  }
  for (ValueInfo& v : g.inputs) {
    if (v.name != value || g.FindInitializer(value) || !v.Static()) continue;
    if (cut.axis < 0 || cut.axis >= static_cast<int>(v.shape->size()) || cut.extent < 1)
      return false;
    int64_t& extent = (*v.shape)[cut.axis].value;
    if (cut.extent >= extent) return false;
    extent = cut.extent;
    return true;
  }
  return false;
}

// The node of `order` that inference complains about; -1 when it is satisfied or complains of
// something else.
int FailingNode(const Model& m, const std::vector<NodePtr>& order, bool* valid) {
  Result<Inference> known = Infer(m, {}, Limits{});
  *valid = known.ok();
  if (known.ok()) return -1;
  for (size_t i = 0; i < order.size(); ++i) {
    const std::string label = NodeLabel(*order[i]);
    if (known.error().where.substr(0, label.size()) == label) return static_cast<int>(i);
  }
  return -1;
}

// How the extents of a node's inputs changed against the uncut subject: each axis, then whole
// element counts.
std::vector<Change> ChangesAt(const Subject& before, const Model& now,
                              const std::vector<NodePtr>& order, int at) {
  Model prefix = now;
  prefix.graph.nodes.assign(order.begin(), order.begin() + at);
  prefix.graph.outputs.clear();
  std::vector<Change> changes;
  Result<Inference> known = Infer(prefix, {}, Limits{});
  if (!known.ok()) return changes;
  std::vector<Change> counts;
  for (const std::string& in : order[at]->inputs) {
    const TypeInfo* was = before.StaticType(in);
    auto is = known->types.find(in);
    if (!was || is == known->types.end() || !is->second.Static()) continue;
    Shape a = was->StaticShape(), b = is->second.StaticShape();
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (a[i] != b[i]) changes.push_back({a[i], b[i]});
    }
    if (ElementCount(a) != ElementCount(b)) counts.push_back({ElementCount(a), ElementCount(b)});
  }
  changes.insert(changes.end(), counts.begin(), counts.end());
  return changes;
}

using Proposal = std::vector<std::pair<std::string, Tensor>>;  // constants to replace

// Constants of the node, cut where an extent equals one that changed: one axis each.
std::vector<Proposal> CutProposals(const Model& m, const Node& n, const Change& c) {
  std::vector<Proposal> single;
  Proposal all;
  for (const std::string& in : n.inputs) {
    if (!IsPlainInitializer(m.graph, in)) continue;
    const Tensor& t = m.graph.FindInitializer(in)->value;
    bool first = true;
    for (int axis = 0; axis < t.rank(); ++axis) {
      if (t.dim(axis) != c.first || c.second >= c.first || c.second < 1) continue;
      Tensor smaller = Prefix(t, axis, c.second);
      single.push_back({{in, smaller}});
      if (first) all.push_back({in, smaller});
      first = false;
    }
  }
  if (all.size() > 1) single.insert(single.begin(), all);
  return single;
}

// Integer operands (target shapes, sizes) with an element that follows the change, exactly or in
// proportion.
std::vector<Proposal> ElementProposals(const Model& m, const Node& n, const Change& c) {
  std::vector<Proposal> proposals;
  for (const std::string& in : n.inputs) {
    if (!IsPlainInitializer(m.graph, in)) continue;
    const Tensor& t = m.graph.FindInitializer(in)->value;
    if (t.dtype() != DType::kInt64 || t.rank() != 1 || t.size() > 16) continue;
    std::vector<int64_t> values = t.AsInts();
    // The largest first: a flattened extent rather than a batch.
    std::vector<size_t> places(values.size());
    std::iota(places.begin(), places.end(), size_t{0});
    std::stable_sort(places.begin(), places.end(),
                     [&](size_t a, size_t b) { return values[a] > values[b]; });
    for (size_t i : places) {
      int64_t product = 0;
      if (values[i] <= 1 || c.first == 0 || __builtin_mul_overflow(values[i], c.second, &product))
        continue;
      if (product % c.first != 0 || product / c.first < 1 || product / c.first == values[i])
        continue;
      std::vector<int64_t> changed = values;
      changed[i] = product / c.first;
      proposals.push_back({{in, Tensor::Vector(changed)}});
    }
  }
  return proposals;
}

// Changes constants of node `at` until inference gets past it.
bool Mend(const Subject& before, const std::vector<NodePtr>& order, int at, Model* m) {
  for (const Change& c : ChangesAt(before, *m, order, at)) {
    std::vector<Proposal> proposals = CutProposals(*m, *order[at], c);
    for (Proposal& p : ElementProposals(*m, *order[at], c)) proposals.push_back(std::move(p));
    for (const Proposal& p : proposals) {
      Model tried = *m;
      for (const auto& [name, tensor] : p) tried.graph.SetInitializer(name, tensor);
      bool valid = false;
      int failing = FailingNode(tried, order, &valid);
      if (valid || failing > at) {
        *m = std::move(tried);
        return true;
      }
    }
  }
  return false;
}

Result<Model> Shrink(const Subject& s, const Site& site) {
  std::optional<Cut> cut = ParseCut(site.argument);
  Model m = s.model;
  if (!cut || !Apply(&m, site.node, *cut))
    return Invalid("no such extent to shrink", site.ToString());
  m.graph.value_info.clear();
  std::vector<NodePtr> order = TRY(Sorted(m.graph));
  for (int repairs = 0; repairs < kMostRepairs; ++repairs) {
    bool valid = false;
    int failing = FailingNode(m, order, &valid);
    if (valid) return m;
    if (failing < 0 || !Mend(s, order, failing, &m)) break;
  }
  return Invalid("nothing makes the graph fit the smaller extent", site.ToString());
}

}  // namespace

std::vector<Transform> reductions_dims() {
  Transform row = ReductionRow(
      "shrink_dim", 5, "Makes an extent of an input or constant smaller, and what follows it.", "");
  row.sites = DimSites;
  row.apply = Shrink;
  return {row};
}

}  // namespace assay
