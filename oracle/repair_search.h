// The search behind localizer and repairer: heal by trial. Proposals at the frontier are executed in the field; the
// one that heals most is kept, the others are dropped; again, until outputs are equal or nothing helps.
#pragma once

#include <vector>

#include "oracle/proposal.h"
#include "oracle/repair.h"

namespace assay {

struct Healed {
  Difference difference;
  RepairEdit edit;
  bool local = false;     // an attribute, a constant or an interface: not a sub-graph
};

struct SearchResult {
  Model fixed;
  bool equal = false;               // outputs equal in the field
  std::vector<Healed> steps;        // in the order found: the earliest in the graph first
  Alignment before;                 // of the unedited target, when it could be executed
  int target_nodes = 0, aligned_nodes = 0;
  int snapped = 0, foreign = 0;     // constants: folds of the source's / neither the source's nor a fold
  std::string note;
};

// Error only when the source itself can't be executed or parsed.
Result<SearchResult> SearchRepair(const Model& source, const Model& target, const RepairOptions& options);

}  // namespace assay
