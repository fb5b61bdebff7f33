// The files of a campaign folder and what they add up to; RunCampaign hands it the results in
// order.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "fuzz/campaign.h"

namespace assay {

class CampaignFolder {
 public:
  // Locks the folder and starts or resumes its journal. Errors as RunCampaign.
  static Result<std::unique_ptr<CampaignFolder>> Open(const CampaignOptions& options);
  ~CampaignFolder();

  // The next case index that the journal lacks.
  int64_t next() const { return next_; }
  const Counts& counts() const { return counts_; }
  double seconds() const;  // of this and earlier runs
  // Did case `index` end an earlier run by a crash?
  bool Crashed(int64_t index) const { return crashed_.count(index) > 0; }
  // Commits the result of case next().
  Status Commit(CaseResult result);
  // Brings everything to the disk; `final` also writes the report.
  Status Checkpoint(bool final);

 private:
  explicit CampaignFolder(const CampaignOptions& options)
      : options_(options), sequences_(kSequenceLengths) {}
  std::string Path(const char* name) const;
  Status Lock();
  Status Start();
  Status Resume();
  Status RestoreSequences(int64_t last);
  Status SaveState();
  void ReadCrashed();
  nlohmann::ordered_json Header() const;
  nlohmann::ordered_json Summary() const;

  const CampaignOptions& options_;
  int lock_ = -1;
  JournalWriter journal_;
  Counts counts_;
  SequenceSet sequences_;
  int64_t next_ = 0, kept_ = 0;
  std::set<int64_t> crashed_;
  double earlier_seconds_ = 0;
  std::array<double, kPhases> ms_{};  // spent in each phase, earlier runs included
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), synced_ = start_,
                                        saved_ = start_;
};

}  // namespace assay
