// Layers that several motifs are made of.
#pragma once

#include <algorithm>
#include <cmath>

#include "gen/motif.h"

namespace assay {

struct ConvShape {
  int64_t channels = 1, kernel = 1, group = 1, stride = 1;
  bool same = true;  // padded so that stride 1 keeps the extents
};

// A 2-d convolution with drawn weights, with a bias now and then.
inline int Conv(Sketch& s, int x, const ConvShape& shape) {
  if (x < 0) return Sketch::kRefused;
  int64_t inner = s.shape(x)[1] / shape.group, k = shape.kernel, pad = shape.same ? k / 2 : 0;
  double scale = std::sqrt(2.0 / static_cast<double>(std::max<int64_t>(1, inner * k * k)));
  std::vector<int> inputs = {x, s.Weight(x, {shape.channels, inner, k, k}, scale)};
  if (s.choices().Chance(0.5)) inputs.push_back(s.Weight(x, {shape.channels}, 0.3));
  std::vector<Param> params;
  if (s.choices().Chance(0.5)) params.push_back({"kernel_shape", Shape{k, k}});
  if (pad > 0) params.push_back({"pads", Shape{pad, pad, pad, pad}});
  if (shape.group > 1) params.push_back({"group", shape.group});
  if (shape.stride > 1) params.push_back({"strides", Shape{shape.stride, shape.stride}});
  return s.Node("Conv", inputs, params);
}

// Statistics of channels as they were trained.
inline int BatchNorm(Sketch& s, int x) {
  if (x < 0) return Sketch::kRefused;
  Shape c = {s.shape(x)[1]};
  return s.Node("BatchNormalization", {x, s.Weight(x, c, 1, {0.5, 1.5, true}), s.Weight(x, c, 0.3),
                                       s.Weight(x, c, 0.3), s.Weight(x, c, 1, {0.5, 1.5, true})});
}

inline int ConvNorm(Sketch& s, int x, int64_t channels, int64_t kernel) {
  int y = Conv(s, x, {.channels = channels, .kernel = kernel});
  return s.choices().Chance(0.6) ? BatchNorm(s, y) : y;
}

inline int Activation(Sketch& s, int x) {
  switch (s.choices().Below(6)) {
    case 0:
      return s.Node("Clip", {x}, {{"min", 0.0f}, {"max", 6.0f}});
    case 1:
      return s.Node("LeakyRelu", {x}, {{"alpha", 0.1f}});
    case 2:
      return s.Node("Mul", {x, s.Node("Sigmoid", {x})});
    default:
      return s.Node("Relu", {x});
  }
}

// Nearest neighbours, `scales` times as large.
inline int Resized(Sketch& s, int x, const std::vector<float>& scales) {
  Tensor t = Tensor::Floats({static_cast<int64_t>(scales.size())}, scales);
  if (s.opset() < 10) {
    return s.opset() < 9 ? s.Node("Upsample", {x}, {{"scales", scales}})
                         : s.Node("Upsample", {x, s.Constant(t)});
  }
  if (s.opset() < 11) return s.Node("Resize", {x, s.Constant(t)});
  int roi = s.opset() < 13 ? s.Constant(Tensor::Floats({0}, {})) : Sketch::kAbsent;
  return s.Node("Resize", {x, roi, s.Constant(t)},
                {{"coordinate_transformation_mode", std::string("asymmetric")},
                 {"nearest_mode", std::string("floor")}});
}

}  // namespace assay
