// MatMulInteger (ONNX opset 10): Y = (A - a_zero_point) * (B - b_zero_point) in 32-bit integers.
// QLinearMatMul (10): y = saturate(round((a - a_zero_point) * (b - b_zero_point) * a_scale *
// b_scale / y_scale) + y_zero_point). Parameters of the left operand may differ from row to row,
// those of the right one from column to column.
#include "interp/ops/matmul.h"
#include "interp/ops/quantized.h"

namespace assay {
namespace {

// A parameter of operand `x`: one element; a vector over its rows (`row`, the left operand) or
// columns; or of the operand's rank with extent 1 along the summed axis.
void RequireParameter(RuleContext& c, int i, int x, bool row) {
  if (!c.Has(i) || !c.Ranked(i)) return;
  Truth fits = HasOneElement(c, i);
  int rank = c.Rank(x);
  if (rank >= 2 && c.Rank(i) == 1) fits = fits || c.In(i, 0) == c.In(x, row ? rank - 2 : rank - 1);
  if (rank >= 2 && c.Rank(i) == rank) {
    Truth all = c.In(i, row ? rank - 1 : rank - 2) == Dim(1);
    for (int d = 0; d < rank; ++d) all = all && (c.In(i, d) == c.In(x, d) || c.In(i, d) == Dim(1));
    fits = fits || all;
  }
  c.Require(fits, "scale and zero point have one element, or one for each row or column");
}

// The shape under which such a parameter broadcasts to its operand.
Shape ParameterShape(const KernelContext& c, int i, bool row) {
  if (!c.Has(i) || c.in(i).size() == 1) return {};
  Shape s = c.in(i).shape();
  if (row && s.size() == 1) s.push_back(1);
  return s;
}

// The shape under which it broadcasts to the result, which lacks the axis of a vector on the other
// side.
Shape ResultShape(const KernelContext& c, int i, int other, bool row) {
  Shape s = ParameterShape(c, i, row);
  if (c.in(other).rank() > 1 || s.empty()) return s;
  if (row)
    s.pop_back();
  else if (s.size() > 1)
    s.erase(s.end() - 2);
  return s;
}

void IntegerRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, DType::kInt32);
  RequireParameter(c, 2, 0, true);
  RequireParameter(c, 3, 1, false);
  c.Out(0, DType::kInt32, MatMulDims(c, 0, 1));
}

// (in(a) - in(za)) * (in(b) - in(zb)), as double.
Result<Tensor> Products(KernelContext& c, int a, int za, int b, int zb) {
  MatMulShape shape = TRY(MatMulShapeOf(c, c.in(a).shape(), c.in(b).shape()));
  Tensor left = TRY(Centered(c, a, za, ParameterShape(c, za, true)));
  Tensor right = TRY(Centered(c, b, zb, ParameterShape(c, zb, false)));
  Tensor sums = TRY(Tensor::Make(DType::kDouble, c.out_shape(0), Store::kNative, c.limits()));
  if (sums.size() > 0)
    MatMulBatches(shape, left.data<double>(), right.data<double>(), sums.mutable_data<double>());
  return sums;
}

Status EvalInteger(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  ToInt32(TRY(Products(c, 0, 2, 1, 3)), y->mutable_data<int32_t>());
  return {};
}

void LinearRule(RuleContext& c) {
  DType out = c.dtype(7);
  if (!c.Ranked(0) || !c.Ranked(3)) return c.OutUnranked(0, out);
  for (int i : {1, 2}) RequireParameter(c, i, 0, true);
  for (int i : {4, 5}) RequireParameter(c, i, 3, false);
  for (int i : {6, 7}) RequireOneElement(c, i);
  c.Out(0, out, MatMulDims(c, 0, 3));
}

Status EvalLinear(KernelContext& c) {
  Tensor products = TRY(Products(c, 0, 2, 3, 5));
  Tensor* y = TRY(c.Out(0));
  Requantization way = {1, 4, 6, 7, ResultShape(c, 1, 3, true), ResultShape(c, 4, 0, false)};
  for (const Tensor* t : {&c.in(0), &c.in(3), static_cast<const Tensor*>(y)}) {
    if (IsSmallFloat(t->dtype())) return Requantize(c, way, products.data<double>(), y);
  }
  Tensor sums = TRY(c.Scratch(DType::kInt32, c.out_shape(0)));
  ToInt32(products, sums.mutable_data<int32_t>());
  return Requantize(c, way, sums.data<int32_t>(), y);
}

bool DrawLinear(Choices& choices, Draft& d) {
  if (!d.concrete(0) || d.shape(0).empty()) return false;
  for (size_t i : {0, 3}) {
    if (!Contains(k8Bit, d.inputs[i].dtype)) return false;  // no runtime multiplies 8-bit floats
  }
  double a = choices.Uniform(0.01, 0.1), b = choices.Uniform(0.01, 0.1);
  d.SetConstant(1, OneElement(DType::kFloat, a));
  d.SetConstant(2, DrawZeroPoint(choices, d.inputs[0].dtype));
  d.SetConstant(4, OneElement(DType::kFloat, b));
  d.SetConstant(5, DrawZeroPoint(choices, d.inputs[3].dtype));
  d.SetConstant(6, OneElement(DType::kFloat, FittingScale(a, b, d.shape(0).back())));
  DType quantum = DrawQuantum(choices);
  if (Contains(d.spec->OutputAt(0).types, DType::kFloat8E4M3FN) && choices.Chance(0.2))
    quantum = choices.PickOf<DType>({DType::kFloat8E4M3FN, DType::kFloat8E5M2});
  const bool whole = !IsSmallFloat(quantum);  // other types have no zero point but 0
  d.SetConstant(7, whole ? DrawZeroPoint(choices, quantum) : OneElement(quantum, 0));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_matmul_int() {
  constexpr DTypeSet kReal = Bit(DType::kFloat), kSum = Bit(DType::kInt32);
  OpSpec integer = Op("MatMulInteger", 10).In("A", "T1", k8Bit).In("B", "T2", k8Bit);
  integer.In("a_zero_point", "T1", k8Bit, Arity::kOptional)
      .In("b_zero_point", "T2", k8Bit, Arity::kOptional);
  integer.Out("Y", "T3", kSum).Rule(IntegerRule).Eval(EvalInteger).Class(Accuracy::kExact);
  OpSpec linear = Op("QLinearMatMul", 10)
                      .In("a", "T1", k8Bit)
                      .In("a_scale", "TS", kReal)
                      .In("a_zero_point", "T1", k8Bit);
  linear.In("b", "T2", k8Bit).In("b_scale", "TS", kReal).In("b_zero_point", "T2", k8Bit);
  linear.In("y_scale", "TS", kReal).In("y_zero_point", "T3", k8Bit).Out("y", "T3", k8Bit);
  linear.Rule(LinearRule).Eval(EvalLinear).Draw(DrawLinear).Traits(kDiscontinuous);
  OpSpec later = linear.Since(21).Types("TS", kFloatsBf16 & ~Bit(DType::kDouble));
  for (const char* type : {"T1", "T2", "T3"}) later.Types(type, k8Bit | kFloats8);
  return {integer, linear, later};
}

}  // namespace assay
