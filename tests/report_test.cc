// The campaign report: shards merge, nothing untrusted reaches the page unescaped, damaged folders
// are said.
#include "fuzz/report.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "corpus/entry.h"
#include "fuzz/graph_svg.h"
#include "fuzz/html.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

struct TempFolder {
  std::string path;
  TempFolder() {
    char name[] = "/tmp/assay_report_XXXXXX";
    path = mkdtemp(name);
  }
  ~TempFolder() { std::filesystem::remove_all(path); }
};

constexpr char kSource[] = R"(graph(float[2,3] x) -> (y) {
  a = Relu(x)
  b = Neg(a) @"<evil>"
  y = Add(b, x)
})";
constexpr char kTarget[] = R"(graph(float[2,3] u) -> (y) {
  a = Relu(u)
  b = Abs(a)
  y = Add(b, u)
})";

// A campaign folder of one shard: every third case has a detected fault, case 4 is a missed one.
void MakeCampaign(const std::string& folder, int shard, int shards, int cases) {
  std::filesystem::create_directories(folder + "/findings");
  std::string journal =
      nlohmann::ordered_json{{"assay_journal", 1}, {"seed", 7}, {"shard", {shard, shards}}}.dump() +
      "\n";
  for (int i = 0; i < cases; ++i) {
    CaseRecord r;
    r.index = shard + i * shards;
    r.nodes = 10;
    r.truth = i % 3 == 1 ? "different" : "equal";
    r.verdict = i % 3 == 1 && i != 4 ? "different" : "equivalent";
    r.rewrites = {"B27", "B04"};
    if (i % 3 == 1) {
      bool found = i != 4;
      r.faults.push_back({"LH_CONV_PADS", "LH", "Conv", "observable", found, found, found});
      if (!found)
        r.findings.push_back(
            {"missed", "missed LH_CONV_PADS <b>", "pads & <script>alert(1)</script>"});
    }
    if (i == 5) r.errors.push_back({"verify", "limit", "too large"});
    for (int k = 0; k < kSequenceLengths; ++k) r.sequences[k] = 3 + i * (k + 1);
    journal += RecordLine(r) + "\n";
  }
  ASSERT_TRUE(WriteFile(folder + "/journal.jsonl", journal).ok());
  ASSERT_TRUE(WriteFile(folder + "/state.json", R"({"seconds": 2.5, "cases": 9})").ok());
  SequenceSet set;
  set.Insert(std::vector<std::string>{"Relu", "Neg", "Shard" + std::to_string(shard)});
  ASSERT_TRUE(WriteFile(folder + "/sequences.txt", set.ToText()).ok());
  if (cases <= 4) return;
  Entry e;
  e.source = ParseText(kSource).value();
  e.target = ParseText(kTarget).value();
  std::string finding = folder + "/findings/missed-" + std::to_string(shard + 4 * shards);
  ASSERT_TRUE(SaveCaseFolder(e, finding).ok());
  nlohmann::json about = {
      {"case", shard + 4 * shards},
      {"findings", {{{"kind", "missed"}, {"signature", "missed LH_CONV_PADS <b>"}, {"what", "x"}}}},
      {"replay", "assay campaign --case 4 && echo \"<i>\""}};
  ASSERT_TRUE(WriteFile(finding + "/finding.json", about.dump()).ok());
}

TEST(Report, MergesShardsAndCountsAShardOnce) {
  TempFolder t;
  MakeCampaign(t.path + "/0", 0, 2, 9);
  MakeCampaign(t.path + "/1", 1, 2, 3);
  MakeCampaign(t.path + "/again", 0, 2, 6);
  CampaignData d = ReadCampaigns({t.path + "/1", t.path + "/again", t.path + "/0"}).value();
  EXPECT_EQ(d.counts.cases, 12);
  EXPECT_EQ(d.shards.size(), 2u);
  EXPECT_EQ(d.counts.faults.observable, 4);
  EXPECT_EQ(d.counts.faults.detected, 3);
  EXPECT_EQ(d.seconds, 5);
  EXPECT_EQ(d.notes.size(), 1u);
  EXPECT_EQ(d.sequences.Count(1), 4);
  nlohmann::ordered_json j = ReportJson(d);
  EXPECT_EQ(j["cases"], 12);
  EXPECT_EQ(j["faults"]["by_fault"]["LH_CONV_PADS"]["detected"], 3);
  EXPECT_EQ(j["finding_groups"][0]["replay"], "assay campaign --case 4 && echo \"<i>\"");
  EXPECT_EQ(j["shards"].size(), 2u);
}

