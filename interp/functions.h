// Model-local functions (ONNX IR version 8): operators that a model defines by a graph of others. We run, infer and
// prove models with the functions written out in the place of their calls; load and save keep them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "interp/graph.h"
#include "interp/limits.h"
#include "interp/result.h"

namespace assay {

struct Function {
  std::string domain, name;
  std::vector<std::string> inputs, outputs;
  std::vector<Attribute> defaults;                 // of attributes that a call may leave out
  std::map<std::string, int> opsets;
  struct Step {
    NodePtr node;
    // Attributes of the node that take the value of one of the call's: their name, and the call's.
    std::vector<std::pair<std::string, std::string>> references;
  };
  std::vector<Step> steps;  // in topological order
};

// Makes `functions`, none with attributes, those that the model defines, for saving too. What the model imports for
// their domains is the caller's. Defined beside saving (onnx_io_save.cc).
void DefineFunctions(Model* model, std::vector<Function> functions);

// Has the model nodes that stand for others: calls of its functions, Gradient (interp/gradient.h), or the blocked
// layout of ONNX Runtime (interp/blocked_layout.h)?
bool NeedsInlining(const Model& model);
// The model without them, each call replaced by the function's nodes; values inside get fresh names. A model without
// such nodes is returned as it is. Errors: Invalid for a function that calls itself and a call with too many
// operands; Unsupported where a function was written for a version of an operator that means something else in the
// model's; LimitHit beyond limits.nodes; those of WithPlainLayout.
Result<Model> Inlined(const Model& model, const Limits& limits = Limits{});

}  // namespace assay
