// Replays the regression corpus: every entry still comes out as its expectation says.
#include <gtest/gtest.h>

#include <set>

#include "corpus/replay.h"
#include "fuzz/seed_corpus.h"
#include "fuzz/tables.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

const std::string kEntries = std::string(ASSAY_SOURCE_DIR) + "/corpus/entries";

TEST(CorpusReplay, EveryEntryComesOutAsExpected) {
  std::vector<StoredCase> cases = ListEntries(kEntries).value();
  EXPECT_GE(cases.size(), 40u);
  for (const StoredCase& c : cases) {
    ReplayResult r = ReplayEntry(c, {});
    EXPECT_TRUE(r.passed) << ResultLine(r);
  }
}

TEST(CorpusReplay, EveryFaultAndRewriteHasAnEntry) {
  std::set<std::string> there;
  std::vector<StoredCase> cases = ListEntries(kEntries).value();
  for (const StoredCase& c : cases) {
    Entry entry = LoadCase(c.path).value();
    for (const Step& s : entry.steps) there.insert(s.transform);
  }
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& row : *table) {
      // Rows may wait for operators that the table lacks.
      Result<Model> example = ParseText(row.example);
      Result<Subject> subject = example.ok() ? Subject::Of(*example) : example.error();
      if (!subject.ok() || row.sites(*subject).empty()) continue;
      EXPECT_TRUE(there.count(row.name)) << "run: assay corpus seed corpus/entries " << row.name;
    }
  }
}

TEST(CorpusReplay, TheIndexIsThatOfTheEntries) {
  EXPECT_EQ(ReadFile(kEntries + "/index.txt").value(), IndexText(kEntries).value())
      << "run: assay corpus index corpus/entries";
}

TEST(CorpusReplay, EntriesAreSmall) {
  size_t bytes = 0;
  std::vector<StoredCase> cases = ListEntries(kEntries).value();
  for (const StoredCase& c : cases) bytes += ReadFile(c.path).value().size();
  EXPECT_LT(bytes, 300u << 10);
}

TEST(CorpusReplay, ComparesVerdictAndRepair) {
  auto agrees = [](const char* expected, const char* found, bool repair = true) {
    return Agrees(Expectation::Parse(expected).value(), Expectation::Parse(found).value(), repair);
  };
  EXPECT_TRUE(agrees("different healed", "different healed"));
  EXPECT_FALSE(agrees("different healed", "different unhealed"));
  EXPECT_TRUE(agrees("different unhealed", "different healed"));  // better than expected
  EXPECT_TRUE(agrees("different healed", "different unhealed", false));
  EXPECT_TRUE(agrees("different", "different unhealed"));
  EXPECT_FALSE(agrees("equivalent", "different healed"));
  EXPECT_FALSE(agrees("different healed", "undecided"));
}

TEST(CorpusReplay, JUnitNamesFailuresAndErrors) {
  ReplayResult good, bad, broken;
  good.id = "good";
  good.expected = {Verdict::kEquivalent, {}};
  good.outcome = Outcome{{Verdict::kEquivalent, {}}, ""};
  good.passed = true;
  bad = good;
  bad.id = "bad<&>";
  bad.passed = false;
  bad.outcome = Outcome{{Verdict::kDifferent, false}, "CG at \"x\"\n\x01"};
  broken.id = "broken";
  broken.error = "no such file";
  std::string xml = JUnitXml("s", {good, bad, broken});
  EXPECT_NE(xml.find("tests=\"3\" failures=\"1\" errors=\"1\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("name=\"bad&lt;&amp;&gt;\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("expected equivalent, found different unhealed (CG at &quot;x&quot;&#10;?)"),
            std::string::npos)
      << xml;
  EXPECT_NE(xml.find("<error message=\"broken: error: no such file\"/>"), std::string::npos) << xml;
}

TEST(CorpusSeed, TheSameSeedGivesTheSameBytes) {
  for (const char* name : {"LH_CONV_PADS", "B07"}) {
    SeedTask task{name[0] == 'B' ? SeedTask::Kind::kRewrite : SeedTask::Kind::kFault, name};
    Entry a = MakeSeed(task, {}).value(), b = MakeSeed(task, {}).value();
    EXPECT_EQ(EncodeEntry(a).value(), EncodeEntry(b).value());
    EXPECT_EQ(a.expected.ToString(), name[0] == 'B' ? "equivalent" : "different healed");
    ASSERT_EQ(a.steps.size(), 1u);
    EXPECT_EQ(a.steps[0].transform, name);
  }
}

}  // namespace
}  // namespace assay
