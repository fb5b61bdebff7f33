// The repairer: heals a target by the smallest edits it finds, each accepted only when the region that differs
// from the source shrinks (field execution), several faults one after the other. It never replaces the target by
// the source.
#pragma once

#include "oracle/verify.h"

namespace assay {

struct RepairOptions {
  uint64_t seed = 0;
  int max_edits = 32;
  int jobs = 1;
  double seconds = 600;     // stops with the best target so far
  Limits limits;
  VerifyOptions verify;     // for the verification before and after
  bool verify_before = true, verify_after = true;
  // A search of the same pair, as a verification has made it: what it healed is not searched again.
  std::shared_ptr<const SearchResult> known;
};

struct RepairEdit {
  std::string cls;          // class of the fault it heals
  std::string target_node;
  std::string what;         // one line: what was changed and why
};

struct Repair {
  Model fixed;              // the target when nothing helped
  Verdict verdict = Verdict::kUndecided;  // of source against fixed
  std::vector<RepairEdit> edits;
  Verification before, after;
};

Result<Repair> RepairTarget(const Model& source, const Model& target, const RepairOptions& options = {});
std::string RepairJson(const Repair& r);
std::string RepairText(const Repair& r);

}  // namespace assay
