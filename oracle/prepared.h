// Prepared: a model made ready for the oracle's own executions: sorted, rows found, values
// numbered, and the values that depend on constants alone marked.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "interp/infer.h"

namespace assay {

struct PreparedNode {
  NodePtr node;
  const OpSpec* row;
  std::vector<int> inputs, outputs;  // value numbers; -1: absent
  uint64_t hash;                     // of operator, version, attributes and arity; names left out
  bool constant;                     // depends on constants alone
};

struct Prepared {
  Model model;
  std::vector<PreparedNode> nodes;              // in topological order
  std::vector<std::string> names;               // of values
  std::unordered_map<std::string, int> number;  // name -> value number
  std::vector<int> inputs, outputs;  // value numbers of RequiredInputs() and graph outputs
  std::vector<int> initializer;      // value -> index in graph.initializers, or -1
  std::vector<uint64_t> content;     // hash of an initializer's type and bits, 0 for other values
  std::vector<uint64_t>
      structure;               // hash of what makes a constant: of its bits, or of nodes over such
  std::vector<int> producer;   // value -> node, or -1
  std::vector<char> constant;  // value depends on constants alone

  static Result<std::shared_ptr<const Prepared>> Of(const Model& model);
  const Tensor& Initial(int value) const {
    return model.graph.initializers[initializer[value]].value;
  }
  // The constant that the file holds for a value, as an initializer or in a Constant node; null for other values.
  const Tensor* Literal(int value) const;
  std::vector<std::vector<int>> Readers() const;  // value -> nodes that read it
};

}  // namespace assay
