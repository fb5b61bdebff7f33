// A campaign: many cases in parallel, committed to the journal in the order of their indices, so
// that the results are the same bytes whatever the number of jobs. Interruptible and resumable:
// nothing is lost, nothing counted twice. docs/campaigns.md describes the folder.
//
// Memory stays flat: results that wait for an earlier case are bounded, and what is kept of a
// committed case are its counts. Thread rule: one RunCampaign at a time in a process (it installs a
// handler that notes which case crashed).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "fuzz/journal.h"
#include "fuzz/run_case.h"

namespace assay {

struct CampaignProgress {
  const Counts& counts;
  double seconds;  // of this and earlier runs
  int64_t total;   // cases wanted of this shard; -1: no such limit
};

struct CampaignOptions {
  CaseOptions cases;
  std::string out;      // the folder; made when missing
  int64_t limit = -1;   // case indices are below this, all shards together; -1: no limit
  double seconds = -1;  // wall time, earlier runs of a resumed campaign included; -1: no limit
  int jobs = 1;
  int64_t shard = 0, shards = 1;
  bool resume =
      false;  // go on where the journal ends; otherwise the folder must not hold a journal
  int64_t keep_findings = 200;        // folders below findings/, three of a signature at most
  std::function<bool()> interrupted;  // asked before each case
  std::function<void(const CampaignProgress&)> progress;  // a few times a second, under a lock
};

struct CampaignResult {
  Counts counts;
  double seconds = 0;
  bool interrupted = false;
};

// Errors: Usage (folder in use, holds another campaign), Invalid (damaged journal), Limit (disk
// full).
Result<CampaignResult> RunCampaign(const CampaignOptions& options);

// The options that a campaign folder was started with. Errors: Invalid when it holds no journal.
struct CampaignHeader {
  CaseOptions cases;
  int64_t shard = 0, shards = 1;
};
Result<CampaignHeader> ReadCampaignHeader(const std::string& folder);

// `assay campaign ... --case I --out DIR`: makes case `index` again.
std::string ReplayCommand(const CaseOptions& options, int64_t index);
// Writes the folder of finding `k` of a case below `folder`/findings; returns its path.
Result<std::string> SaveFinding(const CaseOptions& options, const CaseResult& result, size_t k,
                                const std::string& folder);

}  // namespace assay
