// The promises of faults and rewrites on random graphs: what `transforms_test` checks on examples, on what the
// generator makes.
#include <gtest/gtest.h>

#include <cmath>

#include "fuzz/convert.h"
#include "gen/graph_gen.h"
#include "interp/exec.h"
#include "interp/text.h"

namespace assay {
namespace {

Generated RandomModel(uint64_t seed, const std::string& profile) {
  GenOptions options = GenOptions::Profile(profile).value();
  options.nodes = 10;
  Choices choices(seed);
  return GenerateCase(choices, options).value();
}

Result<std::vector<Tensor>> RunDouble(const Model& m, const std::vector<Tensor>& inputs) {
  ExecOptions options;
  options.store = Store::kDouble;
  Execution e = TRY(Run(m, inputs, options));
  return e.outputs;
}

// Differences beyond what rounding of folded constants explains, relative to the largest magnitude.
bool SameWithin(double bound, const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].dtype() != b[k].dtype() || a[k].shape() != b[k].shape()) return false;
    if (a[k].dtype() == DType::kString) continue;
    double scale = 1e-30;
    for (int64_t i = 0; i < a[k].size(); ++i) scale = std::max(scale, std::fabs(a[k].AsDouble(i)));
    for (int64_t i = 0; i < a[k].size(); ++i) {
      if (!(std::fabs(a[k].AsDouble(i) - b[k].AsDouble(i)) <= bound * scale)) return false;
    }
  }
  return true;
}
// float16 weights are rounded a thousand times coarser.
bool HasHalf(const Subject& s) {
  for (const auto& [name, type] : s.known.types) {
    if (type.dtype == DType::kFloat16 || type.dtype == DType::kBfloat16) return true;
  }
  return false;
}

TEST(TransformsRandom, RewritesPreserve) {
  std::map<std::string, int> applied;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Generated g = RandomModel(seed, seed % 3 == 0 ? "cnn" : seed % 3 == 1 ? "default" : "float");
    Subject s = Subject::Of(g.model).value();
    Result<std::vector<Tensor>> want = RunDouble(g.model, g.inputs);
    ASSERT_TRUE(want.ok()) << want.error().ToString();
    double bound = HasHalf(s) ? 0.05 : 1e-4;
    Choices choices(seed);
    for (const Transform& t : AllRewrites()) {
      std::vector<Site> sites = t.sites(s);
      for (int tries = 0; tries < 2 && !sites.empty(); ++tries) {
        Site site = choices.Pick(sites);
        Result<Subject> after = t.Apply(s, site);
        std::string where = t.name + "@" + site.ToString() + " seed " + std::to_string(seed) + "\n" + ToText(g.model);
        if (!after.ok()) {
          EXPECT_NE(after.error().message.find("finite"), std::string::npos) << after.error().ToString() << where;
          continue;
        }
        ++applied[t.name];
        Result<std::vector<Tensor>> got = RunDouble(after->model, g.inputs);
        ASSERT_TRUE(got.ok()) << got.error().ToString() << where;
        EXPECT_TRUE(SameWithin(bound, *want, *got)) << where << ToText(after->model);
      }
    }
  }
  EXPECT_GE(applied.size(), 25u);
}

TEST(TransformsRandom, EveryClassOfFaultFindsObservableSites) {
  std::map<std::string, int> observable;
  int cases = 0;
  for (uint64_t seed = 0; seed < 60; ++seed, ++cases) {
    Generated g = RandomModel(seed, seed % 2 == 0 ? "float" : "cnn");
    Subject s = Subject::Of(g.model).value();
    Result<std::vector<Tensor>> want = RunDouble(g.model, g.inputs);
    ASSERT_TRUE(want.ok());
    for (const std::string& cls : FaultClasses()) {
      bool seen = false;
      for (const Transform& t : AllFaults()) {
        if (seen || t.cls != cls) continue;
        std::vector<Site> sites = t.sites(s);
        for (size_t k = 0; k < sites.size() && k < 3 && !seen; ++k) {
          Result<Subject> after = t.Apply(s, sites[k]);
          if (!after.ok()) continue;
          ASSERT_TRUE(Validate(after->model).ok()) << t.name << Validate(after->model).error().ToString();
          Result<std::vector<Tensor>> got = RunDouble(after->model, g.inputs);
          seen = !got.ok() || !SameWithin(1e-9, *want, *got);
        }
      }
      observable[cls] += seen;
    }
  }
  for (const char* cls : {"PP", "ID", "TSS", "WB", "LH", "CG"}) {
    EXPECT_GT(observable[cls], cases / 5) << cls;
    RecordProperty(cls, observable[cls]);
  }
}

TEST(TransformsRandom, ConversionsReplay) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Generated g = RandomModel(seed, "default");
    Choices choices(seed);
    Result<Conversion> c = Convert(g.model, {.faults = 1, .rewrites = 5}, choices);
    ASSERT_TRUE(c.ok()) << c.error().ToString();
    Result<std::vector<Step>> steps = StepsFromText(StepsToText(c->steps));
    ASSERT_TRUE(steps.ok());
    Result<Model> again = Replay(g.model, *steps);
    ASSERT_TRUE(again.ok()) << again.error().ToString() << StepsToText(c->steps);
    EXPECT_EQ(ToText(*again), ToText(c->target));
  }
}

}  // namespace
}  // namespace assay
