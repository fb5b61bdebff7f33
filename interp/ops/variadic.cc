// Sum, Mean, Min, Max of any number of tensors (ONNX opset 6: equal shapes; 8, 12, 13: numpy
// broadcasting).
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

struct SumFn {
  template <class T>
  T operator()(T a, T b) const {
    return WrapAdd(a, b);
  }
};
struct MinFn {
  template <class T>
  T operator()(T a, T b) const {
    return ScalarMin(a, b);
  }
};
struct MaxFn {
  template <class T>
  T operator()(T a, T b) const {
    return ScalarMax(a, b);
  }
};

// Y = fn(.. fn(fn(X0, X1), X2) .., Xn), divided by the number of operands when kMean.
template <class Fn, bool kMean = false>
Status Fold(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    T* y = out->mutable_data<T>();
    const Shape& shape = out->shape();
    const T* first = c.data<T>(0);
    Fn fn;
    if (c.inputs() == 1) {
      std::copy(first, first + out->size(), y);
    } else {
      const T* second = c.data<T>(1);
      EachBroadcast(shape, c.in(0).shape(), c.in(1).shape(),
                    [&](int64_t i, int64_t ia, int64_t ib) { y[i] = fn(first[ia], second[ib]); });
    }
    for (int k = 2; k < c.inputs(); ++k) {
      const T* x = c.data<T>(k);
      EachBroadcast(shape, c.in(k).shape(), shape,
                    [&](int64_t i, int64_t ix, int64_t) { y[i] = fn(y[i], x[ix]); });
    }
    if constexpr (kMean) {
      const T count = FromInteger<T>(int64_t{c.inputs()});
      ForElements(out->size(), [&](int64_t i) { y[i] = static_cast<T>(y[i] / count); });
    }
    return {};
  });
}

// Before opset 8 nothing broadcasts.
void EqualShapes(RuleContext& c) {
  for (int i = 1; i < c.inputs(); ++i) {
    if (!c.Ranked(0) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) == c.Rank(0), "the inputs have equal shapes");
    for (int d = 0; d < std::min(c.Rank(i), c.Rank(0)); ++d) {
      c.Require(c.In(i, d) == c.In(0, d), "the inputs have equal shapes");
    }
  }
  SameAsInput0(c);
}

OpSpec Variadic(const char* name, int since, const char* out, RuleFn rule, EvalFn eval,
                Accuracy accuracy, uint32_t traits) {
  return Op(name, since)
      .In("data_0", "T", kFloats16, Arity::kVariadic)
      .Out(out, "T", kFloats16)
      .Rule(rule)
      .Eval(eval)
      .Class(accuracy)
      .Traits(kElementwise | kCommutative | traits |
              (rule == BroadcastAll ? uint32_t{kBroadcasts} : 0));
}

}  // namespace

std::vector<OpSpec> ops_variadic() {
  std::vector<OpSpec> rows;
  auto sums = [&](const char* name, const char* out, EvalFn eval, uint32_t traits) {
    rows.push_back(Variadic(name, 6, out, EqualShapes, eval, Accuracy::kRounding, traits));
    PushVersions(rows, Variadic(name, 8, out, BroadcastAll, eval, Accuracy::kRounding, traits), "T",
                 {{13, kFloatsBf16}});
  };
  auto bounds = [&](const char* name, const char* out, EvalFn eval) {
    rows.push_back(Variadic(name, 6, out, EqualShapes, eval, Accuracy::kExact, kWithinInputs));
    PushVersions(rows, Variadic(name, 8, out, BroadcastAll, eval, Accuracy::kExact, kWithinInputs),
                 "T", {{12, kFloats16 | kInts}, {13, kFloatsBf16 | kInts}});
  };
  sums("Sum", "sum", Fold<SumFn>, 0);
  sums("Mean", "mean", Fold<SumFn, true>, kWithinInputs);
  bounds("Min", "min", Fold<MinFn>);
  bounds("Max", "max", Fold<MaxFn>);
  return rows;
}

}  // namespace assay
