// One case of a campaign, start to end: generate a source, convert it, judge the pair, verify,
// repair, judge the repair. Everything follows from (seed, index, options); nothing is shared
// between cases, so they run in parallel.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "corpus/sequences.h"
#include "fuzz/external.h"
#include "fuzz/journal.h"
#include "interp/transform.h"

namespace assay {

// What decides the outcome of a case besides its index. Stands in the journal's first line.
struct CaseOptions {
  uint64_t seed = 0;
  int nodes = 10;        // of a source, about
  int max_faults = 2;    // a third of the cases get none, the others 1 to max_faults
  int max_rewrites = 5;  // 0 to max_rewrites
  bool repair = true;
  std::string profile = "default";                     // of the generator
  std::string converter, verifier, repairer, runtime;  // command lines; "": built in, no runtime
  CommandLimits command;

  nlohmann::ordered_json ToJson() const;
  static Result<CaseOptions> FromJson(const nlohmann::json& j);
  // The flags of `assay campaign` that say the same, those at their defaults left out.
  std::string Flags() const;
};

// The command lines of the options, parsed.
struct CaseCommands {
  std::optional<ExternalCommand> converter, verifier, repairer, runtime;
  static Result<CaseCommands> Of(const CaseOptions& options);
};

enum class Phase : uint8_t { kGenerate, kConvert, kJudge, kVerify, kRepair, kJudgeRepair };
inline constexpr int kPhases = 6;
const char* PhaseName(Phase p);

struct CaseResult {
  CaseRecord record;
  Flow flow;                         // of the source
  std::array<double, kPhases> ms{};  // time of each phase
  // What a finding's folder shows.
  Model source, target;
  std::optional<Model> fixed;
  std::vector<Step> steps;
  std::vector<Tensor> inputs;
  std::string command_output;  // of plugged-in commands, the last part
};

// `scratch`: a folder that plugged-in commands' files go to; made and removed by the call, unused
// without commands.
CaseResult RunCase(const CaseOptions& options, const CaseCommands& commands, int64_t index,
                   const std::string& scratch);

// The source of a case alone; the same that RunCase makes.
Result<Flow> SourceFlow(const CaseOptions& options, int64_t index);

}  // namespace assay
