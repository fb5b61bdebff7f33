// Snapping: a converter folds constants and rounds the result (a BatchNormalization into the weights before it,
// 1/c for a division by c). The claim that the oracle proves is that there are constants within the counted
// rounding of the target's that make it equal to the source. The pool holds what the source's constants can
// legitimately fold to; a target constant that equals an entry within its bound takes the entry's exact field
// value. The pairing is by number alone: a wrong pair can only make the proof fail.
//
// Bounds (u = half an ulp of the element type): weights: the factor of each output channel within the counted
// error, and each weight within 2.1 u of that factor (a fold rounds once a channel); scales: counted error
// relative; shifts: counted error of the magnitudes that were added; other folded constants: 16 u.
// Constants that were not folded have no tolerance: they are equal bit for bit or different.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "interp/field.h"
#include "oracle/prepared.h"

namespace assay {

// The weights of a contraction (Conv, ConvTranspose, Gemm, MatMul) seen as [N out channels][K].
struct WeightView {
  int64_t n = 0, k = 0;
  int64_t stride_n = 0, stride_k = 0;   // offset = n*stride_n + k*stride_k, but for ConvTranspose:
  int64_t spatial = 1, per_group = 0;   // ConvTranspose [C, M/g, spatial..]: see Offset
  int64_t channels_per_group = 0;       // ConvTranspose: C/g; Conv: input channels of a group
  bool transposed_conv = false;
  int64_t Offset(int64_t out, int64_t in) const;
  // Input channel that weight (out, in) multiplies.
  int64_t InputChannel(int64_t out, int64_t in) const;
  int64_t groups = 1;
};
// nullopt when the node is no contraction with weights as input 1 of that shape.
std::optional<WeightView> ViewWeights(const Node& node, const Shape& weights);

class SnapPool {
 public:
  // Collects the folds of the source. Cost: one pass over its constants in double.
  explicit SnapPool(std::shared_ptr<const Prepared> source);
  ~SnapPool();

  struct Match {
    int entry = -1;            // -1: no entry fits
    WeightView view;           // of the target's weights, for weight entries
    bool weights = false;
  };
  // `role`: the node that reads the constant as `input`, for weights; null otherwise.
  Match Find(const Tensor& constant, const Node* reader, int input) const;
  // Entries of the right size for a constant that matches none, nearest first: what it may have been meant to be.
  std::vector<Match> Candidates(const Tensor& constant, const Node* reader, int input, size_t most) const;
  // An entry's value as a converter folds it: computed in double, rounded once to the type of `like`.
  Result<Tensor> Rounded(const Match& match, const Tensor& like) const;
  // Is the constant bit for bit one of the source's?
  bool IsSourceConstant(uint64_t content) const;
  // The exact field value of a match, in the shape and type of `like`. Needs a FieldContext on this thread.
  // `cache` belongs to one context and is filled as needed.
  struct Cache;
  std::shared_ptr<Cache> NewCache() const;
  Result<Tensor> FieldValue(const Match& match, const Tensor& like, Cache& cache) const;

 private:
  struct Impl;
  Result<Tensor> ValueIn(Store store, const Match& match, const Tensor& like, Cache& cache) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay
