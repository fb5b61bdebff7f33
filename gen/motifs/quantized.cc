// Quantized chains: QuantizeLinear and DequantizeLinear around operators, and the integer
// operators that they stand for.
#include "gen/motifs/layers.h"

namespace assay {
namespace {

struct Grid {
  int scale, zero;
};

// A scale and a zero point for float values, of uint8 or int8.
Grid DrawGrid(Sketch& s, int like, bool is_signed) {
  double scale = s.choices().PickOf({0.01, 0.02, 0.05, 0.1});
  DType t = is_signed ? DType::kInt8 : DType::kUint8;
  double zero = is_signed ? s.choices().PickOf({0.0, 0.0, -3.0, 5.0})
                          : s.choices().PickOf({128.0, 0.0, 100.0});
  return {s.Scalar(like, scale, {scale * 1.5, scale / 2}), s.Constant(ScalarOf(t, zero))};
}
Grid DrawGrid(Sketch& s, int like) { return DrawGrid(s, like, s.choices().Chance(0.4)); }

int Quantize(Sketch& s, int x, const Grid& g) {
  return s.Node("QuantizeLinear", {x, g.scale, g.zero});
}
int Dequantize(Sketch& s, int x, const Grid& g) {
  return s.Node("DequantizeLinear", {x, g.scale, g.zero});
}
int Rounded(Sketch& s, int x, const Grid& g) { return Dequantize(s, Quantize(s, x, g), g); }
int Rounded(Sketch& s, int x) { return x < 0 ? Sketch::kRefused : Rounded(s, x, DrawGrid(s, x)); }

Tensor Integers(Sketch& s, DType t, const Shape& shape, int64_t lo, int64_t hi) {
  Tensor w = Tensor::Make(t, shape).value();
  for (int64_t i = 0; i < w.size(); ++i) w.Set(i, static_cast<double>(s.choices().Between(lo, hi)));
  return w;
}

// An int8 weight with one scale, or one scale for each index of `axis`.
int Weight(Sketch& s, int like, const Shape& shape, int64_t axis) {
  int w = s.Constant(Integers(s, DType::kInt8, shape, -127, 127));
  double scale = 0.01;
  if (s.opset() < 13 || s.choices().Chance(0.5))
    return s.Node("DequantizeLinear",
                  {w, s.Scalar(like, scale, {0.02}), s.Constant(ScalarOf(DType::kInt8, 0))});
  Shape per = {shape[static_cast<size_t>(axis)]};
  int scales = s.Weight(like, per, 1, {0.005, 0.02, false});
  return s.Node("DequantizeLinear", {w, scales, s.Constant(Integers(s, DType::kInt8, per, 0, 0))},
                {{"axis", axis}});
}

int QdqPair(Sketch& s, int x) { return Rounded(s, x); }

// Twice, on the same grid or on another.
int QdqTwice(Sketch& s, int x) {
  Grid g = DrawGrid(s, x);
  int y = Rounded(s, x, g);
  if (s.choices().Chance(0.3)) y = s.Node("Identity", {y});
  return s.choices().Chance(0.5) ? Rounded(s, y, g) : Rounded(s, y);
}

int QdqConv(Sketch& s, int x) {
  int64_t c = s.shape(x)[1], out = s.choices().Between(1, 4),
          k = s.choices().PickOf<int64_t>({1, 3});
  int y = s.Node("Conv", {Rounded(s, x), Weight(s, x, {out, c, k, k}, 0)},
                 {{"pads", Shape{k / 2, k / 2, k / 2, k / 2}}});
  if (s.choices().Chance(0.4)) y = s.Node("Relu", {y});
  return Rounded(s, y);
}

int QdqMatMul(Sketch& s, int x) {
  int64_t k = s.shape(x).back(), n = s.choices().Between(1, 5);
  return Rounded(s, s.Node("MatMul", {Rounded(s, x), Weight(s, x, {k, n}, 1)}));
}

// Operators through which a quantizer may or may not be moved.
int QdqMoved(Sketch& s, int x) {
  Grid g = DrawGrid(s, x);
  int y = Rounded(s, x, g);
  switch (s.choices().Below(4)) {
    case 0:
      y = s.Node("Transpose", {y});
      break;
    case 1:
      y = s.Node("Reshape", {y, s.Vector({-1})});
      break;
    case 2:
      y = s.Node("Relu", {y});
      break;
    default:
      y = s.Node("Concat", {y, Rounded(s, x)}, {{"axis", 0}});
  }
  return s.choices().Chance(0.6) ? Rounded(s, y, g) : Rounded(s, y);
}

int QdqAdd(Sketch& s, int x) {
  int other = s.Node("Neg", {x});
  return Rounded(s, s.Node(s.choices().PickOf({"Add", "Mul"}), {Rounded(s, x), Rounded(s, other)}));
}

// A constant that is quantized in the graph.
int QdqConstant(Sketch& s, int x) {
  return s.Node("Add", {x, Rounded(s, s.Weight(x, {s.shape(x).back()}, 0.5))});
}

int LinearConv(Sketch& s, int x) {
  int64_t c = s.shape(x)[1], out = s.choices().Between(1, 4),
          k = s.choices().PickOf<int64_t>({1, 3});
  Grid in = DrawGrid(s, x, false), to = DrawGrid(s, x, false);
  int w = s.Constant(Integers(s, DType::kInt8, {out, c, k, k}, -64, 64));
  std::vector<int> inputs = {Quantize(s, x, in),
                             in.scale,
                             in.zero,
                             w,
                             s.Scalar(x, 0.02, {0.01}),
                             s.Constant(ScalarOf(DType::kInt8, 0)),
                             to.scale,
                             to.zero};
  if (s.choices().Chance(0.4))
    inputs.push_back(s.Constant(Integers(s, DType::kInt32, {out}, -500, 500)));
  return Dequantize(s, s.Node("QLinearConv", inputs, {{"kernel_shape", Shape{k, k}}}), to);
}

int LinearMatMul(Sketch& s, int x) {
  int64_t k = s.shape(x).back(), n = s.choices().Between(1, 5);
  Grid in = DrawGrid(s, x, false), to = DrawGrid(s, x, false);
  int w = s.Constant(Integers(s, DType::kInt8, {k, n}, -64, 64));
  return Dequantize(
      s,
      s.Node("QLinearMatMul", {Quantize(s, x, in), in.scale, in.zero, w, s.Scalar(x, 0.02, {0.01}),
                               s.Constant(ScalarOf(DType::kInt8, 0)), to.scale, to.zero}),
      to);
}

// Quantized by what the values are, multiplied as integers, scaled back.
int DynamicMatMul(Sketch& s, int x) {
  int64_t k = s.shape(x).back(), n = s.choices().Between(1, 5);
  int q = s.Node("DynamicQuantizeLinear", {x}, {}, 3);
  if (q < 0) return q;
  int w = s.Constant(Integers(s, DType::kInt8, {k, n}, -6, 6));
  int y = s.Node("MatMulInteger", {q, w, q + 2, s.Constant(ScalarOf(DType::kInt8, 0))});
  y = s.Node("Cast", {y}, {{"to", static_cast<int64_t>(DType::kFloat)}});
  return s.Node("Mul", {s.Node("Mul", {y, q + 1}), s.Scalar(x, 0.1)});
}

}  // namespace

std::vector<Motif> motifs_quantized() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int min_rank = 1,
                int max_rank = 4) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kQuantized,
                 .min_rank = min_rank,
                 .max_rank = max_rank,
                 .since = 10,
                 .build = build};
  };
  Motif dynamic =
      row("dynamic_matmul", "DynamicQuantizeLinear, MatMulInteger, scales", DynamicMatMul, 2);
  dynamic.since = 11;
  return {row("qdq", "QuantizeLinear and DequantizeLinear", QdqPair),
          row("qdq_twice", "two pairs, on one grid or two", QdqTwice),
          row("qdq_conv", "a Conv between pairs", QdqConv, 4),
          row("qdq_matmul", "a MatMul between pairs", QdqMatMul),
          row("qdq_moved", "a pair on both sides of what moves values", QdqMoved),
          row("qdq_add", "Add or Mul of two pairs", QdqAdd),
          row("qdq_constant", "a pair around a constant", QdqConstant),
          row("qlinear_conv", "QLinearConv between its quantizers", LinearConv, 4),
          row("qlinear_matmul", "QLinearMatMul between its quantizers", LinearMatMul, 2),
          dynamic};
}

}  // namespace assay
