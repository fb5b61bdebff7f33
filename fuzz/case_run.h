// The run of one case, as RunCase drives it: run_case.cc holds the flow, case_commands.cc what
// plugged-in commands do in it. Nobody else includes this.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "fuzz/run_case.h"
#include "oracle/judge.h"

namespace assay {

struct SearchResult;  // oracle/repair_search.h

// Streams of random numbers of a case; verifier, repairer and judge never share one.
enum Stream : uint64_t {
  kGenerateStream = 1,
  kConvertStream,
  kVerifyStream,
  kRepairStream,
  kJudgeStream,
  kFreshStream
};

// Small budgets that count work. Time only guards against a hang: a slow machine must not change a
// result.
Limits CaseLimits();
// A message without what differs from case to case: names in quotes and numbers.
std::string CasePattern(const std::string& text);
// The distinct rewrites of a record, the renaming and reordering of every conversion left out:
// "B04+B13".
std::string RewriteNames(const CaseRecord& record);

// Adds the time of its life to a phase.
class PhaseClock {
 public:
  explicit PhaseClock(double* ms) : ms_(ms), start_(std::chrono::steady_clock::now()) {}
  ~PhaseClock() {
    *ms_ += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_)
                .count();
  }

 private:
  double* ms_;
  std::chrono::steady_clock::time_point start_;
};

// Removes the folder of plugged-in commands' files.
struct Scratch {
  std::string path;
  ~Scratch() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
};

class CaseRun {
 public:
  CaseRun(const CaseOptions& options, const CaseCommands& commands, int64_t index,
          const std::string& scratch)
      : options_(options),
        commands_(commands),
        seed_(MixSeeds(options.seed, static_cast<uint64_t>(index))) {
    r_.record.index = index;
    if (commands.converter || commands.verifier || commands.repairer || commands.runtime)
      scratch_.path = scratch;
  }

  CaseResult Run();

 private:
  CaseRecord& record() { return r_.record; }
  double* ms(Phase p) { return &r_.ms[static_cast<size_t>(p)]; }
  uint64_t Seed(Stream s) const { return MixSeeds(seed_, s); }
  std::string Path(const char* name) const {
    return (std::filesystem::path(scratch_.path) / name).string();
  }
  JudgeOptions JudgeWith(Stream s) const {
    JudgeOptions o;
    o.seed = Seed(s);
    o.limits = limits_;
    return o;
  }

  void Find(const std::string& kind, const std::string& about, const std::string& what) {
    record().findings.push_back({kind, kind + "|" + about, what});
  }
  // Counts an error; one that is internal, or that `always` is, is a finding too. Returns false.
  bool Fail(const char* phase, const Error& e, bool always = false);
  bool Generate();
  bool WriteSource();
  bool Convert();
  bool ConvertBuiltIn();
  bool ConvertByCommand();
  bool Judge();
  void JudgeFaults();
  void Verify();
  void VerifyByCommand();
  void Repair();
  void JudgeRepaired();
  void RunRuntime();
  void CompareRuntime();
  void Conclude();
  std::string FaultList(bool observable_only) const;
  // Runs a command; false and a finding when it does not end as it should.
  bool Command(const ExternalCommand& command, CommandRole role, int also_fine, int* code);
  std::optional<Model> ReadBack(const std::string& path, CommandRole role);

  const CaseOptions& options_;
  const CaseCommands& commands_;
  uint64_t seed_;
  Scratch scratch_;
  Limits limits_ = CaseLimits();
  CaseResult r_;
  bool proved_ = false;
  std::shared_ptr<const SearchResult> search_;  // of the verification
};

}  // namespace assay
