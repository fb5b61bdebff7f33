// What the repair strategies (oracle/repairs/*) read and produce. A strategy is one row: what it heals, and a
// function that proposes edits of the target near the frontier of the diverged region. Proposals are cheap guesses;
// the search (repair_search.h) accepts one only when the region shrinks.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "oracle/localize.h"
#include "interp/transform.h"
#include "oracle/verdict.h"

namespace assay {

struct Proposal {
  Model model;              // the edited target
  Difference difference;    // what was wrong, for the verifier's report
  std::string what;         // the edit in one line
  int size = 1;             // nodes and tensors touched; smaller is tried first
};

// What a strategy sees: both traces, their alignment, and one frontier node.
struct RepairScene {
  const SnapPool& pool;                     // folds of the source's constants
  const Trace& source;
  const Trace& target;
  const Alignment& alignment;
  int frontier;                             // target node
  const std::vector<std::vector<int>>& source_readers;
  const std::vector<std::vector<int>>& target_readers;

  // The same scene at another node.
  RepairScene At(int target_node) const {
    return {pool, source, target, alignment, target_node, source_readers, target_readers};
  }
  const PreparedNode& node() const { return target.model->nodes[frontier]; }
  const Prepared& s() const { return *source.model; }
  const Prepared& t() const { return *target.model; }
  // Source nodes that could be this node's counterpart: same operator, best first (equal operands, equal
  // constants, equal attributes), at most `most`.
  std::vector<int> Counterparts(int target_node, size_t most = 4) const;
  // Do operand i of a target node and operand j of a source node hold the same value?
  bool SameOperand(const PreparedNode& target_node, size_t i, const PreparedNode& source_node, size_t j) const;
  // Does the value come from graph inputs through element-wise or indexing nodes alone (a preprocessing block)?
  bool NearInput(int target_value) const;
};

struct RepairStrategy {
  std::string name;
  std::string heals;        // fault classes, e.g. "LH"
  std::string doc;
  void (*propose)(const RepairScene&, std::vector<Proposal>*);
};
const std::vector<RepairStrategy>& RepairStrategies();

// ---- editing a target ------------------------------------------------------------------------------------------

// The model with node `index` (of `m`'s topological order) replaced.
Model ReplaceNode(const Prepared& m, int node, NodePtr replacement);
// The model in which the readers of `from` read `to`: all, or the graph outputs alone. Graph outputs keep their
// names. What then is dead is left to RemoveNewlyDead.
enum class Readers : uint8_t { kAll, kOutputs };
Model Redirect(const Prepared& m, int from, const std::string& to, Readers readers = Readers::kAll);
// Removes from `after` what nobody reads any more and somebody did in `before`; what was dead before stays.
void RemoveNewlyDead(const Graph& before, Graph* after);
// Makes source value `v` available in `model` (an edit of the target), by copying the source nodes between it and
// target values that equal source values; returns its name. `avoid`: target values that may not be used (they
// depend on the place that is edited). Errors when operators can't be copied (another operator set).
Result<std::string> ImportSlice(const RepairScene& scene, int source_value, const std::set<int>& avoid, Model* model,
                                std::vector<const Node*>* copied, size_t most_nodes = SIZE_MAX);
// Target values computed from value `v`, itself included.
std::set<int> DependentsOf(const Prepared& m, int v, const std::vector<std::vector<int>>& readers);
// A constant of the source by value number, under a name in the target (reused when the target has it).
Result<std::string> ImportConstant(const RepairScene& scene, int source_value, Model* model);

// ---- words -----------------------------------------------------------------------------------------------------
std::string AttrText(const AttrValue& v);
std::string TensorText(const Tensor& t);       // "float[3] = 1, 2, 3" or a digest of a large one
bool IsLayoutOp(const std::string& op);        // Transpose, Reshape, Flatten, Squeeze, ...
// Class of a difference at a target node, by operator and by where it lies.
std::string ClassOf(const RepairScene& scene, const std::string& op, bool constant, int data_value);

}  // namespace assay
