// Symbolic dimensions: extents of graph inputs get names, where the model works for other extents
// too, and those of the outputs that follow get the same names or names of their own.
#pragma once

#include "interp/choices.h"
#include "interp/graph.h"
#include "interp/limits.h"

namespace assay {

// `inputs`: for which the model was made; they bind the names, so that the model computes what it
// did before. The number of names; 0, and the model is as it was, where every extent is fixed by
// what the graph does. Cost: a run of the model for each extent that is tried.
int MakeDynamic(Choices& choices, const std::vector<Tensor>& inputs, Model* model);

}  // namespace assay
