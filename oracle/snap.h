// Snapping: a converter folds constants and rounds the result (a BatchNormalization into the
// weights before it, 1/c for a division by c). The claim that the oracle proves is that there are
// constants within the counted rounding of the target's that make it equal to the source. The pool
// holds what the source's constants can legitimately fold to; a target constant that equals entries
// within their bounds takes the entries' exact field value. The pairing is by number alone: a wrong
// pair can only make the proof fail.
//
// Bounds (u = half an ulp of the element type): the factor of each output channel of weights within
// the counted error, and each weight within its own roundings of that factor (weights.h); scales:
// counted error relative; shifts: counted error of the magnitudes that were added; other folded
// constants: an error for each operation. Constants that were not folded have no tolerance: they
// are equal bit for bit or different.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "oracle/forms.h"

namespace assay {

class SnapPool {
 public:
  // Collects the folds of the source when they are first asked for. Cost: one pass over its
  // constants in double. Calls that find or fetch real numbers are for one thread; FieldValue is
  // for any.
  explicit SnapPool(std::shared_ptr<const Prepared> source);
  ~SnapPool();

  // What a target constant stands for.
  struct Match {
    int entry = -1;  // the whole tensor is this entry; -1: see the others, or no entry fits
    bool negated = false;
    WeightView view;  // of the target's weights, for weight entries
    // Element by element: an entry and an index in it; entry -1: the element is meant as it is.
    struct Pieces {
      std::vector<int> entry;
      std::vector<int64_t> index;
    };
    std::shared_ptr<const Pieces> pieces;
    // Parameters of a BatchNormalization that equal a form together with the constants beside them.
    struct Solved {
      int form;
      bool shift;  // the bias; otherwise the scale
      Tensor mean, variance;
      double epsilon;
    };
    std::shared_ptr<const Solved> solved;
    uint64_t key = 0;  // of what it stands for
    bool found() const { return entry >= 0 || pieces || solved; }
  };
  // `reader`: the node that reads the constant as `input`; null when no single node says what it is
  // for.
  Match Find(const Tensor& constant, const Node* reader, int input) const;
  // For the scale and bias of a BatchNormalization with these parameters; not found: two empty
  // matches.
  std::pair<Match, Match> FindNormalization(const Tensor& scale, const Tensor& bias,
                                            const Tensor& mean, const Tensor& variance,
                                            double epsilon) const;
  // What a target computes from its constants and the source holds as a constant, rounded. `depth`:
  // how many nodes compute it.
  Match FindComputed(const Tensor& value, int depth) const;
  // Entries of the right size for a constant that matches none, nearest first: what it may have
  // been meant to be.
  std::vector<Match> Candidates(const Tensor& constant, const Node* reader, int input,
                                size_t most) const;
  // An entry's value as a converter folds it: computed in double, rounded once to the type of
  // `like`.
  Result<Tensor> Rounded(const Match& match, const Tensor& like) const;
  // Is the constant the source's, by Prepared::structure?
  bool IsSourceConstant(uint64_t structure) const;
  // The exact field value of a match, in the shape and type of `like`. Needs a FieldContext on this
  // thread. `cache` belongs to one context and is filled as needed.
  struct Cache;
  std::shared_ptr<Cache> NewCache() const;
  Result<Tensor> FieldValue(const Match& match, const Tensor& like, Cache& cache) const;

  struct Impl;  // snap_internal.h

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay
