// What does nothing, or undoes what stands before it: optimizers drop it.
#include "gen/motifs/layers.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = kFloats16;
constexpr DTypeSet kNumbers = kReals | kIndexInts;

std::vector<int64_t> Permutation(Sketch& s, int rank) {
  std::vector<int64_t> p(static_cast<size_t>(rank));
  for (size_t i = 0; i < p.size(); ++i) p[i] = static_cast<int64_t>(i);
  s.choices().Shuffle(p);
  return p;
}

int Cast(Sketch& s, int x, DType to) {
  return s.Node("Cast", {x}, {{"to", static_cast<int64_t>(to)}});
}

int NoOpCast(Sketch& s, int x) { return Cast(s, x, s.dtype(x)); }

// To a wider or a narrower type, on to a third one, and back.
int ChainedCasts(Sketch& s, int x) {
  DType t = s.dtype(x);
  DType first = s.choices().PickOf(
      {DType::kDouble, DType::kFloat, DType::kFloat16, DType::kInt32, DType::kInt64});
  DType second = s.choices().PickOf({DType::kDouble, DType::kFloat, first});
  return Cast(s, Cast(s, Cast(s, x, first), second), t);
}

// Two transpositions: inverse to each other, the same twice, or any two.
int Transposes(Sketch& s, int x) {
  std::vector<int64_t> first = Permutation(s, s.rank(x)), second = first;
  uint64_t how = s.choices().Below(3);
  if (how == 0) {
    for (size_t i = 0; i < first.size(); ++i)
      second[static_cast<size_t>(first[i])] = static_cast<int64_t>(i);
  } else if (how == 1) {
    second = Permutation(s, s.rank(x));
  }
  int y = s.Node("Transpose", {x}, {{"perm", first}});
  if (s.choices().Chance(0.4)) y = s.Node(s.choices().PickOf({"Relu", "Neg", "Abs"}), {y});
  return s.Node("Transpose", {y}, {{"perm", second}});
}

// x * 1, 1 * x.
int TimesOne(Sketch& s, int x) { return s.Node("Mul", {x, s.Scalar(x, 1)}); }
// One as a product, a quotient or a difference of constants.
int TimesFoldedOne(Sketch& s, int x) {
  int one = Sketch::kRefused;
  switch (s.choices().Below(3)) {
    case 0:
      one = s.Node("Mul", {s.Scalar(x, 4), s.Scalar(x, 0.25)});
      break;
    case 1:
      one = s.Node("Sub", {s.Scalar(x, 3), s.Scalar(x, 2)});
      break;
    default:
      one = s.Node("Exp", {s.Scalar(x, 0)});
  }
  return s.Node("Mul", {x, one});
}
int PlusZero(Sketch& s, int x) { return s.Node("Add", {x, s.Scalar(x, 0)}); }
int MinusZero(Sketch& s, int x) { return s.Node("Sub", {x, s.Scalar(x, 0)}); }
int ZeroMinus(Sketch& s, int x) { return s.Node("Sub", {s.Scalar(x, 0), x}); }
int DividedByOne(Sketch& s, int x) { return s.Node("Div", {x, s.Scalar(x, 1)}); }
int PowerOfOne(Sketch& s, int x) {
  return s.Sure("Pow", {x, s.Scalar(x, s.choices().PickOf({1.0, 1.0, 2.0}))});
}

// Extents spelled as 0 (copied), -1 (worked out) or numbers.
int Reshapes(Sketch& s, int x) {
  Shape shape = s.shape(x);
  Shape flat = s.choices().PickOf<Shape>({{-1}, {shape[0], -1}, {0, -1}, {1, -1}});
  if (flat.size() == 2 && flat[1] == -1 && flat[0] == 0 && shape.size() < 1)
    return Sketch::kRefused;
  int y = s.Node("Reshape", {x, s.Vector(flat)});
  if (s.choices().Chance(0.3)) y = s.Node("Identity", {y});
  Shape back = shape;
  if (s.choices().Chance(0.5)) back[s.choices().Below(back.size())] = -1;
  if (y >= 0 && back[0] == s.shape(y)[0] && s.choices().Chance(0.5)) back[0] = 0;
  return s.Node("Reshape", {y, s.Vector(back)});
}

int FlattenReshape(Sketch& s, int x) {
  int axis = static_cast<int>(s.choices().Between(0, s.rank(x)));
  int y = s.Node("Flatten", {x}, {{"axis", axis}});
  return s.Node("Reshape", {y, s.Vector(s.shape(x))});
}

int SqueezeUnsqueeze(Sketch& s, int x) {
  if (s.rank(x) > 4) return Sketch::kRefused;
  Shape axes = {s.choices().Between(0, s.rank(x))};
  if (s.choices().Chance(0.3)) axes = {0, axes[0] + 1};
  int y = s.Node("Unsqueeze", {x}, {{"axes", axes}});
  if (s.choices().Chance(0.3)) y = s.Node("Relu", {y});
  return s.Node("Squeeze", {y}, {{"axes", axes}});
}

