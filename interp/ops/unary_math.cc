// Mathematical functions of one operand: Abs, Exp, Log, Sqrt, Reciprocal, Floor, Ceil, Round, Sign,
// Erf and the trigonometric and hyperbolic functions with their inverses (ONNX opset 6 to 13).
#include "interp/ops/elementwise.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

#define ASSAY_FUNCTOR(Name, expression) \
  struct Name##Fn {                     \
    template <class T>                  \
    T operator()(T x) const {           \
      return expression;                \
    }                                   \
  };
ASSAY_FUNCTOR(Abs, ScalarAbs(x))
ASSAY_FUNCTOR(Exp, ScalarExp(x))
ASSAY_FUNCTOR(Log, ScalarLog(x))
ASSAY_FUNCTOR(Sqrt, ScalarSqrt(x))
ASSAY_FUNCTOR(Reciprocal, T(1) / x)
ASSAY_FUNCTOR(Sin, ScalarSin(x))
ASSAY_FUNCTOR(Cos, ScalarCos(x))
ASSAY_FUNCTOR(Tan, ScalarTan(x))
ASSAY_FUNCTOR(Asin, ScalarAsin(x))
ASSAY_FUNCTOR(Acos, ScalarAcos(x))
ASSAY_FUNCTOR(Atan, ScalarAtan(x))
ASSAY_FUNCTOR(Sinh, ScalarSinh(x))
ASSAY_FUNCTOR(Cosh, ScalarCosh(x))
ASSAY_FUNCTOR(Asinh, ScalarAsinh(x))
ASSAY_FUNCTOR(Acosh, ScalarAcosh(x))
ASSAY_FUNCTOR(Atanh, ScalarAtanh(x))
#undef ASSAY_FUNCTOR

// What rounds, in the field: the rounded real value where the residue has one, else a small integer
// from a hash, so that rounding twice is rounding once (see elementwise.h).
template <double (*kRound)(double)>
Fp RoundResidue(const char* name, Fp x) {
  double v;
  if (RealValueOf(x, &v)) return Fp(kRound(v));
  return FromInteger<Fp>(HashedInteger(name, x, 2 * kSmallInteger + 1) - kSmallInteger);
}

struct FloorFn {
  template <class T>
  T operator()(T x) const {
    if constexpr (kIsFp<T>)
      return RoundResidue<std::floor>("Floor", x);
    else
      return std::floor(x);
  }
};
struct CeilFn {  // in the field through ceil(x) = -floor(-x)
  template <class T>
  T operator()(T x) const {
    if constexpr (kIsFp<T>)
      return -RoundResidue<std::floor>("Floor", -x);
    else
      return std::ceil(x);
  }
};
struct RoundFn {  // half to even; an odd function
  template <class T>
  T operator()(T x) const {
    if constexpr (kIsFp<T>) {
      bool negate = x.r > field_internal::modulus.p / 2;
      Fp r = RoundResidue<std::nearbyint>("Round", negate ? -x : x);
      return negate ? -r : r;
    } else {
      return std::nearbyint(x);
    }
  }
};
struct SignFn {  // of NaN: 0, as runtimes do
  template <class T>
  T operator()(T x) const {
    if (x > T()) return T(1);
    if constexpr (std::is_unsigned_v<T>)
      return T();
    else
      return x < T() ? T(-1) : T();
  }
};
struct ErfFn {  // of integers: its integer part, which is 0 almost everywhere
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_integral_v<T>)
      return TruncateTo<T>(std::erf(static_cast<double>(x)));
    else
      return ScalarErf(x);
  }
};

// How a family names its operand and result.
struct Names {
  const char* in;
  const char* out;
};
constexpr Names kXY{"X", "Y"}, kInOut{"input", "output"};

OpSpec RealFunction(const char* name, int since, Names names, EvalFn eval,
                    DTypeSet types = kFloats16) {
  return Op(name, since)
      .In(names.in, "T", types)
      .Out(names.out, "T", types)
      .Rule(SameAsInput0)
      .Eval(eval)
      .Traits(kElementwise);
}

