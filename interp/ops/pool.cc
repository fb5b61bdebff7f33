// MaxPool (ONNX opset 1, 8, 10, 11, 12), AveragePool (1, 7, 10, 11, 19) and LpPool (2, 11, 18) over
// [N,C,D1..Dn]: y[n,c,o] is the maximum, the mean or the p-norm of the taps of window o.
//
// Surprises: padding is skipped, never a value; AveragePool divides by the taps within the input,
// or with count_include_pad by those within the input and its pads, which leaves out what ceil_mode
// adds at the end. A window without any tap (dilations can step over the input) gives the lowest
// number, 0 and 0.
#include <optional>

#include "interp/ops/elementwise.h"
#include "interp/padded_plane.h"
#include "interp/window.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

void Rule(RuleContext& c) {
  if (c.spec().FindAttr("p")) c.Require(c.Int("p") >= Dim(1), "p is at least 1");
  PoolRule(c);
}

// Windows of this node, or nothing when an output is empty; LimitHit when they are too much work.
Result<std::optional<Windows>> WindowsOf(const KernelContext& c) {
  const Shape& x = c.in(0).shape();
  Shape y = c.out_shape(0), kernel = c.Ints("kernel_shape");
  if (ElementCount(y) == 0) return std::optional<Windows>();
  TRY(c.Charge({ElementCount(y), ElementCount(kernel) < 0 ? std::numeric_limits<int64_t>::max()
                                                          : ElementCount(kernel)}));
  return std::optional<Windows>(
      Windows(WindowAxes(c, Shape(x.begin() + 2, x.end()), Shape(y.begin() + 2, y.end()), kernel)));
}

template <class T>
bool Exceeds(T x, T best) {
  if constexpr (std::is_floating_point_v<T>) {
    if (x != x) return best == best;  // the first NaN wins
  }
  return best < x;
}

template <class T>
T Lowest() {
  if constexpr (kIsFp<T>)
    return Fp(static_cast<double>(std::numeric_limits<float>::lowest()));
  else
    return std::numeric_limits<T>::lowest();
}

// Offset of an element counted with the first spatial axis moving fastest.
int64_t ColumnMajor(int64_t offset, const Shape& spatial) {
  int64_t result = 0, rest = offset, size = ElementCount(spatial);
  for (size_t i = spatial.size(); i-- > 0;) {
    size /= spatial[i];
    result += rest % spatial[i] * size;
    rest /= spatial[i];
  }
  return result;
}

// Below every number, and no number of its own.
template <class T>
constexpr T kNone = std::numeric_limits<T>::has_infinity ? -std::numeric_limits<T>::infinity()
                                                         : std::numeric_limits<T>::lowest();

// The maxima of one plane, line by line or through a padded copy.
template <class T>
void MaxPlane(const Windows& windows, const T* x, const std::vector<TapLine>& lines,
              std::optional<PaddedPlane<T>>& copy, T* y) {
  if (copy) {
    copy->Copy(x, [](T v) { return v; });
    // A NaN wins.
    auto larger = [](auto best, size_t, auto v) { return (best < v) | (v != v) ? v : best; };
    copy->Windows(kNone<T>, larger, [](auto best, int64_t) { return best; }, y);
  } else {
    int64_t stride = windows.axes().back().stride;
    std::fill(y, y + windows.size(), kNone<T>);
    for (const TapLine& line : lines) {
      T* best = y + line.to;
      const T* in = x + line.from;
      for (int64_t o = 0; o < line.n; ++o) best[o] = Exceeds(in[o * stride], best[o]) ? in[o * stride] : best[o];
    }
  }
  for (int64_t w = 0; w < windows.size(); ++w) {
    if (y[w] == kNone<T> && windows.Count(w, false) == 0) y[w] = Lowest<T>();
  }
}

// Calls f(plane, lines, copy) for each of n planes; `copy` is empty where a padded copy would not pay, and `lines` where
// it does.
template <class U, class F>
void ForPooledPlanes(const Windows& windows, int64_t n, U padding, F&& f) {
  constexpr int64_t kElements = 1 << 13, kFewWindows = 512;
  bool fits = n * windows.size() > kFewWindows && PaddedPlane<U>::Fits(windows.axes());
  const std::vector<TapLine> lines = fits ? std::vector<TapLine>() : TapLines(windows.axes());
  int64_t grain = 1 + kElements / std::max<int64_t>(windows.in_size(), 1);  // padding alone: none
  ParallelRanges(n, grain, [&](int64_t begin, int64_t end) {
    std::optional<PaddedPlane<U>> copy;
    if (fits) copy.emplace(windows.axes(), padding);
    for (int64_t plane = begin; plane < end; ++plane) f(plane, lines, copy);
  });
}

