// BitwiseAnd, BitwiseOr, BitwiseXor and BitwiseNot (ONNX opset 18), with numpy broadcasting, and
// BitCast (26): the bits of a tensor read as another type of the same width.
#include "interp/draw.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

struct AndFn {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct OrFn {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct XorFn {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

template <class Fn>
Status Bitwise(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitInt(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T *a = c.data<T>(0), *b = c.data<T>(1);
    T* y = out->mutable_data<T>();
    ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = Fn()(a[ia], b[ib]); });
    return {};
  });
}

Status EvalNot(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitInt(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t i = 0; i < out->size(); ++i)
      out->mutable_data<T>()[i] = static_cast<T>(~c.data<T>(0)[i]);
    return {};
  });
}

// ---- BitCast

constexpr DTypeSet kBits = kAll25 & ~Bit(DType::kString);

int64_t WidthOf(DType t) {
  if (Contains(kInts2, t)) return 2;
  if (Contains(kInts4 | Bit(DType::kFloat4E2M1), t)) return 4;
  return 8 * ElementBytes(t);
}

void BitCastRule(RuleContext& c) {
  int64_t to = c.IntValue("to");
  bool known = to > 0 && to < kDTypeCount && Contains(kBits, static_cast<DType>(to));
  c.Require(known, "'to' is a type of bits");
  if (c.failed()) return;
  c.Require(WidthOf(static_cast<DType>(to)) == WidthOf(c.dtype(0)),
            "both types have the same width");
  OutLike(c, 0, static_cast<DType>(to));
}

// Elements narrower than a byte are stored extended by sign or zeros.
void Extend(DType t, Tensor& y) {
  int width = static_cast<int>(WidthOf(t)), mask = (1 << width) - 1;
  bool is_signed = t == DType::kInt4 || t == DType::kInt2;
  for (int64_t i = 0; i < y.size(); ++i) {
    int v = std::to_integer<int>(y.raw()[i]) & mask;
    y.mutable_raw()[i] = static_cast<std::byte>(is_signed && v > mask / 2 ? v | ~mask : v);
  }
}

// The field has no bits; other domains compute with the numbers that the bits of the type itself
// make.
Status EvalBitCast(KernelContext& c) {
  if (c.store() == Store::kField && (IsFloat(c.in(0).dtype()) || IsFloat(c.out_dtype(0))))
    return Unsupported("the bits of numbers in the field");
  Tensor y = c.in(0).To(Store::kNative).Clone().WithDType(c.out_dtype(0));
  if (WidthOf(y.dtype()) < 8) Extend(y.dtype(), y);
  if (y.dtype() == DType::kBool) {
    for (int64_t i = 0; i < y.size(); ++i)
      y.mutable_raw()[i] = std::byte{y.raw()[i] != std::byte{0}};
  }
  c.Set(0, c.store() == Store::kNative ? y : y.To(c.store()));
  return {};
}

// Another type of the same width. Floats on request: the field has no bits.
bool DrawBitCast(Choices& choices, Draft& d) {
  d.attrs.clear();
  std::vector<int64_t> targets;
  for (int t = 1; t < kDTypeCount; ++t) {
    DType to = static_cast<DType>(t);
    if (!Contains(kBits & ~kComplexes, to) || WidthOf(to) != WidthOf(d.inputs[0].dtype)) continue;
    if (d.anything || (IsInt(to) && IsInt(d.inputs[0].dtype))) targets.push_back(t);
  }
  if (targets.empty()) return false;
  d.Set("to", choices.Pick(targets));
  return true;
}

OpSpec Row(const char* name, EvalFn eval) {
  return Op(name, 18)
      .In("A", "T", kInts)
      .In("B", "T", kInts)
      .Out("C", "T", kInts)
      .Rule(BroadcastAll)
      .Eval(eval)
      .Traits(kElementwise | kBroadcasts | kCommutative)
      .Class(Accuracy::kExact)
      .Example(std::string("opset 18 graph(uint8[2,3] a, uint8[3] b) -> (c) { c = ") + name +
               "(a, b) }");
}

}  // namespace

std::vector<OpSpec> ops_bitwise() {
  return {Row("BitwiseAnd", Bitwise<AndFn>), Row("BitwiseOr", Bitwise<OrFn>),
          Row("BitwiseXor", Bitwise<XorFn>),
          Op("BitwiseNot", 18)
              .In("X", "T", kInts)
              .Out("Y", "T", kInts)
              .Rule(SameAsInput0)
              .Eval(EvalNot)
              .Traits(kElementwise)
              .Class(Accuracy::kExact)
              .Example("opset 18 graph(int8[4] x) -> (y) { y = BitwiseNot(x) }"),
          Op("BitCast", 26)
              .In("input", "T1", kBits)
              .Out("output", "T2", kBits)
              .Attr({"to", AttrType::kInt, true, std::nullopt, {.ints = {1, 6, 7, 11, 12}}})
              .Rule(BitCastRule)
              .Eval(EvalBitCast)
              .Draw(DrawBitCast)
              .Traits(kMovesData | kDiscontinuous)
              .Class(Accuracy::kExact)
              .Example("opset 26 graph(int32[4] x) -> (y) { y = BitCast(x) {to=12} }")};
}

}  // namespace assay
