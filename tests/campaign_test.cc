// Campaigns: the same bytes for any number of jobs, nothing lost or counted twice, and commands
// judged.
#include "fuzz/campaign.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

class CampaignTest : public testing::Test {
 protected:
  CampaignTest() {
    const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() /
            (std::string("assay_") + info->name() + "_" + std::to_string(getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  ~CampaignTest() override { fs::remove_all(root_); }

  CampaignOptions Options(const std::string& name, int64_t limit, int jobs = 2) const {
    CampaignOptions o;
    o.out = (root_ / name).string();
    o.limit = limit;
    o.jobs = jobs;
    o.cases.nodes = 6;
    o.cases.seed = 11;
    return o;
  }
  std::string Read(const std::string& name, const std::string& file = "journal.jsonl") const {
    return ReadFile((root_ / name / file).string()).value();
  }
  std::vector<CaseRecord> Records(const std::string& name) const {
    std::vector<CaseRecord> records;
    EXPECT_TRUE(ReadJournal((root_ / name / "journal.jsonl").string(), [&](const CaseRecord& r) {
                  records.push_back(r);
                }).ok());
    return records;
  }
  // Kinds of findings of a campaign with a plugged-in command.
  std::map<std::string, int64_t> KindsWith(std::string CaseOptions::*role,
                                           const std::string& command, int64_t cases = 6) {
    CampaignOptions o = Options("c" + std::to_string(runs_++), cases);
    o.cases.*role = command;
    o.cases.command.seconds = 5;
    return RunCampaign(o).value().counts.by_kind;
  }

  fs::path root_;
  int runs_ = 0;
};

TEST_F(CampaignTest, TheSameBytesWhateverTheNumberOfJobs) {
  CampaignResult a = RunCampaign(Options("a", 24, 1)).value();
  CampaignResult b = RunCampaign(Options("b", 24, 4)).value();
  EXPECT_EQ(a.counts.cases, 24);
  EXPECT_EQ(Read("a"), Read("b"));
  EXPECT_EQ(Read("a", "sequences.txt"), Read("b", "sequences.txt"));
  EXPECT_GT(a.counts.faults.injected, 0);
  EXPECT_GT(a.counts.sequences[0], 5);
  nlohmann::json summary = nlohmann::json::parse(Read("a", "summary.json"));
  for (const char* key :
       {"cases", "seconds", "cases_per_second", "faults", "rewrites", "sequences", "findings"}) {
    EXPECT_TRUE(summary.contains(key)) << key;
  }
  for (const char* key : {"injected", "observable", "latent", "equivalent", "detected",
                          "localized_top1", "repaired", "by_class", "by_fault"}) {
    EXPECT_TRUE(summary["faults"].contains(key)) << key;
  }
}

TEST_F(CampaignTest, ATornJournalResumesToTheSameBytes) {
  RunCampaign(Options("whole", 12)).value();
  for (int64_t cut : {1, 40}) {
    std::string name = "torn" + std::to_string(cut);
    RunCampaign(Options(name, 7)).value();
    fs::path journal = root_ / name / "journal.jsonl";
    fs::resize_file(journal, fs::file_size(journal) - static_cast<uintmax_t>(cut));
    CampaignOptions o = Options(name, 12);
    o.resume = true;
    EXPECT_EQ(RunCampaign(o).value().counts.cases, 12);
    EXPECT_EQ(Read(name), Read("whole"));
    EXPECT_EQ(Read(name, "sequences.txt"), Read("whole", "sequences.txt"));
  }
}

TEST_F(CampaignTest, AnInterruptedCampaignSavesWhatItHasAndResumes) {
  RunCampaign(Options("whole", 12)).value();
  CampaignOptions o = Options("cut", 12);
  std::atomic<int> asked{0};
  o.interrupted = [&] { return ++asked > 5; };
  CampaignResult r = RunCampaign(o).value();
  EXPECT_TRUE(r.interrupted);
  EXPECT_EQ(r.counts.cases, 5);
  o.interrupted = nullptr;
  o.resume = true;
  EXPECT_FALSE(RunCampaign(o).value().interrupted);
  EXPECT_EQ(Read("cut"), Read("whole"));
}

TEST_F(CampaignTest, AFolderServesOneCampaignAtATime) {
  RunCampaign(Options("a", 1)).value();
  EXPECT_EQ(RunCampaign(Options("a", 1)).error().code, Code::kUsage);  // no --resume
  CampaignOptions other = Options("a", 2);
  other.resume = true;
  other.cases.seed = 12;
  EXPECT_EQ(RunCampaign(other).error().code, Code::kUsage);
  int lock = open((root_ / "a" / "lock").c_str(), O_RDWR);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  CampaignOptions same = Options("a", 2);
  same.resume = true;
  EXPECT_EQ(RunCampaign(same).error().message, "another campaign works on this folder");
  close(lock);
  EXPECT_TRUE(RunCampaign(same).ok());
}

TEST_F(CampaignTest, ShardsDivideTheCases) {
  RunCampaign(Options("whole", 11)).value();
  std::vector<CaseRecord> whole = Records("whole"), parts;
  for (int64_t i = 0; i < 3; ++i) {
    CampaignOptions o = Options("shard" + std::to_string(i), 11);
    o.shard = i;
    o.shards = 3;
    RunCampaign(o).value();
    for (const CaseRecord& r : Records("shard" + std::to_string(i))) parts.push_back(r);
  }
  std::sort(parts.begin(), parts.end(),
            [](const CaseRecord& a, const CaseRecord& b) { return a.index < b.index; });
  ASSERT_EQ(parts.size(), whole.size());
  for (size_t k = 0; k < parts.size(); ++k) {
    parts[k].sequences = whole[k].sequences;
    EXPECT_EQ(parts[k], whole[k]);
  }
}

TEST_F(CampaignTest, ACaseThatCrashedIsCountedAndNotRunAgain) {
  RunCampaign(Options("a", 2)).value();
  std::ofstream(root_ / "a" / "crashed.txt") << "3\n";
  CampaignOptions o = Options("a", 5);
  o.resume = true;
  CampaignResult r = RunCampaign(o).value();
  EXPECT_EQ(r.counts.cases, 5);
  EXPECT_EQ(r.counts.by_kind.at("internal"), 1);
  EXPECT_TRUE(fs::exists(root_ / "a" / "findings" / "internal-3" / "finding.json"));
}

TEST_F(CampaignTest, ConvertersAreJudged) {
  Model other = ParseText("graph(float[2] x) -> (y) { y = Neg(x) }").value();
  std::string path = (root_ / "other.onnx").string();
  ASSERT_TRUE(SaveModel(other, path).ok());
  struct Row {
    std::string command, kind;
  } rows[] = {
      {"cp {source} {target}", ""},
      {"sh -c 'cp " + path + " \"$0\"' {target} {source}", "damaged"},
      {"sh -c 'exit 3' {source} {target}", "crash"},
      {"sh -c 'kill -9 $$' {source} {target}", "crash"},
      {"/no/such/program {source} {target}", "crash"},
      {"true {source} {target}", "garbage"},
      {"sh -c 'echo nonsense > \"$0\"' {target} {source}", "garbage"},
  };
  for (const Row& row : rows) {
    std::map<std::string, int64_t> kinds = KindsWith(&CaseOptions::converter, row.command);
    std::map<std::string, int64_t> want;
    if (!row.kind.empty()) want[row.kind] = 6;
    EXPECT_EQ(kinds, want) << row.command;
  }
}

TEST_F(CampaignTest, AHangIsAFinding) {
  CampaignOptions o = Options("a", 2);
  o.cases.converter = "sh -c 'sleep 60' {source} {target}";
  o.cases.command.seconds = 0.2;
  CampaignResult r = RunCampaign(o).value();
  EXPECT_EQ(r.counts.by_kind.at("hang"), 2);
  EXPECT_LT(r.seconds, 10);
}

TEST_F(CampaignTest, VerifiersAreJudged) {
  std::map<std::string, int64_t> kinds =
      KindsWith(&CaseOptions::verifier, "true {source} {target}", 12);
  EXPECT_GT(kinds["missed"], 0);
  EXPECT_EQ(kinds["false_alarm"], 0);
  kinds = KindsWith(&CaseOptions::verifier, "false {source} {target}", 12);
  EXPECT_EQ(kinds["missed"], 0);
  EXPECT_GT(kinds["false_alarm"], 0);
  kinds = KindsWith(&CaseOptions::verifier, "sh -c 'exit 7' {source} {target}", 3);
  EXPECT_EQ(kinds["crash"], 3);
}

TEST_F(CampaignTest, RepairersAreJudged) {
  std::map<std::string, int64_t> kinds =
      KindsWith(&CaseOptions::repairer, "sh -c 'cp \"$0\" \"$1\"' {source} {out} {target}", 12);
  EXPECT_GT(kinds["repair_refused"], 0);
  EXPECT_EQ(kinds["not_repaired"], 0);
  kinds = KindsWith(&CaseOptions::repairer, "sh -c 'cp \"$0\" \"$1\"' {target} {out} {source}", 12);
  EXPECT_GT(kinds["not_repaired"], 0);
  EXPECT_EQ(kinds["repair_refused"], 0);
}

TEST_F(CampaignTest, RuntimesAreComparedWithTheInterpreter) {
  EXPECT_TRUE(
      KindsWith(&CaseOptions::runtime,
                std::string(ASSAY_BINARY) + " run {source} --inputs {inputs} --outputs {outputs}")
          .empty());
  EXPECT_EQ(KindsWith(&CaseOptions::runtime, "true {source} {inputs} {outputs}")["garbage"], 6);
}

TEST_F(CampaignTest, AFindingsFolderHoldsTheCaseAndItsReplay) {
  CampaignOptions o = Options("a", 12);
  o.cases.verifier = "true {source} {target}";
  RunCampaign(o).value();
  std::vector<CaseRecord> records = Records("a");
  auto it = std::find_if(records.begin(), records.end(),
                         [](const CaseRecord& r) { return !r.findings.empty(); });
  ASSERT_NE(it, records.end());
  fs::path folder =
      root_ / "a" / "findings" / (it->findings[0].kind + "-" + std::to_string(it->index));
  for (const char* file : {"source.onnx", "target.onnx", "steps.txt", "finding.json"})
    EXPECT_TRUE(fs::exists(folder / file)) << file;
  nlohmann::json j = nlohmann::json::parse(ReadFile((folder / "finding.json").string()).value());
  EXPECT_EQ(j["replay"],
            "assay campaign --seed 11 --nodes 6 --verifier 'true {source} {target}' --case " +
                std::to_string(it->index) + " --out case-" + std::to_string(it->index));
  // The replay makes the same record.
  CaseCommands commands = CaseCommands::Of(o.cases).value();
  CaseRecord again = RunCase(o.cases, commands, it->index, (root_ / "scratch").string()).record;
  again.sequences = it->sequences;
  EXPECT_EQ(again, *it);
}

TEST(Journal, ARecordReadsBackAsItWas) {
  CaseRecord r;
  r.index = 7;
  r.nodes = 12;
  r.truth = "different";
  r.verdict = "undecided";
  r.repair = "healed";
  r.margin = 1.0 / 3;
  r.faults = {{"LH_CONV_PADS", "LH", "Conv", "observable", true, false, true}};
  r.rewrites = {"B04", "B27"};
  r.findings = {{"missed", "missed|x", "a \"quoted\"\nline"}};
  r.errors = {{"verify", "limit", "too long"}};
  r.sequences = {1, 2, 3, 4, 5};
  std::string line = RecordLine(r);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(ParseRecord(line).value(), r);
  EXPECT_EQ(ParseRecord(RecordLine(CaseRecord{})).value(), CaseRecord{});
  for (const char* bad : {"", "{", "[]", "{\"case\":\"x\"}", "{\"cas"})
    EXPECT_FALSE(ParseRecord(bad).ok()) << bad;
}

TEST(Journal, CountsOfShardsAddUp) {
  Counts whole, a, b;
  for (int64_t i = 0; i < 2000; ++i) {
    CaseRecord r;
    r.index = i;
    r.faults = {
        {"WB_X", "WB", "Conv", i % 3 ? "observable" : "latent", i % 2 == 0, true, i % 5 == 0}};
    if (i % 7 == 0) r.findings = {{"missed", "missed|" + std::to_string(i % 2), "w"}};
    whole.Add(r);
    (i % 2 ? a : b).Add(r);
  }
  a.Merge(b);
  EXPECT_EQ(CountsJson(a, 1), CountsJson(whole, 1));
  EXPECT_EQ(whole.faults.observable + whole.faults.latent, 2000);
  EXPECT_LE(whole.growth.size(), kGrowthPoints + 1);
  EXPECT_EQ(whole.growth.back().cases, 2000);
}

TEST(Journal, DamageInTheMiddleIsAnErrorAndAtTheEndIsNot) {
  std::string path =
      (fs::temp_directory_path() / ("assay_journal_" + std::to_string(getpid()))).string();
  CaseRecord r;
  std::string head = "{\"assay_journal\":1}\n", one = RecordLine(r) + "\n";
  r.index = 1;
  std::string two = RecordLine(r) + "\n";
  auto count = [&](const std::string& bytes) -> int {
    EXPECT_TRUE(WriteFile(path, bytes).ok());
    int n = 0;
    return ReadJournal(path, [&](const CaseRecord&) { ++n; }).ok() ? n : -1;
  };
  EXPECT_EQ(count(head + one + two), 2);
  EXPECT_EQ(count(head + one + two.substr(0, 9)), 1);
  EXPECT_EQ(count(head + one + "garbage\n"), 1);
  EXPECT_EQ(count(head + "garbage\n" + one), -1);
  EXPECT_EQ(count(head + one + one), 1);
  EXPECT_EQ(count("{}\n"), -1);
  EXPECT_EQ(count(""), -1);
  fs::remove(path);
}

}  // namespace
}  // namespace assay
