// ConvInteger (ONNX opset 10): the convolution of x - x_zero_point with w - w_zero_point in 32-bit
// integers. QLinearConv (10): y = saturate(round((that + B) * x_scale * w_scale / y_scale) +
// y_zero_point); parameters of w may differ from output channel to output channel.
//
// Surprise: padding holds the zero point, that is, contributes nothing.
#include "interp/convolve.h"
#include "interp/ops/quantized.h"

namespace assay {
namespace {

Shape ChannelShape(const KernelContext& c, int i, int axes_after) {
  if (!c.Has(i) || c.in(i).size() == 1) return {};
  Shape s(static_cast<size_t>(axes_after) + 1, 1);
  s[0] = c.in(i).size();
  return s;
}

// The convolution of inputs x and w, whose zero points follow at zx and zw.
Status ConvolveCentered(KernelContext& c, int x, int zx, int w, int zw, int bias, int32_t* y) {
  ConvExtents shape = TRY(ConvExtentsOf(c, x, w));
  Tensor left = TRY(Centered(c, x, zx, {}));
  Tensor right = TRY(Centered(c, w, zw, ChannelShape(c, zw, c.in(w).rank() - 1)));
  Tensor sums = TRY(Tensor::Make(DType::kDouble, c.out_shape(0), Store::kNative, c.limits()));
  std::vector<double> b;
  if (c.Has(bias)) b.assign(c.in(bias).span<int32_t>().begin(), c.in(bias).span<int32_t>().end());
  TRY(Convolve<double>(c, shape, left.data<double>(), right.data<double>(),
                       b.empty() ? nullptr : b.data(), sums.mutable_data<double>()));
  ToInt32(sums, y);
  return {};
}

constexpr int kNone = 1 << 10;  // an input index that no node has

void IntegerRule(RuleContext& c) {
  RequireOneElement(c, 2);
  if (c.Ranked(1)) RequirePerChannel(c, 3, c.In(1, 0));
  ConvRule(c, 0, 1, kNone, DType::kInt32);
}

Status EvalInteger(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  return ConvolveCentered(c, 0, 2, 1, 3, kNone, y->mutable_data<int32_t>());
}

void LinearRule(RuleContext& c) {
  for (int i : {1, 2, 6, 7}) RequireOneElement(c, i);
  if (c.Ranked(3)) {
    for (int i : {4, 5}) RequirePerChannel(c, i, c.In(3, 0));
  }
  ConvRule(c, 0, 3, 8, c.dtype(7));
}

Status EvalLinear(KernelContext& c) {
  Tensor sums = TRY(c.Scratch(DType::kInt32, c.out_shape(0)));
  TRY(ConvolveCentered(c, 0, 2, 3, 5, 8, sums.mutable_data<int32_t>()));
  Tensor* y = TRY(c.Out(0));
  return Requantize(c, {1, 4, 6, 7, {}, ChannelShape(c, 4, c.in(0).rank() - 2)},
                    sums.data<int32_t>(), y);
}

// Weights of a kernel that fits, with parameters for each output channel one time in two.
bool DrawLinear(Choices& choices, Draft& d) {
  if (!d.concrete(0) || d.shape(0).size() < 3) return false;
  Shape x = d.shape(0);
  int64_t group = choices.Chance(0.3) ? x[1] : 1;
  Shape w = {group * choices.Between(1, 4), x[1] / group};
  for (size_t i = 2; i < x.size(); ++i) w.push_back(choices.Between(1, std::min<int64_t>(3, x[i])));
  if (ElementCount(w) < 1 || ElementCount(w) > d.max_elements) return false;
  DType quantum = d.inputs[3].dtype;
  Tensor weights = Tensor::Make(quantum, w).value();
  int64_t shift = quantum == DType::kUint8 ? 128 : 0;
  for (int64_t i = 0; i < weights.size(); ++i)
    weights.Set(i, static_cast<double>(choices.Between(-100, 100) + shift));
  Shape per_channel = choices.Chance(0.5) ? Shape{w[0]} : Shape{};
  Tensor scale = Tensor::Make(DType::kFloat, per_channel).value(),
         zero = Tensor::Make(quantum, per_channel).value();
  for (int64_t i = 0; i < scale.size(); ++i) {
    scale.Set(i, choices.Uniform(0.01, 0.1));
    zero.Set(i, static_cast<double>(choices.Between(-8, 8) + shift));
  }
  double x_scale = choices.Uniform(0.01, 0.1);
  double y_scale = FittingScale(x_scale, 0.05, ElementCount(w) / w[0]);
  d.Set("group", group);
  d.SetConstant(1, OneElement(DType::kFloat, x_scale));
  d.SetConstant(2, DrawZeroPoint(choices, d.inputs[0].dtype));
  d.SetConstant(3, std::move(weights));
  d.SetConstant(4, std::move(scale));
  d.SetConstant(5, std::move(zero));
  d.SetConstant(6, OneElement(DType::kFloat, y_scale));
  d.SetConstant(7, DrawZeroPoint(choices, DrawQuantum(choices)));
  if (choices.Chance(0.5)) {
    Tensor bias = Tensor::Make(DType::kInt32, {w[0]}).value();
    for (int64_t i = 0; i < bias.size(); ++i)
      bias.Set(i, static_cast<double>(choices.Between(-2000, 2000)));
    d.SetConstant(8, std::move(bias));
  }
  return true;
}

}  // namespace

std::vector<OpSpec> ops_conv_int() {
  constexpr DTypeSet kReal = Bit(DType::kFloat), kSum = Bit(DType::kInt32);
  OpSpec integer = Op("ConvInteger", 10).In("x", "T1", k8Bit).In("w", "T2", k8Bit);
  integer.In("x_zero_point", "T1", k8Bit, Arity::kOptional)
      .In("w_zero_point", "T2", k8Bit, Arity::kOptional);
  integer.Out("y", "T3", kSum).Rule(IntegerRule).Eval(EvalInteger).Class(Accuracy::kExact);
  OpSpec linear = Op("QLinearConv", 10)
                      .In("x", "T1", k8Bit)
                      .In("x_scale", "", kReal)
                      .In("x_zero_point", "T1", k8Bit);
  linear.In("w", "T2", k8Bit).In("w_scale", "", kReal).In("w_zero_point", "T2", k8Bit);
  linear.In("y_scale", "", kReal)
      .In("y_zero_point", "T3", k8Bit)
      .In("B", "T4", kSum, Arity::kOptional);
  linear.Out("y", "T3", k8Bit)
      .Rule(LinearRule)
      .Eval(EvalLinear)
      .Draw(DrawLinear)
      .Traits(kDiscontinuous);
  return {ConvAttributes(integer), ConvAttributes(linear)};
}

}  // namespace assay
