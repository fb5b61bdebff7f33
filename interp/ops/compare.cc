// Equal, Greater, GreaterOrEqual, Less, LessOrEqual with numpy broadcasting (ONNX opset 7, 9, 11,
// 12, 13, 16, 19), IsNaN (9, 13, 20) and IsInf (10, 20).
#include "interp/ops/elementwise.h"
#include "interp/small_float.h"

namespace assay {
namespace {

// Comparisons with NaN are false. In the field the order is the random total order of FieldContext.
struct EqualFn {
  template <class T>
  bool operator()(T a, T b) const {
    return a == b;
  }
};
struct GreaterFn {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterOrEqualFn {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
struct LessFn {
  template <class T>
  bool operator()(T a, T b) const {
    return a < b;
  }
};
struct LessOrEqualFn {
  template <class T>
  bool operator()(T a, T b) const {
    return a <= b;
  }
};

// C = fn(A, B), broadcast, bool.
template <class Fn>
Status Compare(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool* y = out->mutable_data<bool>();
  if constexpr (std::is_same_v<Fn, EqualFn>) {
    if (c.in(0).dtype() == DType::kString) {
      const std::vector<std::string>&a = c.in(0).strings(), &b = c.in(1).strings();
      ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                    [&](int64_t i, int64_t ia, int64_t ib) { y[i] = a[ia] == b[ib]; });
      return {};
    }
  }
  if (c.in(0).dtype() == DType::kBool) {  // any non-zero byte of a file is true
    const uint8_t* a = c.data<uint8_t>(0);
    const uint8_t* b = c.data<uint8_t>(1);
    ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = Fn()(a[ia] != 0, b[ib] != 0); });
    return {};
  }
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* a = c.data<T>(0);
    const T* b = c.data<T>(1);
    ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = Fn()(a[ia], b[ib]); });
    return {};
  });
}

// y[i] = fn(x[i]) for floats of 8 bits, as doubles.
template <class Fn>
Status OfSmallFloats(const Tensor& x, bool* y, Fn&& fn) {
  for (int64_t i = 0; i < x.size(); ++i)
    y[i] = fn(SmallFloatValue(x.dtype(), x.data<uint8_t>()[i]));
  return {};
}

// The field holds numbers only: there nothing is infinite or NaN.
Status EvalIsNaN(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool* y = out->mutable_data<bool>();
  if (IsSmallFloat(c.in(0).dtype()))
    return OfSmallFloats(c.in(0), y, [](double v) { return std::isnan(v); });
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    for (int64_t i = 0; i < out->size(); ++i) y[i] = x[i] != x[i];
    return {};
  });
}

Status EvalIsInf(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  bool* y = out->mutable_data<bool>();
  bool negative = c.Int("detect_negative") != 0, positive = c.Int("detect_positive") != 0;
  auto wanted = [&](auto v) { return std::isinf(v) && (v < 0 ? negative : positive); };
  if (IsSmallFloat(c.in(0).dtype())) return OfSmallFloats(c.in(0), y, wanted);
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    for (int64_t i = 0; i < out->size(); ++i) {
      if constexpr (kIsFp<T>)
        y[i] = false;
      else
        y[i] = wanted(x[i]);
    }
    return {};
  });
}

void BoolLikeInput0(RuleContext& c) { OutLike(c, 0, DType::kBool); }

OpSpec Comparison(const char* name, int since, DTypeSet types, EvalFn eval, uint32_t traits = 0) {
  return Op(name, since)
      .In("A", "T", types)
      .In("B", "T", types)
      .Out("C", "T1", kBoolSet)
      .Rule(BroadcastToBool)
      .Eval(eval)
      .Class(Accuracy::kExact)
      .Traits(kElementwise | kBroadcasts | kDiscontinuous | traits);
}

}  // namespace

std::vector<OpSpec> ops_compare() {
  std::vector<OpSpec> rows;
  constexpr DTypeSet kNumbers = kFloats16 | kInts, kNumbersBf16 = kFloatsBf16 | kInts;
  PushVersions(rows, Comparison("Equal", 7, kBoolSet | kIndexInts, Compare<EqualFn>, kCommutative),
               "T",
               {{11, kNumbers | kBoolSet},
                {13, kNumbersBf16 | kBoolSet},
                {19, kNumbersBf16 | kBoolSet | Bit(DType::kString)}});
  PushVersions(rows, Comparison("Greater", 7, kFloats16, Compare<GreaterFn>), "T",
               {{9, kNumbers}, {13, kNumbersBf16}});
  PushVersions(rows, Comparison("Less", 7, kFloats16, Compare<LessFn>), "T",
               {{9, kNumbers}, {13, kNumbersBf16}});
  PushVersions(rows, Comparison("GreaterOrEqual", 12, kNumbers, Compare<GreaterOrEqualFn>), "T",
               {{16, kNumbersBf16}});
  PushVersions(rows, Comparison("LessOrEqual", 12, kNumbers, Compare<LessOrEqualFn>), "T",
               {{16, kNumbersBf16}});
  OpSpec nan = Op("IsNaN", 9)
                   .In("X", "T1", kFloats16)
                   .Out("Y", "T2", kBoolSet)
                   .Rule(BoolLikeInput0)
                   .Eval(EvalIsNaN)
                   .Traits(kElementwise | kDiscontinuous)
                   .Class(Accuracy::kExact);
  PushVersions(rows, nan, "T1", {{13, kFloatsBf16}, {20, kFloatsBf16 | kFloats8}});
  OpSpec inf = Op("IsInf", 10)
                   .In("X", "T1", Bit(DType::kFloat) | Bit(DType::kDouble))
                   .Out("Y", "T2", kBoolSet)
                   .Int("detect_negative", 1, {.hi = 1})
                   .Int("detect_positive", 1, {.hi = 1})
                   .Rule(BoolLikeInput0)
                   .Eval(EvalIsInf)
                   .Traits(kElementwise | kDiscontinuous)
                   .Class(Accuracy::kExact);
  PushVersions(rows, inf, "T1", {{20, kFloatsBf16 | kFloats8}});
  return rows;
}

}  // namespace assay
