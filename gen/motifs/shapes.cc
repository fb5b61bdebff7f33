// Shapes that are computed while the graph runs, as exporters write them.
#include "gen/motifs/layers.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);

int ShapeOf(Sketch& s, int x) { return s.Node("Shape", {x}); }

// Elements [from, to) of a 1-d value.
int Part(Sketch& s, int x, int64_t from, int64_t to) {
  return s.Node("Slice", {x}, {{"starts", Shape{from}}, {"ends", Shape{to}}, {"axes", Shape{0}}});
}

// Extent `i` of x, as a vector of one: by Slice, or by Gather and Unsqueeze.
int Extent(Sketch& s, int x, int64_t i) {
  int shape = ShapeOf(s, x);
  if (s.choices().Chance(0.5)) return Part(s, shape, i, i + 1);
  int one = s.Node("Gather", {shape, s.Constant(ScalarOf(DType::kInt64, static_cast<double>(i)))},
                   {{"axis", 0}});
  return s.Node("Unsqueeze", {one}, {{"axes", Shape{0}}});
}

int Joined(Sketch& s, const std::vector<int>& parts) {
  return s.Node("Concat", parts, {{"axis", 0}});
}

// The first extent kept, the others one.
int Flattened(Sketch& s, int x) {
  return s.Node("Reshape", {x, Joined(s, {Extent(s, x, 0), s.Vector({-1})})});
}

// Two extents joined into their product.
int Merged(Sketch& s, int x) {
  int product = s.Node("Mul", {Extent(s, x, 0), Extent(s, x, 1)});
  std::vector<int> parts = {product};
  for (int i = 2; i < s.rank(x); ++i)
    parts.push_back(s.choices().Chance(0.5) ? Extent(s, x, i)
                                            : s.Vector({s.shape(x)[static_cast<size_t>(i)]}));
  return s.Node("Reshape", {x, parts.size() == 1 ? parts[0] : Joined(s, parts)});
}

// There and back by the shape of x itself.
int Restored(Sketch& s, int x) {
  int shape = ShapeOf(s, x);
  int y = s.Node("Reshape", {x, s.Vector({-1})});
  if (s.choices().Chance(0.5)) y = s.Node(s.choices().PickOf({"Relu", "Neg", "Sigmoid"}), {y});
  return s.Node("Reshape", {y, shape});
}

// An image as large as another one, or twice as large.
int ResizedToShape(Sketch& s, int x) {
  // Where the length of `sizes` does not follow from constants, ONNX Runtime 1.30 takes it for 0
  // and refuses the model.
  s.Forbid(Twist::kOverridable);
  s.Forbid(Twist::kFolded);
  int shape = ShapeOf(s, x);
  int space = Part(s, shape, 2, 4);
  if (s.choices().Chance(0.5)) {
    space = s.Node("Mul", {space, s.Vector({2, 2})});
  } else {
    // As exporters do: in float, rounded down.
    int real = s.Node("Cast", {space}, {{"to", static_cast<int64_t>(DType::kFloat)}});
    real = s.Node("Floor", {s.Node("Mul", {real, s.Scalar(real, 2)})});
    space = s.Node("Cast", {real}, {{"to", static_cast<int64_t>(DType::kInt64)}});
  }
  int sizes = Joined(s, {Part(s, shape, 0, 2), space});
  int roi = s.opset() < 13 ? s.Constant(Tensor::Floats({0}, {})) : Sketch::kAbsent;
  int scales = s.opset() < 13 ? s.Constant(Tensor::Floats({0}, {})) : Sketch::kAbsent;
  return s.Node("Resize", {x, roi, scales, sizes},
                {{"coordinate_transformation_mode", std::string("asymmetric")},
                 {"mode", std::string("nearest")},
                 {"nearest_mode", std::string("floor")}});
}

// One row, repeated to the shape of x.
int Expanded(Sketch& s, int x) {
  int row = s.Weight(x, {s.shape(x).back()});
  return s.Node("Mul", {x, s.Node("Expand", {row, ShapeOf(s, x)})});
}

int FilledLike(Sketch& s, int x) {
  Tensor value = ScalarOf(s.dtype(x), s.choices().PickOf({0.0, 1.0, 0.5})).Reshaped({1});
  return s.Node("Add", {x, s.Node("ConstantOfShape", {ShapeOf(s, x)}, {{"value", value}})});
}

// 0, 1, .. along the first axis, added or picked by.
int Counted(Sketch& s, int x) {
  int n = s.Node("Gather", {ShapeOf(s, x), s.Constant(ScalarOf(DType::kInt64, 0))}, {{"axis", 0}});
  int range = s.Node(
      "Range", {s.Constant(ScalarOf(DType::kInt64, 0)), n, s.Constant(ScalarOf(DType::kInt64, 1))});
  return s.Node("Gather", {x, range}, {{"axis", 0}});
}

// The first half of an axis.
int Half(Sketch& s, int x) {
  if (s.shape(x)[0] < 2) return Sketch::kRefused;
  int half = s.Node("Div", {Extent(s, x, 0), s.Vector({2})});
  return s.Node("Slice", {x, s.Vector({0}), half, s.Vector({0})});
}

int BySize(Sketch& s, int x) {
  int size = s.choices().Chance(0.5) ? s.Node("Size", {x})
                                     : s.Node("ReduceProd", {ShapeOf(s, x)}, {{"keepdims", 0}});
  return s.Node("Reshape", {x, s.Node("Unsqueeze", {size}, {{"axes", Shape{0}}})});
}

// Tiled by what a shape says.
int Tiled(Sketch& s, int x) {
  std::vector<int> repeats = {s.Vector({2})};
  for (int i = 1; i < s.rank(x); ++i) repeats.push_back(s.Vector({1}));
  int counts = repeats.size() == 1 ? repeats[0] : Joined(s, repeats);
  return s.Node("Tile", {x, counts});
}

}  // namespace

std::vector<Motif> motifs_shapes() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int since,
                int min_rank = 1, int max_rank = 4) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kShapes,
                 .types = kReals,
                 .min_rank = min_rank,
                 .max_rank = max_rank,
                 .since = since,
                 .build = build};
  };
  Motif resize = row("resize_to_shape", "Shape, Slice, Concat, Resize", ResizedToShape, 11, 4);
  resize.types = Bit(DType::kFloat);
  return {row("flatten_by_shape", "Shape, Slice or Gather, Concat, Reshape", Flattened, 10),
          row("merge_by_shape", "a product of extents, Reshape", Merged, 10, 2),
          row("restore_shape", "Reshape back to the Shape before", Restored, 7),
          resize,
          row("expand_to_shape", "Expand to a Shape", Expanded, 8),
          row("fill_shape", "ConstantOfShape of a Shape", FilledLike, 9),
          row("range_of_shape", "Gather by a Range up to an extent", Counted, 11),
          row("half_of_shape", "Slice to half of an extent", Half, 10),
          row("reshape_by_size", "Reshape to the number of elements", BySize, 11),
          row("tile_by_concat", "Tile by joined counts", Tiled, 7)};
}

}  // namespace assay
