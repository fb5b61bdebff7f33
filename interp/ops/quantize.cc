// QuantizeLinear and DequantizeLinear (ONNX opset 10 for a whole tensor, 13 along an axis too, 19
// with 8-bit floats, 21 with 4- and 16-bit integers in blocks, 23 with 4-bit floats, 24 with powers
// of two as scales, 25 with 2-bit integers) and DynamicQuantizeLinear (11).
#include "interp/draw.h"
#include "interp/ops/quantized.h"

namespace assay {
namespace {

constexpr DTypeSet kFloatSet = Bit(DType::kFloat);
constexpr DTypeSet k16Bit = Bit(DType::kInt16) | Bit(DType::kUint16);

// ---- parameters: one scale and zero point for all, one an index of an axis, or one a block of it

// Element i of x belongs to parameter of(i).
struct Parameters {
  enum class Kind : uint8_t { kOne, kAxis, kBlocks } kind = Kind::kOne;
  int64_t inner = 1, extent = 1, block = 1, blocks = 1;

  Parameters(const KernelContext& c) {  // NOLINT: a view of the context
    const Tensor &x = c.in(0), &scale = c.in(1);
    bool blocked = c.spec().FindAttr("block_size") && c.Int("block_size") > 0;
    if ((scale.size() <= 1 && !blocked) || x.size() == 0) return;
    kind = blocked ? Kind::kBlocks : Kind::kAxis;
    int64_t rank = x.rank(), axis = c.Int("axis");
    if (axis < 0) axis += rank;
    for (int64_t d = axis + 1; d < rank; ++d) inner *= x.dim(static_cast<int>(d));
    extent = x.dim(static_cast<int>(axis));
    if (blocked) block = c.Int("block_size"), blocks = scale.dim(static_cast<int>(axis));
  }
  int64_t of(int64_t i) const {
    if (kind == Kind::kOne) return 0;
    int64_t at = i / inner % extent;
    if (kind == Kind::kAxis) return at;
    return (i / inner / extent * blocks + at / block) * inner + i % inner;
  }
};

// Zero points as integers, one for each scale.
std::vector<int64_t> ZeroPoints(const KernelContext& c) {
  size_t count = static_cast<size_t>(std::max<int64_t>(1, c.in(1).size()));
  if (!c.Has(2)) return std::vector<int64_t>(count, 0);
  std::vector<int64_t> z = c.in(2).AsInts();
  z.resize(count, z.empty() ? 0 : z[0]);
  return z;
}

// f(T{}) with the scalar in which the node is computed.
template <class F>
Status VisitDomain(const KernelContext& c, F&& f) {
  if (c.store() == Store::kField) return f(Fp{});
  if (c.store() == Store::kDouble) return f(double{});
  return f(float{});
}

// Integers, small floats and floats as numbers of the current domain.
Result<Tensor> AsReals(KernelContext& c, const Tensor& t) {
  if (IsFloat(t.dtype())) return t;
  Tensor out = TRY(c.Scratch(DType::kFloat, t.shape()));
  for (int64_t i = 0; i < t.size(); ++i) {
    bool small = IsSmallFloat(t.dtype());
    out.Set(i, small ? SmallFloatValue(t.dtype(), t.data<uint8_t>()[i]) : t.AsDouble(i));
  }
  return out;
}

// Which integers a quantized type holds.
struct Range {
  int64_t lo, hi;
};
Range RangeOf(DType t) {
  switch (t) {
    case DType::kInt8:
      return {-128, 127};
    case DType::kInt16:
      return {-32768, 32767};
    case DType::kUint16:
      return {0, 65535};
    case DType::kInt4:
      return {-8, 7};
    case DType::kUint4:
      return {0, 15};
    case DType::kInt2:
      return {-2, 1};
    case DType::kUint2:
      return {0, 3};
    default:
      return {0, 255};
  }
}

// ---- QuantizeLinear: y = saturate(round(x / y_scale) + y_zero_point)

// The type in which the quotient is rounded once before it is rounded to y.
DType QuotientType(const KernelContext& c) {
  if (c.store() != Store::kNative) return DType::kFloat;
  int64_t precision = c.spec().FindAttr("precision") ? c.Int("precision") : 0;
  return precision != 0 ? static_cast<DType>(precision) : c.in(1).dtype();
}

template <class T>
T RoundTo(DType type, T v) {
  if constexpr (std::is_same_v<T, float>) {
    if (type == DType::kFloat16) return HalfToFloat(FloatToHalf(v));
    if (type == DType::kBfloat16) return Bfloat16ToFloat(FloatToBfloat16(v));
  }
  return v;
}

template <class T, class Q>
void QuantizeIntegers(const KernelContext& c, const T* x, const T* scale, Tensor* out) {
  const Parameters parameters(c);
  const std::vector<int64_t> zero_points = ZeroPoints(c);
  const Range range = RangeOf(out->dtype());
  const DType type = QuotientType(c);
  Q* y = reinterpret_cast<Q*>(out->mutable_raw());
  for (int64_t i = 0; i < out->size(); ++i) {
    int64_t k = parameters.of(i);
    int64_t v = NearestInteger(RoundTo(type, x[i] / scale[k])) + zero_points[k];
    y[i] = static_cast<Q>(std::clamp(v, range.lo, range.hi));
  }
}

// To small floats; a zero point is 0 there.
template <class T>
void QuantizeFloats(const KernelContext& c, const T* x, const T* scale, Tensor* out) {
  const Parameters parameters(c);
  const DType type = QuotientType(c), to = out->dtype();
  const bool saturate = c.Int("saturate") != 0;
  uint8_t* y = out->mutable_data<uint8_t>();
  for (int64_t i = 0; i < out->size(); ++i)
    y[i] = NearestSmallFloat(to, RoundTo(type, x[i] / scale[parameters.of(i)]), saturate);
}

Status EvalQuantize(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  Tensor x = TRY(AsReals(c, c.in(0))), scale = TRY(AsReals(c, c.in(1)));
  return VisitDomain(c, [&](auto real) -> Status {
    using T = decltype(real);
    const T *from = x.data<T>(), *by = scale.data<T>();
    if (IsSmallFloat(out->dtype()))
      QuantizeFloats(c, from, by, out);
    else if (out->dtype() == DType::kInt16)
      QuantizeIntegers<T, int16_t>(c, from, by, out);
    else if (out->dtype() == DType::kUint16)
      QuantizeIntegers<T, uint16_t>(c, from, by, out);
    else if (RangeOf(out->dtype()).lo < 0)
      QuantizeIntegers<T, int8_t>(c, from, by, out);
    else
      QuantizeIntegers<T, uint8_t>(c, from, by, out);
    return {};
  });
}

// ---- DequantizeLinear: y = (x - x_zero_point) * x_scale

Status EvalDequantize(KernelContext& c) {
  const Tensor& in = c.in(0);
  Tensor* out = TRY(c.Out(0));
  Tensor scale = TRY(AsReals(c, c.in(1)));
  const Parameters parameters(c);
  return VisitDomain(c, [&](auto real) -> Status {
    using T = decltype(real);
    const T* by = scale.data<T>();
    T* y = out->mutable_data<T>();
    if (IsSmallFloat(in.dtype())) {
      const uint8_t* x = in.data<uint8_t>();
      for (int64_t i = 0; i < out->size(); ++i)
        y[i] = T(SmallFloatValue(in.dtype(), x[i])) * by[parameters.of(i)];
      return {};
    }
    const std::vector<int64_t> zero_points = ZeroPoints(c);
    auto dequantize = [&](const auto* x) -> Status {
      for (int64_t i = 0; i < out->size(); ++i) {
        int64_t k = parameters.of(i);
        y[i] = FromInteger<T>(WrapSub(static_cast<int64_t>(x[i]), zero_points[k])) * by[k];
      }
      return {};
    };
    if (Contains(kInts4 | kInts2, in.dtype())) {
      if (RangeOf(in.dtype()).lo < 0) return dequantize(in.data<int8_t>());
      return dequantize(in.data<uint8_t>());
    }
    return VisitInt(in, [&](auto quantum) { return dequantize(in.data<decltype(quantum)>()); });
  });
}

// ---- DynamicQuantizeLinear: y_scale = (max(0, max x) - min(0, min x)) / 255, y_zero_point =
// saturate(round(-min(0, min x) / y_scale)), y = saturate(round(x / y_scale) + y_zero_point). An
// all-zero x has scale 1, as in runtimes.

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

// ---- rules

Truth OneElementAt(RuleContext& c, int i) {
  if (c.Rank(i) == 0) return Truth::kTrue;
  return c.Rank(i) == 1 ? c.In(i, 0) == Dim(1) : Truth::kFalse;
}

// Scale and zero point: one element, or (opset 13) as many as x has along `axis`.
void RequireWholeOrAxis(RuleContext& c) {
  bool along_axis = c.spec().FindAttr("axis") != nullptr;
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i) || !c.Ranked(0)) continue;
    Truth fits = OneElementAt(c, i);
    if (along_axis && fits != Truth::kTrue && c.Rank(i) == 1) {
      // One element has no axis, and it may be one.
      const int64_t axis = c.IntValue("axis"), rank = c.Rank(0);
      if (fits == Truth::kFalse || (axis >= -rank && axis < rank))
        fits = fits || c.In(i, 0) == c.In(0, c.Axis(axis, c.Rank(0)));
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

// From opset 21 on: as x, but one entry a block along `axis`.
void RequireBlocks(RuleContext& c, int64_t block) {
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i) || !c.Ranked(0)) continue;
    c.Require(c.Rank(i) == c.Rank(0), "blocked scale and zero point have the rank of x");
    int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
    if (c.failed()) return;
    for (int d = 0; d < c.Rank(0); ++d) {
      Dim want = d == axis ? CeilDiv(c.In(0, d), Dim(block)) : c.In(0, d);
      c.Require(c.In(i, d) == want, "scale and zero point have one entry for each block of x");
    }
  }
}

