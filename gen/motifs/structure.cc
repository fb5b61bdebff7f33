// Graphs of odd structure: dead, duplicate and shared parts, scalars, extents of 0, one-dimensional
// operands, extreme integers.
#include "gen/motifs/growth.h"
#include "gen/motifs/layers.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);

const char* SomeFunction(Sketch& s) {
  return s.choices().PickOf({"Neg", "Abs", "Sigmoid", "Relu", "Tanh"});
}

// A branch that nobody reads, at its end or all along.
int DeadBranch(Sketch& s, int x) {
  int dead = s.Node(SomeFunction(s), {x});
  if (s.choices().Chance(0.5)) dead = s.Node(SomeFunction(s), {dead});
  if (dead < 0) return dead;
  s.builder().Hide(dead);
  return s.Node(SomeFunction(s), {x});
}

// The same function of the same value twice.
int Duplicate(Sketch& s, int x) {
  const char* op = SomeFunction(s);
  int a = s.Node(op, {x}), b = s.Node(op, {x});
  switch (s.choices().Below(3)) {
    case 0:
      return s.Node("Add", {a, b});
    case 1:
      return s.Node("Concat", {a, b}, {{"axis", 0}});
    default:
      return s.Node("Mul", {s.Node("Neg", {a}), b});
  }
}

// Two constants of the same elements, or one that differs in one place.
int DuplicateConstants(Sketch& s, int x) {
  Shape last = {s.shape(x).back()};
  Tensor w = DrawWeight(s.choices(), s.dtype(x), last, {}, 1), copy = w.Clone();
  if (s.choices().Chance(0.3)) copy.Set(copy.size() - 1, copy.AsDouble(copy.size() - 1) + 0.5);
  int y = s.Node("Add", {x, s.Constant(w)});
  return s.Node("Mul", {y, s.Constant(copy)});
}

// One constant with two readers, in two roles.
int SharedConstant(Sketch& s, int x) {
  int w = s.Weight(x, {s.shape(x).back()});
  int y = s.Node("Add", {s.Node("Mul", {x, w}), w});
  return s.choices().Chance(0.5) ? y : s.Node("Sub", {y, s.Node("Abs", {w})});
}

// Nodes whose operands are all constants.
int ConstantSubgraph(Sketch& s, int x) {
  Shape last = {s.shape(x).back()};
  int c = s.Node(SomeFunction(s), {s.Weight(x, last)});
  c = s.Node(s.choices().PickOf({"Add", "Mul", "Sub"}), {c, s.Weight(x, last)});
  if (s.choices().Chance(0.5)) c = s.Node("Reshape", {c, s.Vector({1, -1})});
  return s.Node("Add", {x, c});
}

// Down to a scalar and up again.
int ThroughScalar(Sketch& s, int x) {
  int one =
      s.Node(s.choices().PickOf({"ReduceMax", "ReduceMean", "ReduceSum"}), {x}, {{"keepdims", 0}});
  one = s.Node("Tanh", {one});
  if (s.choices().Chance(0.3)) one = s.Node("Transpose", {one});
  if (s.choices().Chance(0.3))
    one = s.Node("Reshape", {s.Node("Reshape", {one, s.Vector({1})}), s.Vector({})});
  return s.choices().Chance(0.5) ? s.Node("Mul", {x, one})
                                 : s.Node("Unsqueeze", {one}, {{"axes", Shape{0}}});
}

// MatMul with one-dimensional operands: rows, columns, an inner product.
int VectorMatMul(Sketch& s, int x) {
  int64_t k = s.shape(x).back();
  double scale = 1 / std::sqrt(static_cast<double>(k));
  int row = s.Node("Reshape", {x, s.Vector({-1})});
  if (row < 0) return row;
  int64_t n = s.shape(row)[0];
  switch (s.choices().Below(4)) {
    case 0:
      return s.Node("MatMul", {x, s.Weight(x, {k}, scale)});
    case 1:
      return s.Node("MatMul", {row, s.Weight(x, {n, 3}, 1 / std::sqrt(static_cast<double>(n)))});
    case 2:
      return s.Node("MatMul", {row, s.Weight(x, {n}, 1 / std::sqrt(static_cast<double>(n)))});
    default:
      return s.Node("MatMul", {s.Weight(x, {2, 2, n}, 1 / std::sqrt(static_cast<double>(n))), row});
  }
}

int Nothing(Sketch& s, int x, int64_t axis) {
  return s.Node("Slice", {x}, {{"starts", Shape{0}}, {"ends", Shape{0}}, {"axes", Shape{axis}}});
}

