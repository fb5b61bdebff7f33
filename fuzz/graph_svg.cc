#include "fuzz/graph_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "fuzz/html.h"
#include "interp/choices.h"
#include "interp/infer.h"
#include "interp/text.h"

namespace assay {
namespace {

// ---- which nodes differ
// -----------------------------------------------------------------------------

uint64_t HashText(std::string_view text) {
  uint64_t h = text.size();
  for (unsigned char c : text) h = Mix(h ^ c);
  return h;
}

// What can be said of a node without names: operator, attributes, constants, operators around it.
std::vector<uint64_t> Signatures(const Model& model) {
  const Graph& g = model.graph;
  auto makers = g.Producers();
  auto readers = g.Consumers();
  std::unordered_map<std::string, const Initializer*> constants;
  for (const Initializer& i : g.initializers) constants[i.name] = &i;
  std::vector<uint64_t> signatures;
  for (const NodePtr& n : g.nodes) {
    Node bare = *n;
    bare.name.clear();
    bare.extra.clear();
    bare.inputs.clear();
    bare.outputs.assign(1, "y");
    std::sort(bare.attrs.begin(), bare.attrs.end(),
              [](const Attribute& a, const Attribute& b) { return a.name < b.name; });
    std::string text = n->domain + "|" + NodeText(bare);
    for (const std::string& in : n->inputs) {
      auto maker = makers.find(in);
      auto constant = constants.find(in);
      if (maker != makers.end())
        text += "|" + g.nodes[maker->second]->op;
      else if (constant != constants.end())
        text += "|" + TensorText(constant->second->value, constant->second->value.size());
      else
        text += in.empty() ? "|" : "|input";
    }
    std::vector<std::string> after;
    for (const std::string& out : n->outputs) {
      for (int r : readers[out]) after.push_back(g.nodes[r]->op);
      if (g.IsOutput(out)) after.push_back("output");
    }
    std::sort(after.begin(), after.end());
    for (const std::string& a : after) text += ">" + a;
    signatures.push_back(HashText(text));
  }
  return signatures;
}

// ---- layout
// -----------------------------------------------------------------------------------------

constexpr double kBoxHeight = 40, kPortHeight = 24, kLayerGap = 30, kItemGap = 16, kMargin = 6;
constexpr double kCharWidth = 7.6, kSmallCharWidth = 6.1;
constexpr size_t kMostChars = 22;

struct Item {
  std::string title, detail, tip;  // detail: second line; a bend of a long edge has none of them
  bool port = false, marked = false, bend = false;
  int layer = 0;
  double x = 0, width = 0;  // centre, extent
  std::vector<int> up, down;
  double Height() const { return bend ? 0 : port ? kPortHeight : kBoxHeight; }
};

std::string Short(const std::string& text) {
  if (text.size() <= kMostChars) return text;
  return text.substr(0, kMostChars - 1) + "…";
}

struct Drawing {
  std::vector<Item> items;
  std::vector<std::pair<int, int>> edges;  // as in the graph
  std::vector<std::vector<int>> paths;     // edges[i] through its bends
  std::vector<std::vector<int>> layers;
  double width = 0, height = 0;

