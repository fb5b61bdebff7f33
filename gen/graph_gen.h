// Random valid ONNX graphs, by forward insertion (an operator reads existing values) and backward
// insertion (an operator makes a value that is needed, or takes the place of a graph input). Shapes
// and attributes are solved over the operators' rules (solver.h); every node is evaluated as it is
// added (builder.h), so that all intermediates are finite, alive and well-conditioned by
// construction.
//
// One Choices source decides everything: the same seed or bytes and options give the same model on
// every machine. Cost: below 1 ms for 10 operators. Thread rule: calls are independent.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gen/builder.h"
#include "interp/choices.h"
#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

struct GenOptions {
  int nodes = 10;                // operators asked for; a guard or a producer may add a few
  int opset = 17;                // of ai.onnx, 7 or later; 0: as drawn
  bool draws_opset = false;      // each model draws one first, which `opset` overrules unless 0
  std::vector<std::string> ops;  // only these operators (guards excepted); empty: all
  std::vector<std::string> exclude;
  int64_t max_elements = 4096;  // of any tensor; most models stay far below
  int max_inputs = 0;           // graph inputs; 0: grows with `nodes`
  double backward = 0.2;        // chance that a step inserts backwards
  double reuse = 0.6;           // chance that a further operand is an existing value
  double by_value = 0.5;        // chance that a step chooses a value first, and then who reads it
  bool even = false;            // all operators alike, whatever the weights of their rows
  // Element types of fresh values, with weights.
  std::vector<std::pair<DType, int>> dtypes = {
      {DType::kFloat, 760}, {DType::kDouble, 45}, {DType::kInt64, 55}, {DType::kInt32, 45},
      {DType::kBool, 35},   {DType::kUint8, 15},  {DType::kInt8, 15},  {DType::kFloat16, 10},
      {DType::kUint32, 5},  {DType::kInt16, 5}};
  ValueLimits values;

  // A named set of options: "default", "float" (float32 alone), "cnn" (convolutional operators),
  // "types" (all element types alike), "small" (tiny tensors), "everything" (all operators of all
  // operator sets alike, all element types). Errors: Usage for another name.
  static Result<GenOptions> Profile(const std::string& name);
  static std::vector<std::string> ProfileNames();
};

// Steers which operator comes next; implemented above this floor (operator-sequence coverage).
class OpChooser {
 public:
  virtual ~OpChooser() = default;
  // Scales `weights` of the candidate operators that would read a value made by `producer` (null: a
  // graph input).
  virtual void Weigh(const OpSpec* producer, std::span<const OpSpec* const> candidates,
                     std::span<double> weights) = 0;
  // A node was added that reads values made by `producers` (nulls left out).
  virtual void Added(const OpSpec& spec, std::span<const OpSpec* const> producers) {
    (void)spec, (void)producers;
  }
};

// A model with the inputs it was built on and what it computes for them.
struct Generated {
  Model model;
  std::vector<Tensor> inputs, outputs;
};

// Errors: Usage when the options leave no operator; Limit when no node could be added at all.
Result<Generated> GenerateCase(Choices& choices, const GenOptions& options,
                               OpChooser* chooser = nullptr);
Result<Model> Generate(Choices& choices, const GenOptions& options, OpChooser* chooser = nullptr);

}  // namespace assay
