#include "fuzz/edit.h"

#include <algorithm>
#include <charconv>

#include "interp/choices.h"

namespace assay {

View::View(const Subject& subject) : subject_(subject), opset_(subject.model.Opset()) {
  const Graph& g = graph();
  values_.reserve(subject.known.types.size() + g.outputs.size());
  by_name_.reserve(g.nodes.size());
  for (const Initializer& i : g.initializers) values_[i.name].initializer = &i.value;
  for (const ValueInfo& i : g.inputs) values_[i.name].input = true;
  for (const ValueInfo& o : g.outputs) {
    Value& v = values_[o.name];
    v.output = true;
    ++v.uses;
  }
  for (int i = 0; i < size(); ++i) {
    const Node& n = node(i);
    if (!n.name.empty()) by_name_.emplace(n.name, i);
    for (const std::string& o : n.outputs) {
      if (!o.empty()) values_[o].maker = i;
    }
  }
  auto read = [](Value& v, int reader) {
    ++v.uses;
    if (v.readers.empty() || v.readers.back() != reader) v.readers.push_back(reader);
  };
  for (int i = 0; i < size(); ++i) {
    const Node& n = node(i);
    bool captures = false;
    for (const Attribute& a : n.attrs)
      captures |= std::holds_alternative<std::shared_ptr<const Graph>>(a.value);
    for (const std::string& r : n.inputs) {
      if (!captures && !r.empty()) read(values_[r], i);
    }
    // Keys must be names that live in the graph, which those that ReadBy returns do not.
    for (const std::string& r : captures ? ReadBy(n) : std::vector<std::string>{}) {
      auto it = values_.find(r);
      if (it != values_.end()) read(it->second, i);
    }
  }
}

const View::Value* View::Lookup(std::string_view name) const {
  auto it = values_.find(name);
  return it == values_.end() ? nullptr : &it->second;
}

bool View::Is(int i, const char* op) const {
  const Node& n = node(i);
  return n.op == op && (n.domain.empty() || n.domain == "ai.onnx");
}
bool View::IsAny(int i, std::initializer_list<const char*> ops) const {
  return std::any_of(ops.begin(), ops.end(), [&](const char* op) { return Is(i, op); });
}

int View::Maker(const std::string& value) const {
  const Value* v = Lookup(value);
  return v ? v->maker : -1;
}
const std::vector<int>& View::Readers(const std::string& value) const {
  static const std::vector<int> none;
  const Value* v = Lookup(value);
  return v ? v->readers : none;
}
int View::OnlyReader(const std::string& value) const {
  const Value* v = Lookup(value);
  if (!v || v->uses != 1 || v->output) return -1;
  const std::vector<std::string>& in = node(v->readers[0]).inputs;
  return std::find(in.begin(), in.end(), value) == in.end()
             ? -1
             : v->readers[0];  // a capture is no slot
}
bool View::IsInput(const std::string& value) const {
  const Value* v = Lookup(value);
  return v && v->input;
}
bool View::IsOutput(const std::string& value) const {
  const Value* v = Lookup(value);
  return v && v->output;
}
int View::Find(const std::string& site_name) const {
  auto it = by_name_.find(site_name);
  if (it != by_name_.end()) return it->second;
  // An unnamed node goes by "%" and its first output.
  if (site_name.empty() || site_name[0] != '%') return -1;
  int maker = Maker(site_name.substr(1));
  bool first = maker >= 0 && node(maker).name.empty() && SiteName(node(maker)) == site_name;
  return first ? maker : -1;
}

DType View::ElementType(const std::string& value) const {
  const TypeInfo* t = Type(value);
  return t ? t->dtype : DType::kUndefined;
}
int View::Rank(const std::string& value) const {
  const TypeInfo* t = Type(value);
  return t && t->ranked ? static_cast<int>(t->dims.size()) : -1;
}
std::optional<Shape> View::Extents(const std::string& value) const {
  const TypeInfo* t = subject_.StaticType(value);
  if (!t) return std::nullopt;
  return t->StaticShape();
}
int64_t View::Extent(const std::string& value, int axis) const {
  const TypeInfo* t = Type(value);
  if (!t || !t->ranked || axis < 0 || axis >= static_cast<int>(t->dims.size())) return -1;
  return t->dims[axis].known() ? t->dims[axis].value() : -1;
}
bool View::SameType(const std::string& a, const std::string& b) const {
  const TypeInfo *x = Type(a), *y = Type(b);
  if (!x || !y || x->dtype != y->dtype || !x->ranked || !y->ranked) return false;
  if (x->dims.size() != y->dims.size()) return false;
  for (size_t i = 0; i < x->dims.size(); ++i) {
    if ((x->dims[i] == y->dims[i]) != Truth::kTrue) return false;
  }
  return true;
}
const Tensor* View::Constant(const std::string& value) const {
  const Value* v = value.empty() ? nullptr : Lookup(value);
  if (!v || v->input) return nullptr;
  if (v->initializer) return v->initializer;
  if (v->maker >= 0 && Is(v->maker, "Constant")) {
    const AttrValue* given = node(v->maker).Find("value");
    if (const Tensor* t = given ? std::get_if<Tensor>(given) : nullptr) return t;
  }
  return subject_.Constant(value);
}
const Tensor* View::ConstantInput(int i, size_t k) const {
  return node(i).HasInput(k) ? Constant(node(i).inputs[k]) : nullptr;
}

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

Error DoesNotApply(const std::string& why) { return Invalid(why); }

namespace {

using NameAt = std::function<std::string(const View&, int)>;

Transform OnEach(Transform row, ArgumentsFn arguments, EditFn edit,
                 std::function<int(const View&)> count, NameAt name,
                 std::function<int(const View&, const std::string&)> find) {
  row.sites = [arguments, count, name](const Subject& s) {
    View view(s);
    std::vector<Site> sites;
    for (int i = 0, n = count(view); i < n; ++i) {
      for (std::string& a : arguments(view, i)) sites.push_back({name(view, i), std::move(a)});
    }
    return sites;
  };
  row.apply = [arguments, edit, find, transform = row.name](const Subject& s,
                                                            const Site& site) -> Result<Model> {
    View view(s);
    int i = find(view, site.node);
    if (i < 0)
      return Invalid("the site names nothing in this graph", transform + "@" + site.ToString());
    std::vector<std::string> listed = arguments(view, i);
    if (std::find(listed.begin(), listed.end(), site.argument) == listed.end()) {
      return Invalid("the transform does not apply at this site",
                     transform + "@" + site.ToString());
    }
    Edit e(view, transform, site.node);
    e.At(i);
    TRY(edit(e, i, site.argument));
    return e.Done();
  };
  return row;
}

}  // namespace

Transform OnNodes(Transform row, ArgumentsFn arguments, EditFn edit) {
  // A second node of the same name can't be named by a site.
  auto unique = [arguments](const View& v, int i) {
    return v.Find(SiteName(v.node(i))) == i ? arguments(v, i) : std::vector<std::string>{};
  };
  return OnEach(
      std::move(row), unique, std::move(edit), [](const View& v) { return v.size(); },
      [](const View& v, int i) { return SiteName(v.node(i)); },
      [](const View& v, const std::string& name) { return v.Find(name); });
}

Transform OnInputs(Transform row, ArgumentsFn arguments, EditFn edit) {
  auto at_zero = [edit](Edit& e, int i, const std::string& argument) {
    e.At(0);
    return edit(e, i, argument);
  };
  return OnEach(
      std::move(row), std::move(arguments), at_zero,
      [](const View& v) { return static_cast<int>(v.graph().inputs.size()); },
      [](const View& v, int i) { return v.graph().inputs[i].name; },
      [](const View& v, const std::string& name) {
        const std::vector<ValueInfo>& in = v.graph().inputs;
        auto it =
            std::find_if(in.begin(), in.end(), [&](const ValueInfo& x) { return x.name == name; });
        return it == in.end() ? -1 : static_cast<int>(it - in.begin());
      });
}

Transform Either(Transform first, Transform second) {
  Transform row = first;
  row.sites = [a = first.sites, b = second.sites](const Subject& s) {
    std::vector<Site> sites = a(s), more = b(s);
    sites.insert(sites.end(), more.begin(), more.end());
    return sites;
  };
  row.apply = [first, second](const Subject& s, const Site& site) -> Result<Model> {
    std::vector<Site> sites = first.sites(s);
    bool mine = std::find(sites.begin(), sites.end(), site) != sites.end();
    return mine ? first.apply(s, site) : second.apply(s, site);
  };
  return row;
}

Transform OnGraph(Transform row, std::function<std::vector<std::string>(const View&)> arguments,
                  std::function<Result<Model>(const View&, const std::string&)> edit) {
  row.sites = [arguments](const Subject& s) {
    View view(s);
    std::vector<Site> sites;
    for (std::string& a : arguments(view)) sites.push_back({"*", std::move(a)});
    return sites;
  };
  row.apply = [edit, transform = row.name](const Subject& s, const Site& site) -> Result<Model> {
    if (site.node != "*")
      return Invalid("the site of a whole graph is *", transform + "@" + site.ToString());
    return edit(View(s), site.argument);
  };
  return row;
}

std::vector<std::string> Fields(const std::string& text, char separator) {
  std::vector<std::string> fields(1);
  for (char c : text) {
    if (c == separator)
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}
std::optional<int64_t> ParseInt(const std::string& text) {
  int64_t v = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return v;
}
std::string Join(const std::vector<int64_t>& v) {
  std::string s;
  for (size_t i = 0; i < v.size(); ++i) s += (i ? "," : "") + std::to_string(v[i]);
  return s;
}
std::optional<std::vector<int64_t>> ParseInts(const std::string& text) {
  std::vector<int64_t> v;
  for (const std::string& f : Fields(text, ',')) {
    std::optional<int64_t> x = ParseInt(f);
    if (!x) return std::nullopt;
    v.push_back(*x);
  }
  return v;
}

uint64_t HashText(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3ULL;
  return Mix(h);
}

}  // namespace assay
