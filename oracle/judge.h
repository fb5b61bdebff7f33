// The judge: decides, from artifacts alone, what a pair of models is and whether a repair counts. It shares no
// code with localizer and repairer; it runs both graphs in double on inputs of its own.
#pragma once

#include <string>
#include <vector>

#include "interp/exec.h"

namespace assay {

enum class FaultKind : uint8_t {
  kObservable,   // outputs differ beyond rounding on an input that the judge tried, or the interface differs
  kLatent,       // not the same text of computation, but equal on every input tried
  kEquivalent,   // the judge was told of no fault and sees no difference
};

struct JudgeOptions {
  uint64_t seed = 0x10d6e;
  int samples = 6;
  Limits limits;
};

struct Judgement {
  bool differs = false;        // beyond the rounding bound on some input, or in interface, or in NaN/Inf
  bool comparable = true;      // false: the source itself can't be run here (then nothing is judged)
  double margin = 0;           // largest difference over its bound
  double max_abs = 0;
  std::string why;             // one line
};
// Runs source and target in double on `samples` input sets (and corners: zeros, large, small). The bound of an
// output element comes from the spread of the source itself when every constant and every node output is
// perturbed by its type's rounding; elements on a discontinuity so get a wide bound. Controls: the source against
// itself, the target twice.
Result<Judgement> JudgePair(const Model& source, const Model& target, const JudgeOptions& options = {});

struct RepairJudgement {
  bool healed = false;         // equal to the source on inputs the repairer never saw, and an edit of the target
  bool edited_target = true;   // false: the "repair" is the source (or a constant) in the target's place
  std::string why;
};
RepairJudgement JudgeRepair(const Model& source, const Model& target, const Model& fixed,
                            const JudgeOptions& options = {});

}  // namespace assay
