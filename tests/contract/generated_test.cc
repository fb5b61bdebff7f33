// Over all rows that the generator can use: asked for, each of them appears in generated models at
// each of its versions, and those models are valid.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "gen/catalog.h"
#include "gen/graph_gen.h"
#include "interp/exec.h"

namespace assay {
namespace {

constexpr int kFirstOpset = 7, kLastOpset = 26;
constexpr uint64_t kTries = 60;

// Is the operator in a model of few nodes made of it alone?
bool Appears(const OpSpec& spec, int opset, bool anything) {
  GenOptions options;
  options.opset = opset;
  options.nodes = 2;
  options.ops = {spec.name};
  options.anything = anything;
  for (uint64_t seed = 0; seed < kTries; ++seed) {
    Choices choices(MixSeeds(opset, seed));
    Result<Generated> g = GenerateCase(choices, options);
    if (!g.ok()) continue;
    Status valid = Validate(g->model);
    EXPECT_TRUE(valid.ok()) << spec.name << "-" << opset << ": " << valid.error().ToString();
    for (const NodePtr& n : g->model.graph.nodes) {
      if (n->op == spec.name && n->domain == spec.domain) return true;
    }
  }
  return false;
}

TEST(Generated, EveryRowAppearsAtEachOfItsVersions) {
  std::set<std::string> names;
  std::set<const OpSpec*> seen;
  for (int opset = kFirstOpset; opset <= kLastOpset; ++opset) {
    for (bool anything : {false, true}) {
      for (const Row& row : Catalog::Of(opset, anything).rows()) {
        if (!seen.insert(row.spec).second) continue;
        bool on_request = row.spec->Has(kOnRequest) || !row.spec->domain.empty();
        EXPECT_TRUE(Appears(*row.spec, opset, anything || on_request))
            << row.spec->name << " at opset " << opset;
        names.insert(row.spec->domain + "::" + row.spec->name);
      }
    }
  }
  EXPECT_GE(names.size(), 172u);
}

// What stays out says why, unless it needs more than a row: bodies of control flow, lists.
TEST(Generated, RowsLeftOutSayWhy) {
  for (const OpSpec& spec : AllOps()) {
    if (spec.Generated() || spec.Has(kRunsGraphs)) continue;
    auto lists = [](const std::vector<Formal>& formals) {
      return std::any_of(formals.begin(), formals.end(), [](const Formal& f) {
        return Contains(f.types, kSequence) || Contains(f.types, kOptional);
      });
    };
    if (lists(spec.inputs) || lists(spec.outputs)) continue;
    EXPECT_NE(spec.left_out, "") << spec.domain << "::" << spec.name << "-" << spec.since;
  }
}

TEST(Generated, ConstantsComeInEveryForm) {
  GenOptions options;
  options.nodes = 12;
  options.ops = {"Constant", "Slice", "StringConcat", "StringSplit", "Clip",
                 "Reshape",  "Mul",   "OneHot",       "Range",       "CumSum"};
  options.opset = 20;
  options.anything = true;
  std::set<std::string> forms;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Choices choices(seed);
    Result<Generated> g = GenerateCase(choices, options);
    if (!g.ok()) continue;
    for (const NodePtr& n : g->model.graph.nodes) {
      if (n->op == "Constant") forms.insert(n->attrs[0].name);
    }
  }
  for (const char* form : {"value", "value_float", "value_floats", "value_int", "value_ints",
                           "value_string", "value_strings"})
    EXPECT_TRUE(forms.count(form)) << form;
}

}  // namespace
}  // namespace assay
