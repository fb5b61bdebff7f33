// Reductions over axes: ReduceSum, Mean, Prod, Max, Min, L1, L2, LogSum, LogSumExp, SumSquare (ONNX
// opset 1, 11, 12, 13, 18). Axes are an attribute, from opset 13 (ReduceSum) and 18 (the others) an
// input; none means all, or with noop_with_empty_axes the input as it is.
#include <numeric>

#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

bool AxesAreInput(const OpSpec& s) {
  return s.since >= 18 || (s.name == "ReduceSum" && s.since >= 13);
}

void ReduceRule(RuleContext& c) {
  DType type = c.dtype(0);
  bool keep = c.IntValue("keepdims") != 0, noop = false;
  std::vector<int64_t> axes;
  bool known = true;
  if (AxesAreInput(c.spec())) {
    noop = c.IntValue("noop_with_empty_axes") != 0;
    if (c.Has(1)) {
      if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "axes is a vector");
      known = c.KnownInts(1, &axes);
    }
  } else {
    for (const Dim& d : c.Ints("axes")) axes.push_back(d.known() ? d.value() : 0);
  }
  if (!c.Ranked(0)) return c.OutUnranked(0, type);
  int rank = c.Rank(0);
  if (!known) {
    if (keep)
      c.Out(0, type, std::vector<Dim>(static_cast<size_t>(rank)));
    else
      c.OutUnranked(0, type);
    return;
  }
  if (axes.empty() && noop) return c.Out(0, type, c.Dims(0));
  std::vector<bool> reduced(static_cast<size_t>(rank), axes.empty());
  for (int a : DistinctAxes(c, axes, rank)) reduced[static_cast<size_t>(a)] = true;
  std::vector<Dim> out;
  for (int i = 0; i < rank; ++i) {
    if (!reduced[static_cast<size_t>(i)])
      out.push_back(c.In(0, i));
    else if (keep)
      out.push_back(Dim(1));
  }
  c.Out(0, type, std::move(out));
}

std::vector<bool> ReducedAxes(const KernelContext& c) {
  int rank = c.in(0).rank();
  std::vector<int64_t> axes;
  if (AxesAreInput(c.spec())) {
    if (c.Has(1)) axes = c.in(1).AsInts();
    if (axes.empty() && c.Int("noop_with_empty_axes") != 0)
      return std::vector<bool>(static_cast<size_t>(rank), false);
  } else {
    axes = c.Ints("axes");
  }
  std::vector<bool> reduced(static_cast<size_t>(rank), axes.empty());
  for (int64_t a : axes) reduced[static_cast<size_t>(a < 0 ? a + rank : a)] = true;
  return reduced;
}

// Calls f(input index, output index) for every element of the input, in order.
template <class F>
void ForReduced(const Shape& shape, const std::vector<bool>& reduced, F&& f) {
  if (ElementCount(shape) == 0) return;
  int rank = static_cast<int>(shape.size());
  Shape step(shape.size(), 0), at(shape.size(), 0);
  int64_t width = 1;
  for (int d = rank - 1; d >= 0; --d) {
    if (reduced[static_cast<size_t>(d)]) continue;
    step[static_cast<size_t>(d)] = width;
    width *= shape[static_cast<size_t>(d)];
  }
  int64_t n = ElementCount(shape), inner = rank ? shape.back() : 1,
          inner_step = rank ? step.back() : 0, o = 0;
  for (int64_t i = 0; i < n; i += inner) {
    for (int64_t j = 0; j < inner; ++j) f(i + j, o + j * inner_step);
    for (int d = rank - 2; d >= 0; --d) {
      size_t k = static_cast<size_t>(d);
      o += step[k];
      if (++at[k] < shape[k]) break;
      o -= step[k] * shape[k];
      at[k] = 0;
    }
  }
}

// What accumulates: sums of float in double, of integers in their own type with wrap-around.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, float>, double, T>;

