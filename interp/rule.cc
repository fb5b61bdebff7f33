#include "interp/rule.h"

#include "interp/field.h"
#include "interp/op_spec.h"

namespace assay {

bool RealsOf(const Tensor& t, std::vector<double>* out) {
  out->resize(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = t.AsDouble(i);
    if (t.store() == Store::kField && !FieldContext::current()->Real(v, &v)) return false;
    (*out)[i] = v;
  }
  return true;
}

TypeInfo TypeInfo::Of(const Tensor& t) {
  if (IsList(t.dtype())) return ListOf(t.dtype(), t.of());
  return Of(t.dtype(), t.shape());
}
TypeInfo TypeInfo::ListOf(DType kind, std::vector<DType> of) { return {kind, false, {}, std::move(of)}; }
TypeInfo TypeInfo::Of(DType dtype, const Shape& shape) {
  return {dtype, true, std::vector<Dim>(shape.begin(), shape.end()), {}};
}
TypeInfo TypeInfo::Of(DType dtype, std::vector<Dim> dims) { return {dtype, true, std::move(dims), {}}; }
bool TypeInfo::Static() const {
  if (!ranked) return false;
  for (const Dim& d : dims) {
    if (!d.known()) return false;
  }
  return true;
}
Shape TypeInfo::StaticShape() const {
  Shape s;
  s.reserve(dims.size());
  for (const Dim& d : dims) s.push_back(d.value());
  return s;
}
std::string TypeInfo::ToString() const {
  std::string s = DTypeName(dtype);
  if (IsList(dtype)) {
    s += "(";
    for (size_t i = 0; i < of.size(); ++i) s += (i ? " " : "") + std::string(DTypeName(of[i]));
    return s + ")";
  }
  if (!ranked) return s + "[*]";
  s += "[";
  for (size_t i = 0; i < dims.size(); ++i) s += (i ? "," : "") + dims[i].ToString();
  return s + "]";
}

std::vector<Dim>& UnknownAttrs::operator[](std::string_view name) {
  for (Entry& e : entries_) {
    if (e.first == name) return e.second;
  }
  return entries_.emplace_back(std::string(name), std::vector<Dim>()).second;
}
void UnknownAttrs::erase(std::string_view name) {
  std::erase_if(entries_, [&](const Entry& e) { return e.first == name; });
}

RuleContext::RuleContext(const OpSpec& spec, const Node& node, std::span<const TypeInfo* const> inputs,
                         std::span<const Tensor* const> values)
    : spec_(spec), node_(node), inputs_(inputs), values_(values), result_(node.outputs.size()) {}

void RuleContext::Restart() {
  failed_ = maybe_ = false;
  label_ = "";
  detail_.clear();
  code_ = Code::kInvalid;
  for (TypeInfo& t : result_) t = TypeInfo();
}

std::vector<TypeInfo> RuleContext::Body(std::string_view attr, const std::vector<TypeInfo>& inputs) {
  const AttrValue* value = node_.Find(attr);
  auto graph = value ? std::get_if<std::shared_ptr<const Graph>>(value) : nullptr;
  if (!graph || !bodies_ || failed_) return {};
  Result<std::vector<TypeInfo>> types = (*bodies_)(**graph, inputs);
  if (types.ok()) return *types;
  failed_ = true;
  detail_ = std::string(attr) + ": " + types.error().ToString();
  code_ = types.error().code;
  return {};
}

bool RuleContext::KnownInts(int i, std::vector<int64_t>* out) const {
  const Tensor* v = Value(i);
  if (!v || !v->defined()) return false;
  *out = v->AsInts();
  return true;
}

bool RuleContext::KnownReals(int i, std::vector<double>* out) const {
  const Tensor* v = Value(i);
  return v && v->defined() && RealsOf(*v, out);
}

bool RuleContext::HasAttr(std::string_view name) const {
  return (overlay_ && overlay_->Find(name)) || node_.Find(name) != nullptr;
}

Dim RuleContext::Int(std::string_view name) const {
  if (auto list = overlay_ ? overlay_->Find(name) : nullptr) return list->at(0);
  if (const AttrValue* v = node_.Find(name)) {
    if (auto i = std::get_if<int64_t>(v)) return *i;
  }
  const AttrSpec* a = spec_.FindAttr(name);
  if (a && a->otherwise) {
    if (auto i = std::get_if<int64_t>(&*a->otherwise)) return *i;
  }
  return Dim::Undefined();
}

int64_t RuleContext::IntValue(std::string_view name) const {
  Dim d = Int(name);
  return d.known() ? d.value() : 0;
}

IntList RuleContext::List(std::string_view name) const {
  if (auto list = overlay_ ? overlay_->Find(name) : nullptr) return IntList(*list);
  const AttrValue* v = node_.Find(name);
  if (!v) {
    const AttrSpec* a = spec_.FindAttr(name);
    v = a && a->otherwise ? &*a->otherwise : nullptr;
  }
  auto list = v ? std::get_if<std::vector<int64_t>>(v) : nullptr;
  return list ? IntList(*list) : IntList(0, 0);
}

std::vector<Dim> RuleContext::Ints(std::string_view name) const {
  IntList list = List(name);
  std::vector<Dim> dims(list.size());
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = list[i];
  return dims;
}

IntList RuleContext::IntsOr(std::string_view name, size_t count, int64_t otherwise) {
  IntList list = List(name);
  if (list.size() == count) return list;
  if (!list.empty() && !failed_) {
    Require(false, "attribute list length");
    detail_ = std::string(name) + " has " + std::to_string(count) + " entries; got " + std::to_string(list.size());
  }
  return IntList(count, otherwise);
}

float RuleContext::Float(std::string_view name) const {
  float otherwise = 0;
  const AttrSpec* a = spec_.FindAttr(name);
  if (a && a->otherwise) {
    if (auto f = std::get_if<float>(&*a->otherwise)) otherwise = *f;
  }
  return node_.Float(name, otherwise);
}
std::string RuleContext::String(std::string_view name) const {
  std::string otherwise;
  const AttrSpec* a = spec_.FindAttr(name);
  if (a && a->otherwise) {
    if (auto s = std::get_if<std::string>(&*a->otherwise)) otherwise = *s;
  }
  return node_.String(name, otherwise);
}

int RuleContext::Axis(int64_t axis, int rank, const char* label) {
  bool fits = axis >= -rank && axis < rank;
  Require(fits, label);
  return fits ? static_cast<int>(axis < 0 ? axis + rank : axis) : 0;
}

void RuleContext::Out(int i, DType dtype, std::vector<Dim> dims) {
  if (i >= outputs()) return;  // an output without a name has a type all the same, so kernels may write it
  for (const Dim& d : dims) Require(d >= Dim(0), "every output extent is at least 0");
  result_[i] = TypeInfo::Of(dtype, std::move(dims));
}
void RuleContext::OutUnranked(int i, DType dtype) {
  if (i < outputs()) result_[i] = TypeInfo{dtype, false, {}};
}

void SameAsInput0(RuleContext& c) {
  if (c.Ranked(0)) c.Out(0, c.dtype(0), c.Dims(0));
  else c.OutUnranked(0, c.dtype(0));
}

std::vector<Dim> BroadcastDims(RuleContext& c, const std::vector<Dim>& a, const std::vector<Dim>& b) {
  size_t rank = std::max(a.size(), b.size());
  std::vector<Dim> out(rank, Dim(1));
  for (size_t i = 0; i < rank; ++i) {
    Dim x = i + a.size() >= rank ? a[i + a.size() - rank] : Dim(1);
    Dim y = i + b.size() >= rank ? b[i + b.size() - rank] : Dim(1);
    Dim both = Broadcast(x, y);
    c.Require(both.defined(), "the shapes broadcast");
    // Unknown extents may still turn out not to fit.
    if (!x.known() || !y.known()) c.Require(x == y || x == Dim(1) || y == Dim(1), "the shapes broadcast");
    out[i] = both.defined() ? both : Dim(1);
  }
  return out;
}

namespace {
void BroadcastTo(RuleContext& c, DType dtype) {
  std::vector<Dim> dims;
  for (int i = 0; i < c.inputs(); ++i) {
    if (!c.Has(i)) continue;
    if (!c.Ranked(i)) return c.OutUnranked(0, dtype);
    dims = i == 0 ? c.Dims(0) : BroadcastDims(c, dims, c.Dims(i));
  }
  c.Out(0, dtype, std::move(dims));
}
}  // namespace

void BroadcastAll(RuleContext& c) { BroadcastTo(c, c.dtype(0)); }
void BroadcastToBool(RuleContext& c) { BroadcastTo(c, DType::kBool); }

}  // namespace assay
