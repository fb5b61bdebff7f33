#include "fuzz/minimize_pair.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "fuzz/reduce.h"
#include "interp/exec.h"

namespace assay {
namespace {

constexpr size_t kMostCandidates = 8;
constexpr double kAlike =
    1e-5;  // relative; a heuristic of pairing, wrong pairs are found uninteresting
constexpr uint64_t kInputSeed = 0x9a1;

bool Alike(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape() || a.store() != b.store()) return false;
  if (!IsFloat(a.dtype())) return a.Identical(b);
  double scale = 0, difference = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    double x = a.AsDouble(i), y = b.AsDouble(i);
    if (std::isnan(x) != std::isnan(y)) return false;
    if (std::isnan(x) || x == y) continue;
    scale = std::max({scale, std::fabs(x), std::fabs(y)});
    difference = std::max(difference, std::fabs(x - y));
  }
  return difference <= kAlike * scale;
}

// Both models executed on the same inputs, for pairing values.
class Pairing {
 public:
  Pairing(const Subject& source, const Subject& target, const Limits& limits)
      : source_(source), target_(target) {
    Result<std::vector<Tensor>> inputs = RandomInputs(source.model, kInputSeed);
    if (!inputs.ok()) return;
    ExecOptions exec;
    exec.store = Store::kDouble;
    exec.keep_all = true;
    exec.limits = limits;
    Result<Execution> a = Run(source.model, *inputs, exec), b = Run(target.model, *inputs, exec);
    if (!a.ok() || !b.ok()) return;
    source_values_ = std::move(a->values);
    target_values_ = std::move(b->values);
  }

  // Values of the target equal to a value of the source, in node order; then values of the same
  // kind of node and type that equal nothing of the source, which may be its damaged counterpart.
  std::vector<std::string> Counterparts(const std::string& value) const {
    std::vector<std::string> equal, damaged;
    auto at = source_values_.find(value);
    if (at == source_values_.end()) return equal;
    const std::string op = OpMaking(source_.model.graph, value);
    for (const NodePtr& n : target_.model.graph.nodes) {
      for (const std::string& out : n->outputs) {
        auto it = target_values_.find(out);
        if (out.empty() || it == target_values_.end()) continue;
        if (Alike(at->second, it->second))
          equal.push_back(out);
        else if (n->op == op && it->second.shape() == at->second.shape() &&
                 !KnownToSource(it->second))
          damaged.push_back(out);
      }
    }
    equal.insert(equal.end(), damaged.begin(), damaged.end());
    if (equal.size() > kMostCandidates) equal.resize(kMostCandidates);
    return equal;
  }

 private:
  static std::string OpMaking(const Graph& g, const std::string& value) {
    for (const NodePtr& n : g.nodes) {
      if (std::find(n->outputs.begin(), n->outputs.end(), value) != n->outputs.end()) return n->op;
    }
    return "";
  }
  bool KnownToSource(const Tensor& t) const {
    return std::any_of(source_values_.begin(), source_values_.end(),
                       [&](const auto& v) { return Alike(v.second, t); });
  }

  const Subject &source_, &target_;
  std::map<std::string, Tensor> source_values_, target_values_;
};

// The name at the same place of another list of declarations.
std::optional<std::string> SamePlace(const std::vector<ValueInfo>& of,
                                     const std::vector<ValueInfo>& in, const std::string& name) {
  for (size_t i = 0; i < of.size() && i < in.size(); ++i) {
    if (of[i].name == name) return in[i].name;
  }
  return std::nullopt;
}

int NodeMaking(const Graph& g, const std::string& value) {
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    const std::vector<std::string>& outs = g.nodes[i]->outputs;
    if (std::find(outs.begin(), outs.end(), value) != outs.end()) return static_cast<int>(i);
  }
  return -1;
}

// Sites on nodes of the target whose first output pairs with that of the source's node.
std::vector<Site> NodeSites(const Transform& row, const Pairing& pairing, const Subject& source,
                            const Subject& target, const Site& site) {
  std::vector<Site> sites;
  int at = FindNode(source.model.graph, site.node);
  if (at < 0 || source.model.graph.nodes[at]->outputs.empty()) return sites;
  const Node& n = *source.model.graph.nodes[at];
  std::vector<Site> offered = row.sites(target);
  for (const std::string& value : pairing.Counterparts(n.outputs[0])) {
    int to = NodeMaking(target.model.graph, value);
    if (to < 0) continue;
    for (const Site& s : offered) {
      bool same_argument = s.argument == site.argument || row.name == "bypass";
      if (s.node == SiteName(*target.model.graph.nodes[to]) && same_argument) sites.push_back(s);
    }
  }
  return sites;
}

std::vector<Site> ValueSites(const Subject& source, const Subject& target, const Site& site) {
  const Graph &a = source.model.graph, &b = target.model.graph;
  std::vector<Site> sites;
  if (auto name = SamePlace(a.RequiredInputs(), b.RequiredInputs(), site.node))
    return {{*name, site.argument}};
  if (const Initializer* constant = a.FindInitializer(site.node)) {
    for (const Initializer& i : b.initializers) {
      if (i.value.Identical(constant->value)) sites.push_back({i.name, site.argument});
    }
  }
  return sites;
}

std::vector<Site> SitesAlike(const Transform& row, const Subject& source, const Subject& target,
                             const Site& site, const Limits& limits) {
  std::vector<Site> sites;
  if (row.name == "cut_output") {
    if (auto name = SamePlace(source.model.graph.outputs, target.model.graph.outputs, site.node))
      sites.push_back({*name, ""});
    return sites;
  }
  if (row.name == "drop_unused_input" || row.name == "shrink_dim" ||
      row.name == "simplify_weight") {
    return ValueSites(source, target, site);
  }
  Pairing pairing(source, target, limits);
  if (row.name != "cut_tail") return NodeSites(row, pairing, source, target, site);
  for (const std::string& value : pairing.Counterparts(site.node)) sites.push_back({value, ""});
  return sites;
}

}  // namespace

std::vector<Model> ReduceAlike(const Transform& row, const Subject& source, const Site& site,
                               const Model& target, const Limits& limits) {
  std::vector<Model> reduced;
  Result<Subject> subject = Subject::Of(target, limits);
  if (!subject.ok()) return reduced;
  for (const Site& s : SitesAlike(row, source, *subject, site, limits)) {
    Result<Subject> smaller = row.Apply(*subject, s, limits);
    if (smaller.ok()) reduced.push_back(std::move(smaller->model));
  }
  // A value or attribute of the source alone may go as well: the target need not change with it.
  bool optional = row.name == "drop_attribute" || row.name == "bypass";
  if (optional) reduced.push_back(target);
  return reduced;
}

bool SamePorts(const Model& a, const Model& b) {
  auto fits = [](const ValueInfo& x, const ValueInfo& y) {
    if (x.dtype != y.dtype) return false;
    return !x.Static() || !y.Static() || x.StaticShape() == y.StaticShape();
  };
  std::vector<ValueInfo> in_a = a.graph.RequiredInputs(), in_b = b.graph.RequiredInputs();
  return std::equal(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), fits) &&
         a.graph.outputs.size() == b.graph.outputs.size();
}

}  // namespace assay
