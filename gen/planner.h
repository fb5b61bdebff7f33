// Planner: turns "this operator, reading that value" into a node whose shape rule holds: element
// types, ranks, attributes, constants from the row's draw callback, and the rest from the solver.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gen/builder.h"
#include "gen/catalog.h"
#include "gen/graph_gen.h"
#include "gen/solver.h"

namespace assay {

// Where one input of a planned node comes from: an existing value, a constant with a value, or
// something fresh of the planned type. All unset: absent.
struct Operand {
  int value = -1;
  std::optional<Tensor> constant;
  bool fresh = false;
  bool must_be_constant = false;
};

// Which existing values a plan may read: all live ones, or the graph's inputs but for one.
struct Scope {
  bool inputs_only = false;
  int except = -1;
  bool fresh = true;  // Backward: may the first operand be something fresh? Else it is one of them
};

struct Plan {
  const OpSpec* spec = nullptr;
  Node node;  // attributes set; names are not
  std::vector<Operand> operands;
  std::vector<TypeInfo> types;  // of the operands; static
  Solution solution;            // of the operator's rule
};

class Planner {
 public:
  Planner(Choices& choices, const GraphBuilder& builder, const GenOptions& options,
          int64_t max_elements)
      : choices_(choices), builder_(builder), options_(options), max_elements_(max_elements) {}

  // A node that reads the existing value `first`, at some input. False when none was found.
  bool Forward(const Row& row, int first, Plan* plan) { return Read(row, first, false, plan); }
  // The same, and the node reads another value that is computed, too.
  bool Join(const Row& row, int first, Plan* plan) { return Read(row, first, true, plan); }
  // A node all of whose operands are made for it.
  bool Alone(const Row& row, Plan* plan);
  // A node whose output 0 has type `want`, over existing values in `scope`.
  bool Backward(const Row& row, const TypeInfo& want, const Scope& scope, Plan* plan);

  // An element type for something fresh, out of `types`.
  DType ChooseType(DTypeSet types);

 private:
  struct Binding {
    const std::string* name;
    DType dtype;
  };
  void Start(const Row& row, Plan* plan);
  bool Read(const Row& row, int first, bool joins, Plan* plan);
  DType TypeFor(const Formal& formal);
  bool Bind(const Formal& formal, DType dtype);
  bool BindDrawn(const Formal& formal, DType dtype);
  bool ChooseRanks(int slot, int rank);
  bool DrawAttributes(Plan* plan, int rank);
  void DrawSomeAttributes(Plan* plan, int rank, bool defaults_only);
  bool CallDraw(Plan* plan);
  void AddOptional(Plan* plan);
  bool FillOperands(Plan* plan, int slot, bool joins = false);
  static bool Reads(const Plan& plan, int id);
  bool IsComputed(int id) const { return builder_.value(id).kind == GenValue::Kind::kNode; }
  bool AnyJoinable(int first) const;
  bool Joins(const Plan& plan, int first) const;
  bool AnyReusable(const TypeInfo& want, const TypeInfo& input) const;
  static bool Broadcasts(const TypeInfo& a, const Shape& b);
  bool ReuseValue(Plan* plan, int input, bool joins = false);
  std::vector<Dim> BroadcastShape(const TypeInfo& other);
  bool Finish(Plan* plan, const TypeInfo* want);

  Choices& choices_;
  const GraphBuilder& builder_;
  const GenOptions& options_;
  int64_t max_elements_;
  const Row* row_ = nullptr;
  Scope scope_;
  Problem problem_;
  std::vector<Binding> bound_;
  std::vector<int8_t> ranks_;
};

}  // namespace assay
