// Gradient (ai.onnx.preview.training version 1) is an operator about the graph around it: the derivative of value y by
// the values xs, at the places that its inputs give. We write it out: the nodes between xs and y once more, then the
// reverse accumulation over them. An operator without a derivative in the table of gradient.cc is Unsupported.
#pragma once

#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

bool HasGradients(const Graph& graph);
// `graph` with every Gradient node replaced. y may have any shape: the derivative is that of the sum of its elements.
Result<Graph> WithoutGradients(const Graph& graph);

}  // namespace assay