TEST(Report, PageIsSelfContainedAndEscaped) {
  TempFolder t;
  MakeCampaign(t.path + "/0", 0, 1, 9);
  std::string html = ReportHtml(ReadCampaigns({t.path + "/0"}).value());
  for (std::string bad : {"<script", "<evil>", "<i>", "<b>\"", "http://", "https://", "url(",
                          "@import", "<img", "<link"}) {
    EXPECT_EQ(html.find(bad), std::string::npos) << bad;
  }
  for (std::string wanted :
       {"&lt;script&gt;alert(1)", "LH_CONV_PADS", "assay campaign --case 4 &amp;&amp; echo", "<svg",
        "verify: limit", "Conv 3·3·2·2", "box marked", "1 of 3 observable faults were missed"}) {
    EXPECT_NE(html.find(wanted), std::string::npos) << wanted;
  }
  EXPECT_EQ(html, ReportHtml(ReadCampaigns({t.path + "/0"}).value()));
}

TEST(Report, DamageIsSaidNotHidden) {
  TempFolder t;
  EXPECT_EQ(ReadCampaigns({t.path}).error().code, Code::kInvalid);
  MakeCampaign(t.path + "/0", 0, 1, 9);
  ASSERT_TRUE(WriteFile(t.path + "/0/findings/missed-4/finding.json", "{").ok());
  ASSERT_TRUE(WriteFile(t.path + "/0/state.json", "[]").ok());
  CampaignData d = ReadCampaigns({t.path + "/0"}).value();
  EXPECT_EQ(d.notes.size(), 1u);
  EXPECT_EQ(d.seconds, 0);
  EXPECT_NE(ReportHtml(d).find("no readable finding.json"), std::string::npos);
  ASSERT_TRUE(WriteFile(t.path + "/0/findings/missed-4/finding.json",
                        R"({"case": "x", "findings": [1, {"kind": 3}], "replay": []})")
                  .ok());
  ASSERT_TRUE(WriteFile(t.path + "/0/findings/missed-4/source.onnx", "garbage").ok());
  EXPECT_NE(ReportHtml(ReadCampaigns({t.path + "/0"}).value()).find("missed"), std::string::npos);
}

TEST(Html, EscapesAndCuts) {
  EXPECT_EQ(Escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
  EXPECT_EQ(
      Escape("a\x01\xff\xc0\xaf\xed\xa0\x80z"),
      "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz");
  EXPECT_EQ(Escape("größe"), "größe");
  EXPECT_EQ(Escape("abcdef", 3), "abc…");
  EXPECT_EQ(Share(0, 0), "–");
  EXPECT_EQ(Share(9999, 10000), "99.9 %");
  EXPECT_EQ(Share(1, 100000), "0.1 %");
}

TEST(GraphSvg, ColoursWhatDiffersAndStandsHostileGraphs) {
  Model source = ParseText(kSource).value(), target = ParseText(kTarget).value();
  NodeDifferences d = DifferingNodes(source, target);
  EXPECT_TRUE(d.source.count(1));
  EXPECT_TRUE(d.target.count(1));
  EXPECT_EQ(DifferingNodes(source, source).source.size(), 0u);

  Model cyclic;
  cyclic.graph.nodes = {MakeNode("Abs", {"b"}, {"a"}), MakeNode("Abs", {"a"}, {"b"}),
                        MakeNode("Neg", {"c"}, {"c"})};
  EXPECT_NE(GraphSvg(cyclic, {}, "cyclic").find("<svg"), std::string::npos);
  EXPECT_NE(GraphSvg(Model{}, {5}, "empty").find("no nodes"), std::string::npos);

  Model large;
  for (int i = 0; i < 500; ++i) {
    large.graph.nodes.push_back(
        MakeNode("Op", {"v" + std::to_string(i)}, {"v" + std::to_string(i + 1)}));
  }
  std::string svg = GraphSvg(large, {250}, "large");
  EXPECT_NE(svg.find("3 of 500 nodes"), std::string::npos);
}

}  // namespace
}  // namespace assay