void RequireParameters(RuleContext& c) {
  int64_t block = c.spec().FindAttr("block_size") ? c.IntValue("block_size") : 0;
  c.Require(block >= 0, "block_size is at least 0");
  if (block > 0)
    RequireBlocks(c, block);
  else
    RequireWholeOrAxis(c);
}

// The element type that attribute `name` asks for, when it does; `otherwise` else.
DType AskedType(RuleContext& c, const char* name, DTypeSet allowed, DType otherwise) {
  int64_t asked = c.spec().FindAttr(name) ? c.IntValue(name) : 0;
  if (asked == 0) return otherwise;
  bool known = asked > 0 && asked < kDTypeCount && Contains(allowed, static_cast<DType>(asked));
  c.Require(known, "output_dtype and precision are types of this version");
  return known ? static_cast<DType>(asked) : otherwise;
}

void QuantizeRule(RuleContext& c) {
  RequireParameters(c);
  DType otherwise = c.Has(2) ? c.dtype(2) : DType::kUint8;
  DType type = AskedType(c, "output_dtype", c.spec().outputs[0].types, otherwise);
  c.Require(!c.Has(2) || type == c.dtype(2), "output_dtype is the type of the zero point");
  AskedType(c, "precision", kFloatsBf16 & ~Bit(DType::kDouble), DType::kFloat);
  OutLike(c, 0, type);
}