int Identities(Sketch& s, int x) {
  int64_t n = s.choices().Between(1, 4);
  for (int64_t i = 0; i < n; ++i) x = s.Node("Identity", {x});
  return x;
}

int DropoutAtInference(Sketch& s, int x) {
  return s.opset() < 12 ? s.Node("Dropout", {x}) : s.Node("Dropout", {x}, {{"ratio", 0.5f}});
}

int ConcatOne(Sketch& s, int x) { return s.Node("Concat", {x}, {{"axis", 0}}); }

// The parts of a whole, joined again in their order or turned round.
int SplitConcat(Sketch& s, int x) {
  const Shape& shape = s.shape(x);
  int64_t axis = s.choices().Between(0, s.rank(x) - 1), n = shape[static_cast<size_t>(axis)];
  if (n < 2) return Sketch::kRefused;
  int64_t cut = s.choices().Between(1, n - 1);
  int first = s.Node("Split", {x}, {{"axis", axis}, {"split", Shape{cut, n - cut}}}, 2);
  if (first < 0) return first;
  std::vector<int> parts = {first, first + 1};
  if (s.choices().Chance(0.3)) std::swap(parts[0], parts[1]);
  return s.Node("Concat", parts, {{"axis", axis}});
}

// A piece of a joined value: exactly one of the operands, or across the seam.
int SliceOfConcat(Sketch& s, int x) {
  int64_t axis = s.choices().Between(0, s.rank(x) - 1), n = s.shape(x)[static_cast<size_t>(axis)];
  int other = s.Node(s.choices().PickOf({"Neg", "Abs", "Identity"}), {x});
  int y = s.Node("Concat", {x, other}, {{"axis", axis}});
  int64_t from = s.choices().PickOf<int64_t>({0, n, n / 2, 1});
  int64_t to = s.choices().PickOf<int64_t>({from + n, from + n - 1, from + n});
  to = std::clamp<int64_t>(to, from + 1, 2 * n);
  return s.Node("Slice", {y},
                {{"starts", Shape{from}}, {"ends", Shape{to}}, {"axes", Shape{axis}}});
}

// All of an axis, spelled in several ways.
int SliceAll(Sketch& s, int x) {
  int64_t axis = s.choices().Between(0, s.rank(x) - 1), n = s.shape(x)[static_cast<size_t>(axis)];
  int64_t to = s.choices().PickOf<int64_t>({n, INT64_MAX, n + 5, INT32_MAX});
  int64_t from = s.choices().PickOf<int64_t>({0, -n, 0, -n - 3});
  return s.Node("Slice", {x},
                {{"starts", Shape{from}}, {"ends", Shape{to}}, {"axes", Shape{axis}}});
}

// A choice that a constant condition has made.
int WhereConstant(Sketch& s, int x) {
  bool all = s.choices().Chance(0.6);
  Tensor condition = Tensor::Make(DType::kBool, all ? Shape{} : s.shape(x)).value();
  for (int64_t i = 0; i < condition.size(); ++i) condition.Set(i, all || s.choices().Chance(0.7));
  int other = s.Node("Neg", {x});
  return s.Node("Where", {s.Constant(condition), x, other});
}

// What would be no number, or infinite, is replaced; nothing is.
int Replaced(Sketch& s, int x, int bad) { return s.Node("Where", {bad, s.Node("Neg", {x}), x}); }
int ReplaceNaN(Sketch& s, int x) { return Replaced(s, x, s.Node("IsNaN", {x})); }
int ReplaceInfinite(Sketch& s, int x) { return Replaced(s, x, s.Node("IsInf", {x})); }
int ReplaceNotFinite(Sketch& s, int x) {
  return Replaced(s, x, s.Node("Or", {s.Node("IsNaN", {x}), s.Node("IsInf", {x})}));
}
// One after the other, infinities of one sign first.
int ToNumbers(Sketch& s, int x) {
  int y = ReplaceNaN(s, x);
  y = Replaced(s, y, s.Node("IsInf", {y}, {{"detect_negative", int64_t{0}}}));
  return s.choices().Chance(0.5)
             ? y
             : Replaced(s, y, s.Node("IsInf", {y}, {{"detect_positive", int64_t{0}}}));
}

int Clips(Sketch& s, int x) {
  float lo = s.choices().PickOf({-1.0f, 0.0f, -0.5f}), hi = s.choices().PickOf({1.0f, 6.0f, 0.25f});
  int y = s.Node("Clip", {x}, {{"min", lo}, {"max", hi}});
  if (s.choices().Chance(0.3)) y = s.Node("Relu", {y});
  return s.Node("Clip", {y},
                {{"min", s.choices().PickOf({lo, -2.0f, 0.1f})},
                 {"max", s.choices().PickOf({hi, 3.0f, 0.5f})}});
}

