// The minimizer: makes a case smaller while it stays interesting.
//
// Level 1 drops steps (delta debugging over the list), level 2 applies reductions (fuzz/reduce.h)
// to the source and replays the steps, so that source and target shrink together. Where a case has
// no steps, or replaying them no longer makes its target, a reduction is applied to both models, at
// sites matched by equal values and places. Both levels repeat until nothing helps (the case is
// then 1-minimal: no single step and no single reduction can go) or the budget is spent.
//
// Deterministic but for the clock of `seconds` and `cancelled`.
#pragma once

#include <functional>
#include <string>

#include "corpus/entry.h"
#include "fuzz/reduce.h"

namespace assay {

struct MinimizeProgress {
  int64_t tries = 0, accepted = 0;
  ModelSize source, target;
  size_t steps = 0;
};

struct MinimizeOptions {
  int64_t max_tries = 5000;  // questions to the predicate
  double seconds = 300;
  uint64_t seed = 0;                // of inputs for graph inputs that a reduction adds
  std::function<bool()> cancelled;  // asked before each question
  std::function<void(const MinimizeProgress&)> progress;  // told after each question
  Limits limits;
  // Makes the target of a smaller source, in place of replaying steps: a plugged-in converter. An
  // error drops the candidate.
  std::function<Result<Model>(const Model& source)> convert;
};

struct Minimized {
  Entry entry;  // the smallest found; id, expectation and note are those given
  int64_t tries = 0, accepted = 0;
  bool minimal = false;   // false: stopped by the budget or by `cancelled`
  bool replayed = false;  // the target is what the steps make of the source
};

// Is a smaller case still what one is after? Asked with valid models only.
using Interesting = std::function<bool(const Entry&)>;

// Errors: Usage when the case given is not interesting; those of inference.
Result<Minimized> Minimize(const Entry& entry, const Interesting& interesting,
                           const MinimizeOptions& options = {});

// Inputs for a model made from another by reductions: what is there under the same name, cut to a
// smaller extent, or what the larger model computes for that value, else random.
std::vector<std::vector<Tensor>> InputsFor(const Model& smaller, const Entry& larger, uint64_t seed,
                                           const Limits& limits);

}  // namespace assay
