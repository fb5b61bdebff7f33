// Latent differences: what no output shows must at least show where it is, or nobody is accused of
// it.
#pragma once

#include "interp/exec.h"

namespace assay {

// `fixed` is `target` with other constants or attributes here and there. Do the nodes that were
// edited compute something else, beyond rounding, on one of the plain probes? True where that can't
// be asked: the interface was edited, or sequences. What is another number but the same computation
// is no difference: the bias of an LSTM is the sum of two halves, whichever holds it. Cost: ten
// runs of both, and more where they differ (metric.h).
bool ShowsInPlace(const Model& target, const Model& fixed, uint64_t seed, const Limits& limits);

}  // namespace assay
