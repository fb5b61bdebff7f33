// Reductions that take single nodes out of a graph.
#include <algorithm>

#include "fuzz/reduce.h"

namespace assay {
namespace {

bool SameStaticType(const Subject& s, const std::string& a, const std::string& b) {
  const TypeInfo *x = s.StaticType(a), *y = s.StaticType(b);
  return x && y && x->dtype == y->dtype && x->StaticShape() == y->StaticShape();
}

// A node is bypassed when its first output, the only one in use, becomes one of its inputs. A graph
// output can only become a value that some node makes and that is no graph output yet.
bool CanBypass(const Subject& s, const Node& n, size_t input) {
  const Graph& g = s.model.graph;
  if (n.outputs.empty() || n.outputs[0].empty() || !n.HasInput(input)) return false;
  if (!SameStaticType(s, n.inputs[input], n.outputs[0])) return false;
  if (!g.IsOutput(n.outputs[0])) return true;
  return !g.FindInput(n.inputs[input]) && !g.FindInitializer(n.inputs[input]) &&
         !g.IsOutput(n.inputs[input]);
}

bool OnlyFirstOutputRead(const Graph& g,
                         const std::unordered_map<std::string, std::vector<int>>& readers,
                         const Node& n) {
  for (size_t i = 1; i < n.outputs.size(); ++i) {
    if (!n.outputs[i].empty() && (readers.count(n.outputs[i]) || g.IsOutput(n.outputs[i])))
      return false;
  }
  return true;
}

std::vector<Site> BypassSites(const Subject& s) {
  const Graph& g = s.model.graph;
  auto readers = g.Consumers();
  std::vector<Site> sites;
  for (const NodePtr& n : g.nodes) {
    if (!OnlyFirstOutputRead(g, readers, *n)) continue;
    for (size_t i = 0; i < n->inputs.size(); ++i) {
      if (CanBypass(s, *n, i)) sites.push_back({SiteName(*n), std::to_string(i)});
    }
  }
  return sites;
}

Result<Model> Bypass(const Subject& s, const Site& site) {
  const Graph& g = s.model.graph;
  int at = FindNode(g, site.node);
  size_t input = 0;
  while (at >= 0 && input < g.nodes[at]->inputs.size() && std::to_string(input) != site.argument)
    ++input;
  if (at < 0 || !CanBypass(s, *g.nodes[at], input) ||
      !OnlyFirstOutputRead(g, g.Consumers(), *g.nodes[at])) {
    return Invalid("can't be bypassed", site.ToString());
  }
  Model m = s.model;
  const NodePtr n = g.nodes[at];
  m.graph.nodes.erase(m.graph.nodes.begin() + at);
  m.graph.RedirectReaders(n->outputs[0], n->inputs[input], /*outputs_too=*/true);
  m.graph.RemoveDead();
  return m;
}

// A node is cut off when the graph is fed what it makes: every output in use becomes a graph input
// of its name.
bool CanFeed(const Subject& s, const std::unordered_map<std::string, std::vector<int>>& readers,
             const Node& n) {
  const Graph& g = s.model.graph;
  for (const std::string& o : n.outputs) {
    if (o.empty()) continue;
    if (g.IsOutput(o)) return false;
    if (readers.count(o) && !s.StaticType(o)) return false;
  }
  return true;
}

std::vector<Site> HeadSites(const Subject& s) {
  auto readers = s.model.graph.Consumers();
  std::vector<Site> sites;
  for (const NodePtr& n : s.model.graph.nodes) {
    if (CanFeed(s, readers, *n)) sites.push_back({SiteName(*n), ""});
  }
  return sites;
}

Result<Model> FeedInstead(const Subject& s, const Site& site) {
  const Graph& g = s.model.graph;
  int at = FindNode(g, site.node);
  auto readers = g.Consumers();
  if (at < 0 || !site.argument.empty() || !CanFeed(s, readers, *g.nodes[at]))
    return Invalid("can't be fed instead", site.node);
  Model m = s.model;
  const NodePtr n = g.nodes[at];
  m.graph.nodes.erase(m.graph.nodes.begin() + at);
  for (const std::string& o : n->outputs) {
    if (!o.empty() && readers.count(o)) m.graph.inputs.push_back(Declared(o, s.StaticType(o)));
  }
  m.graph.RemoveDead();
  return m;
}

std::vector<Site> AttributeSites(const Subject& s) {
  std::vector<Site> sites;
  for (const NodePtr& n : s.model.graph.nodes) {
    Result<const OpSpec*> spec = RowFor(s.model, *n);
    if (!spec.ok()) continue;
    for (const Attribute& a : n->attrs) {
      const AttrSpec* row = (*spec)->FindAttr(a.name);
      if (row && !row->required) sites.push_back({SiteName(*n), a.name});
    }
  }
  return sites;
}

Result<Model> DropAttribute(const Subject& s, const Site& site) {
  int at = FindNode(s.model.graph, site.node);
  if (at < 0 || !s.model.graph.nodes[at]->Find(site.argument))
    return Invalid("no such attribute", site.ToString());
  Model m = s.model;
  auto changed = std::make_shared<Node>(*m.graph.nodes[at]);
  changed->Erase(site.argument);
  m.graph.nodes[at] = std::move(changed);
  return m;
}

}  // namespace

std::vector<Transform> reductions_nodes() {
  Transform head =
      ReductionRow("cut_head", 2, "Feeds what a node makes as a graph input instead.", "");
  head.sites = HeadSites;
  head.apply = FeedInstead;
  Transform bypass =
      ReductionRow("bypass", 3, "Puts an input of equal type in the place of a node's output.", "");
  bypass.sites = BypassSites;
  bypass.apply = Bypass;
  Transform attribute =
      ReductionRow("drop_attribute", 6, "Leaves an optional attribute to its default.", "");
  attribute.sites = AttributeSites;
  attribute.apply = DropAttribute;
  return {head, bypass, attribute};
}

}  // namespace assay
