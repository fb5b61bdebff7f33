// Shape inference with symbols: extents as expressions of the symbols that the model's inputs declare.
//
// The rules compute with extents, not with names. So the model is inferred for many bindings of its symbols, one
// symbol moved at a time and all together, and an extent is written as the expression that gives it under all of
// them: "N", "2*N + 1", "floor((H + 3)/4)", "N*S/2". What no such expression gives (a count of nonzeros, a product
// plus a sum) stays unknown, "?": nothing is written that a binding contradicts.
#pragma once

#include "interp/graph.h"
#include "interp/limits.h"
#include "interp/result.h"

namespace assay {

// `model` with every value's type declared (GraphProto.value_info; ONNX's own shape inference fills the same field),
// and extents of outputs that it leaves open filled in. What the model declares of outputs stays. Lists are left as
// they are. Errors: as Infer (interp/infer.h). Cost: up to a few dozen inferences per symbol.
Result<Model> DeclareTypes(const Model& model, const Limits& limits = Limits{});

}  // namespace assay