// An element of the field with its place in the order, which is hard to come by.
struct Placed {
  Fp value;
  double key;
  bool operator<(const Placed& o) const {
    return key != o.key ? key < o.key : value.r < o.value.r;
  }
};

// Calls f(window, i) with the place of the maximum of each window of a plane; -1: it has no taps.
template <class T, class F>
void MaxPlaces(const Windows& windows, const T* x, F&& f) {
  for (int64_t w = 0; w < windows.size(); ++w) {
    int64_t best = -1;
    windows.Read(w, [&](int64_t i) {
      if (best < 0 || Exceeds(x[i], x[best])) best = i;
    });
    f(w, best);
  }
}

template <class F>
void MaxPlaces(const Windows& windows, const Fp* x, F&& f) {
  std::vector<Placed> placed(static_cast<size_t>(windows.in_size()));
  for (size_t i = 0; i < placed.size(); ++i) placed[i] = {x[i], FieldContext::current()->OrderKey(x[i].r)};
  MaxPlaces(windows, placed.data(), f);
}

Status EvalMax(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  Tensor* indices = c.WantsOutput(1) ? TRY(c.Out(1)) : nullptr;
  std::optional<Windows> windows = TRY(WindowsOf(c));
  if (!windows) return {};
  bool column_major = c.Int("storage_order") == 1;
  const Shape& shape = c.in(0).shape();
  Shape spatial(shape.begin() + 2, shape.end());
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* x = c.data<T>(0);
    T* out = y->mutable_data<T>();
    int64_t* index = indices ? indices->mutable_data<int64_t>() : nullptr;
    if constexpr (!kIsFp<T>) {
      if (!index) {
        ForPooledPlanes<T>(*windows, shape[0] * shape[1], kNone<T>, [&](int64_t plane, auto& lines, auto& copy) {
          MaxPlane(*windows, x + plane * windows->in_size(), lines, copy, out + plane * windows->size());
        });
        return {};
      }
    }
    ForPlanes(shape[0] * shape[1], windows->in_size(), [&](int64_t plane) {
      const T* from = x + plane * windows->in_size();
      int64_t first = plane * windows->size();
      MaxPlaces(*windows, from, [&](int64_t w, int64_t best) {
        out[first + w] = best < 0 ? Lowest<T>() : from[best];
        if (!index) return;
        int64_t within = best >= 0 && column_major ? ColumnMajor(best, spatial) : best;
        index[first + w] = best < 0 ? -1 : plane * windows->in_size() + within;
      });
    });
    return {};
  });
}

// y = finish(sum over taps of term(x), window) on one plane, line by line.
template <class T, class Term, class Finish>
void SumLines(const Windows& windows, const std::vector<TapLine>& lines, const T* x, T* y, Term&& term, Finish&& finish) {
  int64_t stride = windows.axes().back().stride;
  std::vector<Wide<T>> sums(static_cast<size_t>(windows.size()), Wide<T>(0));
  for (const TapLine& line : lines) {
    Wide<T>* sum = sums.data() + line.to;
    const T* in = x + line.from;
    for (int64_t o = 0; o < line.n; ++o) sum[o] += term(static_cast<Wide<T>>(in[o * stride]));
  }
  for (int64_t w = 0; w < windows.size(); ++w) y[w] = static_cast<T>(finish(sums[static_cast<size_t>(w)], w));
}

// `finish` for vectors too: lane by lane where it knows single sums alone.
template <class W, class Finish>
auto Lanewise(const Finish& finish) {
  return [&finish](auto sum, int64_t o) {
    if constexpr (std::is_invocable_v<Finish, decltype(sum), int64_t>) {
      return finish(sum, o);
    } else {
      for (int64_t i = 0; i < kLanes<W>; ++i) sum[i] = finish(sum[i], o + i);
      return sum;
    }
  };
}

// The same on every plane, where term(0) is 0.
template <class T, class Term, class Finish>
void Accumulate(const KernelContext& c, const Windows& windows, T* y, Term&& term,
                Finish&& finish) {
  const Shape& shape = c.in(0).shape();
  const T* x = c.data<T>(0);
  int64_t planes = shape[0] * shape[1];
  if constexpr (kIsFp<T>) {
    const std::vector<TapLine> lines = TapLines(windows.axes());
    ForPlanes(planes, windows.in_size(), [&](int64_t plane) {
      SumLines(windows, lines, x + plane * windows.in_size(), y + plane * windows.size(), term, finish);
    });
  } else {
    using W = Wide<T>;
    ForPooledPlanes<W>(windows, planes, W(0), [&](int64_t plane, auto& lines, auto& copy) {
      const T* from = x + plane * windows.in_size();
      T* to = y + plane * windows.size();
      if (!copy) return SumLines(windows, lines, from, to, term, finish);
      copy->Copy(from, [&](T v) { return term(static_cast<W>(v)); });
      copy->Windows(W(0), [](auto sum, size_t, auto v) { return sum + v; }, Lanewise<W>(finish), to);
    });
  }
}

