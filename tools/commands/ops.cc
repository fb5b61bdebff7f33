// assay ops: the table of operators.
#include <fmt/format.h>

#include <set>

#include "interp/onnx_io.h"
#include "interp/op_spec.h"
#include "tools/command.h"
#include "tools/operators_page.h"

namespace assay {
namespace {

std::vector<std::string> TypeNames(DTypeSet types) {
  std::vector<std::string> names;
  for (int t = 1; t < kDTypeCount; ++t) {
    if (Contains(types, static_cast<DType>(t))) names.push_back(DTypeName(static_cast<DType>(t)));
  }
  return names;
}

const char* ArityName(Arity a) {
  return a == Arity::kSingle ? "single" : a == Arity::kOptional ? "optional" : "variadic";
}

nlohmann::json Formals(const std::vector<Formal>& formals) {
  nlohmann::json list = nlohmann::json::array();
  for (const Formal& f : formals) {
    list.push_back({{"name", f.name},
                    {"type", f.type},
                    {"types", TypeNames(f.types)},
                    {"arity", ArityName(f.arity)}});
  }
  return list;
}

const char* AttrTypeName(AttrType t) {
  static const char* const kNames[] = {"int",     "float",  "string", "ints", "floats",
                                       "strings", "tensor", "graph",  "other"};
  return kNames[static_cast<int>(t)];
}

nlohmann::json ToJson(const OpSpec& s) {
  nlohmann::json attrs = nlohmann::json::array();
  for (const AttrSpec& a : s.attrs) {
    attrs.push_back({{"name", a.name}, {"type", AttrTypeName(a.type)}, {"required", a.required}});
  }
  nlohmann::json supported = {{"infer", s.rule != nullptr},
                              {"run", s.eval != nullptr},
                              {"generate", IsGenerated(s)},
                              {"deterministic", !s.Has(kNondeterministic)}};
  return {{"name", s.name},
          {"domain", s.domain},
          {"since", s.since},
          {"inputs", Formals(s.inputs)},
          {"outputs", Formals(s.outputs)},
          {"attributes", attrs},
          {"supported", supported}};
}

// Element types of the first input, or of the output when there is none.
std::string MainTypes(const OpSpec& s) {
  const std::vector<Formal>& formals = s.inputs.empty() ? s.outputs : s.inputs;
  if (formals.empty()) return "";
  return fmt::format("{}", fmt::join(TypeNames(formals[0].types), " "));
}

Result<int> Execute(const JsonFlag& json, const std::string& markdown) {
  if (!markdown.empty()) TRY(WriteFile(markdown, OperatorsPage()));
  auto yes = [](bool b) { return b ? "yes" : "no"; };
  std::set<std::string> names;
  nlohmann::json list = nlohmann::json::array();
  std::string table = fmt::format("{:<24} {:>5}  {:<5} {:<3} {:<8} {}\n", "operator", "since",
                                  "infer", "run", "generate", "element types of the first input");
  for (const OpSpec& s : AllOps()) {
    std::string name = (s.domain.empty() ? "" : s.domain + ".") + s.name;
    names.insert(name);
    table += fmt::format("{:<24} {:>5}  {:<5} {:<3} {:<8} {}\n", name, s.since, yes(s.rule),
                         yes(s.eval), yes(IsGenerated(s)), MainTypes(s));
    list.push_back(ToJson(s));
  }
  table += fmt::format("{} operators, {} versions\n", names.size(), list.size());
  TRY(json.Write({{"operators", list}, {"names", names.size()}, {"versions", list.size()}}));
  if (json.target != "-") fmt::print("{}", table);
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto json = std::make_shared<JsonFlag>();
  auto markdown = std::make_shared<std::string>();
  app.add_option("--markdown", *markdown, "write the table as a page (docs/operators.md)");
  json->Add(app);
  return [json, markdown] { return Execute(*json, *markdown); };
}

}  // namespace

Command command_ops() {
  return {
      "ops", "list every operator, version and type, and what is supported of it",
      "infer: shapes and types are inferred and checked; run: there is a kernel; generate: assay\n"
      "generate uses it.",
      Setup};
}

}  // namespace assay
