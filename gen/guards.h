// Guards: nodes that bring a value into the domain of the operator that is to read it (Sqrt, Log,
// Asin, a divisor), for every input and not for the drawn samples alone.
#pragma once

#include "gen/builder.h"

namespace assay {

// Is `range` all that `demand` asks for? Bounds far from 0 (Exp's, which only prevent overflow) are
// left to the evaluation of the samples.
bool Satisfies(const Range& range, const Demand& demand);

// A value computed from `id` that satisfies `demand`; `id` itself when it does already, -1 when no
// guard fits.
int Guard(Choices& choices, GraphBuilder& builder, int id, const Demand& demand);

}  // namespace assay
