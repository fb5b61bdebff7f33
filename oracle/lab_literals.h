// The constants of a model that keep their real order in the field.
#pragma once

#include <vector>

#include "interp/graph.h"

namespace assay {

// Appends the small constants and attributes that the model's operators compare values with.
void CollectLiterals(const Model& model, std::vector<double>* out);

}  // namespace assay
