// QuantizeLinear and DequantizeLinear (ONNX opset 10 for a whole tensor, 13 along an axis too) and
// DynamicQuantizeLinear (11).
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

constexpr DTypeSet kFloatSet = Bit(DType::kFloat);

// Element i of x belongs to parameter (i / inner) % count.
struct Channels {
  int64_t inner = 1, count = 1;
  Channels(const KernelContext& c) {  // NOLINT: a view of the context
    count = std::max<int64_t>(1, c.in(1).size());
    if (count == 1 || c.in(0).size() == 0) return;
    const Shape& shape = c.in(0).shape();
    int64_t rank = static_cast<int64_t>(shape.size()), axis = c.Int("axis");
    for (int64_t d = (axis < 0 ? axis + rank : axis) + 1; d < rank; ++d)
      inner = WrapMul(inner, shape[d]);
  }
  int64_t of(int64_t i) const { return count == 1 ? 0 : i / inner % count; }
};

// Zero points as integers, one for each scale.
std::vector<int64_t> ZeroPoints(const KernelContext& c) {
  size_t count = static_cast<size_t>(std::max<int64_t>(1, c.in(1).size()));
  if (!c.Has(2)) return std::vector<int64_t>(count, 0);
  std::vector<int64_t> z = c.in(2).AsInts();
  z.resize(count, z.empty() ? 0 : z[0]);
  return z;
}

// y = saturate(round(x / y_scale) + y_zero_point)
Status EvalQuantize(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  Channels channels(c);
  std::vector<int64_t> zero_points = ZeroPoints(c);
  return VisitFloat(c.in(1), [&](auto real) -> Status {
    using T = decltype(real);
    const T* scale = c.data<T>(1);
    auto quantize = [&]<class X, class Q>(const X* x, Q* y) {
      for (int64_t i = 0; i < out->size(); ++i) {
        int64_t k = channels.of(i);
        T v;
        if constexpr (std::is_integral_v<X>)
          v = FromInteger<T>(x[i]);
        else
          v = x[i];
        y[i] = Saturate<Q>(NearestInteger(v / scale[k]) + zero_points[k]);
      }
    };
    auto from = [&](const auto* x) {
      if (out->dtype() == DType::kInt8)
        quantize(x, out->mutable_data<int8_t>());
      else
        quantize(x, out->mutable_data<uint8_t>());
    };
    if (c.in(0).dtype() == DType::kInt32)
      from(c.data<int32_t>(0));
    else
      from(c.data<T>(0));
    return {};
  });
}

// y = (x - x_zero_point) * x_scale
Status EvalDequantize(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  Channels channels(c);
  std::vector<int64_t> zero_points = ZeroPoints(c);
  return VisitFloat(c.in(1), [&](auto real) -> Status {
    using T = decltype(real);
    const T* scale = c.data<T>(1);
    T* y = out->mutable_data<T>();
    return VisitInt(c.in(0), [&](auto quantum) -> Status {
      using Q = decltype(quantum);
      const Q* x = c.data<Q>(0);
      for (int64_t i = 0; i < out->size(); ++i) {
        int64_t k = channels.of(i);
        y[i] = FromInteger<T>(WrapSub(static_cast<int64_t>(x[i]), zero_points[k])) * scale[k];
      }
      return {};
    });
  });
}

// y_scale = (max(0, max x) - min(0, min x)) / 255, y_zero_point = saturate(round(-min(0, min x) /
// y_scale)), y = saturate(round(x / y_scale) + y_zero_point). An all-zero x has scale 1, as in
// runtimes.
Status EvalDynamicQuantize(KernelContext& c) {
  const Tensor& in = c.in(0);
  Tensor* y = TRY(c.Out(0, in.shape()));
  Tensor* y_scale = TRY(c.Out(1, {}));
  Tensor* y_zero_point = TRY(c.Out(2, {}));
  return VisitFloat(in, [&](auto real) -> Status {
    using T = decltype(real);
    const T* x = in.data<T>();
    T lo = T(), hi = T();
    for (int64_t i = 0; i < in.size(); ++i) {
      lo = ScalarMin(lo, x[i]);
      hi = ScalarMax(hi, x[i]);
    }
    T scale = lo == hi ? T(1) : (hi - lo) / T(255);
    int64_t zero_point = Saturate<uint8_t>(NearestInteger(-lo / scale));
    y_scale->mutable_data<T>()[0] = scale;
    y_zero_point->mutable_data<uint8_t>()[0] = static_cast<uint8_t>(zero_point);
    uint8_t* q = y->mutable_data<uint8_t>();
    for (int64_t i = 0; i < in.size(); ++i)
      q[i] = Saturate<uint8_t>(NearestInteger(x[i] / scale) + zero_point);
    return {};
  });
}

Truth OneElementAt(RuleContext& c, int i) {
  if (c.Rank(i) == 0) return Truth::kTrue;
  return c.Rank(i) == 1 ? c.In(i, 0) == Dim(1) : Truth::kFalse;
}

