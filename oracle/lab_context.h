// LabContext: one context of a Lab, that is one prime, one order, one set of inputs, and what it has computed so
// far. Models run in it one after the other; a node whose operator, attributes and operand signatures were seen
// before takes the earlier result without running.
//
// Memory: a run holds the elements of a value until its last reader has run. What is remembered beyond that stays
// within `memo_bytes`; where elements are gone and a new node asks for them, they are computed again.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "interp/field.h"
#include "oracle/lab.h"

namespace assay {

// Target values -> the folds that they stand for.
using LabSnaps = std::unordered_map<int, SnapPool::Match>;

// What one run says of a model.
struct ContextRun {
  std::vector<Signature> signature;  // of each value; undefined: not computed
  std::vector<Tensor> outline;       // type and shape of each value
  std::string failure;               // of the first node that does not run
  int failed_node = -1;
  Code code = Code::kInvalid;
};

class LabContext {
 public:
  // `inputs`: floating-point ones in the field already.
  LabContext(std::unique_ptr<FieldContext> field, std::vector<Tensor> inputs, const SnapPool& pool,
             const LabOptions& options);

  // `remember`: later runs find what this one computes.
  ContextRun Run(const Prepared& model, const LabSnaps& snaps, bool remember);
  // Forgets all elements; signatures stay.
  void DropElements();

 private:
  friend class LabRun;
  struct Seen {
    std::vector<Signature> signature;
    std::vector<Tensor> outline;  // type and shape of each output
    std::vector<Tensor> element;  // the outputs; empty when dropped
    int64_t bytes = 0;            // that `element` counts for
    uint64_t used = 0;            // when it was last asked for
  };
  void Keep(Seen* seen, const std::vector<Tensor>& outputs);
  void Shrink();
  void Forget(uint64_t key);

  std::unique_ptr<FieldContext> field_;
  std::vector<Tensor> inputs_;
  std::vector<Signature> input_signature_;
  const SnapPool& pool_;
  const LabOptions& options_;
  std::shared_ptr<SnapPool::Cache> cache_;
  std::unordered_map<uint64_t, Seen> memo_;
  std::unordered_map<uint64_t, Tensor> constants_;  // small ones in the field, by content and fold
  int64_t held_ = 0;
  uint64_t clock_ = 0;
};

// Hash of a tensor's element type and shape.
uint64_t ShapeHash(const Tensor& t);

}  // namespace assay