// One reduction: how an element enters, and what the total gives. `n` elements enter each output.
struct SumOf {
  template <class A>
  static A First() {
    return A(0);
  }
  template <class A>
  static A Enter(A acc, A x) {
    return WrapAdd(acc, x);
  }
  template <class A>
  static A Finish(A acc, int64_t) {
    return acc;
  }
};
struct MeanOf : SumOf {
  template <class A>
  static A Finish(A acc, int64_t n) {
    if constexpr (std::is_integral_v<A>)
      return n == 0 ? A(0) : static_cast<A>(acc / static_cast<A>(n));
    else
      return acc / A(static_cast<double>(n));
  }
};
struct ProdOf : SumOf {
  template <class A>
  static A First() {
    return A(1);
  }
  template <class A>
  static A Enter(A acc, A x) {
    return WrapMul(acc, x);
  }
};
struct L1Of : SumOf {
  template <class A>
  static A Enter(A acc, A x) {
    return WrapAdd(acc, ScalarAbs(x));
  }
};
struct SumSquareOf : SumOf {
  template <class A>
  static A Enter(A acc, A x) {
    return WrapAdd(acc, WrapMul(x, x));
  }
};
// Roots and logarithms of integers are computed in double and truncated.
template <class A, class F>
A ThroughReal(A acc, F&& f) {
  if constexpr (std::is_integral_v<A>) {
    return TruncateTo<A>(f(static_cast<double>(acc)));
  } else {
    return f(acc);
  }
}
struct L2Of : SumSquareOf {
  template <class A>
  static A Finish(A acc, int64_t) {
    return ThroughReal(acc, [](auto v) { return ScalarSqrt(v); });
  }
};
struct LogSumOf : SumOf {
  template <class A>
  static A Finish(A acc, int64_t) {
    return ThroughReal(acc, [](auto v) { return ScalarLog(v); });
  }
};

template <class Fn>
Status Fold(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  std::vector<bool> reduced = ReducedAxes(c);
  int64_t each = out->size() > 0 ? c.in(0).size() / out->size() : 0;
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using A = Accumulator<T>;
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    std::vector<A> acc(static_cast<size_t>(out->size()), Fn::template First<A>());
    ForReduced(c.in(0).shape(), reduced, [&](int64_t i, int64_t o) {
      acc[static_cast<size_t>(o)] = Fn::Enter(acc[static_cast<size_t>(o)], A(x[i]));
    });
    for (int64_t o = 0; o < out->size(); ++o)
      y[o] = static_cast<T>(Fn::Finish(acc[static_cast<size_t>(o)], each));
    return {};
  });
}

// The largest (or smallest) element; NaN wins, true is more than false. Of no elements: the type's
// own bound.
template <bool kMax>
Status Extreme(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  std::vector<bool> reduced = ReducedAxes(c);
  const bool logical = c.in(0).dtype() == DType::kBool;
  auto run = [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    T none = T(0);
    if constexpr (std::is_floating_point_v<T>)
      none = kMax ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
    else if constexpr (std::is_integral_v<T>)
      none = kMax ? std::numeric_limits<T>::min() : logical ? T(1) : std::numeric_limits<T>::max();
    std::fill_n(y, out->size(), none);
    std::vector<bool> seen(static_cast<size_t>(out->size()), false);
    ForReduced(c.in(0).shape(), reduced, [&](int64_t i, int64_t o) {
      y[o] = !seen[static_cast<size_t>(o)] ? x[i]
             : kMax                        ? ScalarMax(y[o], x[i])
                                           : ScalarMin(y[o], x[i]);
      seen[static_cast<size_t>(o)] = true;
    });
    return {};
  };
  return logical ? run(uint8_t{}) : VisitNumeric(c.in(0), run);
}

// log(sum exp(x)), shifted by the maximum where exp may overflow; unshifted in the field, where the
// shift would not cancel.
Status LogSumExp(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  std::vector<bool> reduced = ReducedAxes(c);
  const Shape& shape = c.in(0).shape();
  auto run = [&](auto zero, auto real) -> Status {
    using T = decltype(zero);
    using A = decltype(real);
    const T* x = c.data<T>(0);
    T* y = out->mutable_data<T>();
    size_t n = static_cast<size_t>(out->size());
    std::vector<A> shift(n, A(0)), sum(n, A(0));
    if constexpr (!kIsFp<A>) {
      std::fill(shift.begin(), shift.end(), -std::numeric_limits<A>::infinity());
      ForReduced(shape, reduced, [&](int64_t i, int64_t o) {
        shift[static_cast<size_t>(o)] = ScalarMax(shift[static_cast<size_t>(o)], A(x[i]));
      });
      for (A& s : shift) s = std::isfinite(s) ? s : A(0);
    }
    ForReduced(shape, reduced, [&](int64_t i, int64_t o) {
      sum[static_cast<size_t>(o)] += ScalarExp(A(x[i]) - shift[static_cast<size_t>(o)]);
    });
    for (size_t o = 0; o < n; ++o) {
      A v = ScalarLog(sum[o]) + shift[o];
      if constexpr (std::is_integral_v<T>)
        y[o] = TruncateTo<T>(v);
      else
        y[o] = static_cast<T>(v);
    }
    return {};
  };
  if (IsFloat(c.in(0).dtype())) {
    return VisitFloat(c.in(0), [&](auto zero) { return run(zero, Accumulator<decltype(zero)>{}); });
  }
  return VisitInt(c.in(0), [&](auto zero) { return run(zero, double{}); });
}