// Ranges in which the value is finite and not too steep.
void AnalyticRows(std::vector<OpSpec>& rows) {
  PushVersions(rows, RealFunction("Exp", 6, kInOut, Unary<ExpFn>).Safe(-8, 8).Gives(0, 1e30), "T",
               {{13, kFloatsBf16}});
  PushVersions(rows, RealFunction("Log", 6, kInOut, Unary<LogFn>).Safe(1e-3, 1e30), "T",
               {{13, kFloatsBf16}});
  PushVersions(rows, RealFunction("Sqrt", 6, kXY, Unary<SqrtFn>).Safe(0, 1e30).Gives(0, 1e30), "T",
               {{13, kFloatsBf16}});
  PushVersions(rows,
               RealFunction("Reciprocal", 6, kXY, Unary<ReciprocalFn>)
                   .Safe("X", {.nonzero = true}),
               "T", {{13, kFloatsBf16}});
  PushVersions(rows,
               RealFunction("Erf", 9, kInOut, UnaryNumeric<ErfFn>, kFloats16 | kInts).Gives(-1, 1),
               "T", {{13, kFloatsBf16 | kInts}});
}

void RoundingRows(std::vector<OpSpec>& rows) {
  auto stepped = [](const char* name, int since, Names names, EvalFn eval,
                    DTypeSet types = kFloats16) {
    return RealFunction(name, since, names, eval, types)
        .Traits(kDiscontinuous)
        .Class(Accuracy::kExact);
  };
  PushVersions(rows, stepped("Floor", 6, kXY, Unary<FloorFn>), "T", {{13, kFloatsBf16}});
  PushVersions(rows, stepped("Ceil", 6, kXY, Unary<CeilFn>), "T", {{13, kFloatsBf16}});
  rows.push_back(stepped("Round", 11, kXY, Unary<RoundFn>));
  PushVersions(rows,
               stepped("Sign", 9, kInOut, UnaryNumeric<SignFn>, kFloats16 | kInts).Gives(-1, 1),
               "T", {{13, kFloatsBf16 | kInts}});
}

void TrigonometricRows(std::vector<OpSpec>& rows) {
  rows.push_back(RealFunction("Sin", 7, kInOut, Unary<SinFn>).Safe(-1e4, 1e4).Gives(-1, 1));
  rows.push_back(RealFunction("Cos", 7, kInOut, Unary<CosFn>).Safe(-1e4, 1e4).Gives(-1, 1));
  rows.push_back(RealFunction("Tan", 7, kInOut, Unary<TanFn>).Safe(-1.5, 1.5));
  rows.push_back(RealFunction("Asin", 7, kInOut, Unary<AsinFn>).Safe(-1, 1));
  rows.push_back(RealFunction("Acos", 7, kInOut, Unary<AcosFn>).Safe(-1, 1).Gives(0, 3.2));
  rows.push_back(RealFunction("Atan", 7, kInOut, Unary<AtanFn>).Gives(-1.6, 1.6));
  rows.push_back(RealFunction("Sinh", 9, kInOut, Unary<SinhFn>).Safe(-8, 8));
  rows.push_back(RealFunction("Cosh", 9, kInOut, Unary<CoshFn>).Safe(-8, 8).Gives(1, 1e30));
  rows.push_back(RealFunction("Asinh", 9, kInOut, Unary<AsinhFn>));
  rows.push_back(RealFunction("Acosh", 9, kInOut, Unary<AcoshFn>).Safe(1, 1e30).Gives(0, 1e30));
  rows.push_back(RealFunction("Atanh", 9, kInOut, Unary<AtanhFn>).Safe(-0.999, 0.999));
}

}  // namespace

std::vector<OpSpec> ops_unary_math() {
  std::vector<OpSpec> rows;
  PushVersions(rows,
               RealFunction("Abs", 6, kXY, UnaryNumeric<AbsFn>, kFloats16 | kInts)
                   .Class(Accuracy::kExact)
                   .Gives(0, 1e30),
               "T", {{13, kFloatsBf16 | kInts}});
  AnalyticRows(rows);
  RoundingRows(rows);
  TrigonometricRows(rows);
  PushBfloat16(rows, "T");
  return rows;
}

}  // namespace assay
