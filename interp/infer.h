// Type and shape inference, and validation, by the rows' rules.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "interp/limits.h"
#include "interp/op_spec.h"

namespace assay {

// "Conv 'conv_3'": how errors name a node.
std::string NodeLabel(const Node& node);

// Checks one node against its row (arity, attribute names and types, element types), runs the rule and returns
// what is known of the outputs. `inputs[i]` null: absent. `values[i]` null: value not known.
// What subgraphs capture may follow the inputs (OperandsOf); `bodies` infers subgraphs. `values_read`, when asked
// for: which inputs' values the answer depends on (RuleContext::values_read).
Result<std::vector<TypeInfo>> InferNode(const OpSpec& spec, const Node& node,
                                        const std::vector<const TypeInfo*>& inputs,
                                        const std::vector<const Tensor*>& values,
                                        const BodyTypes* bodies = nullptr,
                                        uint32_t* values_read = nullptr);

// The table holds every version of its operators up to this operator set of ai.onnx, and some later ones.
inline constexpr int kNewestOpset = 26;

// The same for a node of a model that imports `opset` of the row's domain: what breaks a row is Unsupported,
// not Invalid, when that operator set is newer than the table (kNewestOpset) and may have changed the operator.
Result<std::vector<TypeInfo>> InferNodeAt(int opset, const OpSpec& spec, const Node& node,
                                          const std::vector<const TypeInfo*>& inputs,
                                          const std::vector<const Tensor*>& values,
                                          const BodyTypes* bodies = nullptr,
                                          uint32_t* values_read = nullptr);

// The row for a node of a model, or the error: unknown operator or domain is Unsupported.
Result<const OpSpec*> RowFor(const Model& model, const Node& node);

struct Inference {
  std::map<std::string, TypeInfo> types;     // every value
  std::map<std::string, Tensor> constants;   // values known without inputs: initializers, folded small integers
};

// Infers every value of a model. Extents that inputs leave open stay unknown. `bindings`: symbol -> extent.
// Errors: Invalid with the node and the violated requirement, Unsupported for unknown operators.
Result<Inference> Infer(const Model& model, const std::map<std::string, int64_t>& bindings = {},
                        const Limits& limits = Limits{});

// Whole-model check: names, topology, opsets, every node against its row, declared outputs against inferred.
Status Validate(const Model& model, const Limits& limits = Limits{});

}  // namespace assay