void DequantizeRule(RuleContext& c) {
  RequireParameters(c);
  DType otherwise = IsFloat(c.dtype(1)) ? c.dtype(1) : DType::kFloat;
  OutLike(c, 0, AskedType(c, "output_dtype", c.spec().outputs[0].types, otherwise));
}

void DynamicQuantizeRule(RuleContext& c) {
  OutLike(c, 0, DType::kUint8);
  c.Out(1, DType::kFloat, {});
  c.Out(2, DType::kUint8, {});
}

// ---- drafts

// The shape of scale and zero point: of one element, along an axis, or (from opset 21 on, on
// request) one a block of an axis.
Shape DrawParameterShape(Choices& choices, Draft& d) {
  const TypeInfo& x = d.inputs[0];
  int64_t rank = static_cast<int64_t>(x.dims.size());
  if (!d.spec->FindAttr("axis") || rank == 0 || !choices.Chance(0.33)) return {};
  int64_t axis = rank > 1 && choices.Chance(0.7) ? 1 : choices.Between(0, rank - 1);
  if (!x.Static() || x.dims[axis].value() > 4096) return {};
  d.Set("axis", choices.Chance(0.2) ? axis - rank : axis);
  if (!d.anything || !d.spec->FindAttr("block_size") || !choices.Chance(0.4))
    return {x.dims[axis].value()};
  Shape shape = x.StaticShape();
  int64_t block = std::max<int64_t>(1, DrawDivisor(choices, std::max<int64_t>(1, shape[axis])));
  d.Set("block_size", block);
  shape[axis] /= block;
  return shape;
}

