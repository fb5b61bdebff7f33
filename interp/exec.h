// The executor: runs a graph in one scalar domain. Float (the tensors' own types), double (the reference that
// judges rounding) or the field (the ground on which the oracle proves equivalence).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "interp/infer.h"

namespace assay {

struct ExecOptions {
  Store store = Store::kNative;     // kNative, kDouble or kField (the caller binds a FieldContext to the thread)
  Limits limits;
  // Called before each node (never one of `instead`) with its operands (null: left out), which it
  // may point elsewhere: at tensors of the same type and shape that stay until the node has run.
  std::function<void(const Node&, std::vector<const Tensor*>&)> before_node;
  // Called after each node (never one of `instead`) with its outputs, which it may replace (same type and shape); for localization,
  // perturbation and coverage.
  std::function<void(const Node&, std::vector<Tensor>&)> after_node;
  // Values for initializers and node outputs that replace the computed ones, already in `store`.
  const std::map<std::string, Tensor>* overrides = nullptr;
  // Nodes that run in place of others: of the same operator, inputs and outputs, with other attributes.
  const std::unordered_map<const Node*, NodePtr>* instead = nullptr;
  // Keep every value and return it in Execution::values.
  bool keep_all = false;
  // Asked before each node; true stops the run with Code::kInterrupted.
  std::function<bool()> cancelled;
};

struct Execution {
  std::vector<Tensor> outputs;             // in the order of graph.outputs
  std::map<std::string, Tensor> values;    // with keep_all: every value of the top-level graph
};

// A graph made ready to run: sorted, rows found. Immutable; may be run by several threads at once.
class Program {
 public:
  static Result<Program> Compile(const Model& model);
  // A subgraph of a node: its inputs need no declared types, and what it captures follows them (`captured`).
  static Result<Program> CompileBody(const Graph& body, const std::vector<std::string>& captured,
                                     const std::map<std::string, int>& opsets);
  // `inputs` in the order of graph.RequiredInputs(), with their declared element types. Floating-point inputs
  // may come natively or already in options.store. Symbols in declared shapes bind to the extents given.
  Result<Execution> Run(const std::vector<Tensor>& inputs, const ExecOptions& options = {}) const;
  const Model& model() const { return model_; }

 private:
  struct Step {
    NodePtr node;
    const OpSpec* spec;
    std::vector<int> inputs, outputs;   // slots; -1: absent
    int opset;
    int bounded_by = -1;                // the step that only bounds what this one makes, and is its only reader
  };
  void FindBounds();
  // The operands of a step but the first that do not depend on data; null: others.
  std::vector<const Tensor*> ConstantsOf(const Step& step, const std::vector<Tensor>& values) const;
  static Result<Program> CompileWith(const Model& model, bool body);
  // The type a caller's tensor must have: as declared, symbols free.
  Status CheckInputs(const std::vector<Tensor>& inputs) const;
  Model model_;
  bool body_ = false;
  std::vector<Step> steps_;
  std::vector<ValueInfo> required_;
  std::vector<int> input_slots_, output_slots_, last_use_;
  std::vector<int> initializer_of_;     // slot -> initializer, or -1
  std::vector<bool> made_by_constant_;  // slot -> the output of a Constant
  std::vector<std::string> slot_names_;
  std::unordered_map<std::string, int> slots_;
};

// Compile and run once.
Result<Execution> Run(const Model& model, const std::vector<Tensor>& inputs, const ExecOptions& options = {});

// Evaluates one node on its operands (OperandsOf; null: absent); rule first, then kernel. `constants`: bit i says that input i
// does not depend on data, so that an integer in it means itself in the field too. `may_overwrite`: operand 0 is not
// read afterwards, is no other operand too and shares its memory with nobody; the result may lie in it.
Result<std::vector<Tensor>> EvalNode(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                     Store store, const Limits& limits, int opset, uint32_t constants = 0,
                                     bool may_overwrite = false);

// EvalNode in two steps, for who runs a node several times: what its outputs are (`values_read` as in InferNode), and its kernel.
// `inferred` serves operands of the same types, and of the same values where those were read.
Result<std::vector<TypeInfo>> InferOperands(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                            int opset, uint32_t* values_read);
Result<std::vector<Tensor>> EvalInferred(const OpSpec& spec, const Node& node, const std::vector<const Tensor*>& inputs,
                                         const std::vector<TypeInfo>& inferred, Store store, const Limits& limits, int opset);

// Random inputs for a model: floats normal around 0, integers small and non-negative (they are often indices),
// bools fair coins. Symbols and unknown extents bind to `symbol_extent`. The same seed gives the same inputs.
Result<std::vector<Tensor>> RandomInputs(const Model& model, uint64_t seed, int64_t symbol_extent = 2);
// The same without elements for floating-point inputs: their memory is not initialised. For who fills them anyway.
Result<std::vector<Tensor>> RandomIntegerInputs(const Model& model, uint64_t seed, int64_t symbol_extent, Store store);

}  // namespace assay
