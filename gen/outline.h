// Model-local functions: a run of nodes becomes a function that the model defines and calls.
#pragma once

#include "interp/choices.h"
#include "interp/graph.h"

namespace assay {

// False, and the model is as it was, where no run of nodes can be taken out.
bool OutlineFunction(Choices& choices, Model* model);

}  // namespace assay