  int Add(Item item) {
    double chars = std::max(static_cast<double>(item.title.size()) * kCharWidth,
                            static_cast<double>(item.detail.size()) * kSmallCharWidth);
    item.width = item.bend ? 4 : chars + 22;
    items.push_back(std::move(item));
    return static_cast<int>(items.size()) - 1;
  }
};

// Layers by the longest path from above; graph inputs then move down next to their first reader.
void AssignLayers(Drawing* d) {
  std::vector<int> waiting(d->items.size(), 0), ready;
  for (auto [a, b] : d->edges) {
    d->items[a].down.push_back(b);
    d->items[b].up.push_back(a);
    ++waiting[b];
  }
  for (size_t i = 0; i < d->items.size(); ++i) {
    if (waiting[i] == 0) ready.push_back(static_cast<int>(i));
  }
  for (size_t at = 0; at < ready.size(); ++at) {
    for (int to : d->items[ready[at]].down) {
      d->items[to].layer = std::max(d->items[to].layer, d->items[ready[at]].layer + 1);
      if (--waiting[to] == 0) ready.push_back(to);
    }
  }
  for (Item& item : d->items) {
    if (!item.up.empty() || item.down.empty()) continue;
    int first = d->items[item.down[0]].layer;
    for (int to : item.down) first = std::min(first, d->items[to].layer);
    item.layer = std::max(0, first - 1);
  }
}

// Edges over several layers bend once a layer, so that they pass between the boxes.
void RouteEdges(Drawing* d) {
  for (Item& item : d->items) {
    item.up.clear();
    item.down.clear();
  }
  for (auto [a, b] : d->edges) {
    std::vector<int> path = {a};
    for (int layer = d->items[a].layer + 1; layer < d->items[b].layer; ++layer) {
      Item bend;
      bend.bend = true;
      bend.layer = layer;
      path.push_back(d->Add(bend));
    }
    path.push_back(b);
    for (size_t i = 1; i < path.size(); ++i) {
      d->items[path[i - 1]].down.push_back(path[i]);
      d->items[path[i]].up.push_back(path[i - 1]);
    }
    d->paths.push_back(std::move(path));
  }
  for (size_t i = 0; i < d->items.size(); ++i) {
    size_t layer = static_cast<size_t>(d->items[i].layer);
    if (layer >= d->layers.size()) d->layers.resize(layer + 1);
    d->layers[layer].push_back(static_cast<int>(i));
  }
}

double MeanX(const Drawing& d, const std::vector<int>& of, double otherwise) {
  if (of.empty()) return otherwise;
  double sum = 0;
  for (int i : of) sum += d.items[i].x;
  return sum / static_cast<double>(of.size());
}

// Places a layer in its order, each item as near to its wish as its neighbours allow.
void Pack(Drawing* d, const std::vector<int>& layer, const std::vector<double>& wish) {
  std::vector<double> left(layer.size()), right(layer.size());
  double edge = -1e9;
  for (size_t i = 0; i < layer.size(); ++i) {
    double half = d->items[layer[i]].width / 2;
    left[i] = std::max(wish[i], edge + half);
    edge = left[i] + half + kItemGap;
  }
  edge = 1e9;
  for (size_t i = layer.size(); i-- > 0;) {
    double half = d->items[layer[i]].width / 2;
    right[i] = std::min(wish[i], edge - half);
    edge = right[i] - half - kItemGap;
  }
  // The mean of two packings that keep the gaps keeps them too.
  for (size_t i = 0; i < layer.size(); ++i) d->items[layer[i]].x = (left[i] + right[i]) / 2;
}

void PlaceItems(Drawing* d) {
  constexpr int kSweeps = 8;
  for (std::vector<int>& layer : d->layers) {
    double at = 0;
    for (int i : layer) {
      d->items[i].x = at + d->items[i].width / 2;
      at += d->items[i].width + kItemGap;
    }
  }
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool downwards = sweep % 2 == 0;
    for (size_t k = 0; k < d->layers.size(); ++k) {
      std::vector<int>& layer = d->layers[downwards ? k : d->layers.size() - 1 - k];
      auto wish = [&](int i) {
        return MeanX(*d, downwards ? d->items[i].up : d->items[i].down, d->items[i].x);
      };
      std::stable_sort(layer.begin(), layer.end(), [&](int a, int b) { return wish(a) < wish(b); });
      std::vector<double> wishes;
      for (int i : layer) wishes.push_back(wish(i));
      Pack(d, layer, wishes);
    }
  }
  double left = 1e9, right = -1e9;
  for (const Item& i : d->items) {
    left = std::min(left, i.x - i.width / 2);
    right = std::max(right, i.x + i.width / 2);
  }
  for (Item& i : d->items) i.x += kMargin - left;
  d->width = right - left + 2 * kMargin;
  d->height =
      static_cast<double>(d->layers.size()) * (kBoxHeight + kLayerGap) - kLayerGap + 2 * kMargin;
}

double CentreY(const Item& i) {
  return kMargin + i.layer * (kBoxHeight + kLayerGap) + kBoxHeight / 2;
}

std::string EdgePath(const Drawing& d, const std::vector<int>& path) {
  const Item& first = d.items[path[0]];
  double x = first.x, y = CentreY(first) + first.Height() / 2;
  std::string text = fmt::format("M{:.1f} {:.1f}", x, y);
  for (size_t i = 1; i < path.size(); ++i) {
    const Item& to = d.items[path[i]];
    bool last = i + 1 == path.size();
    double to_y = CentreY(to) - to.Height() / 2 - (last ? 5 : 0), bend = (to_y - y) / 2;
    text += fmt::format("C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", x, y + bend, to.x,
                        to_y - bend, to.x, to_y);
    x = to.x;
    y = to_y;
  }
  return text;
}

std::string Render(const Drawing& d, const std::string& label) {
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {:.0f} {:.0f}\" width=\"{:.0f}\" role=\"img\" aria-label=\"{}\">",
      d.width, d.height, d.width, Escape(label));
  for (const std::vector<int>& path : d.paths) {
    const Item& to = d.items[path.back()];
    double tip = CentreY(to) - to.Height() / 2;
    svg += fmt::format(
        "<path class=\"edge\" d=\"{}\"/><path class=\"tip\" d=\"M{:.1f} {:.1f}l-3.5 -6h7z\"/>",
        EdgePath(d, path), to.x, tip);
  }
  for (const Item& i : d.items) {
    if (i.bend) continue;
    double y = CentreY(i) - i.Height() / 2;
    svg += fmt::format(
        "<g><title>{}</title><rect class=\"box{}{}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" "
        "height=\"{:.1f}\" rx=\"{}\"/>",
        Escape(i.tip, 400), i.port ? " port" : "", i.marked ? " marked" : "", i.x - i.width / 2, y,
        i.width, i.Height(), i.port ? 12 : 7);
    double base = i.port ? y + 16 : i.detail.empty() ? y + 25 : y + 17;
    svg +=
        fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>",
                    i.port ? "small" : "op", i.x, base, Escape(i.title));
    if (!i.detail.empty()) {
      svg += fmt::format(
          "<text class=\"small\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>", i.x,
          y + 32, Escape(i.detail));
    }
    svg += "</g>";
  }
  return svg + "</svg>";
}