int MinMaxAsClip(Sketch& s, int x) {
  int y = s.Node("Max", {x, s.Scalar(x, s.choices().PickOf({0.0, -1.0}))});
  return s.Node("Min", {y, s.Scalar(x, s.choices().PickOf({6.0, 1.0}))});
}

int DoubleNegation(Sketch& s, int x) { return s.Node("Neg", {s.Node("Neg", {x})}); }
int ReluTwice(Sketch& s, int x) { return s.Node("Relu", {s.Node("Relu", {x})}); }

int ExpandToItself(Sketch& s, int x) {
  Shape shape = s.shape(x);
  if (s.choices().Chance(0.5)) std::fill(shape.begin(), shape.end(), 1);
  return s.Node("Expand", {x, s.Vector(shape)});
}
int TileOnce(Sketch& s, int x) {
  return s.Node("Tile", {x, s.Vector(Shape(s.shape(x).size(), 1))});
}
int PadNothing(Sketch& s, int x) {
  return s.Node("Pad", {x}, {{"pads", Shape(2 * s.shape(x).size(), 0)}});
}

}  // namespace

std::vector<Motif> motifs_no_op() {
  auto row = [](const char* name, const char* doc, DTypeSet types, int (*build)(Sketch&, int),
                int since = 7) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kNoOp,
                 .types = types,
                 .since = since,
                 .build = build};
  };
  constexpr DTypeSet kMost = kNumbers | Bit(DType::kBool);
  Motif where = row("where_constant", "Where with a constant condition", kReals, WhereConstant, 9);
  where.allow.dull = true;  // the operand that is never chosen
  Motif clips = row("clip_chain", "Clip behind Clip", kReals, Clips);
  clips.allow.dull = true;  // a bound that nothing reaches
  // What asks for NaN and infinities finds none.
  auto replaces = [&](const char* name, const char* doc, int (*build)(Sketch&, int)) {
    Motif m = row(name, doc, Bit(DType::kFloat) | Bit(DType::kDouble), build, 10);
    m.allow.dull = true;
    m.tags |= kNotFinite;
    return m;
  };
  return {
      row("cast_to_itself", "a Cast to the type that is there", kNumbers, NoOpCast, 9),
      row("cast_chain", "Casts to other types and back", kReals | kIndexInts, ChainedCasts, 9),
      row("transpose_pair", "two Transposes, inverse to each other or not", kMost, Transposes),
      row("times_one", "Mul by 1", kNumbers, TimesOne),
      row("times_folded_one", "Mul by a 1 that is computed from constants", kReals, TimesFoldedOne),
      row("plus_zero", "Add of 0", kNumbers, PlusZero),
      row("minus_zero", "Sub of 0", kNumbers, MinusZero),
      row("zero_minus", "Sub from 0", kNumbers, ZeroMinus),
      row("divided_by_one", "Div by 1", kNumbers, DividedByOne),
      row("power_of_one", "Pow by 1", kReals, PowerOfOne),
      row("reshape_chain", "Reshapes with 0 and -1, and back", kMost, Reshapes),
      row("flatten_reshape", "Flatten and Reshape back", kMost, FlattenReshape, 11),
      row("squeeze_unsqueeze", "Unsqueeze and Squeeze", kReals, SqueezeUnsqueeze),
      row("identities", "a chain of Identity", kMost, Identities),
      row("dropout", "Dropout at inference", kReals, DropoutAtInference),
      row("concat_of_one", "Concat of one value", kNumbers, ConcatOne),
      row("split_concat", "Split and Concat of the parts", kNumbers, SplitConcat),
      row("slice_of_concat", "a Slice of a Concat", kReals, SliceOfConcat, 9),
      row("slice_of_all", "a Slice that takes everything", kNumbers, SliceAll, 9),
      where,
      replaces("where_nan", "NaN replaced", ReplaceNaN),
      replaces("where_infinite", "infinities replaced", ReplaceInfinite),
      replaces("where_not_finite", "NaN and infinities replaced", ReplaceNotFinite),
      replaces("nan_to_num", "NaN, then infinities of each sign replaced", ToNumbers),
      clips,
      row("min_max", "Max and Min as a Clip", kReals, MinMaxAsClip, 8),
      row("neg_neg", "Neg twice", kReals, DoubleNegation),
      row("relu_relu", "Relu twice", kReals, ReluTwice),
      row("expand_to_itself", "Expand to the shape that is there", kNumbers, ExpandToItself, 8),
      row("tile_once", "Tile by ones", kNumbers, TileOnce),
      row("pad_nothing", "Pad by zeros", kReals, PadNothing)};
}

}  // namespace assay
