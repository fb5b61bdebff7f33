// Layers beside operators that can be folded into their weights: convolutions, products, pools.
#include "gen/motifs/layers.h"

namespace assay {
namespace {

// A constant that acts on channels: [1,C,1,1], [C,1,1], one number, or (not foldable) a whole
// image.
int PerChannel(Sketch& s, int x, double scale, const Range& range = {}) {
  if (x < 0) return Sketch::kRefused;
  Shape shape = s.shape(x);
  int64_t c = shape[1];
  switch (s.choices().Below(5)) {
    case 0:
      return s.Weight(x, {c, 1, 1}, scale, range);
    case 1:
      return s.Weight(x, {}, scale, range);
    case 2:
      return s.Weight(x, {1, c, shape[2], shape[3]}, scale, range);
    case 3:
      return s.Weight(x, {shape[3]}, scale, range);
    default:
      return s.Weight(x, {1, c, 1, 1}, scale, range);
  }
}

int SomeConv(Sketch& s, int x) {
  return Conv(s, x,
              {.channels = s.choices().Between(1, 5),
               .kernel = s.choices().PickOf<int64_t>({1, 3}),
               .same = s.choices().Chance(0.7)});
}

int ConvAdd(Sketch& s, int x) {
  int y = SomeConv(s, x);
  return s.Node("Add", {y, PerChannel(s, y, 0.5)});
}
int ConvMul(Sketch& s, int x) {
  int y = SomeConv(s, x);
  return s.Node("Mul", {y, PerChannel(s, y, 1, {0.5, 1.5, true})});
}
int ConvBatchNorm(Sketch& s, int x) { return BatchNorm(s, SomeConv(s, x)); }
int BatchNormConv(Sketch& s, int x) { return SomeConv(s, BatchNorm(s, x)); }
int ConvTransposeBatchNorm(Sketch& s, int x) {
  int64_t c = s.choices().Between(1, 4);
  return BatchNorm(s, s.Node("ConvTranspose", {x, s.Weight(x, {s.shape(x)[1], c, 2, 2}, 0.5)}));
}
int ConvActivation(Sketch& s, int x) { return Activation(s, SomeConv(s, x)); }
int ConvAddRelu(Sketch& s, int x) {
  int y = Conv(s, x, {.channels = s.shape(x)[1], .kernel = 3});
  return s.Node("Relu", {s.Node("Add", {y, x})});
}
int ConvConv(Sketch& s, int x) {
  int y = Conv(
      s, x, {.channels = s.choices().Between(1, 4), .kernel = s.choices().PickOf<int64_t>({1, 3})});
  return Conv(s, y, {.channels = 2, .kernel = 1});
}

// Pads of zero, of something else, reflected, or of other axes than those of an image.
int Padded(Sketch& s, int x) {
  Shape pads = {0, 0, 1, 1, 0, 0, 1, 1};
  if (s.choices().Chance(0.3)) pads[6] = 0;
  if (s.choices().Chance(0.15)) pads[1] = 1;
  std::vector<Param> params = {{"pads", pads}};
  uint64_t how = s.choices().Below(5);
  // A reflection needs a second element; of one, runtimes make different things or nothing.
  const Shape& shape = s.shape(x);
  bool reflects = shape[1] > pads[1] && shape[2] > 1 && shape[3] > 1;
  if (how == 0 && reflects)
    params.push_back({"mode", std::string(s.choices().PickOf({"reflect", "edge"}))});
  if (how == 1)
    params.push_back(
        {s.opset() < 11 ? "value" : "constant_value", s.choices().PickOf({-1.0f, 0.5f})});
  return s.Node("Pad", {x}, params);
}
int PadConv(Sketch& s, int x) {
  int y = Padded(s, x);
  return Conv(s, y, {.channels = 2, .kernel = 3, .same = s.choices().Chance(0.4)});
}
int PadPool(Sketch& s, int x) {
  std::vector<Param> window = {{"kernel_shape", Shape{3, 3}}};
  if (s.choices().Chance(0.4)) window.push_back({"pads", Shape{1, 1, 1, 1}});
  if (s.choices().Chance(0.5)) return s.Node("MaxPool", {Padded(s, x)}, window);
  if (s.choices().Chance(0.5)) window.push_back({"count_include_pad", 1});
  return s.Node("AveragePool", {Padded(s, x)}, window);
}

// The mean over space: of all of it, of one axis, without keeping the axes, or as a pool.
int SpatialMean(Sketch& s, int x) {
  if (s.choices().Chance(0.25)) return s.Node("GlobalAveragePool", {x});
  Shape axes = s.choices().PickOf<Shape>({{2, 3}, {2, 3}, {-2, -1}, {3, 2}, {3}, {1, 2, 3}});
  int keep = s.choices().Chance(0.7);
  return s.Node("ReduceMean", {x}, {{"axes", axes}, {"keepdims", keep}});
}

int Product(Sketch& s, int x) {
  int64_t k = s.shape(x).back();
  return s.Node("MatMul", {x, s.Weight(x, {k, s.choices().Between(1, 6)},
                                       1 / std::sqrt(static_cast<double>(k)))});
}

// A bias of the right shape for Gemm, or of one that only broadcasts.
int MatMulAdd(Sketch& s, int x) {
  int y = Product(s, x);
  if (y < 0) return y;
  Shape shape = s.shape(y), bias = {shape.back()};
  if (s.choices().Chance(0.2)) bias = {1, shape.back()};
  if (s.choices().Chance(0.1)) bias = shape;
  if (s.choices().Chance(0.1)) bias = {};
  if (shape.size() > 1 && s.choices().Chance(0.1)) bias = {shape[shape.size() - 2], 1};
  return s.Node("Add", {y, s.Weight(x, bias, 0.5)});
}
int MatMulScaled(Sketch& s, int x) {
  return s.Node(s.choices().PickOf({"Mul", "Div"}), {Product(s, x), s.Scalar(x, 2, {3, 4})});
}
int MatMulMatMul(Sketch& s, int x) { return Product(s, Product(s, x)); }
int MatMulBatchNorm(Sketch& s, int x) {
  return s.rank(x) == 2 ? BatchNorm(s, MatMulAdd(s, x)) : Sketch::kRefused;
}

std::vector<int64_t> LastTwoSwapped(int rank) {
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return perm;
}

// A transposed operand: by the last two axes (fusable) or others.
int TransposeMatMul(Sketch& s, int x) {
  std::vector<int64_t> perm = LastTwoSwapped(s.rank(x));
  if (s.rank(x) > 2 && s.choices().Chance(0.4)) s.choices().Shuffle(perm);
  int t = s.Node("Transpose", {x}, {{"perm", perm}});
  if (t >= 0 && s.choices().Chance(0.5) && s.shape(t).back() == s.shape(x)[s.shape(x).size() - 2])
    return s.Node("MatMul", {t, x});
  return t < 0 ? t : Product(s, t);
}
int MatMulTranspose(Sketch& s, int x) {
  int y = Product(s, x);
  return y < 0 ? y : s.Node("Transpose", {y}, {{"perm", LastTwoSwapped(s.rank(y))}});
}
int GemmActivation(Sketch& s, int x) {
  int64_t k = s.shape(x)[1], n = s.choices().Between(1, 6);
  int y = s.Node("Gemm",
                 {x, s.Weight(x, {n, k}, 0.6),
                  s.Weight(x, s.choices().PickOf<Shape>({{n}, {1, n}, {1}}), 0.5)},
                 {{"transB", 1},
                  {"alpha", s.choices().PickOf({1.0f, 0.5f})},
                  {"beta", s.choices().PickOf({1.0f, 2.0f})}});
  return Activation(s, y);
}

// A product with a constant that is transposed on the way.
int ConstantTransposed(Sketch& s, int x) {
  int64_t k = s.shape(x).back(), n = s.choices().Between(1, 5);
  int w = s.Node("Transpose", {s.Weight(x, {n, k}, 0.6)}, {{"perm", Shape{1, 0}}});
  return s.Node("MatMul", {x, w});
}

// Channels in groups, turned (Zhang et al. 2018).
int ChannelShuffle(Sketch& s, int x) {
  Shape shape = s.shape(x);
  if (shape[1] % 2 != 0) return Sketch::kRefused;
  Shape grouped = {shape[0], 2, shape[1] / 2, shape[2], shape[3]};
  int y = s.Node("Reshape", {x, s.Vector(grouped)});
  y = s.Node("Transpose", {y}, {{"perm", Shape{0, 2, 1, 3, 4}}});
  return s.Node("Reshape", {y, s.Vector(shape)});
}

// SpaceToDepth in the order of depth first or columns first.
int SpaceToDepth(Sketch& s, int x) {
  Shape shape = s.shape(x);
  if (shape[2] % 2 != 0 || shape[3] % 2 != 0) return Sketch::kRefused;
  int y = s.Node("Reshape", {x, s.Vector({shape[0], shape[1], shape[2] / 2, 2, shape[3] / 2, 2})});
  Shape perm =
      s.choices().PickOf<Shape>({{0, 3, 5, 1, 2, 4}, {0, 1, 3, 5, 2, 4}, {0, 5, 3, 1, 2, 4}});
  y = s.Node("Transpose", {y}, {{"perm", perm}});
  return s.Node("Reshape", {y, s.Vector({shape[0], shape[1] * 4, shape[2] / 2, shape[3] / 2})});
}

}  // namespace

std::vector<Motif> motifs_fold() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int min_rank,
                int max_rank) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kFusion,
                 .min_rank = min_rank,
                 .max_rank = max_rank,
                 .build = build};
  };
  return {row("conv_add", "Conv and Add of a constant", ConvAdd, 4, 4),
          row("conv_mul", "Conv and Mul by a constant", ConvMul, 4, 4),
          row("conv_batch_norm", "Conv and BatchNormalization", ConvBatchNorm, 4, 4),
          row("batch_norm_conv", "BatchNormalization and Conv", BatchNormConv, 4, 4),
          row("conv_transpose_batch_norm", "ConvTranspose and BatchNormalization",
              ConvTransposeBatchNorm, 4, 4),
          row("conv_activation", "Conv and an activation", ConvActivation, 4, 4),
          row("conv_add_relu", "Conv, a skip connection, Relu", ConvAddRelu, 4, 4),
          row("conv_conv", "Conv and a 1x1 Conv", ConvConv, 4, 4),
          row("pad_conv", "Pad and Conv", PadConv, 4, 4),
          row("pad_pool", "Pad and a pool", PadPool, 4, 4),
          row("spatial_mean", "a mean over space", SpatialMean, 4, 4),
          row("channel_shuffle", "Reshape, Transpose, Reshape", ChannelShuffle, 4, 4),
          row("space_to_depth", "SpaceToDepth spelled out", SpaceToDepth, 4, 4),
          row("matmul_add", "MatMul and Add", MatMulAdd, 1, 4),
          row("matmul_scaled", "MatMul and a factor", MatMulScaled, 1, 4),
          row("matmul_matmul", "two products with constants", MatMulMatMul, 1, 4),
          row("matmul_batch_norm", "MatMul, Add, BatchNormalization", MatMulBatchNorm, 2, 2),
          row("transpose_matmul", "MatMul of a transposed value", TransposeMatMul, 2, 4),
          row("matmul_transpose", "Transpose of a product", MatMulTranspose, 2, 4),
          row("gemm_activation", "Gemm and an activation", GemmActivation, 2, 2),
          row("constant_transposed", "MatMul by a transposed constant", ConstantTransposed, 1, 4)};
}

}  // namespace assay
