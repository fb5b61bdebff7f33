// Folding: layers that are linear in constant weights (Conv, ConvTranspose, Gemm, MatMul) and
// affine maps per output channel absorbed by them. Folded constants are computed in double and
// rounded once to the weights' type.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fuzz/operands.h"

namespace assay {

enum class LinearOp : uint8_t { kConv, kConvTranspose, kGemm, kMatMul };

// A layer whose result y[.., c, ..] is linear in its weights, one set for each output channel c.
struct Linear {
  LinearOp op = LinearOp::kConv;
  int node = -1;
  const Tensor* weights = nullptr;
  int64_t group = 1;
  int64_t channels = 0;  // output channels
  int channel_axis = 1;  // of the result
  int column_axis =
      0;  // of the weights: the axis of output channels (within a group for ConvTranspose)
  double bias_factor = 1;  // Gemm's beta
  bool has_bias = false;
  std::vector<double> bias;  // one number a channel, bias_factor included; zeros without bias
};
// The layer at node i when its weights and bias are known and the bias is one number a channel.
std::optional<Linear> LinearAt(const View& view, int i);
// The layer that makes data input `k` of node i, when node i is its only reader.
std::optional<Linear> LinearBefore(const View& view, int i, size_t k = 0);

// The layer before BatchNormalization i, whose channels (axis 1) are those of the layer.
std::optional<Linear> LinearBeforeBatchNorm(const View& view, int i);

// The layer's result becomes factor[c] * y + offset[c], and node `absorbed`, which computed that,
// goes. `column_axis` of `linear` says where the factor goes. A MatMul becomes MatMul + Add when an
// offset is not 0. DoesNotApply when a folded constant is not finite.
Status FoldAffine(Edit& e, const Linear& linear, int absorbed, const std::vector<double>& factor,
                  const std::vector<double>& offset);

}  // namespace assay
