// The first regression corpus: for each fault and each rewrite of the tables a minimised case, and
// some with several faults under rewrites. `assay corpus seed` writes it; the same seed gives the
// same entries.
#pragma once

#include <string>
#include <vector>

#include "corpus/entry.h"
#include "interp/transform.h"

namespace assay {

struct SeedTask {
  enum class Kind : uint8_t { kFault, kRewrite, kSeveral } kind = Kind::kFault;
  std::string name;  // the transform's, or "several-<number>"
};
// In table order.
std::vector<SeedTask> SeedTasks();

struct SeedOptions {
  uint64_t seed = 0;
  int sources = 200;  // models tried for a task: the row's example, then generated ones
  int64_t minimize_tries = 600;
  Limits limits = Limits::Small();
};
// An entry whose expectation is what replay finds now; the best of the models tried: a fault that
// is observable, found and healed, else one that is found, else any. Errors: Unsupported when the
// transform found no site.
Result<Entry> MakeSeed(const SeedTask& task, const SeedOptions& options);

}  // namespace assay
