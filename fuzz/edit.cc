#include "fuzz/edit.h"

#include <algorithm>

namespace assay {

Edit::Edit(const View& view, std::string transform, std::string site_node)
    : view_(view),
      model_(view.subject().model),
      transform_(std::move(transform)),
      site_(std::move(site_node)),
      current_(view.graph().nodes),
      before_(view.graph().nodes.size() + 1) {
  if (!site_.empty() && site_[0] == '%')
    site_.erase(0, 1);  // an unnamed node goes by its first output
}

std::string Edit::Fresh(const std::string& what) {
  std::string name = site_ + "__" + transform_ + "_" + what;
  auto taken = [&](const std::string& n) {
    return view_.Type(n) || view_.Find(n) >= 0 ||
           std::find(fresh_.begin(), fresh_.end(), n) != fresh_.end();
  };
  while (taken(name)) name += "_";  // the same step taken twice
  fresh_.push_back(name);
  return name;
}
std::string Edit::Constant(const std::string& what, Tensor tensor) {
  std::string name = Fresh(what);
  graph().initializers.push_back({name, std::move(tensor), {}});
  return name;
}

std::string Edit::Add(const std::string& what, std::string op, std::vector<std::string> inputs,
                      std::vector<Attribute> attrs) {
  std::string name = Fresh(what);
  before_[cursor_].push_back(
      MakeNode(std::move(op), std::move(inputs), {name}, std::move(attrs), name));
  return name;
}
void Edit::AddMaking(const std::string& what, std::vector<std::string> outputs, std::string op,
                     std::vector<std::string> inputs, std::vector<Attribute> attrs) {
  before_[cursor_].push_back(MakeNode(std::move(op), std::move(inputs), std::move(outputs),
                                      std::move(attrs), Fresh(what)));
}

void Edit::Put(int i, Node changed) {
  for (const std::string& r : ReadBy(*current_[i])) loose_.push_back(r);
  current_[i] = std::make_shared<const Node>(std::move(changed));
}
void Edit::Remove(int i) {
  for (const std::string& r : ReadBy(*current_[i])) loose_.push_back(r);
  current_[i] = nullptr;
}
void Edit::Reroute(int i, size_t k, const std::string& value) {
  Node n = *current_[i];
  n.inputs.at(k) = value;
  Put(i, std::move(n));
}
void Edit::PutConstant(int i, size_t k, const std::string& what, Tensor tensor) {
  const std::string& old = current_[i]->inputs.at(k);
  bool own = view_.OnlyReader(old) == i && view_.Maker(old) < 0 && !view_.IsInput(old);
  if (own)
    graph().SetInitializer(old, std::move(tensor));
  else
    Reroute(i, k, Constant(what, std::move(tensor)));
}
void Edit::Forward(const std::string& value, const std::string& instead) {
  forwards_.push_back({value, instead});
}
void Edit::Bypass(int i, const std::string& instead) {
  Remove(i);
  Forward(view_.node(i).outputs[0], instead);
}
void Edit::Behind(const std::string& value, const std::string& what,
                  const std::function<void(const std::string& in, const std::string& out)>& with) {
  // The maker gets a new name for its output, so that readers and graph outputs need no change.
  int maker = view_.Maker(value);
  if (maker >= 0) {
    std::string raw = Fresh(what);
    Node n = *current_[maker];
    std::replace(n.outputs.begin(), n.outputs.end(), value, raw);
    current_[maker] = std::make_shared<const Node>(std::move(n));
    At(maker + 1);
    with(raw, value);
    return;
  }
  // An input or initializer keeps its name; its readers move behind the new nodes.
  std::string edited = Fresh(what);
  renames_.push_back({value, edited});
  At(0);
  with(value, edited);
}

void Edit::Assemble() {
  // Readers of an input that moves behind new nodes: only the nodes that were there before.
  for (const auto& [from, to] : renames_) {
    Graph old;
    std::vector<size_t> index;
    for (size_t i = 0; i < current_.size(); ++i) {
      if (!current_[i]) continue;
      old.nodes.push_back(current_[i]);
      index.push_back(i);
    }
    old.RedirectReaders(from, to);
    for (size_t i = 0; i < index.size(); ++i) current_[index[i]] = old.nodes[i];
  }
  std::vector<NodePtr> nodes;
  for (size_t i = 0; i <= current_.size(); ++i) {
    nodes.insert(nodes.end(), before_[i].begin(), before_[i].end());
    if (i < current_.size() && current_[i]) nodes.push_back(current_[i]);
  }
  graph().nodes = std::move(nodes);
}

void Edit::ApplyForward(const std::string& value, const std::string& instead) {
  Graph& g = graph();
  if (!g.IsOutput(value)) {
    g.RedirectReaders(value, instead);
    return;
  }
  // A graph output keeps its name: the maker of `instead` takes it over, or an Identity stands
  // between.
  std::unordered_map<std::string, int> makers = g.Producers();
  auto maker = makers.find(instead);
  if (maker != makers.end() && !g.IsOutput(instead)) {
    auto copy = std::make_shared<Node>(*g.nodes[maker->second]);
    std::replace(copy->outputs.begin(), copy->outputs.end(), instead, value);
    g.nodes[maker->second] = copy;
    g.RedirectReaders(instead, value);
    return;
  }
  g.nodes.push_back(MakeNode("Identity", {instead}, {value}, {}, Fresh("keep")));
}

void Edit::Sweep() {
  Graph& g = graph();
  std::unordered_map<std::string, int> uses, makers = g.Producers();
  for (const ValueInfo& o : g.outputs) ++uses[o.name];
  for (const NodePtr& n : g.nodes) {
    for (const std::string& r : ReadBy(*n)) ++uses[r];
  }
  std::vector<std::string> dead_initializers;
  while (!loose_.empty()) {
    std::string v = std::move(loose_.back());
    loose_.pop_back();
    if (uses[v] > 0) continue;
    auto maker = makers.find(v);
    if (maker == makers.end()) {
      if (!view_.IsInput(v)) dead_initializers.push_back(v);
      continue;
    }
    NodePtr& n = g.nodes[maker->second];
    if (!n || std::any_of(n->outputs.begin(), n->outputs.end(),
                          [&](const std::string& o) { return uses[o] > 0; })) {
      continue;
    }
    for (const std::string& r : ReadBy(*n)) {
      --uses[r];
      loose_.push_back(r);
    }
    n = nullptr;
  }
  std::erase(g.nodes, nullptr);
  std::erase_if(g.initializers, [&](const Initializer& i) {
    return std::find(dead_initializers.begin(), dead_initializers.end(), i.name) !=
           dead_initializers.end();
  });
}

Result<Model> Edit::Done() {
  Assemble();
  for (const auto& [value, instead] : forwards_) {
    ApplyForward(value, instead);
    loose_.push_back(value);
  }
  Sweep();
  graph().nodes = TRY(Sorted(graph()));
  return std::move(model_);
}

}  // namespace assay
