// Softmax, LogSoftmax, Hardmax (ONNX opset 1, 11, 13). Before opset 13 the input is coerced to two
// dimensions at `axis` (default 1) and normalized over all of the second; from 13 on over `axis`
// (default -1) alone.
//
//   Softmax: exp(x) / sum exp(x)   LogSoftmax: log Softmax   Hardmax: 1 at the first maximum, else
//   0
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

void SoftmaxRule(RuleContext& c) {
  if (c.Ranked(0)) {
    int rank = c.Rank(0);
    int64_t axis = c.IntValue("axis");
    // Coercion to [1, n] is allowed at the end of the shape before opset 13.
    if (c.spec().since < 13)
      c.Require(axis >= -rank && axis <= rank, "axis is within the rank");
    else
      c.Axis(axis, rank);
  }
  SameAsInput0(c);
}

// The lines that are normalized: `count` of them, `n` elements `step` apart.
struct Lines {
  int64_t outer, n, step;
};
Lines LinesOf(const KernelContext& c) {
  const Shape& s = c.in(0).shape();
  int rank = static_cast<int>(s.size()), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  if (c.spec().since < 13) return {ElementCount(s, 0, axis), ElementCount(s, axis, rank), 1};
  return {ElementCount(s, 0, axis), s[static_cast<size_t>(axis)], ElementCount(s, axis + 1, rank)};
}

template <class Fn>
Status ForLines(KernelContext& c, Fn&& fn) {
  Tensor* out = TRY(c.Out(0));
  if (out->size() == 0) return {};
  Lines l = LinesOf(c);
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t o = 0; o < l.outer; ++o) {
      for (int64_t i = 0; i < l.step; ++i) {
        int64_t at = o * l.n * l.step + i;
        fn(c.data<T>(0) + at, out->mutable_data<T>() + at, l.n, l.step);
      }
    }
    return {};
  });
}

template <class T>
T MaxOfLine(const T* x, int64_t n, int64_t step) {
  T m = x[0];
  for (int64_t k = 1; k < n; ++k) m = ScalarMax(m, x[k * step]);
  return m;
}

// y = exp(x - m) with the sum of it; the shift m keeps exp finite and is left out in the field,
// where it would not cancel.
template <class T>
auto Exponentials(const T* x, T* y, int64_t n, int64_t step) {
  using A = std::conditional_t<std::is_same_v<T, float>, double, T>;
  A sum = A(0);
  T shift = T(0);
  if constexpr (!kIsFp<T>) shift = MaxOfLine(x, n, step);
  for (int64_t k = 0; k < n; ++k) {
    y[k * step] = ScalarExp(x[k * step] - shift);
    sum += A(y[k * step]);
  }
  return sum;
}

Status SoftmaxKernel(KernelContext& c) {
  return ForLines(c, [](const auto* x, auto* y, int64_t n, int64_t step) {
    using T = std::remove_cvref_t<decltype(*y)>;
    auto sum = Exponentials(x, y, n, step);
    if constexpr (kIsFp<T>) sum = Fp(1) / sum;  // one inverse a line: they are slow
    for (int64_t k = 0; k < n; ++k) {
      y[k * step] = static_cast<T>(kIsFp<T> ? y[k * step] * sum : y[k * step] / sum);
    }
  });
}

Status LogSoftmaxKernel(KernelContext& c) {
  return ForLines(c, [](const auto* x, auto* y, int64_t n, int64_t step) {
    using T = std::remove_cvref_t<decltype(*y)>;
    if constexpr (kIsFp<T>) {
      T sum = Exponentials(x, y, n, step);
      T factor = Fp(1) / sum;
      for (int64_t k = 0; k < n; ++k) y[k * step] = ScalarLog(y[k * step] * factor);
    } else {
      T shift = MaxOfLine(x, n, step);
      auto log_sum = std::log(Exponentials(x, y, n, step));
      for (int64_t k = 0; k < n; ++k) y[k * step] = static_cast<T>((x[k * step] - shift) - log_sum);
    }
  });
}

Status HardmaxKernel(KernelContext& c) {
  return ForLines(c, [](const auto* x, auto* y, int64_t n, int64_t step) {
    using T = std::remove_cvref_t<decltype(*y)>;
    int64_t best = 0;
    for (int64_t k = 1; k < n; ++k) {
      if (x[best * step] < x[k * step]) best = k;
    }
    for (int64_t k = 0; k < n; ++k) y[k * step] = T(k == best ? 1 : 0);
  });
}

bool DrawSoftmax(Choices& choices, Draft& d) {
  int rank = static_cast<int>(d.inputs[0].dims.size());
  if (rank == 0) return false;
  d.Set("axis", DrawAxis(choices, d, rank));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_softmax() {
  std::vector<OpSpec> rows;
  struct {
    const char* name;
    EvalFn eval;
  } kinds[] = {
      {"Softmax", SoftmaxKernel}, {"LogSoftmax", LogSoftmaxKernel}, {"Hardmax", HardmaxKernel}};
  for (const auto& k : kinds) {
    bool hard = k.eval == HardmaxKernel, logarithm = k.eval == LogSoftmaxKernel;
    auto row = [&](int since, DTypeSet types, int64_t axis) {
      return Op(k.name, since)
          .In("input", "T", types)
          .Out("output", "T", types)
          .Int("axis", axis)
          .Rule(SoftmaxRule)
          .Eval(k.eval)
          .Draw(DrawSoftmax)
          .Traits(hard ? static_cast<uint32_t>(kDiscontinuous) : 0)
          .Class(hard ? Accuracy::kExact : Accuracy::kReduction)
          .Gives(logarithm ? -1e30 : 0, logarithm ? 0 : 1);
    };
    rows.push_back(row(1, kFloats16, 1));
    rows.push_back(row(11, kFloats16, 1));
    rows.push_back(row(13, kFloatsBf16, -1));
  }
  return rows;
}

}  // namespace assay
