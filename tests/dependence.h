// Does a model use all it is given? For tests of the generator.
#pragma once

#include <string>
#include <vector>

#include "interp/exec.h"

namespace assay {

// The names of graph inputs and initializers that may be changed without a change of any output, in
// double. Changes: all elements at once, by a little, by much, and to another sign or neighbour;
// one that the model can't be run with counts as noticed.
std::vector<std::string> IdleLeaves(const Model& model, const std::vector<Tensor>& inputs);

}  // namespace assay
