// Localization: which target values equal a source value, and where the target first departs from the source.
//
// Values are compared by the signatures of their field elements (lab.h), never by names. The diverged region is
// what lies between unequal graph outputs and values that equal a source value; its first nodes, whose operands
// all equal source values, are the frontier, where the cause of the earliest fault lies.
#pragma once

#include <unordered_map>
#include <vector>

#include "oracle/lab.h"

namespace assay {

struct Alignment {
  std::vector<int> source_of;     // target value -> first source value equal in order; -1: none
  std::vector<int> permuted_of;   // target value -> source value equal as a multiset only; -1: none
  std::vector<int> target_of;     // source value -> first target value equal in order; -1: missing in the target
  std::vector<int> unequal;       // graph outputs (by index) that differ
  std::vector<char> diverged;     // target node -> lies in the diverged region
  std::vector<int> frontier;      // diverged nodes whose operands are aligned or constants, in topological order
  int region = 0;                 // number of diverged nodes

  bool equal() const { return unequal.empty(); }
};

// `source` and `target` are traces of one lab under the same contexts.
Alignment Align(const Trace& source, const Trace& target);

}  // namespace assay
