#include "interp/transform.h"

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
