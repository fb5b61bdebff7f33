#include "gen/capability.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "interp/onnx_io.h"

namespace assay {
namespace {

using Json = nlohmann::json;
constexpr int64_t kMaxBytes = int64_t{1} << 24;

Error Wrong(const std::string& where, const std::string& what) { return Invalid(what, where); }

Result<DTypeSet> TypesIn(const Json& list, const std::string& where) {
  if (list.is_string() && list == "*") return ~DTypeSet{0};
  if (!list.is_array())
    return Wrong(where, "wanted a list of element types or \"*\", got " + list.dump());
  DTypeSet types = 0;
  for (const Json& name : list) {
    DType t = name.is_string() ? DTypeFromName(name.get<std::string>()) : DType::kUndefined;
    if (t == DType::kUndefined) return Wrong(where, "unknown element type " + name.dump());
    types |= Bit(t);
  }
  if (types == 0)
    return Wrong(where, "an empty list of element types; leave the entry out instead");
  return types;
}

Status CheckKeys(const Json& object, std::initializer_list<const char*> known,
                 const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return Wrong(where, "unknown key \"" + key + "\"");
  }
  return {};
}

Result<Capability::Types> TypesOf(const Json& entry, const std::string& where) {
  Capability::Types types;
  if (!entry.is_object()) {
    types.input = TRY(TypesIn(entry, where));
    return types;
  }
  TRY(CheckKeys(entry, {"input", "output"}, where));
  if (entry.contains("input")) types.input = TRY(TypesIn(entry["input"], where + ".input"));
  if (entry.contains("output")) types.output = TRY(TypesIn(entry["output"], where + ".output"));
  return types;
}

int64_t LineAt(const std::string& text, size_t byte) {
  return 1 + std::count(text.begin(),
                        text.begin() + static_cast<int64_t>(std::min(byte, text.size())), '\n');
}

}  // namespace

const Capability::Types* Capability::Find(const std::string& op) const {
  auto it = operators.find(op);
  return it == operators.end() ? nullptr : &it->second;
}

bool Capability::Supports(const Node& node, DType input, DType output) const {
  const Types* types = node.domain.empty() ? Find(node.op) : nullptr;
  if (!types) return false;
  if (input != DType::kUndefined && !IsList(input) && !Contains(types->input, input)) return false;
  if (output != DType::kUndefined && !IsList(output) && !Contains(types->output, output))
    return false;
  for (const Attribute& a : node.attrs) {
    auto body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
    // Nodes of bodies were nodes outside before (gen/body.h), which had their types looked at; but
    // for those that only pass a value on.
    for (size_t i = 0; body && i < (*body)->nodes.size(); ++i) {
      if (!Find((*body)->nodes[i]->op)) return false;
    }
  }
  return true;
}

Result<Capability> ParseCapability(const std::string& text, const std::string& where) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& e) {
    return Wrong(where + ":" + std::to_string(LineAt(text, e.byte)),
                 std::string("not JSON: ") + e.what());
  }
  if (!json.is_object()) return Wrong(where, "wanted an object with \"operators\"");
  TRY(CheckKeys(json, {"operators"}, where));
  Capability c;
  if (!json.contains("operators") || !json["operators"].is_object())
    return Wrong(where, "\"operators\" is missing, or no object from operator to element types");
  for (const auto& [op, entry] : json["operators"].items()) {
    std::string place = where + ": operators." + op;
    if (!KnownOp("", op)) return Wrong(place, "unknown operator");
    c.operators[op] = TRY(TypesOf(entry, place));
  }
  if (c.operators.empty()) return Wrong(where, "\"operators\" is empty");
  return c;
}

Result<Capability> LoadCapability(const std::string& path) {
  std::string text = TRY(ReadFile(path, kMaxBytes));
  return ParseCapability(text, path);
}

}  // namespace assay
