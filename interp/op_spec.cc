#include "interp/op_spec.h"

#include <algorithm>
#include <climits>

namespace assay {

bool Draft::concrete(size_t i) const { return i < inputs.size() && inputs[i].Static(); }
Shape Draft::shape(size_t i) const { return inputs[i].StaticShape(); }
void Draft::Set(const std::string& attr, AttrValue v) {
  for (Attribute& a : attrs) {
    if (a.name == attr) {
      a.value = std::move(v);
      return;
    }
  }
  attrs.push_back({attr, std::move(v), {}});
}
void Draft::SetConstant(size_t i, Tensor t) {
  if (inputs.size() <= i) inputs.resize(i + 1);
  if (constants.size() <= i) constants.resize(i + 1);
  inputs[i] = TypeInfo::Of(t);
  constants[i] = std::move(t);
}

OpSpec& OpSpec::In(std::string n, std::string type, DTypeSet types, Arity arity, bool homogeneous) {
  Formal f{std::move(n), std::move(type), types, arity, homogeneous};
  inputs.push_back(std::move(f));
  return *this;
}
OpSpec& OpSpec::Out(std::string n, std::string type, DTypeSet types, Arity arity) {
  Formal f{std::move(n), std::move(type), types, arity};
  outputs.push_back(std::move(f));
  return *this;
}
namespace {
Formal& Declared(std::vector<Formal>& inputs, const std::string& name) {
  auto found = std::find_if(inputs.begin(), inputs.end(), [&](const Formal& f) { return f.name == name; });
  CHECK(found != inputs.end());
  return *found;
}
}  // namespace

OpSpec& OpSpec::Parameter(const std::string& input) {
  Declared(inputs, input).parameter = true;
  return *this;
}
OpSpec& OpSpec::BoundedBy(BoundsFn f) {
  bounds = f;
  return *this;
}
OpSpec& OpSpec::StaysFloat(const std::string& input) {
  Declared(inputs, input).stays_float = true;
  return *this;
}
OpSpec& OpSpec::Attr(AttrSpec a) {
  attrs.push_back(std::move(a));
  return *this;
}
OpSpec& OpSpec::Int(std::string n, int64_t otherwise, AttrDomain d) {
  return Attr({std::move(n), AttrType::kInt, false, AttrValue(otherwise), std::move(d)});
}
OpSpec& OpSpec::Float(std::string n, float otherwise, AttrDomain d) {
  return Attr({std::move(n), AttrType::kFloat, false, AttrValue(otherwise), std::move(d)});
}
OpSpec& OpSpec::String(std::string n, std::string otherwise, AttrDomain d) {
  return Attr(
      {std::move(n), AttrType::kString, false, AttrValue(std::move(otherwise)), std::move(d)});
}
OpSpec& OpSpec::Ints(std::string n, AttrDomain d) {
  return Attr({std::move(n), AttrType::kInts, false, std::nullopt, std::move(d)});
}
OpSpec& OpSpec::Rule(RuleFn f) { return rule = f, *this; }
OpSpec& OpSpec::Eval(EvalFn f) { return eval = f, *this; }
OpSpec& OpSpec::Draw(DrawFn f) { return draw = f, *this; }
OpSpec& OpSpec::Traits(uint32_t t) { return traits |= t, *this; }
OpSpec& OpSpec::Class(Accuracy a) { return accuracy = a, *this; }
OpSpec& OpSpec::Safe(double lo, double hi) {
  inputs[0].safe.lo = lo;
  inputs[0].safe.hi = hi;
  return *this;
}
OpSpec& OpSpec::Safe(const std::string& input, SafeValues floats,
                     std::optional<SafeValues> others) {
  for (Formal& f : inputs) {
    if (f.name != input) continue;
    f.safe = floats;
    f.safe_other = others;
  }
  return *this;
}
OpSpec& OpSpec::Gives(double lo, double hi) { return out_lo = lo, out_hi = hi, *this; }
OpSpec& OpSpec::LeftOut(std::string why) {
  return left_out = std::move(why), Traits(kNotGenerated);
}
OpSpec& OpSpec::Example(std::string text) { return examples.push_back(std::move(text)), *this; }

OpSpec OpSpec::Since(int version) const {
  OpSpec copy = *this;
  copy.since = version;
  copy.examples.clear();
  return copy;
}
OpSpec& OpSpec::Types(const std::string& type, DTypeSet types) {
  for (Formal& f : inputs) {
    if (f.type == type) f.types = types;
  }
  for (Formal& f : outputs) {
    if (f.type == type) f.types = types;
  }
  return *this;
}

bool OpSpec::HasDomain() const {
  for (const Formal& f : inputs) {
    if (f.safe.Any() && !f.safe.constant) return true;
  }
  return false;
}
namespace {
int Least(const std::vector<Formal>& formals) {
  int least = 0;
  for (size_t i = 0; i < formals.size(); ++i) {
    if (formals[i].arity != Arity::kOptional) least = static_cast<int>(i) + 1;
  }
  return least;
}
int Most(const std::vector<Formal>& formals) {
  if (!formals.empty() && formals.back().arity == Arity::kVariadic) return INT_MAX;
  return static_cast<int>(formals.size());
}
}  // namespace

int OpSpec::MinInputs() const { return Least(inputs); }
int OpSpec::MaxInputs() const { return Most(inputs); }
int OpSpec::MinOutputs() const { return Least(outputs); }
int OpSpec::MaxOutputs() const { return Most(outputs); }

OpSpec Op(std::string name, int since, std::string domain) {
  OpSpec s;
  s.name = std::move(name);
  s.since = since;
  s.domain = std::move(domain);
  return s;
}

}  // namespace assay
