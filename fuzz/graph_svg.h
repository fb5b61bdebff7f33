// Graphs as small inline SVG drawings for reports: layered, data flowing downwards; constants are
// not drawn. Colours are classes of the style sheet in fuzz/html.cc.
#pragma once

#include <set>
#include <string>

#include "interp/graph.h"

namespace assay {

// Indices of the nodes of each graph that have no counterpart in the other: a counterpart has the
// same operator, attributes, constants and kinds of neighbours, whatever its name. Heuristic, for
// colouring.
struct NodeDifferences {
  std::set<int> source, target;
};
NodeDifferences DifferingNodes(const Model& source, const Model& target);

// A drawing with the nodes of `marked` coloured. Graphs of more than `max_nodes` nodes show the
// marked nodes and their neighbours alone; a caption says so. `label` names the drawing for screen
// readers.
std::string GraphSvg(const Model& model, const std::set<int>& marked, const std::string& label,
                     int max_nodes = 40);

// Both graphs side by side as an HTML fragment, the nodes without a counterpart coloured.
std::string PairDrawing(const Model& source, const Model& target);

}  // namespace assay