std::string TypeLabel(const Inference* known, const std::string& value) {
  if (!known) return "";
  auto it = known->types.find(value);
  return it == known->types.end() ? "" : Short(it->second.ToString());
}

// The nodes to draw: all of a small graph, else the marked ones (the first `max_nodes`) and their
// neighbours.
std::set<int> Shown(const Graph& g, const std::set<int>& marked, int max_nodes) {
  std::set<int> shown;
  int n = static_cast<int>(g.nodes.size());
  if (n <= max_nodes) {
    for (int i = 0; i < n; ++i) shown.insert(i);
    return shown;
  }
  auto makers = g.Producers();
  auto readers = g.Consumers();
  std::set<int> centres = marked;
  if (centres.empty()) centres.insert(0);
  for (int m : centres) {
    if (m < 0 || m >= n || static_cast<int>(shown.size()) >= max_nodes) continue;
    shown.insert(m);
    for (const std::string& in : g.nodes[m]->inputs) {
      if (auto it = makers.find(in); it != makers.end()) shown.insert(it->second);
    }
    for (const std::string& out : g.nodes[m]->outputs) {
      for (int r : readers[out]) {
        if (static_cast<int>(shown.size()) < 2 * max_nodes) shown.insert(r);
      }
    }
  }
  return shown;
}