// Constant scales of the given type and zero points of `quantum`, which are 0 where it is not an
// integer of 8 or 16 bits and may be left out where `implied`.
void DrawParameters(Choices& choices, Draft& d, DType scale_type, DType quantum, bool implied) {
  Shape shape = DrawParameterShape(choices, d);
  Tensor scale = Tensor::Make(scale_type, shape).value();
  Tensor zero_point = Tensor::Make(quantum, shape).value();
  bool shifts = Contains(k8Bit | k16Bit, quantum);
  bool half = scale_type != DType::kFloat && scale_type != DType::kDouble;
  for (int64_t i = 0; i < scale.size(); ++i) {
    scale.Set(i, half ? choices.PickOf({0.03125, 0.0625, 0.125}) : choices.Uniform(0.01, 0.1));
    int64_t z = IsSigned(quantum) ? choices.Between(-16, 16) : choices.Between(96, 160);
    zero_point.Set(i, shifts ? static_cast<double>(z) : 0);
  }
  d.SetConstant(1, std::move(scale));
  if (quantum != DType::kInt32 && !(implied && choices.Chance(0.2)))
    d.SetConstant(2, std::move(zero_point));
}

DType PickType(Choices& choices, DTypeSet types) {
  std::vector<DType> all;
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types, static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  }
  return choices.Pick(all);
}

// The usual types; the others, which few runtimes take, on request.
bool DrawQuantize(Choices& choices, Draft& d) {
  d.attrs.clear();
  DType x = d.inputs[0].dtype, quantum = choices.Chance(0.5) ? DType::kUint8 : DType::kInt8;
  bool later = d.spec->since >= 19;
  // Version 19 ties the scale to the type of x, and an integer scale can't be small.
  if (later && (!IsFloat(x) || (x != DType::kFloat && !d.anything))) return false;
  if (d.anything && choices.Chance(0.5)) quantum = PickType(choices, d.spec->outputs[0].types);
  DrawParameters(choices, d, later ? x : DType::kFloat, quantum, quantum == DType::kUint8);
  if (Contains(kFloats8, quantum)) MaybeSet(choices, d, "saturate");
  if (d.constants.size() > 2 && d.constants[2] && d.spec->FindAttr("output_dtype") &&
      choices.Chance(0.2))
    d.Set("output_dtype", static_cast<int64_t>(quantum));
  return true;
}
bool DrawDequantize(Choices& choices, Draft& d) {
  d.attrs.clear();
  DType x = d.inputs[0].dtype;
  if (!d.anything && !Contains(k8Bit | Bit(DType::kInt32), x)) return false;
  DType scale = DType::kFloat;
  if (d.anything && choices.Chance(0.3))
    scale = PickType(choices, d.spec->inputs[1].types & kFloatsBf16);
  DrawParameters(choices, d, scale, x, true);
  return true;
}