bool DrawReduce(Choices& choices, Draft& d) {
  int rank = static_cast<int>(d.inputs[0].dims.size());
  if (choices.Chance(0.8)) d.Set("keepdims", static_cast<int64_t>(choices.Below(2)));
  if (rank == 0 || choices.Chance(0.15)) {  // all axes, or none
    MaybeSet(choices, d, "noop_with_empty_axes", 0.3);
    return true;
  }
  std::vector<int64_t> axes = DrawAxes(choices, rank);
  for (int64_t& a : axes) a = MaybeNegative(choices, d, a, rank);
  if (AxesAreInput(*d.spec))
    d.SetConstant(1, Tensor::Vector(axes));
  else
    d.Set("axes", axes);
  return true;
}

void AddRows(std::vector<OpSpec>& rows, const char* name, EvalFn eval, bool small_ints) {
  constexpr DTypeSet kHigh = kFloats16 | kInts32_64;
  constexpr DTypeSet kBytes = Bit(DType::kInt8) | Bit(DType::kUint8), kBf16 = Bit(DType::kBfloat16);
  OpSpec v1 = Op(name, 1)
                  .In("data", "T", kHigh)
                  .Out("reduced", "T", kHigh)
                  .Ints("axes")
                  .Int("keepdims", 1, {.ints = {0, 1}})
                  .Rule(ReduceRule)
                  .Eval(eval)
                  .Draw(DrawReduce)
                  .Class(Accuracy::kReduction);
  rows.push_back(v1);
  rows.push_back(v1.Since(11));
  if (small_ints) rows.push_back(v1.Since(12).Types("T", kHigh | kBytes));
  DTypeSet latest = kHigh | kBf16 | (small_ints ? kBytes : 0);
  auto with_axes_input = [&](int since) {
    if (since >= 20) latest |= Bit(DType::kBool);
    return Op(name, since)
        .In("data", "T", latest)
        .In("axes", "", Bit(DType::kInt64), Arity::kOptional)
        .Out("reduced", "T", latest)
        .Int("keepdims", 1, {.ints = {0, 1}})
        .Int("noop_with_empty_axes", 0, {.ints = {0, 1}})
        .Rule(ReduceRule)
        .Eval(eval)
        .Draw(DrawReduce)
        .Class(Accuracy::kReduction);
  };
  if (std::string(name) == "ReduceSum") {
    rows.push_back(with_axes_input(13));
    return;
  }
  rows.push_back(v1.Since(13).Types("T", latest));
  rows.push_back(with_axes_input(18));
  if (small_ints) rows.push_back(with_axes_input(20));
}

}  // namespace

std::vector<OpSpec> ops_reduce() {
  std::vector<OpSpec> rows;
  AddRows(rows, "ReduceSum", Fold<SumOf>, false);
  AddRows(rows, "ReduceMean", Fold<MeanOf>, false);
  AddRows(rows, "ReduceProd", Fold<ProdOf>, false);
  AddRows(rows, "ReduceL1", Fold<L1Of>, false);
  AddRows(rows, "ReduceL2", Fold<L2Of>, false);
  AddRows(rows, "ReduceSumSquare", Fold<SumSquareOf>, false);
  AddRows(rows, "ReduceLogSum", Fold<LogSumOf>, false);
  AddRows(rows, "ReduceLogSumExp", LogSumExp, false);
  AddRows(rows, "ReduceMax", Extreme<true>, true);
  AddRows(rows, "ReduceMin", Extreme<false>, true);
  for (OpSpec& r : rows) {
    const std::string& n = r.name;
    if (n == "ReduceLogSum") r.Safe(0.2, 1e6);
    // Growth that is repeated ends in overflow.
    if (n == "ReduceProd" || n == "ReduceLogSumExp") r.Safe(-8, 8);
    if (n == "ReduceL1" || n == "ReduceL2" || n == "ReduceSumSquare") r.Gives(0, 1e30);
    if (n == "ReduceMax" || n == "ReduceMin") r.Class(Accuracy::kExact).Traits(kWithinInputs);
    if (n == "ReduceMean") r.Traits(kWithinInputs);
  }
  return rows;
}

}  // namespace assay
