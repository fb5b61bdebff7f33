// ConstantNodes: what a model computes from constants alone, one node after the other as values are
// asked for.
#pragma once

#include <set>
#include <unordered_map>
#include <vector>

#include "interp/exec.h"
#include "oracle/prepared.h"

namespace assay {

// For one thread. Model and limits must outlive it.
class ConstantNodes {
 public:
  // `store`: kDouble, or kNative for what a converter folds to in the element types.
  ConstantNodes(const Prepared& model, Store store, const Limits& limits)
      : m_(model), store_(store), limits_(limits) {}

  // Of a value that is constant and no initializer. Null where it can't be computed.
  const Tensor* Value(int v);
  // How many nodes compute it.
  int Depth(int v) const { return static_cast<int>(NodesBefore(v).size()); }

 private:
  std::set<int> NodesBefore(int v) const;  // in topological order
  // Empty where the node does not run.
  std::vector<Tensor> Evaluate(const PreparedNode& pn) const;

  const Prepared& m_;
  const Store store_;
  const Limits& limits_;
  std::set<int> done_;
  std::unordered_map<int, Tensor> values_;
};

}  // namespace assay
