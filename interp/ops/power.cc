// Pow (ONNX opset 7, 12, 13, 15), Mod (10, 13) and BitShift (11), with numpy broadcasting.
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

// x^y of integers, wrapping around. Negative powers are fractions, of which the integer part is
// left.
template <class X, class Y>
X IntegerPower(X x, Y y) {
  if constexpr (std::is_signed_v<Y>) {
    if (y < 0) {
      if (x == 1) return 1;
      if (x == X(-1)) return y % 2 == 0 ? X(1) : X(-1);
      return 0;  // 0 to a negative power is undefined in the specification
    }
  }
  X r = 1;
  for (uint64_t n = static_cast<uint64_t>(y); n > 0; n >>= 1) {
    if (n & 1) r = WrapMul(r, x);
    x = WrapMul(x, x);
  }
  return r;
}

// Integer base, real exponent. In the field an exponent without a known value leaves only a hash.
template <class X, class Y>
X RealPowerOfInteger(X x, Y y) {
  if constexpr (kIsFp<Y>) {
    double v;
    if (RealValueOf(y, &v)) return TruncateTo<X>(std::pow(static_cast<double>(x), v));
    return static_cast<X>(HashedInteger("Pow", Uninterpreted("Pow", FromInteger<Fp>(x), y), 64));
  } else {
    return TruncateTo<X>(std::pow(static_cast<double>(x), static_cast<double>(y)));
  }
}

// Z = X^Y. The exponent has a type of its own; the result has the base's. Two different real types
// are computed with in double.
template <class X, class Y>
X Power(X x, Y y) {
  if constexpr (std::is_integral_v<X> && std::is_integral_v<Y>)
    return IntegerPower(x, y);
  else if constexpr (std::is_integral_v<X>)
    return RealPowerOfInteger(x, y);
  else if constexpr (std::is_same_v<X, Y>)
    return ScalarPow(x, y);
  else if constexpr (kIsFp<X>)
    return ScalarPow(x, FromInteger<Fp>(y));
  else
    return static_cast<X>(std::pow(static_cast<double>(x), static_cast<double>(y)));
}

Status EvalPow(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto base) -> Status {
    using X = decltype(base);
    return VisitNumeric(c.in(1), [&](auto exponent) -> Status {
      using Y = decltype(exponent);
      if constexpr (std::is_floating_point_v<X> && kIsFp<Y>) {
        return Unsupported("Pow with operands of different domains");
      } else if constexpr (kIsFp<X> && std::is_floating_point_v<Y>) {
        return Unsupported("Pow with operands of different domains");
      } else {
        const X* x = c.data<X>(0);
        const Y* y = c.data<Y>(1);
        X* z = out->mutable_data<X>();
        ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                      [&](int64_t i, int64_t ix, int64_t iy) { z[i] = Power(x[ix], y[iy]); });
        return {};
      }
    });
  });
}

// fmod = 0: the remainder has the divisor's sign (Python); fmod = 1: the dividend's (C).
struct PythonMod {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return 0;  // undefined in the specification; never a trap
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return 0;
        T r = static_cast<T>(a % b);
        return static_cast<T>(r != 0 && (r < 0) != (b < 0) ? r + b : r);
      } else {
        return static_cast<T>(a % b);
      }
    } else {
      return T();  // the rule wants fmod = 1 for real types
    }
  }
};
struct CMod {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return 0;
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return 0;
      }
      return static_cast<T>(a % b);
    } else if constexpr (kIsFp<T>) {
      double x, y;
      if (RealValueOf(a, &x) && RealValueOf(b, &y) && y != 0) return Fp(std::fmod(x, y));
      return Uninterpreted("Mod", a, b);
    } else {
      return std::fmod(a, b);
    }
  }
};

Status EvalMod(KernelContext& c) {
  return c.Int("fmod") != 0 ? Binary<CMod>(c) : Binary<PythonMod>(c);
}

void ModRule(RuleContext& c) {
  Dim fmod = c.Int("fmod");
  c.Require(fmod == Dim(0) || fmod == Dim(1), "fmod is 0 or 1");
  // While solving, the draw callback has yet to set it.
  bool needed = IsFloat(c.dtype(0)) && !(c.solving() && !c.HasAttr("fmod"));
  if (needed) c.Require(fmod == Dim(1), "fmod is 1 for floating-point operands");
  BroadcastAll(c);
}

// Bits shifted out are lost; a shift by the width or more leaves 0 (open in the specification).
template <bool kLeft>
struct ShiftFn {
  template <class T>
  T operator()(T x, T by) const {
    if (by >= static_cast<T>(8 * sizeof(T))) return 0;
    return kLeft ? static_cast<T>(static_cast<uint64_t>(x) << by) : static_cast<T>(x >> by);
  }
};

template <class Fn>
Status Shift(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitInt(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    if constexpr (std::is_signed_v<T>) {
      return Unsupported("BitShift of a signed integer");
    } else {
      const T* x = c.data<T>(0);
      const T* by = c.data<T>(1);
      T* z = out->mutable_data<T>();
      ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                    [&](int64_t i, int64_t ix, int64_t iy) { z[i] = Fn()(x[ix], by[iy]); });
      return {};
    }
  });
}