Item NodeItem(const Node& n, const Inference* known, bool marked) {
  Item item;
  item.title = Short(n.op);
  item.detail = n.outputs.empty() ? "" : TypeLabel(known, n.outputs[0]);
  item.tip = NodeText(n);
  item.marked = marked;
  return item;
}

Item PortItem(const std::string& kind, const std::string& name) {
  Item item;
  item.title = Short(name.empty() ? kind : name);
  item.tip = kind + " " + name;
  item.port = true;
  return item;
}

Drawing Build(const Model& model, const std::set<int>& marked, const std::set<int>& shown) {
  const Graph& g = model.graph;
  Result<Inference> inferred = Infer(model);
  const Inference* known = inferred.ok() ? &*inferred : nullptr;
  Drawing d;
  std::map<std::string, int> at;  // value -> item that brings it
  std::vector<std::pair<int, int>> nodes;
  for (const ValueInfo& in : g.inputs) {
    if (!g.FindInitializer(in.name)) at[in.name] = -1;  // drawn when a shown node reads it
  }
  for (int i : shown) {
    int item = d.Add(NodeItem(*g.nodes[i], known, marked.count(i) > 0));
    nodes.push_back({i, item});
    for (const std::string& out : g.nodes[i]->outputs) {
      if (!out.empty()) at[out] = item;
    }
  }
  auto connect = [&](const std::string& value, int to) {
    auto it = at.find(value);
    if (it == at.end()) return;
    if (it->second < 0) it->second = d.Add(PortItem("input", value));
    std::pair<int, int> edge{it->second, to};
    if (std::find(d.edges.begin(), d.edges.end(), edge) == d.edges.end()) d.edges.push_back(edge);
  };
  for (auto [i, item] : nodes) {
    for (const std::string& in : ReadBy(*g.nodes[i])) connect(in, item);
  }
  for (const ValueInfo& out : g.outputs) {
    if (at.count(out.name) && at[out.name] >= 0)
      connect(out.name, d.Add(PortItem("output", out.name)));
  }
  return d;
}

}  // namespace

NodeDifferences DifferingNodes(const Model& source, const Model& target) {
  std::vector<uint64_t> a = Signatures(source), b = Signatures(target);
  std::map<uint64_t, int> left;  // how many of the other side are still free
  NodeDifferences differences;
  for (uint64_t s : a) ++left[s];
  for (size_t i = 0; i < b.size(); ++i) {
    if (--left[b[i]] < 0) differences.target.insert(static_cast<int>(i));
  }
  left.clear();
  for (uint64_t s : b) ++left[s];
  for (size_t i = 0; i < a.size(); ++i) {
    if (--left[a[i]] < 0) differences.source.insert(static_cast<int>(i));
  }
  return differences;
}

std::string GraphSvg(const Model& model, const std::set<int>& marked, const std::string& label,
                     int max_nodes) {
  std::set<int> shown = Shown(model.graph, marked, max_nodes);
  Drawing d = Build(model, marked, shown);
  std::string caption;
  if (shown.size() < model.graph.nodes.size()) {
    caption =
        fmt::format("<p class=\"soft\">{} of {} nodes: those that differ, and their neighbours</p>",
                    shown.size(), model.graph.nodes.size());
  }
  if (d.items.empty()) return caption + "<p class=\"soft\">no nodes</p>";
  AssignLayers(&d);
  RouteEdges(&d);
  PlaceItems(&d);
  return caption + Render(d, label);
}

std::string PairDrawing(const Model& source, const Model& target) {
  NodeDifferences differ = DifferingNodes(source, target);
  return "<div class=\"pair\"><figure><figcaption>source</figcaption>" +
         GraphSvg(source, differ.source, "source graph") +
         "</figure><figure><figcaption>target</figcaption>" +
         GraphSvg(target, differ.target, "target graph") + "</figure></div>\n";
}

}  // namespace assay
