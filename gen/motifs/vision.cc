// Blocks of convolutional networks, on images [N,C,H,W].
#include "gen/motifs/layers.h"

namespace assay {
namespace {

// y = F(x) + x (He et al. 2016).
int Residual(Sketch& s, int x) {
  int64_t c = s.shape(x)[1];
  int y = Activation(s, ConvNorm(s, x, c, 3));
  return Activation(s, s.Node("Add", {ConvNorm(s, y, c, 3), x}));
}

// 1x1 down, 3x3, 1x1 up, and a projection of x where the channels differ.
int Bottleneck(Sketch& s, int x) {
  int64_t c = s.shape(x)[1], inner = std::max<int64_t>(1, c / 2),
          out = s.choices().PickOf({c, c, 2 * c});
  int y = Activation(s, ConvNorm(s, x, inner, 1));
  y = Activation(s, ConvNorm(s, y, inner, 3));
  y = ConvNorm(s, y, out, 1);
  int skip = out == c ? x : ConvNorm(s, x, out, 1);
  return Activation(s, s.Node("Add", {y, skip}));
}

// A filter for each channel, then 1x1 across channels (Howard et al. 2017).
int DepthwiseSeparable(Sketch& s, int x) {
  int64_t c = s.shape(x)[1];
  int y = Activation(s, Conv(s, x, {.channels = c, .kernel = 3, .group = c}));
  return Activation(s, ConvNorm(s, y, s.choices().Between(1, 8), 1));
}

// x * sigmoid(W2 relu(W1 mean(x))) (Hu et al. 2018).
int SqueezeExcite(Sketch& s, int x) {
  int64_t c = s.shape(x)[1], inner = std::max<int64_t>(1, c / 2);
  int y = s.choices().Chance(0.5)
              ? s.Node("GlobalAveragePool", {x})
              : s.Node("ReduceMean", {x}, {{"axes", Shape{2, 3}}, {"keepdims", 1}});
  y = s.Node("Relu", {Conv(s, y, {.channels = inner, .kernel = 1})});
  y = Conv(s, y, {.channels = c, .kernel = 1});
  y = s.Node(s.choices().PickOf({"Sigmoid", "HardSigmoid"}), {y});
  return s.Node("Mul", {x, y});
}

// Branches of different windows, joined by channel (Szegedy et al. 2015).
int Inception(Sketch& s, int x) {
  std::vector<int> branches = {Activation(s, Conv(s, x, {.channels = 2, .kernel = 1}))};
  int wide = Activation(s, Conv(s, x, {.channels = 2, .kernel = 1}));
  branches.push_back(Activation(s, Conv(s, wide, {.channels = 3, .kernel = 3})));
  if (s.choices().Chance(0.5)) branches.push_back(Conv(s, x, {.channels = 2, .kernel = 5}));
  int pooled = s.Node(s.choices().PickOf({"MaxPool", "AveragePool"}), {x},
                      {{"kernel_shape", Shape{3, 3}}, {"pads", Shape{1, 1, 1, 1}}});
  branches.push_back(Conv(s, pooled, {.channels = 2, .kernel = 1}));
  return s.Node("Concat", branches, {{"axis", 1}});
}

// Down and up again, joined with what was there before (Ronneberger et al. 2015).
int EncoderDecoder(Sketch& s, int x) {
  const Shape& shape = s.shape(x);
  if (shape[2] % 2 != 0 || shape[3] % 2 != 0) return Sketch::kRefused;
  int64_t c = shape[1];
  int down = s.Node("MaxPool", {x}, {{"kernel_shape", Shape{2, 2}}, {"strides", Shape{2, 2}}});
  int deep = Activation(s, ConvNorm(s, down, 2 * c, 3));
  int up = Sketch::kRefused;
  if (s.choices().Chance(0.5)) {
    up = s.Node("ConvTranspose", {deep, s.Weight(x, {2 * c, c, 2, 2}, 0.5)},
                {{"strides", Shape{2, 2}}});
  } else {
    up = Resized(s, deep, {1, 1, 2, 2});
  }
  return Activation(s, ConvNorm(s, s.Node("Concat", {up, x}, {{"axis", 1}}), c, 3));
}

// Pooled to one number a channel, then classified.
int Head(Sketch& s, int x) {
  int64_t c = s.shape(x)[1], n = s.choices().Between(2, 10);
  int y = s.Node("Flatten", {s.Node("GlobalAveragePool", {x})});
  y = s.Node("Gemm", {y, s.Weight(x, {n, c}, 0.7), s.Weight(x, {n}, 0.3)}, {{"transB", 1}});
  return s.Node("Softmax", {y}, {{"axis", 1}});
}

}  // namespace

std::vector<Motif> motifs_vision() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int)) {
    return Motif{
        .name = name, .doc = doc, .tags = kVision, .min_rank = 4, .max_rank = 4, .build = build};
  };
  return {row("residual", "two convolutions beside a skip connection", Residual),
          row("bottleneck", "1x1, 3x3 and 1x1 convolutions beside a skip connection", Bottleneck),
          row("depthwise_separable", "a convolution of each channel, then one across channels",
              DepthwiseSeparable),
          row("squeeze_excite", "channels weighted by what their means say", SqueezeExcite),
          row("inception", "windows of several sizes side by side", Inception),
          row("encoder_decoder", "down, up again, joined with the value before", EncoderDecoder),
          row("head", "global pool, Flatten, Gemm, Softmax", Head)};
}

}  // namespace assay