Status EvalBitShift(KernelContext& c) {
  return c.String("direction") == "LEFT" ? Shift<ShiftFn<true>>(c) : Shift<ShiftFn<false>>(c);
}

// Exponents that models use: a square mostly. Integer bases stay small under them.
bool DrawPow(Choices& choices, Draft& d) {
  DType base = d.inputs[0].dtype, exponent = base;
  if (d.spec->since >= 12 && choices.Chance(0.2)) {
    exponent = choices.PickOf({DType::kFloat, DType::kInt64, DType::kInt32});
  }
  if (!Contains(d.spec->inputs[1].types, exponent)) exponent = DType::kFloat;
  double y = choices.PickOf({2.0, 2.0, 2.0, 3.0, 1.0});
  if (IsFloat(base) && IsFloat(exponent) && choices.Chance(0.15)) y = 0.5;
  d.SetConstant(1, OneElement(exponent, y));
  return true;
}

bool DrawMod(Choices& choices, Draft& d) {
  DType t = d.inputs[0].dtype;
  double divisor = static_cast<double>(choices.Between(1, 9));
  if (Contains(kSignedInts, t) && choices.Chance(0.3)) divisor = -divisor;
  d.attrs.clear();
  d.Set("fmod", int64_t{IsFloat(t) || choices.Chance(0.5)});
  d.SetConstant(1, OneElement(t, divisor));
  return true;
}

bool DrawBitShift(Choices& choices, Draft& d) {
  DType t = d.inputs[0].dtype;
  d.Set("direction", std::string(choices.Chance(0.5) ? "LEFT" : "RIGHT"));
  d.SetConstant(1, OneElement(t, static_cast<double>(choices.Between(0, 8 * ElementBytes(t) - 1))));
  return true;
}

constexpr SafeValues kBase{.lo = 0.2, .hi = 1e6}, kIntegerBase{.lo = 0, .hi = 1e6},
    kExponent{.lo = -2, .hi = 3, .constant = true},
    kIntegerExponent{.lo = 0, .hi = 3, .constant = true};

void PowRows(std::vector<OpSpec>& rows) {
  OpSpec v7 = Op("Pow", 7)
                  .In("X", "T", kFloats16)
                  .In("Y", "T", kFloats16)
                  .Out("Z", "T", kFloats16)
                  .Rule(BroadcastAll)
                  .Eval(EvalPow)
                  .Draw(DrawPow)
                  .Safe("X", kBase, kIntegerBase)
                  .Safe("Y", kExponent, kIntegerExponent)
                  .Traits(kElementwise | kBroadcasts);
  rows.push_back(v7);
  OpSpec v12 = Op("Pow", 12)
                   .In("X", "T", kFloats16 | kIndexInts)
                   .In("Y", "T1", kFloats16 | kInts)
                   .Out("Z", "T", kFloats16 | kIndexInts)
                   .Rule(BroadcastAll)
                   .Eval(EvalPow)
                   .Draw(DrawPow)
                   .Safe("X", kBase, kIntegerBase)
                   .Safe("Y", kExponent, kIntegerExponent)
                   .Traits(kElementwise | kBroadcasts);
  rows.push_back(v12);
  rows.push_back(v12.Since(13).Types("T", kFloatsBf16 | kIndexInts));
  rows.push_back(
      v12.Since(15).Types("T", kFloatsBf16 | kIndexInts).Types("T1", kFloatsBf16 | kInts));
}

}  // namespace

std::vector<OpSpec> ops_power() {
  std::vector<OpSpec> rows;
  PowRows(rows);
  OpSpec mod = Op("Mod", 10)
                   .In("A", "T", kFloats16 | kInts)
                   .In("B", "T", kFloats16 | kInts)
                   .Out("C", "T", kFloats16 | kInts)
                   .Int("fmod", 0, {.hi = 1})
                   .Rule(ModRule)
                   .Eval(EvalMod)
                   .Draw(DrawMod)
                   .Safe("B", {.lo = 0.2, .nonzero = true, .constant = true},
                         SafeValues{.nonzero = true, .constant = true})
                   .Traits(kElementwise | kBroadcasts | kDiscontinuous);
  PushVersions(rows, mod, "T", {{13, kFloatsBf16 | kInts}});
  rows.push_back(
      Op("BitShift", 11)
          .In("X", "T", kUnsignedInts)
          .In("Y", "T", kUnsignedInts)
          .Out("Z", "T", kUnsignedInts)
          .Attr(
              {"direction", AttrType::kString, true, std::nullopt, {.strings = {"LEFT", "RIGHT"}}})
          .Rule(BroadcastAll)
          .Eval(EvalBitShift)
          .Draw(DrawBitShift)
          .Safe("Y", {}, SafeValues{.lo = 0, .hi = 4, .constant = true})
          .Traits(kElementwise | kBroadcasts)
          .Class(Accuracy::kExact));
  return rows;
}

}  // namespace assay
