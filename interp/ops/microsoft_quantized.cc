// QLinearConv (com.microsoft version 1): that of ai.onnx, with the channels of x and y last where
// channels_last says so ([N,D1..Dn,C]; w stays [M,C/group,K1..Kn]). ONNX Runtime's optimizer writes
// it.
#include "interp/convolve.h"
#include "interp/movement.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

const OpSpec& Plain() { return *FindOp("", "QLinearConv", 10); }

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
  if (c.IntValue("channels_last") == 0) return Plain().rule(c);
  TypeInfo x = c.type(0);
  x.dims = ChannelsFirst(x.dims);
  std::vector<const TypeInfo*> types = {&x};
  std::vector<const Tensor*> values = {nullptr};
  for (int i = 1; i < c.inputs(); ++i) {
    types.push_back(c.Has(i) ? &c.type(i) : nullptr);
    values.push_back(c.Value(i));
  }
  RuleContext plain(Plain(), c.node(), types, values);
  Plain().rule(plain);
  c.Require(!plain.failed(), "the operands fit QLinearConv, x with its channels at axis 1");
  TypeInfo y = plain.result()[0];
  y.dims = ChannelsLast(y.dims);
  c.Out(0, y);
}

Status Eval(KernelContext& c) {
  if (c.Int("channels_last") == 0) return Plain().eval(c);
  const Tensor& last = c.in(0);
  Tensor x = TRY(c.Scratch(last.dtype(), ChannelsFirst(last.shape())));
  TRY(CopyWalk(last, {x.shape(), ChannelsFirst(Strides(last.shape())), Strides(x.shape())}, x));
  std::vector<const Tensor*> inputs = {&x};
  for (int i = 1; i < c.inputs(); ++i) inputs.push_back(c.Has(i) ? &c.in(i) : nullptr);
  const std::vector<TypeInfo> inferred = {
      TypeInfo::Of(c.out_dtype(0), ChannelsFirst(c.out_shape(0)))};
  KernelContext plain(Plain(), c.node(), inputs, inferred, c.store(), c.limits(), Plain().since);
  TRY(Plain().eval(plain));
  const Tensor& y = plain.results()[0];
  Tensor* out = TRY(c.Out(0));
  return CopyWalk(y, {out->shape(), ChannelsLast(Strides(y.shape())), Strides(out->shape())}, *out);
}

}  // namespace

std::vector<OpSpec> ops_microsoft_quantized() {
  constexpr DTypeSet k8Bit = Bit(DType::kInt8) | Bit(DType::kUint8), kReal = Bit(DType::kFloat);
  OpSpec row = Op("QLinearConv", 1, "com.microsoft")
                   .In("x", "T1", k8Bit)
                   .In("x_scale", "", kReal)
                   .In("x_zero_point", "T1", k8Bit);
  row.In("w", "T2", k8Bit).In("w_scale", "", kReal).In("w_zero_point", "T2", k8Bit);
  row.In("y_scale", "", kReal)
      .In("y_zero_point", "T3", k8Bit)
      .In("B", "", Bit(DType::kInt32), Arity::kOptional)
      .Out("y", "T3", k8Bit)
      .Rule(Rule)
      .Eval(Eval)
      .Traits(kDiscontinuous)
      .LeftOut("com.microsoft");
  return {ConvAttributes(row).Int("channels_last", 0, {.lo = 0, .hi = 1})};
}

}  // namespace assay
