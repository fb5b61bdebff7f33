// Lab: a session in which a source and any number of targets with the same interface are executed
// in the field, under the same contexts and inputs, and their values compared by signature. Equal
// sub-computations are executed once: a node whose operator, attributes and operand signatures were
// seen before takes the earlier result, so a target that is mostly the source costs little, and so
// does each proposal of the repairer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "interp/exec.h"
#include "oracle/prepared.h"
#include "oracle/snap.h"

namespace assay {

// Signature of a tensor of field values: of its elements in order, and of them as a multiset (blind
// to layout).
struct Signature {
  uint64_t ordered = 0, multiset = 0;
  int64_t size = 0;
  bool defined() const { return ordered != 0; }
};

// One model executed under one or more contexts.
struct Trace {
  std::shared_ptr<const Prepared> model;
  std::vector<Signature> signature;  // of each value, over all contexts; undefined: not computed
  // [context][value]: type and shape alone, the elements are not kept. Undefined: not computed, or an
  // initializer that is no output.
  std::vector<std::vector<Tensor>> values;
  // Constants: initializer values equal to a fold of the source within rounding / beyond it.
  int snapped = 0;
  std::vector<int> foreign;  // initializer values that are neither the source's nor a fold of its
  std::string failure;       // of the first node that does not run ("": all do)
  int failed_node = -1;      // values behind it stay undefined
  Code failure_code = Code::kInvalid;
  // Signatures of graph outputs, shapes and types included.
  std::vector<uint64_t> OutputKeys() const;
};

struct LabOptions {
  uint64_t seed = 0;
  int contexts = 5;  // the first ones of the schedule (quantile powers 1, 1/3, 3, 1/12, 12)
  // Or these ones of the schedule. From kSecondLook on they are made to show what a plain random order
  // hides: known constants at its very ends, and inputs that hit known constants.
  std::vector<int> draws;
  int jobs = 1;
  int64_t memo_bytes = int64_t{64} << 20;  // elements that each context remembers between runs
  Limits limits;
};

inline constexpr int kSecondLook = 5;

class Lab {
 public:
  // `target` contributes its literals to the constants that keep their order. Symbols in declared
  // inputs bind to an extent that varies with the context, a long one where the source runs on no
  // short one.
  static Result<std::unique_ptr<Lab>> Make(const Model& source, const Model& target,
                                           const LabOptions& options);
  ~Lab();

  const Trace& source() const;
  // Executes a target under the first `contexts` contexts. Its inputs must have the source's types.
  // `remember`: keep what was computed for later runs (off for proposals that may be rejected:
  // memory stays bounded). `enough`: asked after the first context, and after some more, whether the
  // trace of these says enough; the result, and source(), are then of these contexts only.
  Result<Trace> Run(const Model& target, int contexts, bool remember = true,
                    const std::function<bool(const Trace&)>& enough = nullptr);
  // Are all outputs equal under all contexts? Stops soon after the first context in which they differ. `*last`: the
  // target's trace, beside source().
  // `*reason` says why not. A proof that the two compute the same function but for an error of
  // probability about 1/p a context.
  Result<bool> Prove(const Model& target, std::string* reason, int* snapped = nullptr, Trace* last = nullptr);
  // The first context (its place in the schedule) in which an output differs; -1: none. Contexts in which
  // the source itself does not run say nothing.
  Result<int> FirstDifference(const Model& target);
  const SnapPool& pool() const;

 private:
  Lab();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// How many contexts tell two models with these inputs apart: `base`, and more where an input of few bools or
// integers takes few values (And and Or of two bools agree on every second draw).
int ContextsFor(const Model& source, int base);
// Do inputs and outputs agree in number, element type and declared shape? Says what differs.
Status SameInterface(const Model& source, const Model& target);

}  // namespace assay
