// Probes: the input sets on which two models are compared. The first ones are plain, the others
// corners that single kinds of faults need: zeros, duplicates, positive values, one extent of
// symbols or another, large and small ones.
#pragma once

#include <cstdint>
#include <vector>

#include "interp/exec.h"
#include "oracle/metric.h"

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

// Extents of symbols for models that run on none of the short ones: constant indices ask for long
// axes.
inline constexpr int64_t kLongExtents[] = {8, 16};
// Does a required input leave an extent open?
bool HasSymbols(const Graph& g);

// What a probe keeps to where a model does not take it otherwise; 0: what its kind says.
struct ProbeRange {
  int64_t integers_below = 0;  // integers are often indices
  int64_t extent = 0;          // of symbols
};

// Probe `k` of a model; past kProbeKinds every input draws a kind of its own. The same arguments
// give the same probe. Errors: those of RandomInputs.
Result<Probe> MakeProbe(const Model& model, int k, uint64_t seed, const ProbeRange& range = {});

// Probe `k` of a yardstick's model, and the model measured on it.
struct MeasuredProbe {
  Probe probe;
  Reference reference;
};
// Where the model does not take it, smaller integers are tried, and then longer axes (of the fixed
// kinds alone: the others are many). Errors: those of MakeProbe, and of Yardstick::Measure on the
// last.
Result<MeasuredProbe> MeasureProbe(const Yardstick& yardstick, int k, uint64_t seed,
                                   const MetricOptions& options);

}  // namespace assay
