// The verbs corpus, coverage, minimize and report of the real program.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "corpus/entry.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

class CorpusCli : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "assay_corpus_cli_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    Write("source.onnx",
          "graph(float[2,3] x) -> (y) {\n a = Relu(x)\n b = Sigmoid(a)\n y = Neg(b)\n}");
    Write("target.onnx",
          "graph(float[2,3] x) -> (y) {\n a = Relu(x)\n b = Tanh(a)\n y = Neg(b)\n}");
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(SaveModel(ParseText(text).value(), Path(name)).ok());
  }
  // Exit code; what it printed goes to out_ and err_. Words hold no blanks or quotes.
  int Run(const std::string& words) {
    std::string line =
        std::string(ASSAY_BINARY) + " " + words + " >" + Path("out") + " 2>" + Path("err");
    int status = std::system(line.c_str());
    out_ = ReadFile(Path("out")).value();
    err_ = ReadFile(Path("err")).value();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string folder_, out_, err_;
};

TEST_F(CorpusCli, AddListShowReplayPrune) {
  std::string corpus = Path("c"), pair = Path("source.onnx") + " " + Path("target.onnx");
  ASSERT_EQ(Run("corpus add " + corpus + " " + pair + " --id act --note Tanh_for_Sigmoid"), 0)
      << err_;
  EXPECT_EQ(Run("corpus add " + corpus + " " + pair + " --id act --note other"), 2);
  ASSERT_EQ(Run("corpus add " + corpus + " " + pair + " --id same --expect equivalent"), 0) << err_;
  ASSERT_EQ(Run("corpus list " + corpus + " --json -"), 0) << err_;
  nlohmann::json list = nlohmann::json::parse(out_)["entries"];
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["id"], "act");
  EXPECT_EQ(list[0]["expected"].get<std::string>().rfind("different", 0), 0u);
  ASSERT_EQ(Run("corpus show " + corpus + " act"), 0) << err_;
  EXPECT_NE(out_.find("b = Tanh(a)"), std::string::npos) << out_;

  EXPECT_EQ(Run("corpus replay " + corpus + " act --quiet"), 0) << out_ << err_;
  EXPECT_EQ(Run("corpus replay " + corpus + " --quiet --json - --junit " + Path("j.xml")), 1)
      << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["failed"], 1);
  EXPECT_NE(ReadFile(Path("j.xml")).value().find("failures=\"1\""), std::string::npos);
  EXPECT_EQ(Run("corpus replay " + corpus + " nobody"), 2);

  ASSERT_EQ(Run("corpus prune " + corpus + " --dry-run"), 0) << err_;
  EXPECT_EQ(out_, "");  // they expect different things
  EXPECT_EQ(Run("corpus"), 2);
  EXPECT_EQ(Run("corpus replay " + Path("nothing")), 3);
  ASSERT_TRUE(WriteFile(corpus + "/bad.case.zst", "garbage").ok());
  EXPECT_EQ(Run("corpus list " + corpus), 3);
  EXPECT_EQ(Run("corpus replay " + corpus + " bad --quiet"), 1);
  EXPECT_NE(out_.find("bad: error"), std::string::npos) << out_;
}

TEST_F(CorpusCli, CoverageCountsAndComparesAndNamesBadFiles) {
  ASSERT_TRUE(WriteFile(Path("wanted.txt"), "Relu>Sigmoid\nRelu>Tanh>Neg\nSigmoid>Relu\n").ok());
  ASSERT_EQ(Run("coverage " + Path("source.onnx") + " " + Path("target.onnx") +
                " --quiet --json - --max-length 3 --against " + Path("wanted.txt")),
            0)
      << err_;
  nlohmann::json j = nlohmann::json::parse(out_);
  EXPECT_EQ(j["lengths"]["1"]["covered"], 4);
  EXPECT_EQ(j["lengths"]["3"]["covered"], 2);
  EXPECT_GE(j["lengths"]["2"]["feasible"].get<int64_t>(), 4);
  EXPECT_EQ(j["against"]["covered"], 2);
  EXPECT_EQ(j["against"]["total"], 3);
  // A folder with source and target counts as a case: by its source.
  ASSERT_EQ(Run("coverage " + folder_ + " --quiet --json -"), 0) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["models"], 1);

  ASSERT_TRUE(WriteFile(Path("bad.onnx"), "garbage").ok());
  EXPECT_EQ(Run("coverage " + Path("bad.onnx") + " " + Path("source.onnx") + " --quiet --json -"),
            3);
  EXPECT_EQ(nlohmann::json::parse(out_)["unreadable"], 1);
  EXPECT_EQ(Run("coverage " + Path("nowhere")), 3);
  EXPECT_EQ(Run("coverage " + Path("source.onnx") + " --max-length 99"), 2);
  EXPECT_EQ(Run("coverage " + Path("source.onnx") + " --against " + Path("source.onnx")), 3);
}

TEST_F(CorpusCli, MinimizeKeepsTheVerdict) {
  ASSERT_EQ(Run("minimize " + folder_ + " --out " + Path("small") + " --quiet --json -"), 0)
      << err_;
  nlohmann::json j = nlohmann::json::parse(out_);
  EXPECT_LT(j["source"]["after"]["nodes"].get<int>(), 3) << out_;
  EXPECT_EQ(j["verdict"].get<std::string>().rfind("different", 0), 0u);
  Entry small = LoadCase(Path("small")).value();
  EXPECT_EQ(small.expected.ToString(), j["verdict"]);
  EXPECT_EQ(Run("minimize " + Path("nowhere") + " --out " + Path("x")), 3);
  EXPECT_EQ(Run("minimize " + folder_), 2);
}

TEST_F(CorpusCli, MinimizeFollowsPluggedInCommands) {
  // A converter that dies on Sigmoid, and one that copies.
  ASSERT_TRUE(
      WriteFile(Path("dies"), "#!/bin/sh\nif grep -q Sigmoid $1; then exit 7; fi\ncp $1 $2\n")
          .ok());
  fs::permissions(Path("dies"), fs::perms::owner_all);
  std::string command = "'" + Path("dies") + " {source} {target}'";
  ASSERT_EQ(Run("minimize " + folder_ + " --out " + Path("small") +
                " --quiet --json - --converter " + command),
            0)
      << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["kept"], "converter: exit code 7");
  Entry small = LoadCase(Path("small")).value();
  ASSERT_EQ(small.source.graph.nodes.size(), 1u);
  EXPECT_EQ(small.source.graph.nodes[0]->op, "Sigmoid");
  EXPECT_EQ(Run("minimize " + folder_ + " --out " + Path("x") +
                " --quiet --verifier '/bin/false {source}'"),
            2);
  ASSERT_EQ(Run("minimize " + folder_ + " --out " + Path("x") +
                " --quiet --json - --verifier '/bin/false {source} {target}'"),
            0)
      << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["kept"].get<std::string>().rfind(
                "verifier: exit code 1, different", 0),
            0u)
      << out_;
}

TEST_F(CorpusCli, ReportNeedsACampaign) {
  EXPECT_EQ(Run("report " + folder_), 3);
  EXPECT_EQ(Run("report"), 2);
}

}  // namespace
}  // namespace assay
