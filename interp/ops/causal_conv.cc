// CausalConvWithState (ONNX opset 27): a depthwise convolution along time that sees the k - 1
// places before the input, and passes on the last k - 1 places.
//   y[b,c,t] = act(bias[c] + sum over j of weight[c,0,j] * x[b,c,t+j]),  x = past_state (zeros)
//   followed by input
#include "interp/ops/normalization.h"

namespace assay {
namespace {

enum Input { kInput, kWeight, kBias, kPast };

void CausalConvRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(kInput));
  c.OutUnranked(1, c.Has(kPast) ? c.dtype(kPast) : c.dtype(kInput));
  if (!c.Ranked(kInput) || !c.Ranked(kWeight)) return;
  c.Require(c.Rank(kInput) == 3 && c.Rank(kWeight) == 3, "input is [B,C,T] and weight [C,1,k]");
  if (c.failed()) return;
  Dim channels = c.In(kInput, 1), state = c.In(kWeight, 2) - Dim(1);
  c.Require(
      c.In(kWeight, 0) == channels && c.In(kWeight, 1) == Dim(1) && c.In(kWeight, 2) >= Dim(1),
      "input is [B,C,T] and weight [C,1,k]");
  if (c.Has(kBias) && c.Ranked(kBias)) {
    c.Require(c.Rank(kBias) == 1, "bias has one element a channel");
    c.Require(c.In(kBias, 0) == channels, "bias has one element a channel");
  }
  if (c.failed()) return;
  if (c.Has(kPast) && c.Ranked(kPast)) {
    c.Require(c.Rank(kPast) == 3, "past_state is [B,C,k-1]");
    c.Require(
        c.In(kPast, 0) == c.In(kInput, 0) && c.In(kPast, 1) == channels && c.In(kPast, 2) == state,
        "past_state is [B,C,k-1]");
  }
  c.Out(0, c.dtype(kInput), c.Dims(kInput));
  c.Out(1, c.Has(kPast) ? c.dtype(kPast) : c.dtype(kInput), {c.In(kInput, 0), channels, state});
}

template <class W>
Status Run(KernelContext& c) {
  const Shape shape = c.in(kInput).shape();
  const int64_t channels = shape[1], length = shape[2], k = c.in(kWeight).dim(2), before = k - 1;
  TRY(c.Charge({shape[0], channels, length, k}));
  std::vector<W> x = TRY(LoadAs<W>(c.in(kInput))), w = TRY(LoadAs<W>(c.in(kWeight))), bias, past;
  if (c.Has(kBias)) bias = TRY(LoadAs<W>(c.in(kBias)));
  if (c.Has(kPast)) past = TRY(LoadAs<W>(c.in(kPast)));
  TRY(c.Scratch(DType::kDouble, {shape[0], channels, before}));  // checked against the limits
  std::vector<W> y(x.size()), state(static_cast<size_t>(shape[0] * channels * before));
  const bool activated = c.String("activation") != "none";
  for (int64_t line = 0; line < shape[0] * channels; ++line) {
    int64_t channel = line % channels;
    auto at = [&](int64_t t) {  // t = 0 is the first place of the state
      if (t >= before) return x[line * length + t - before];
      return past.empty() ? W(0) : past[line * before + t];
    };
    for (int64_t t = 0; t < length; ++t) {
      W sum = bias.empty() ? W(0) : bias[channel];
      for (int64_t j = 0; j < k; ++j) sum += w[channel * k + j] * at(t + j);
      y[line * length + t] = activated ? sum * ScalarSigmoid(sum) : sum;
    }
    for (int64_t t = 0; t < before; ++t) state[line * before + t] = at(length + t);
  }
  TRY(StoreOutput(c, 0, y));
  return StoreOutput(c, 1, state);
}

Status EvalCausalConv(KernelContext& c) {
  return VisitFloat(c.in(kInput),
                    [&](auto zero) -> Status { return Run<Wide<decltype(zero)>>(c); });
}

}  // namespace

std::vector<OpSpec> ops_causal_conv() {
  constexpr DTypeSet kTypes = kFloatsBf16;
  return {Op("CausalConvWithState", 27)
              .In("input", "T", kTypes)
              .In("weight", "T", kTypes)
              .In("bias", "T", kTypes, Arity::kOptional)
              .In("past_state", "T", kTypes, Arity::kOptional)
              .Out("output", "T", kTypes)
              .Out("present_state", "T", kTypes)
              .String("activation", "none", {.strings = {"none", "silu", "swish"}})
              .Rule(CausalConvRule)
              .Eval(EvalCausalConv)
              .LeftOut("opset 27, beyond the last that is generated")
              .Class(Accuracy::kReduction)
              .Example("opset 27 graph(float[1,2,5] x, float[2,1,3] w) -> (y, s) { y, s = "
                       "CausalConvWithState(x, w) }")};
}

}  // namespace assay
