// Swarm testing (Groce et al., ISSTA 2012): each model draws its own subset of operators, element
// types and motifs. What stands in the way of a fault in one model is missing in another.
#pragma once

#include "gen/graph_gen.h"

namespace assay {

// The options of one model: `options` without what it does not draw. At least a few operators and
// one type stay.
GenOptions DrawSwarm(Choices& choices, const GenOptions& options);

// float32, the type of options.link, and options.swarm_types more out of options.dtypes: values of
// few types meet, where those of many hardly do.
std::vector<std::pair<DType, int>> DrawSwarmTypes(Choices& choices, const GenOptions& options);

}  // namespace assay
