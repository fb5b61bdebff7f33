// Commands in subprocesses: splitting, limits, and every way in which they end.
#include "fuzz/external.h"

#include <gtest/gtest.h>

#include <csignal>

namespace assay {
namespace {

using End = ExternalResult::End;

ExternalResult Shell(const std::string& script, CommandLimits limits = {},
                     std::map<std::string, std::string> values = {}) {
  ExternalCommand c{script, {"/bin/sh", "-c", script}};
  return RunExternal(c, values, limits);
}

TEST(External, CommandLinesAreSplitWithoutAShell) {
  struct Row {
    const char* text;
    std::vector<std::string> words;
  } rows[] = {
      {"conv {source} {target}", {"conv", "{source}", "{target}"}},
      {"  a\t'b c'  \"d e\"", {"a", "b c", "d e"}},
      {"a'b'\"c\"d", {"abcd"}},
      {"a\\ b '\\' \"\\\"\"", {"a b", "\\", "\""}},
      {"x '' y", {"x", "", "y"}},
      {"$HOME * ; | > f", {"$HOME", "*", ";", "|", ">", "f"}},
  };
  for (const Row& row : rows) EXPECT_EQ(SplitCommandLine(row.text).value(), row.words) << row.text;
  for (const char* bad : {"", "   ", "a 'b", "a \"b"}) {
    EXPECT_EQ(SplitCommandLine(bad).error().code, Code::kUsage) << bad;
  }
}

TEST(External, RolesNeedTheirPlaceholders) {
  struct Row {
    const char* text;
    CommandRole role;
    bool ok;
  } rows[] = {
      {"c {source} {target}", CommandRole::kConverter, true},
      {"c --in={source} --out={target}", CommandRole::kConverter, true},
      {"c {source}", CommandRole::kConverter, false},
      {"r {source} {target}", CommandRole::kRepairer, false},
      {"r {source} {target} {out}", CommandRole::kRepairer, true},
      {"rt {source} {inputs} {outputs}", CommandRole::kRuntime, true},
      {"v {source} {target} {nonsense}", CommandRole::kVerifier, false},
      {"v {source} {target} '{\"json\": 1}'", CommandRole::kVerifier, true},
  };
  for (const Row& row : rows) {
    Result<ExternalCommand> c = ExternalCommand::Parse(row.text, row.role);
    EXPECT_EQ(c.ok(), row.ok) << row.text;
    if (!c.ok()) {
      EXPECT_EQ(c.error().code, Code::kUsage);
    }
  }
  EXPECT_EQ(
      ExternalCommand::Parse("{worker} c {source} {target}", CommandRole::kConverter).error().code,
      Code::kUnsupported);
}

TEST(External, PathsWithBlanksNeedNoQuotes) {
  ExternalCommand c =
      ExternalCommand::Parse("/bin/echo -{source}- {target}", CommandRole::kVerifier).value();
  ExternalResult r = RunExternal(c, {{"source", "/a b/'c"}, {"target", "{source}"}}, {});
  EXPECT_TRUE(r.ok()) << r.ToString();
  EXPECT_EQ(r.out, "-/a b/'c- {source}\n");
}

TEST(External, EveryEndIsToldApart) {
  ExternalResult r = Shell("echo out; echo first >&2; echo oops >&2; exit 3");
  EXPECT_EQ(r.end, End::kExited);
  EXPECT_EQ(r.code, 3);
  EXPECT_EQ(r.out, "out\n");
  EXPECT_EQ(r.ToString(), "exit code 3: oops");
  r = Shell("kill -SEGV $$");
  EXPECT_EQ(r.end, End::kSignaled);
  EXPECT_EQ(r.code, SIGSEGV);
  r = RunExternal({"", {"/no/such/program"}}, {}, {});
  EXPECT_EQ(r.end, End::kNotStarted);
  EXPECT_NE(r.ToString().find("No such file"), std::string::npos);
}

TEST(External, AHangIsKilledWithItsChildren) {
  CommandLimits limits;
  limits.seconds = 0.2;
  ExternalResult r = Shell("sleep 30 & sleep 30; echo never", limits);
  EXPECT_EQ(r.end, End::kTimedOut);
  EXPECT_LT(r.seconds, 5);
  EXPECT_EQ(r.out, "");
}

TEST(External, AChildLeftBehindDoesNotHoldUsUp) {
  ExternalResult r = Shell("sleep 30 & echo done");
  EXPECT_TRUE(r.ok());
  EXPECT_EQ(r.out, "done\n");
  EXPECT_LT(r.seconds, 5);
}

TEST(External, OutputIsBounded) {
  CommandLimits limits;
  limits.kept_bytes = 1000;
  ExternalResult r =
      Shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", limits);
  EXPECT_TRUE(r.ok());
  EXPECT_LE(r.out.size(), 1000u);
  EXPECT_NE(r.out.find("line 19999\n"), std::string::npos);
}

TEST(External, MemoryIsLimited) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve address space";
#endif
  CommandLimits limits;
  limits.bytes = int64_t{64} << 20;
  ExternalResult r = Shell("x=a; while :; do x=$x$x; done", limits);
  EXPECT_FALSE(r.ok());
  EXPECT_NE(r.end, End::kTimedOut);
}

TEST(External, StdinIsEmpty) {
  ExternalResult r = Shell("cat; echo end");
  EXPECT_EQ(r.out, "end\n");
}

}  // namespace
}  // namespace assay
