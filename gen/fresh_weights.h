// Freshly drawn weights for a known architecture. Convolutions and matrix products get zero-mean
// normal weights scaled as by He et al. (2015), by the mean square that each node's input is
// estimated to have, so that activations neither vanish nor saturate through a hundred layers,
// residual sums included; normalisations get scales around 1, small means and biases, variances
// around those of their inputs.
//
// Redrawn are floating-point initializers in such a role and whatever ConstantOfShape makes of a
// known shape (the ONNX "light" models); the latter become initializers and their nodes go.
// Scalars, integers and constants in other roles are kept. The same model and seed give the same
// bytes.
#pragma once

#include <cstdint>

#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

// Errors: what Infer says of an invalid or unsupported model; Invalid when there is no weight to
// draw.
Result<Model> FreshWeights(const Model& model, uint64_t seed);

}  // namespace assay
