// Probes: the input sets on which two models are compared. The first ones are plain, the others
// corners that single kinds of faults need: zeros, duplicates, positive values, one extent of
// symbols or another, large and small ones.
#pragma once

#include <cstdint>
#include <vector>

#include "interp/exec.h"

namespace assay {

// Standard normal inputs scaled by no more than this are moderate.
inline constexpr double kModerate = 3;

struct Probe {
  std::vector<Tensor> inputs;  // in the order of RequiredInputs()
  // Large inputs overflow in one form of a computation and not in another: where this is false, NaN
  // and Inf say nothing.
  bool moderate = true;
};

inline constexpr int kProbeKinds = 10;

// Probe `k` of a model; past kProbeKinds every input draws a kind of its own. The same arguments give the
// same probe. `integers_below` > 0 keeps integers (they are often indices) below it. Errors: those
// of RandomInputs.
Result<Probe> MakeProbe(const Model& model, int k, uint64_t seed, int64_t integers_below = 0);

}  // namespace assay
