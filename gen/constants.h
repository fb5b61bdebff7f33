// Constants of a graph in the making: mostly initializers, at times Constant nodes in one of the
// forms that the operator set has.
#pragma once

#include "gen/graph_gen.h"

namespace assay {

// The id of a value that is `t` for all inputs.
int AddConstant(Choices& choices, GraphBuilder& builder, const GenOptions& options, Tensor t);

}  // namespace assay
