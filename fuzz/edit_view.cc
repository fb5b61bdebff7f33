// View: the wiring of a model.
#include "fuzz/edit.h"

#include <algorithm>

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

}  // namespace assay
