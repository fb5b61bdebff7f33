#include "tools/operators_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "fuzz/tables.h"
#include "interp/op_spec.h"
#include "interp/text.h"

namespace assay {
namespace {

// A set of element types in few words.
std::string Words(DTypeSet types) {
  struct Group {
    const char* name;
    DTypeSet types;
  };
  const Group groups[] = {{"float32", Bit(DType::kFloat)},
                          {"float64", Bit(DType::kDouble)},
                          {"float16", Bit(DType::kFloat16)},
                          {"bfloat16", Bit(DType::kBfloat16)},
                          {"int8-64", kSignedInts},
                          {"uint8-64", kUnsignedInts},
                          {"bool", Bit(DType::kBool)},
                          {"string", Bit(DType::kString)},
                          {"complex", kComplexes}};
  std::vector<std::string> words;
  DTypeSet left = types & ((DTypeSet{1} << kDTypeCount) - 1);
  for (const Group& g : groups) {
    if ((left & g.types) != g.types) continue;
    words.push_back(g.name);
    left &= ~g.types;
  }
  for (int t = 1; t < kDTypeCount; ++t) {
    if (Contains(left, static_cast<DType>(t))) words.push_back(DTypeName(static_cast<DType>(t)));
  }
  for (DType list : {kSequence, kOptional}) {
    if (Contains(types, list)) words.push_back(DTypeName(list));
  }
  return fmt::format("{}", fmt::join(words, " "));
}

// Faults with a site on this operator in one of its examples.
std::set<std::string> FaultsOn(const OpSpec& row) {
  std::set<std::string> found;
  for (const std::string& example : row.examples) {
    Result<Model> m = ParseText(example);
    if (!m.ok()) continue;
    Result<Subject> subject = Subject::Of(std::move(m).value(), Limits::Small());
    if (!subject.ok()) continue;
    for (const Transform& fault : AllFaults()) {
      for (const Site& site : fault.sites(*subject)) {
        int node = FindNode(subject->model.graph, site.node);
        if (node >= 0 && subject->model.graph.nodes[static_cast<size_t>(node)]->op == row.name) found.insert(fault.name);
      }
    }
  }
  return found;
}

}  // namespace

bool IsGenerated(const OpSpec& row) {
  return row.Generated() || (row.eval && row.left_out.empty() && !row.Has(kNondeterministic));
}

std::string OperatorsPage() {
  std::map<std::pair<std::string, std::string>, std::vector<const OpSpec*>> operators;
  for (const OpSpec& row : AllOps()) operators[{row.domain, row.name}].push_back(&row);
  std::string page =
      "# Operators\n"
      "Made by `assay ops --markdown docs/operators.md`; a test keeps it current. Versions: the operator sets in which a row of the table\n"
      "begins. Types: element types of the first input (or output) in the newest version. Faults: how many faults of `assay faults` find a\n"
      "site on the operator in its own examples; faults of names, layouts and constants around it come on top. On request:\n"
      "where anything is generated, since few targets have it or the oracle can't decide it.\n\n";
  std::string table = "| operator | versions | types | run | generate | faults |\n|---|---|---|---|---|---|\n";
  size_t versions = 0, generated = 0;
  for (const auto& [name, rows] : operators) {
    const OpSpec& newest = *rows.back();
    std::vector<int> since;
    std::set<std::string> faults;
    bool runs = true, generates = false, on_request = false;
    std::string why = newest.Has(kNondeterministic) ? "random" : "";
    for (const OpSpec* row : rows) {
      since.push_back(row->since);
      runs = runs && row->eval != nullptr;
      generates = generates || IsGenerated(*row);
      on_request = on_request || row->Has(kOnRequest) || row->domain == "ai.onnx.ml";
      if (!row->left_out.empty()) why = row->left_out;
      faults.merge(FaultsOn(*row));
    }
    versions += rows.size();
    generated += generates;
    const std::vector<Formal>& formals = newest.inputs.empty() ? newest.outputs : newest.inputs;
    table += fmt::format("| {}{} | {} | {} | {} | {} | {} |\n", name.first.empty() ? "" : name.first + ".", name.second,
                         fmt::join(since, " "), formals.empty() ? "" : Words(formals[0].types), runs ? "yes" : "no",
                         generates ? (on_request ? "on request" : "yes") : why.empty() ? "no" : "no: " + why, faults.empty() ? "" : std::to_string(faults.size()));
  }
  return page + fmt::format("{} operators, {} versions; {} operators are generated.\n\n", operators.size(), versions, generated) + table;
}

}  // namespace assay