// Scale and zero point: one element, or (opset 13) as many as x has along `axis`.
void RequireParameters(RuleContext& c) {
  bool along_axis = c.spec().FindAttr("axis") != nullptr;
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i) || !c.Ranked(0)) continue;
    Truth fits = OneElementAt(c, i);
    if (along_axis && fits != Truth::kTrue && c.Rank(i) == 1) {
      int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
      fits = fits || c.In(i, 0) == c.In(0, axis);
    }
    c.Require(fits, along_axis
                        ? "scale and zero point have one element, or one for each index of the axis"
                        : "scale and zero point have one element");
  }
  if (!c.Has(2) || !c.Ranked(1) || !c.Ranked(2)) return;
  Truth equal = OneElementAt(c, 1) && OneElementAt(c, 2);
  if (c.Rank(1) == 1 && c.Rank(2) == 1) equal = equal || c.In(1, 0) == c.In(2, 0);
  c.Require(equal, "scale and zero point have equal shapes");
}

void QuantizeRule(RuleContext& c) {
  RequireParameters(c);
  OutLike(c, 0, c.Has(2) ? c.dtype(2) : DType::kUint8);
}
void DequantizeRule(RuleContext& c) {
  RequireParameters(c);
  OutLike(c, 0, DType::kFloat);
}
void DynamicQuantizeRule(RuleContext& c) {
  OutLike(c, 0, DType::kUint8);
  c.Out(1, DType::kFloat, {});
  c.Out(2, DType::kUint8, {});
}

// Constant scale and zero point; along an axis one time in three where the version has it.
bool DrawParameters(Choices& choices, Draft& d, DType quantum) {
  d.attrs.clear();
  const TypeInfo& x = d.inputs[0];
  int64_t rank = static_cast<int64_t>(x.dims.size());
  Shape shape;
  if (d.spec->FindAttr("axis") && rank > 0 && choices.Chance(0.33)) {
    int64_t axis = rank > 1 && choices.Chance(0.7) ? 1 : choices.Between(0, rank - 1);
    if (x.dims[axis].known() && x.dims[axis].value() <= 4096) {
      shape = {x.dims[axis].value()};
      d.Set("axis", choices.Chance(0.2) ? axis - rank : axis);
    }
  }
  Tensor scale = Tensor::Make(DType::kFloat, shape).value();
  Tensor zero_point = Tensor::Make(quantum, shape).value();
  for (int64_t i = 0; i < scale.size(); ++i) {
    scale.Set(i, choices.Uniform(0.01, 0.1));
    int64_t z = quantum == DType::kUint8 ? choices.Between(96, 160) : choices.Between(-16, 16);
    zero_point.Set(i, quantum == DType::kInt32 ? 0 : static_cast<double>(z));
  }
  d.SetConstant(1, std::move(scale));
  if (quantum != DType::kInt32) d.SetConstant(2, std::move(zero_point));
  return true;
}

bool DrawQuantize(Choices& choices, Draft& d) {
  return DrawParameters(choices, d, choices.Chance(0.5) ? DType::kUint8 : DType::kInt8);
}
bool DrawDequantize(Choices& choices, Draft& d) {
  return DrawParameters(choices, d, d.inputs[0].dtype);
}

OpSpec Quantize(int since) {
  constexpr DTypeSet kIn = kFloatSet | Bit(DType::kInt32);
  return Op("QuantizeLinear", since)
      .In("x", "T1", kIn)
      .In("y_scale", "", kFloatSet)
      .In("y_zero_point", "T2", k8Bit, Arity::kOptional)
      .Out("y", "T2", k8Bit)
      .Rule(QuantizeRule)
      .Eval(EvalQuantize)
      .Draw(DrawQuantize)
      .Traits(kElementwise | kDiscontinuous);
}
OpSpec Dequantize(int since) {
  constexpr DTypeSet kIn = k8Bit | Bit(DType::kInt32);
  return Op("DequantizeLinear", since)
      .In("x", "T", kIn)
      .In("x_scale", "", kFloatSet)
      .In("x_zero_point", "T", kIn, Arity::kOptional)
      .Out("y", "", kFloatSet)
      .Rule(DequantizeRule)
      .Eval(EvalDequantize)
      .Draw(DrawDequantize)
      .Traits(kElementwise);
}

}  // namespace

std::vector<OpSpec> ops_quantize() {
  std::vector<OpSpec> rows;
  const AttrDomain axis{.lo = -4, .hi = 3};
  rows.push_back(Quantize(10));
  rows.push_back(Quantize(13).Int("axis", 1, axis));
  rows.push_back(Dequantize(10));
  rows.push_back(Dequantize(13).Int("axis", 1, axis));
  rows.push_back(Op("DynamicQuantizeLinear", 11)
                     .In("x", "T1", kFloatSet)
                     .Out("y", "T2", Bit(DType::kUint8))
                     .Out("y_scale", "", kFloatSet)
                     .Out("y_zero_point", "T2", Bit(DType::kUint8))
                     .Rule(DynamicQuantizeRule)
                     .Eval(EvalDynamicQuantize)
                     .Traits(kDiscontinuous));
  return rows;
}

}  // namespace assay