// ---- rows

struct Types {
  int since;
  DTypeSet x, scale, quantum;
};
constexpr DTypeSet kReals19 = kFloatsBf16 & ~Bit(DType::kDouble),
                   kX19 = kReals19 | Bit(DType::kInt32);
constexpr DTypeSet kQuanta19 = k8Bit | kFloats8, kQuanta21 = kQuanta19 | k16Bit | kInts4,
                   kQuanta23 = kQuanta21 | Bit(DType::kFloat4E2M1), kQuanta25 = kQuanta23 | kInts2;
constexpr DTypeSet kPowers = Bit(DType::kFloat8E8M0);

void AddAttributes(OpSpec& row, bool quantizes) {
  const AttrDomain kAxis{.lo = -4, .hi = 3}, kBlock{.ints = {0, 2, 16, 32}},
      kTypeNumber{.ints = {0}};
  if (row.since >= 13) row.Int("axis", 1, kAxis);
  if (row.since >= 19 && quantizes) row.Int("saturate", 1, {.ints = {1, 0}});
  if (row.since >= 21) row.Int("block_size", 0, kBlock);
  if (row.since >= (quantizes ? 21 : 23)) row.Int("output_dtype", 0, kTypeNumber);
  if (row.since >= 23 && quantizes) row.Int("precision", 0, kTypeNumber);
}

OpSpec Quantize(const Types& t) {
  // From opset 19 to 21 the scale has the type of x.
  const char* scale_type = t.since >= 19 && t.since < 23 ? "T1" : "";
  OpSpec row = Op("QuantizeLinear", t.since)
                   .In("x", "T1", t.x)
                   .In("y_scale", scale_type, t.scale)
                   .In("y_zero_point", "T2", t.quantum, Arity::kOptional)
                   .Out("y", "T2", t.quantum)
                   .Rule(QuantizeRule)
                   .Eval(EvalQuantize)
                   .Draw(DrawQuantize)
                   .Traits(kElementwise | kDiscontinuous);
  AddAttributes(row, true);
  return row;
}

OpSpec Dequantize(const Types& t) {
  DTypeSet in = t.quantum | Bit(DType::kInt32);
  OpSpec row = Op("DequantizeLinear", t.since)
                   .In("x", "T", in)
                   .In("x_scale", "", t.scale)
                   .In("x_zero_point", "T", in, Arity::kOptional)
                   .Out("y", "", t.scale & kFloatsBf16)
                   .Rule(DequantizeRule)
                   .Eval(EvalDequantize)
                   .Draw(DrawDequantize)
                   .Traits(kElementwise);
  AddAttributes(row, false);
  return row;
}

}  // namespace

std::vector<OpSpec> ops_quantize() {
  constexpr DTypeSet kX10 = kFloatSet | Bit(DType::kInt32);
  const std::vector<Types> versions = {
      {10, kX10, kFloatSet, k8Bit},         {13, kX10, kFloatSet, k8Bit},
      {19, kX19, kX19, kQuanta19},          {21, kX19, kX19, kQuanta21},
      {23, kX19, kX19, kQuanta23},          {24, kX19, kX19 | kPowers, kQuanta23},
      {25, kX19, kX19 | kPowers, kQuanta25}};
  std::vector<OpSpec> rows;
  for (const Types& t : versions) rows.push_back(Quantize(t));
  for (Types t : versions) {
    if (t.since >= 19) t.scale &= ~Bit(DType::kInt32);
    rows.push_back(Dequantize(t));
  }
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
