// Random valid ONNX graphs, by forward insertion (an operator reads existing values) and backward
// insertion (an operator makes a value that is needed, or takes the place of a graph input). Shapes
// and attributes are solved over the operators' rules (solver.h); every node is evaluated as it is
// added (builder.h), so that all intermediates are finite, alive and well-conditioned by
// construction.
//
// One Choices source decides everything: the same seed or bytes and options give the same model on
// every machine. Cost: below 1 ms for 10 operators. Thread rule: calls are independent.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gen/builder.h"
#include "gen/capability.h"
#include "gen/catalog.h"
#include "interp/choices.h"
#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

struct GenOptions {
  int nodes = 10;            // operators asked for; a guard or a producer may add a few
  int opset = 17;            // of ai.onnx, 7 or later; 0: as drawn
  bool draws_opset = false;  // each model draws one first, which `opset` overrules unless 0
  int oldest = kFirstGeneratedOpset;  // that may be drawn
  std::vector<std::string> ops;       // only these operators (guards excepted); empty: all
  std::vector<std::string> exclude;
  int64_t max_elements = 4096;  // of any tensor; most models stay far below
  int max_inputs = 0;           // graph inputs; 0: grows with `nodes`
  double backward = 0.2;        // chance that a step inserts backwards
  double reuse = 0.8;           // chance that a further operand is an existing value
  double by_value = 0.5;        // chance that a step chooses a value first, and then who reads it
  double joins = 0.6;  // chance that a step joins values that nobody has read, if there are
  bool even = false;   // all operators alike, whatever the weights of their rows
  // Element types of fresh values, with weights.
  std::vector<std::pair<DType, int>> dtypes = {
      {DType::kFloat, 760}, {DType::kDouble, 45}, {DType::kInt64, 55}, {DType::kInt32, 45},
      {DType::kBool, 35},   {DType::kUint8, 15},  {DType::kInt8, 15},  {DType::kFloat16, 10},
      {DType::kUint32, 5},  {DType::kInt16, 5}};
  // Of these, how many (float not counted) each model keeps to where it can; 0: all. Values of few
  // types find more readers.
  int swarm_types = 0;
  // Also what few runtimes have kernels for: every row, attribute and element type that
  // gen/restrictions.h does not find fault with, and places to read that are computed.
  bool anything = false;
  ValueLimits values;
  // Operators that the model begins with, each reading what the one before it makes (gen/plant.h);
  // where the first two meet, of type `link` unless undefined.
  std::vector<std::string> sequence;
  DType link = DType::kUndefined;
  int plans = 20000;   // tried for it
  bool links = false;  // without a sequence, begin with one that coverage wants (WantLink)

  // Motifs (gen/motif.h): tags, and the chance that a step places one with such a tag.
  std::vector<std::pair<uint32_t, double>> motifs;
  // Operators and motifs that are not drawn on their own; motifs and guards may bring the
  // operators.
  std::vector<std::string> resting;
  bool swarm = false;    // each model draws its own subset of operators, types and motifs (swarm.h)
  double dynamic = 0;    // chance that the model has symbolic dimensions (dynamic.h)
  double functions = 0;  // chance that it has a model-local function (outline.h)
  std::shared_ptr<const Capability> capability;  // of the target; null: everything

  bool Allows(const std::string& op) const;   // by `ops`, `exclude` and `capability`
  bool Rests(const std::string& name) const;  // is it in `resting`?

  // A named set of options (profiles.cc). Errors: Usage for another name.
  static Result<GenOptions> Profile(const std::string& name);
  static std::vector<std::string> ProfileNames();
};

// A model with the inputs it was built on and what it computes for them.
struct Generated {
  Model model;
  std::vector<Tensor> inputs, outputs;
  bool planted = false;  // GenOptions::sequence is there
};

// Errors: Usage when the options leave no operator; Limit when no node could be added at all.
Result<Generated> GenerateCase(Choices& choices, const GenOptions& options);
Result<Model> Generate(Choices& choices, const GenOptions& options);

}  // namespace assay
