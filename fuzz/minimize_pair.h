// Reducing a target like its source when no steps lead from one to the other: a site of the source
// is carried over to sites of the target by place (graph inputs and outputs), by equal constants
// and by equal values of an execution.
#pragma once

#include <vector>

#include "interp/transform.h"

namespace assay {

// Targets reduced as `row` reduces the source at `site`, likeliest first; none when no site
// corresponds.
std::vector<Model> ReduceAlike(const Transform& row, const Subject& source, const Site& site,
                               const Model& target, const Limits& limits);

// As many inputs and outputs, of equal element types and known extents, in order.
bool SamePorts(const Model& a, const Model& b);

}  // namespace assay
