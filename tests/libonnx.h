// libonnx as a witness: its checker and its strict shape inference. They know operator sets up
// to 17.
#pragma once

#include <string>

#include "interp/graph.h"

namespace assay {

inline constexpr int kNewestForLibonnx = 17;

// "" or what libonnx dislikes about a model.
std::string LibonnxSays(const Model& model);

}  // namespace assay
