// Further inputs for a model, at corners of its domain: zeros, ties, duplicates, denormals, large
// numbers, negative zeros.
#pragma once

#include <string>
#include <vector>

#include "interp/graph.h"
#include "interp/testcase.h"

namespace assay {

struct CornerOptions {
  int sets = 0;
  bool not_finite = false;  // NaN and infinities too
};

// Up to `sets` input sets with what the interpreter makes of them; fewer, where an intermediate
// value is not finite on all the rest. `like`: inputs that the model was made for; integers stay
// within their bounds, because they may be indices. The same arguments give the same sets.
std::vector<DataSet> CornerInputs(const Model& model, const std::vector<Tensor>& like,
                                  uint64_t seed, const CornerOptions& options);

}  // namespace assay
