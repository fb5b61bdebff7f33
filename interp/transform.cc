#include "interp/transform.h"

#include <algorithm>
#include <cctype>

namespace assay {
namespace {

std::string Encode(const std::string& s) {
  static const char* hex = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : s) {
    if (std::isalnum(c) || std::string_view("_./+-[],=%*").find(static_cast<char>(c)) != std::string_view::npos) {
      if (c == '%' ) out += "%25";
      else out += static_cast<char>(c);
    } else {
      out += '%';
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
  return out;
}

std::string Decode(const std::string& s) {
  auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '%' && i + 2 < s.size() && digit(s[i + 1]) >= 0 && digit(s[i + 2]) >= 0) {
      out += static_cast<char>(digit(s[i + 1]) * 16 + digit(s[i + 2]));
      i += 2;
    } else {
      out += s[i];
    }
  }
  return out;
}

}  // namespace

std::string Site::ToString() const { return argument.empty() ? Encode(node) : Encode(node) + ":" + Encode(argument); }
Site Site::Parse(const std::string& text) {
  size_t colon = text.find(':');
  if (colon == std::string::npos) return {Decode(text), ""};
  return {Decode(text.substr(0, colon)), Decode(text.substr(colon + 1))};
}

std::string Step::ToString() const { return transform + "@" + site.ToString(); }
Result<Step> Step::Parse(const std::string& line) {
  size_t at = line.find('@');
  if (at == std::string::npos || at == 0) return Invalid("a step reads name@site; got '" + line + "'");
  return Step{line.substr(0, at), Site::Parse(line.substr(at + 1))};
}

Result<Subject> Subject::Of(Model model, const Limits& limits) {
  Subject s;
  s.known = TRY(Infer(model, {}, limits));
  s.model = std::move(model);
  return s;
}
const TypeInfo* Subject::Type(const std::string& value) const {
  auto it = known.types.find(value);
  return it == known.types.end() ? nullptr : &it->second;
}
const TypeInfo* Subject::StaticType(const std::string& value) const {
  const TypeInfo* t = Type(value);
  return t && t->Static() ? t : nullptr;
}
const Tensor* Subject::Constant(const std::string& value) const {
  auto it = known.constants.find(value);
  return it == known.constants.end() ? nullptr : &it->second;
}

namespace {

// Declared extents that contradict what was inferred follow it; symbols stay where nothing is known.
void FollowInference(const TypeInfo& inferred, ValueInfo* declared) {
  if (!inferred.ranked) return;
  std::vector<DimDecl> dims(inferred.dims.size());
  bool same_rank = declared->shape && declared->shape->size() == dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (inferred.dims[i].known()) dims[i].value = inferred.dims[i].value();
    else if (same_rank && (*declared->shape)[i].value < 0) dims[i] = (*declared->shape)[i];
  }
  declared->shape = std::move(dims);
}

bool Contradicts(const TypeInfo& inferred, const ValueInfo& declared) {
  if (declared.dtype == DType::kUndefined) return false;
  if (declared.dtype != inferred.dtype) return true;
  if (!declared.shape || !inferred.ranked) return false;
  if (declared.shape->size() != inferred.dims.size()) return true;
  for (size_t i = 0; i < inferred.dims.size(); ++i) {
    int64_t extent = (*declared.shape)[i].value;
    if (extent >= 0 && (Dim(extent) == inferred.dims[i]) == Truth::kFalse) return true;
  }
  return false;
}

bool SameDeclaration(const ValueInfo& a, const ValueInfo& b) {
  return a.dtype == b.dtype && a.shape == b.shape;  // names may change (B27)
}
bool SameDeclarations(const std::vector<ValueInfo>& a, const std::vector<ValueInfo>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameDeclaration);
}

// The outputs of `after` against those of `before` that kept their name.
Status CheckOutputs(const Subject& before, const Subject& after, bool same_extents) {
  for (const ValueInfo& out : after.model.graph.outputs) {
    const TypeInfo* was = before.model.graph.IsOutput(out.name) ? before.Type(out.name) : nullptr;
    const TypeInfo* is = after.Type(out.name);
    if (!is) return Invalid("the edited graph does not make its output", out.name);
    if (!was) continue;
    if (was->dtype != is->dtype) return Invalid("the edit changes the element type of an output", out.name);
    if (!was->ranked || !is->ranked) continue;
    bool same = was->dims.size() == is->dims.size();
    if (!same) return Invalid("the edit changes the rank of an output", out.name);
    for (size_t i = 0; same_extents && i < is->dims.size(); ++i) {
      if (was->dims[i].known() && is->dims[i].known()) same &= was->dims[i].value() == is->dims[i].value();
    }
    if (!same) return Invalid("the rewrite changes the extents of an output", out.name);
  }
  return {};
}

}  // namespace

Result<Subject> Transform::Apply(const Subject& subject, const Site& site, const Limits& limits) const {
  Model model = TRY(apply(subject, site));
  Subject after = TRY(Subject::Of(std::move(model), limits));
  bool preserves = promise == Promise::kPreserves;
  TRY(CheckOutputs(subject, after, preserves));
  Graph& graph = after.model.graph;
  std::erase_if(graph.value_info, [&](const ValueInfo& v) {
    const TypeInfo* t = after.Type(v.name);
    return !t || Contradicts(*t, v);
  });
  if (preserves) {
    if (!SameDeclarations(subject.model.graph.inputs, graph.inputs) ||
        !SameDeclarations(subject.model.graph.outputs, graph.outputs)) {
      return Invalid("the rewrite changes the interface of the model", name);
    }
    return after;
  }
  for (ValueInfo& out : graph.outputs) {
    if (const TypeInfo* t = after.Type(out.name)) FollowInference(*t, &out);
  }
  return after;
}

std::string SiteName(const Node& node) {
  if (!node.name.empty()) return node.name;
  return "%" + (node.outputs.empty() ? std::string() : node.outputs[0]);
}

int FindNode(const Graph& graph, const std::string& site_name) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (SiteName(*graph.nodes[i]) == site_name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace assay
