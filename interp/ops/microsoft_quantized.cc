// Operators on 8-bit tensors (com.microsoft version 1): DequantizeLinear on the operands, the
// operator of ai.onnx between, QuantizeLinear behind. ONNX Runtime's optimizer makes them of just
// these nodes. QGemm, MatMulIntegerToFloat and DynamicQuantizeMatMul are such products, the latter
// two without the way back.
//
// Each quantized tensor is followed by its scale and zero point (absent: 0); both have one element
// unless said otherwise.
#include "interp/convolve.h"
#include "interp/movement.h"
#include "interp/ops/quantized.h"
#include "interp/window.h"

namespace assay {
namespace {

constexpr char kDomain[] = "com.microsoft";
constexpr DTypeSet kReal = Bit(DType::kFloat);

const OpSpec& Plain(const char* name, int opset) {
  const OpSpec* row = FindOp("", name, opset);
  CHECK(row != nullptr);
  return *row;
}

// Runs a row of ai.onnx on `inputs` as a step of a kernel.
Result<Tensor> Step(KernelContext& c, const OpSpec& row, const Node& node,
                    const std::vector<const Tensor*>& inputs, TypeInfo output) {
  const std::vector<TypeInfo> inferred = {std::move(output)};
  KernelContext step(row, node, inputs, inferred, c.store(), c.limits(), row.since);
  TRY(row.eval(step));
  return step.results()[0];
}

// Input x as the numbers it stands for; its parameters are at `scale` and `zero`, along `axis`
// where there are several.
Result<Tensor> Reals(KernelContext& c, int x, int scale, int zero, int64_t axis = 0) {
  const NodePtr node = MakeNode("DequantizeLinear", {"x"}, {"y"}, {{"axis", axis, {}}});
  return Step(c, Plain("DequantizeLinear", 13), *node,
              {&c.in(x), &c.in(scale), c.Has(zero) ? &c.in(zero) : nullptr},
              TypeInfo::Of(DType::kFloat, c.in(x).shape()));
}

// Output 0 from the numbers it stands for.
Status Quantize(KernelContext& c, const Tensor& y, int scale, int zero) {
  static const NodePtr node = MakeNode("QuantizeLinear", {"x"}, {"y"});
  const DType t = c.out_dtype(0);
  Tensor none = OneElement(t, 0);
  c.Set(0, TRY(Step(c, Plain("QuantizeLinear", 13), *node,
                    {&y, &c.in(scale), c.Has(zero) ? &c.in(zero) : &none},
                    TypeInfo::Of(t, y.shape()))));
  return {};
}

// ---- an operator of ai.onnx on dequantized operands

struct Form {
  const char* plain;
  int opset;
  std::vector<int>
      quantized;   // indices of the operands in the order of the plain operator's inputs
  int y_scale;     // its zero point follows
  int first = -1;  // an operand before them that is as it is
};

Form FormOf(const OpSpec& spec, int inputs, int64_t opset_attribute) {
  const std::string& name = spec.name;
  if (name == "QLinearAdd") return {"Add", 14, {0, 3}, 6};
  if (name == "QLinearMul") return {"Mul", 14, {0, 3}, 6};
  if (name == "QLinearLeakyRelu") return {"LeakyRelu", 16, {0}, 3};
  if (name == "QLinearSigmoid") return {"Sigmoid", 13, {0}, 3};
  if (name == "QLinearSoftmax") return {"Softmax", opset_attribute < 13 ? 11 : 13, {0}, 3};
  if (name == "QLinearAveragePool") return {"AveragePool", 11, {0}, 3};
  if (name == "QLinearGlobalAveragePool") return {"GlobalAveragePool", 1, {0}, 3};
  if (name == "QLinearWhere") return {"Where", 16, {1, 4}, 7, 0};
  CHECK(name == "QLinearConcat");
  Form concat = {"Concat", 13, {}, 0};
  for (int i = 2; i < inputs; i += 3) concat.quantized.push_back(i);
  return concat;
}

template <class Extents>
Extents ChannelsFirst(Extents v) {
  if (v.size() > 2) std::rotate(v.begin() + 1, v.end() - 1, v.end());
  return v;
}
template <class Extents>
Extents ChannelsLast(Extents v) {
  if (v.size() > 2) std::rotate(v.begin() + 1, v.begin() + 2, v.end());
  return v;
}

void Rule(RuleContext& c) {
  const Form form =
      FormOf(c.spec(), c.inputs(), c.spec().FindAttr("opset") ? c.IntValue("opset") : 0);
  const bool turned = c.spec().FindAttr("channels_last") && c.IntValue("channels_last") != 0;
  if (c.spec().name == "QLinearConcat")
    c.Require(c.inputs() >= 5 && c.inputs() % 3 == 2, "every input has a scale and a zero point");
  if (c.failed()) return;
  std::vector<TypeInfo> operands;
  if (form.first >= 0) operands.push_back(c.type(form.first));
  for (int i : form.quantized) {
    RequireOneElement(c, i + 1);
    RequireOneElement(c, i + 2);
    TypeInfo t = c.type(i);
    t.dtype = DType::kFloat;
    if (turned) t.dims = ChannelsFirst(t.dims);
    operands.push_back(std::move(t));
  }
  RequireOneElement(c, form.y_scale);
  RequireOneElement(c, form.y_scale + 1);
  std::vector<const TypeInfo*> types;
  for (const TypeInfo& t : operands) types.push_back(&t);
  RuleContext plain(Plain(form.plain, form.opset), c.node(), types, {});
  plain.spec().rule(plain);
  c.Require(!plain.failed(), "the operands fit the operator");
  if (c.failed()) return;
  TypeInfo y = plain.result()[0];
  y.dtype = c.dtype(c.Has(form.y_scale + 1) ? form.y_scale + 1 : form.quantized[0]);
  if (turned) y.dims = ChannelsLast(y.dims);
  c.Out(0, std::move(y));
}

Status Eval(KernelContext& c) {
  const Form form = FormOf(c.spec(), c.inputs(), c.spec().FindAttr("opset") ? c.Int("opset") : 0);
  const bool turned = c.spec().FindAttr("channels_last") && c.Int("channels_last") != 0;
  std::vector<Tensor> operands;
  if (form.first >= 0) operands.push_back(c.in(form.first));
  for (int i : form.quantized) {
    Tensor x = TRY(Reals(c, i, i + 1, i + 2));
    if (turned) {
      Tensor first = TRY(c.Scratch(x.dtype(), ChannelsFirst(x.shape())));
      TRY(CopyWalk(x, {first.shape(), ChannelsFirst(Strides(x.shape())), Strides(first.shape())},
                   first));
      x = std::move(first);
    }
    operands.push_back(std::move(x));
  }
  std::vector<const Tensor*> inputs;
  for (const Tensor& t : operands) inputs.push_back(&t);
  const Shape shape = turned ? ChannelsFirst(c.out_shape(0)) : c.out_shape(0);
  Tensor y = TRY(
      Step(c, Plain(form.plain, form.opset), c.node(), inputs, TypeInfo::Of(DType::kFloat, shape)));
  if (turned) {
    Tensor last = TRY(c.Scratch(y.dtype(), c.out_shape(0)));
    TRY(CopyWalk(y, {last.shape(), ChannelsLast(Strides(y.shape())), Strides(last.shape())}, last));
    y = std::move(last);
  }
  return Quantize(c, y, form.y_scale, form.y_scale + 1);
}

// ---- QLinearConv: that of ai.onnx, with the channels of x and y last where channels_last says so
// ([N,D1..Dn,C]; w stays [M,C/group,K1..Kn])

void QLinearConvRule(RuleContext& c) {
  if (c.IntValue("channels_last") == 0) return Plain("QLinearConv", 10).rule(c);
  TypeInfo x = c.type(0);
  x.dims = ChannelsFirst(x.dims);
  std::vector<const TypeInfo*> types = {&x};
  std::vector<const Tensor*> values = {nullptr};
  for (int i = 1; i < c.inputs(); ++i) {
    types.push_back(c.Has(i) ? &c.type(i) : nullptr);
    values.push_back(c.Value(i));
  }
  RuleContext plain(Plain("QLinearConv", 10), c.node(), types, values);
  Plain("QLinearConv", 10).rule(plain);
  c.Require(!plain.failed(), "the operands fit QLinearConv, x with its channels at axis 1");
  TypeInfo y = plain.result()[0];
  y.dims = ChannelsLast(y.dims);
  c.Out(0, y);
}

Status EvalQLinearConv(KernelContext& c) {
  if (c.Int("channels_last") == 0) return Plain("QLinearConv", 10).eval(c);
  const Tensor& last = c.in(0);
  Tensor x = TRY(c.Scratch(last.dtype(), ChannelsFirst(last.shape())));
  TRY(CopyWalk(last, {x.shape(), ChannelsFirst(Strides(last.shape())), Strides(x.shape())}, x));
  std::vector<const Tensor*> inputs = {&x};
  for (int i = 1; i < c.inputs(); ++i) inputs.push_back(c.Has(i) ? &c.in(i) : nullptr);
  const std::vector<TypeInfo> inferred = {
      TypeInfo::Of(c.out_dtype(0), ChannelsFirst(c.out_shape(0)))};
  KernelContext plain(Plain("QLinearConv", 10), c.node(), inputs, inferred, c.store(), c.limits(),
                      Plain("QLinearConv", 10).since);
  TRY(Plain("QLinearConv", 10).eval(plain));
  const Tensor& y = plain.results()[0];
  Tensor* out = TRY(c.Out(0));
  return CopyWalk(y, {out->shape(), ChannelsLast(Strides(y.shape())), Strides(out->shape())}, *out);
}

// ---- products

// One element, or one for each index of axis `axis` of input x.
void RequireAlong(RuleContext& c, int i, int x, int axis) {
  if (c.Ranked(x)) RequirePerChannel(c, i, c.In(x, axis < 0 ? c.Rank(x) + axis : axis));
}

struct Factors {
  int a, a_scale, a_zero, b, b_scale, b_zero, bias;
};
constexpr Factors kToFloat{0, 2, 4, 1, 3, 5, 6};
constexpr Factors kDynamic{0, -1, -1, 1, 2, 3, 4};
constexpr Factors kGemm{0, 1, 2, 3, 4, 5, 6};

template <const Factors& f>
void MatMulRule(RuleContext& c) {
  if (f.a_scale >= 0) {
    RequireAlong(c, f.a_scale, f.a, -1);
    RequireAlong(c, f.a_zero, f.a, -1);
  }
  RequireAlong(c, f.b_scale, f.b, -1);
  RequireAlong(c, f.b_zero, f.b, -1);
  if (c.failed()) return;
  if (!c.Ranked(f.a) || !c.Ranked(f.b)) return c.OutUnranked(0, DType::kFloat);
  const TypeInfo a{DType::kFloat, true, c.Dims(f.a)}, b{DType::kFloat, true, c.Dims(f.b)};
  const std::vector<const TypeInfo*> types = {&a, &b};
  RuleContext plain(Plain("MatMul", 13), c.node(), types, {});
  plain.spec().rule(plain);
  c.Require(!plain.failed(), "the operands fit MatMul");
  if (c.failed()) return;
  const std::vector<Dim>& y = plain.result()[0].dims;
  if (c.Has(f.bias) && c.Ranked(f.bias))
    c.Require(Known(c.Rank(f.bias) == 1 && !y.empty()) &&
                  (y.empty() ? Truth::kFalse : c.In(f.bias, 0) == y.back()),
              "the bias is as long as the last axis");
  c.Out(0, DType::kFloat, y);
}

// a * b + bias, b and what of a is quantized as numbers.
template <const Factors& f>
Status EvalMatMul(KernelContext& c) {
  static const NodePtr dynamic = MakeNode("DynamicQuantizeLinear", {"x"}, {"y", "s", "z"});
  static const NodePtr dequantize = MakeNode("DequantizeLinear", {"x"}, {"y"});
  static const NodePtr add = MakeNode("Add", {"a", "b"}, {"y"});
  Tensor a;
  if (f.a_scale >= 0) {
    a = TRY(Reals(c, f.a, f.a_scale, f.a_zero, -1));
  } else {
    const std::vector<const Tensor*> x = {&c.in(f.a)};
    const std::vector<TypeInfo> inferred = {TypeInfo::Of(DType::kUint8, c.in(f.a).shape()),
                                            TypeInfo::Of(DType::kFloat, Shape{}),
                                            TypeInfo::Of(DType::kUint8, Shape{})};
    const OpSpec& row = Plain("DynamicQuantizeLinear", 11);
    KernelContext step(row, *dynamic, x, inferred, c.store(), c.limits(), row.since);
    TRY(row.eval(step));
    const std::vector<Tensor>& q = step.results();
    a = TRY(Step(c, Plain("DequantizeLinear", 13), *dequantize, {&q[0], &q[1], &q[2]},
                 TypeInfo::Of(DType::kFloat, c.in(f.a).shape())));
  }
  const Tensor b = TRY(Reals(c, f.b, f.b_scale, f.b_zero, -1));
  const TypeInfo y = TypeInfo::Of(DType::kFloat, c.out_shape(0));
  Tensor product = TRY(Step(c, Plain("MatMul", 13), c.node(), {&a, &b}, y));
  if (c.Has(f.bias)) product = TRY(Step(c, Plain("Add", 14), *add, {&product, &c.in(f.bias)}, y));
  c.Set(0, std::move(product));
  return {};
}

// alpha * (A' * B' + C * a_scale * b_scale): the integers C have the scale of the product.
void GemmRule(RuleContext& c) {
  const Factors& f = kGemm;
  RequireOneElement(c, f.a_scale);
  RequireOneElement(c, f.a_zero);
  const int columns = c.IntValue("transB") != 0 ? 0 : 1;
  RequireAlong(c, f.b_scale, f.b, columns);
  RequireAlong(c, f.b_zero, f.b, columns);
  RequireOneElement(c, 7);
  RequireOneElement(c, 8);
  c.Require(c.Has(7) || !c.Has(8), "a zero point of y has a scale");
  if (c.failed()) return;
  TypeInfo a = c.type(f.a), b = c.type(f.b), bias;
  a.dtype = b.dtype = DType::kFloat;
  std::vector<const TypeInfo*> types = {&a, &b};
  if (c.Has(f.bias)) {
    bias = c.type(f.bias);
    bias.dtype = DType::kFloat;
    types.push_back(&bias);
  }
  RuleContext plain(Plain("Gemm", 13), c.node(), types, {});
  plain.spec().rule(plain);
  c.Require(!plain.failed(), "the operands fit Gemm");
  if (c.failed()) return;
  TypeInfo y = plain.result()[0];
  y.dtype = !c.Has(7) ? DType::kFloat : c.Has(8) ? c.dtype(8) : c.dtype(f.a);
  c.Out(0, std::move(y));
}

Status EvalGemm(KernelContext& c) {
  const Factors& f = kGemm;

  const int64_t columns = c.Int("transB") != 0 ? 0 : 1;
  const Tensor a = TRY(Reals(c, f.a, f.a_scale, f.a_zero)),
               b = TRY(Reals(c, f.b, f.b_scale, f.b_zero, columns));
  Tensor bias;
  if (c.Has(f.bias)) {
    bias = TRY(c.Scratch(DType::kFloat, c.in(f.bias).shape()));
    TRY(VisitFloat(bias, [&](auto zero) -> Status {
      using T = decltype(zero);
      const T *sa = c.data<T>(f.a_scale), *sb = c.data<T>(f.b_scale);
      const int32_t* q = c.data<int32_t>(f.bias);
      // The last axis of C is that of b's columns, or has one element.
      const int64_t n = c.in(f.b_scale).size(),
                    last = bias.rank() == 0 ? 1 : bias.dim(bias.rank() - 1);
      if (n > 1 && last != n) return Unsupported("QGemm with a C that several scales share");
      for (int64_t i = 0; i < bias.size(); ++i)
        bias.mutable_data<T>()[i] = T(static_cast<double>(c.Float("alpha"))) *
                                    FromInteger<T>(q[i]) * sa[0] * sb[n > 1 ? i % n : 0];
      return {};
    }));
  }
  Tensor y = TRY(Step(c, Plain("Gemm", 13), c.node(), {&a, &b, c.Has(f.bias) ? &bias : nullptr},
                      TypeInfo::Of(DType::kFloat, c.out_shape(0))));
  if (c.Has(7)) return Quantize(c, y, 7, 8);
  c.Set(0, std::move(y));
  return {};
}

// ---- rows

OpSpec Row(const char* name, RuleFn rule, EvalFn eval) {
  return Op(name, 1, kDomain).Rule(rule).Eval(eval).LeftOut("com.microsoft");
}
void Operand(OpSpec& row, const std::string& x, const std::string& type = "T") {
  row.In(x, type, k8Bit)
      .In(x + "_scale", "", kReal)
      .In(x + "_zero_point", type, k8Bit, Arity::kOptional);
}
// y's scale and zero point.
OpSpec Finished(OpSpec row) {
  row.In("y_scale", "", kReal).In("y_zero_point", "T", k8Bit, Arity::kOptional);
  return row.Out("y", "T", k8Bit).Traits(kDiscontinuous);
}
OpSpec Unary(const char* name) {
  OpSpec row = Row(name, Rule, Eval);
  Operand(row, "X");
  return Finished(row);
}
OpSpec Binary(const char* name) {
  OpSpec row = Row(name, Rule, Eval);
  Operand(row, "A");
  Operand(row, "B");
  return Finished(row);
}

}  // namespace

std::vector<OpSpec> ops_microsoft_quantized() {
  const AttrDomain flag{.lo = 0, .hi = 1}, factor{.floats = {1.0, 0.5}};
  OpSpec pool = Unary("QLinearAveragePool").String("auto_pad", "NOTSET", AutoPadDomain());
  pool.Ints("kernel_shape", KernelShapeDomain()).attrs.back().required = true;
  pool.Ints("pads", PadsDomain(3)).Ints("strides", StridesDomain());
  for (const char* name : {"ceil_mode", "channels_last", "count_include_pad"})
    pool.Int(name, 0, flag);
  OpSpec softmax = Unary("QLinearSoftmax")
                       .Int("axis", -1, {.lo = -4, .hi = 3})
                       .Int("opset", 13, {.ints = {11, 13}});
  softmax.attrs.back().required = true;
  OpSpec where = Row("QLinearWhere", Rule, Eval).In("condition", "", Bit(DType::kBool));
  Operand(where, "X");
  Operand(where, "Y");
  OpSpec concat =
      Row("QLinearConcat", Rule, Eval).In("Y_scale", "", kReal).In("Y_zero_point", "T", k8Bit);
  concat.In("inputs", "", k8Bit | kReal, Arity::kVariadic, false)
      .Out("Y", "T", k8Bit)
      .Traits(kDiscontinuous);
  concat.Int("axis", 0, {.lo = -4, .hi = 3}).attrs.back().required = true;
  OpSpec gemm = Row("QGemm", GemmRule, EvalGemm);
  Operand(gemm, "A", "TA");
  Operand(gemm, "B", "TB");
  gemm.In("C", "", Bit(DType::kInt32), Arity::kOptional).In("y_scale", "", kReal, Arity::kOptional);
  gemm.In("y_zero_point", "TYZ", k8Bit, Arity::kOptional)
      .Out("Y", "", k8Bit | kReal)
      .Traits(kDiscontinuous);
  gemm.Float("alpha", 1, factor).Int("transA", 0, flag).Int("transB", 0, flag);
  OpSpec to_float = Row("MatMulIntegerToFloat", MatMulRule<kToFloat>, EvalMatMul<kToFloat>);
  to_float.In("A", "T1", k8Bit)
      .In("B", "T2", k8Bit)
      .In("a_scale", "", kReal)
      .In("b_scale", "", kReal);
  to_float.In("a_zero_point", "T1", k8Bit, Arity::kOptional)
      .In("b_zero_point", "T2", k8Bit, Arity::kOptional);
  to_float.In("bias", "", kReal, Arity::kOptional).Out("Y", "", kReal).Class(Accuracy::kReduction);
  OpSpec dynamic = Row("DynamicQuantizeMatMul", MatMulRule<kDynamic>, EvalMatMul<kDynamic>);
  dynamic.In("A", "", kReal).In("B", "T2", k8Bit).In("b_scale", "", kReal);
  dynamic.In("b_zero_point", "T2", k8Bit, Arity::kOptional).In("bias", "", kReal, Arity::kOptional);
  dynamic.Out("Y", "", kReal).Traits(kDiscontinuous);
  OpSpec conv = Row("QLinearConv", QLinearConvRule, EvalQLinearConv)
                    .In("x", "T1", k8Bit)
                    .In("x_scale", "", kReal)
                    .In("x_zero_point", "T1", k8Bit);
  conv.In("w", "T2", k8Bit).In("w_scale", "", kReal).In("w_zero_point", "T2", k8Bit);
  conv.In("y_scale", "", kReal)
      .In("y_zero_point", "T3", k8Bit)
      .In("B", "", Bit(DType::kInt32), Arity::kOptional)
      .Out("y", "T3", k8Bit)
      .Traits(kDiscontinuous);
  ConvAttributes(conv).Int("channels_last", 0, flag);
  return {Binary("QLinearAdd"),
          Binary("QLinearMul"),
          Unary("QLinearLeakyRelu").Float("alpha", 0.01f, {.floats = {0.01, 0.2}}),
          Unary("QLinearSigmoid"),
          softmax,
          pool,
          Unary("QLinearGlobalAveragePool").Int("channels_last", 0, flag),
          Finished(where),
          concat,
          conv,
          gemm,
          to_float,
          dynamic};
}

}  // namespace assay