Status EvalAverage(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  std::optional<Windows> windows = TRY(WindowsOf(c));
  if (!windows) return {};
  bool with_pads = c.Int("count_include_pad") != 0;
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    // What each window divides by is the same on every plane; in the field a division is slow.
    std::vector<W> divisor;
    for (int64_t w = 0; w < windows->size(); ++w) {
      int64_t count = std::max<int64_t>(windows->Count(w, with_pads), 1);
      bool again = w > 0 && count == std::max<int64_t>(windows->Count(w - 1, with_pads), 1);
      divisor.push_back(again ? divisor.back() : kIsFp<T> ? W(1) / W(count) : W(count));
    }
    auto finish = [&divisor](auto sum, int64_t w) {
      const W* d = divisor.data() + w;
      if constexpr (kIsFp<T>)
        return sum * *d;
      else if constexpr (std::is_same_v<decltype(sum), W>)
        return sum / *d;
      else
        return sum / LoadVector(d);
    };
    Accumulate<T>(
        c, *windows, y->mutable_data<T>(), [](W x) { return x; }, finish);
    return {};
  });
}

Status EvalLp(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  std::optional<Windows> windows = TRY(WindowsOf(c));
  if (!windows) return {};
  int64_t p = c.Int("p");
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    auto run = [&](auto term, auto finish) {
      Accumulate<T>(c, *windows, y->mutable_data<T>(), term, finish);
    };
    if (p == 1)
      run([](W x) { return ScalarAbs(x); }, [](W sum, int64_t) { return sum; });
    else if (p == 2)
      run([](W x) { return x * x; }, [](W sum, int64_t) { return ScalarSqrt(sum); });
    else
      run([p](W x) { return ScalarPow(ScalarAbs(x), W(p)); },
          [p](W sum, int64_t) { return ScalarPow(sum, W(1) / W(p)); });
    return {};
  });
}

OpSpec Pool(const char* name, int since, EvalFn eval) {
  OpSpec row = Op(name, since);
  row.In("X", "T", kFloats16).Out("Y", "T", kFloats16).Rule(Rule).Eval(eval);
  row.String("auto_pad", "NOTSET", AutoPadDomain()).Ints("kernel_shape", KernelShapeDomain());
  row.attrs.back().required = true;
  return row.Ints("pads", PadsDomain(3)).Ints("strides", StridesDomain());
}

void MaxPoolVersions(std::vector<OpSpec>& rows) {
  OpSpec v1 = Pool("MaxPool", 1, EvalMax).Class(Accuracy::kExact).Traits(kWithinInputs);
  OpSpec v8 = v1.Since(8)
                  .Out("Indices", "I", Bit(DType::kInt64), Arity::kOptional)
                  .Int("storage_order", 0, {.ints = {0, 1}});
  OpSpec v10 =
      v8.Since(10).Int("ceil_mode", 0, {.ints = {0, 1}}).Ints("dilations", DilationsDomain());
  rows.insert(rows.end(),
              {v1, v8, v10, v10.Since(11), v10.Since(12).Types("T", kFloats16 | k8Bit)});
}

void AveragePoolVersions(std::vector<OpSpec>& rows) {
  OpSpec v1 = Pool("AveragePool", 1, EvalAverage).Class(Accuracy::kReduction);
  OpSpec v7 = v1.Since(7).Int("count_include_pad", 0, {.ints = {0, 1}});
  OpSpec v10 = v7.Since(10).Int("ceil_mode", 0, {.ints = {0, 1}});
  OpSpec v19 = v10.Since(19).Ints("dilations", DilationsDomain());
  rows.insert(rows.end(), {v1, v7, v10, v10.Since(11), v19});
}

void LpPoolVersions(std::vector<OpSpec>& rows) {
  OpSpec v2 = Pool("LpPool", 2, EvalLp).Class(Accuracy::kReduction).Int("p", 2, {.lo = 1, .hi = 4});
  OpSpec v18 =
      v2.Since(18).Int("ceil_mode", 0, {.ints = {0, 1}}).Ints("dilations", DilationsDomain());
  rows.insert(rows.end(), {v2, v2.Since(11), v18});
}

}  // namespace

std::vector<OpSpec> ops_pool() {
  std::vector<OpSpec> rows;
  MaxPoolVersions(rows);
  AveragePoolVersions(rows);
  LpPoolVersions(rows);
  PushBfloat16(rows, "T");
  return rows;
}

}  // namespace assay
