// Reductions at the edges of a graph: fewer outputs, an earlier end, no unread inputs.
#include <algorithm>

#include "fuzz/reduce.h"

namespace assay {
namespace {

bool Made(const Graph& graph, const std::string& value) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const NodePtr& n) {
    return std::find(n->outputs.begin(), n->outputs.end(), value) != n->outputs.end();
  });
}

// The graph with `outputs` alone, and without what that leaves unread.
Result<Model> WithOutputs(const Subject& s, std::vector<ValueInfo> outputs) {
  Model m = s.model;
  m.graph.outputs = std::move(outputs);
  m.graph.RemoveDead();
  return m;
}

std::vector<Site> OutputSites(const Subject& s) {
  std::vector<Site> sites;
  if (s.model.graph.outputs.size() < 2) return sites;
  for (const ValueInfo& o : s.model.graph.outputs) sites.push_back({o.name, ""});
  return sites;
}

Result<Model> KeepOutput(const Subject& s, const Site& site) {
  const std::vector<ValueInfo>& outputs = s.model.graph.outputs;
  auto it = std::find_if(outputs.begin(), outputs.end(),
                         [&](const ValueInfo& o) { return o.name == site.node; });
  if (outputs.size() < 2 || it == outputs.end() || !site.argument.empty())
    return Invalid("not one of several outputs", site.node);
  return WithOutputs(s, {*it});
}

// Inner values that a graph could end at: those behind which a node can be cut off.
std::vector<Site> TailSites(const Subject& s) {
  const Graph& g = s.model.graph;
  std::vector<Site> sites;
  for (const NodePtr& n : g.nodes) {
    for (const std::string& o : n->outputs) {
      if (!o.empty() && !g.IsOutput(o) && s.Type(o) && s.Type(o)->ranked) sites.push_back({o, ""});
    }
  }
  return sites;
}

Result<Model> EndAt(const Subject& s, const Site& site) {
  if (!site.argument.empty() || s.model.graph.IsOutput(site.node) ||
      !Made(s.model.graph, site.node)) {
    return Invalid("not an inner value", site.node);
  }
  Model m = TRY(WithOutputs(s, {Declared(site.node, s.Type(site.node))}));
  if (m.graph.nodes.size() >= s.model.graph.nodes.size())
    return Invalid("nothing ends behind it", site.node);
  return m;
}

std::vector<Site> UnreadInputs(const Subject& s) {
  const Graph& g = s.model.graph;
  auto readers = g.Consumers();
  std::vector<Site> sites;
  for (const ValueInfo& v : g.inputs) {
    if (!readers.count(v.name) && !g.IsOutput(v.name)) sites.push_back({v.name, ""});
  }
  return sites;
}

Result<Model> DropInput(const Subject& s, const Site& site) {
  std::vector<Site> unread = UnreadInputs(s);
  if (std::find(unread.begin(), unread.end(), site) == unread.end()) {
    return Invalid("not an unread input", site.node);
  }
  Model m = s.model;
  std::erase_if(m.graph.inputs, [&](const ValueInfo& v) { return v.name == site.node; });
  std::erase_if(m.graph.initializers, [&](const Initializer& i) { return i.name == site.node; });
  return m;
}

}  // namespace

std::vector<Transform> reductions_outputs() {
  Transform tail = ReductionRow("cut_tail", 0, "Ends the graph at an inner value.", "");
  tail.sites = TailSites;
  tail.apply = EndAt;
  Transform output = ReductionRow("cut_output", 1, "Keeps one of several graph outputs.", "");
  output.sites = OutputSites;
  output.apply = KeepOutput;
  Transform unread =
      ReductionRow("drop_unused_input", 4, "Drops a graph input that nobody reads.", "");
  unread.sites = UnreadInputs;
  unread.apply = DropInput;
  return {tail, output, unread};
}

}  // namespace assay