// A product over an axis of 0 elements is 0.
int EmptyProduct(Sketch& s, int x) {
  int empty = Nothing(s, x, s.rank(x) - 1);
  int64_t n = s.shape(x).back();
  int w = s.Constant(Tensor::Make(s.dtype(x), {0, n}).value());
  int zeros = s.rank(x) == 2 && s.choices().Chance(0.4)
                  ? s.Node("Gemm", {empty, w, s.Weight(x, {n})})
                  : s.Node("MatMul", {empty, w});
  return s.Node("Add", {x, zeros});
}

// Functions of nothing, joined with something or summed up.
int EmptyOperand(Sketch& s, int x) {
  int64_t axis = s.choices().Between(0, s.rank(x) - 1);
  int empty = Nothing(s, x, axis);
  if (s.choices().Chance(0.6)) empty = s.Node(SomeFunction(s), {empty});
  if (s.choices().Chance(0.3)) {
    int sum = s.Node("ReduceSum", {empty}, {{"axes", Shape{axis}}, {"keepdims", 1}});
    return s.Node("Add", {x, sum});
  }
  std::vector<int> parts = {x, empty};
  if (s.choices().Chance(0.5)) std::swap(parts[0], parts[1]);
  if (s.choices().Chance(0.3)) parts.push_back(empty);
  return s.Node("Concat", parts, {{"axis", axis}});
}

// Bounds at the ends of an integer type, where every result is defined.
int ExtremeIntegers(Sketch& s, int x) {
  bool wide = s.dtype(x) == DType::kInt64;
  // As tensors of the type: not every int64 is a double.
  auto bound = [&](bool least) {
    Tensor t = Tensor::Make(s.dtype(x), {}).value();
    if (wide)
      t.mutable_data<int64_t>()[0] = least ? INT64_MIN : INT64_MAX;
    else
      t.mutable_data<int32_t>()[0] = least ? INT32_MIN : INT32_MAX;
    return s.Constant(t);
  };
  switch (s.choices().Below(4)) {
    case 0:
      return s.Node("Min", {s.Node("Max", {x, bound(true)}), bound(false)});
    case 1:
      return s.Node("Where",
                    {s.Node("Less", {x, s.Scalar(x, 2)}), x, bound(s.choices().Chance(0.5))});
    case 2:
      return s.Node(
          "Not",
          {s.Node("Equal", {s.Node("Max", {x, s.Node("Min", {x, bound(true)})}), s.Scalar(x, 1)})});
    default:
      return s.Node("Less", {s.Node("Min", {x, bound(true)}), s.Node("Sub", {x, s.Scalar(x, 1)})});
  }
}

// Windows that skip, or are dilated, with the pads left to the operator.
int AutoPadded(Sketch& s, int x) {
  std::vector<Param> params = {{"kernel_shape", Shape{2, 2}}};
  bool dilates = s.choices().Chance(0.5);
  params.push_back({"auto_pad", std::string("VALID")});
  if (dilates)
    params.push_back({"dilations", Shape{2, 2}});
  else
    params.push_back({"strides", Shape{3, 3}});
  if (s.choices().Chance(0.5))
    return s.Node("Conv", {x, s.Weight(x, {2, s.shape(x)[1], 2, 2}, 0.5)}, params);
  return s.opset() < 10 && dilates ? Sketch::kRefused : s.Node("MaxPool", {x}, params);
}

}  // namespace

std::vector<Motif> motifs_structure() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int since = 7,
                int min_rank = 1) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kStructure,
                 .types = kReals,
                 .min_rank = min_rank,
                 .since = since,
                 .build = build};
  };
  Motif empty = row("empty_operand", "values without elements", EmptyOperand, 10);
  Motif product = row("empty_product", "MatMul or Gemm over 0 elements", EmptyProduct, 10);
  empty.allow = product.allow = {.empty = true, .dull = true};
  Motif extreme = row("extreme_integers", "the ends of an integer type", ExtremeIntegers, 13, 0);
  extreme.types = kIndexInts;
  extreme.allow = {.dull = true, .large = true};
  Motif padded = row("auto_padded", "auto_pad with a stride above the kernel or a dilation",
                     AutoPadded, 11, 4);
  padded.types = Bit(DType::kFloat);
  padded.max_rank = 4;
  Motif vector = row("vector_matmul", "MatMul of one-dimensional operands", VectorMatMul, 9);
  vector.max_rank = 3;
  return {row("dead_branch", "nodes that nobody reads", DeadBranch),
          row("duplicate_nodes", "the same node twice", Duplicate),
          row("duplicate_constants", "the same constant twice", DuplicateConstants),
          row("shared_constant", "one constant with several readers", SharedConstant),
          row("constant_subgraph", "nodes of constants alone", ConstantSubgraph),
          row("through_scalar", "a value of rank 0", ThroughScalar),
          vector,
          empty,
          product,
          extreme,
          padded};
}

}  // namespace assay
