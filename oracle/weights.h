// The weights of a contraction (Conv, ConvTranspose, Gemm, MatMul, Gather from a table) as columns,
// one for each output channel, and the test whether a column is another one times a single factor,
// rounded as a converter rounds.
#pragma once

#include <optional>
#include <vector>

#include "interp/graph.h"

namespace assay {

// Weights seen as [n output channels][k], whatever their layout.
struct WeightView {
  int64_t n = 0, k = 0;
  int64_t groups = 1,
          channels_per_group = 0;  // input channels of the contraction and of one of its groups
  // Offset of (out, in) in the tensor; 0 <= out < n, 0 <= in < k.
  int64_t Offset(int64_t out, int64_t in) const {
    if (!transposed_conv) return out * stride_n + in * stride_k;
    int64_t group = out / per_group, m = out % per_group, c = in / spatial, x = in % spatial;
    return ((group * channels_per_group + c) * per_group + m) * spatial + x;
  }
  // Input channel that weight (out, in) multiplies.
  int64_t InputChannel(int64_t out, int64_t in) const {
    return out / (n / groups) * channels_per_group + in / spatial;
  }
  int64_t input_channels() const { return groups * channels_per_group; }

  int64_t stride_n = 0, stride_k = 0;
  int64_t spatial = 1,
          per_group = 0;  // elements of a kernel; ConvTranspose: output channels of a group
  bool transposed_conv = false;
};
// How `node` reads the weights of shape `w` as its input `input`; nullopt when it is no contraction
// with them.
std::optional<WeightView> ViewWeights(const Node& node, int input, const Shape& w);

// Half the distance between neighbours of `v` in element type `t`: what rounding to `t` can have
// changed. For double, which the reference itself is computed in, four times that.
double HalfUlp(DType t, double v);
// The largest HalfUlp relative to the value: 2^-24 for float.
double RoundingUnit(DType t);

// A target weight and what it should be but for its column's factor.
struct WeightPair {
  double got, want;
};
struct ColumnFit {
  bool fits = false;
  bool near = true;  // false: some weight is far off by any measure
  int outliers = 0;  // weights beyond the most that one factor explains
};
// Is there one factor within 1 +- `factor_bound` such that each `got` is want * factor, rounded
// `roundings` times to type `t`? A fold computes the factor once a channel, so its error is common
// to the channel; the roundings are not.
ColumnFit FitColumn(const std::vector<WeightPair>& column, DType t, double factor_bound,
                    double roundings);
// The same for one rounding a weight, or up to `most` where so many weights show them that it can't
// be damage. `slack`: what `want` itself is uncertain by, in rounding units.
bool FoldedColumn(const std::vector<WeightPair>& column, DType t, double factor_bound, int most,
                  double slack = 0);

}  // namespace assay
