// DFT (ONNX opset 17 with `axis` as an attribute, 20 as an input) and STFT (17): sums over places t
// of
//   x[t] exp(-2 pi i k t / N),   inverse: X[k] exp(2 pi i k t / N) / N
// Complex numbers are pairs on the last axis, real ones single. onesided: bins 0 to N/2 of a real
// signal; the inverse of those is real again.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

// cos and sin of 2 pi k / n for all k below n.
struct Twiddles {
  std::vector<double> cosines, sines;
  explicit Twiddles(int64_t n) {
    constexpr double kTwoPi = 6.283185307179586476925286766559;
    for (int64_t k = 0; k < n; ++k) {
      double angle = kTwoPi * static_cast<double>(k) / static_cast<double>(n);
      // Exact where they are simple numbers.
      bool quarter = 4 * k % n == 0;
      cosines.push_back(quarter ? std::nearbyint(std::cos(angle)) : std::cos(angle));
      sines.push_back(quarter ? std::nearbyint(std::sin(angle)) : std::sin(angle));
    }
  }
};

template <class W>
struct Complex {
  W re = W(0), im = W(0);
};

// Bin k of the transform of `given` numbers x(t) of n, the others being 0.
template <class W, class F>
Complex<W> Bin(const std::vector<W>& cosines, const std::vector<W>& sines, int64_t n, int64_t k,
               int64_t given, bool inverse, F&& x) {
  Complex<W> sum;
  for (int64_t t = 0, turn = 0; t < std::min(given, n); ++t, turn = (turn + k) % n) {
    Complex<W> v = x(t);
    W c = cosines[turn], s = inverse ? sines[turn] : -sines[turn];
    sum.re += v.re * c - v.im * s;
    sum.im += v.re * s + v.im * c;
  }
  return sum;
}

template <class W>
void TwiddlesAs(int64_t n, std::vector<W>* cosines, std::vector<W>* sines) {
  Twiddles t(n);
  for (double v : t.cosines) cosines->push_back(W(v));
  for (double v : t.sines) sines->push_back(W(v));
}

// ---- DFT

int64_t AxisInput(const OpSpec& spec) { return spec.since >= 20 ? 2 : -1; }

// Extents along the transformed axis: what is transformed, over which length, into how many.
struct Lengths {
  Dim n, out;
};
Lengths LengthsOf(Dim extent, bool has_length, Dim length, bool inverse, bool onesided) {
  Dim n = has_length ? length : inverse && onesided ? (extent - Dim(1)) * Dim(2) : extent;
  return {n, onesided && !inverse ? FloorDiv(n, Dim(2)) + Dim(1) : n};
}

void DftRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  const int axis_input = static_cast<int>(AxisInput(c.spec()));
  for (int i : {1, 2}) {
    if (c.Has(i) && c.Ranked(i))
      c.Require(Product(c.Dims(i)) == Dim(1), "dft_length and axis are scalars");
  }
  if (!c.Ranked(0)) return;
  int rank = c.Rank(0);
  c.Require(rank >= 2, "the input ends in an axis of real and imaginary parts");
  if (c.failed()) return;
  c.Require(c.In(0, rank - 1) == Dim(1) || c.In(0, rank - 1) == Dim(2),
            "the last axis has one or two parts");
  std::vector<int64_t> axis = {-2}, length;
  if (axis_input < 0) axis = {c.IntValue("axis")};
  bool known_axis = axis_input < 0 || !c.Has(axis_input) || c.KnownInts(axis_input, &axis);
  bool inverse = c.IntValue("inverse") != 0, onesided = c.IntValue("onesided") != 0;
  std::vector<Dim> dims = c.Dims(0);
  dims.back() = inverse && onesided ? Dim(1) : Dim(2);
  if (!known_axis || axis.empty()) {
    for (int d = 0; d < rank - 1; ++d) dims[d] = Dim::Unknown();
    return c.Out(0, c.dtype(0), dims);
  }
  int at = c.Axis(axis[0], rank);
  c.Require(at < rank - 1, "the last axis is not transformed");
  bool known_length = c.Has(1) && c.KnownInts(1, &length) && !length.empty();
  Lengths n = LengthsOf(c.In(0, at), c.Has(1), known_length ? Dim(length[0]) : Dim::Unknown(),
                        inverse, onesided);
  c.Require(n.n >= Dim(1), "the transform has at least one bin");
  dims[at] = n.out;
  if (!c.failed()) c.Out(0, c.dtype(0), dims);
}

Status EvalDft(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  const int axis_input = static_cast<int>(AxisInput(c.spec())), rank = x.rank();
  int64_t axis = axis_input < 0      ? c.Int("axis")
                 : c.Has(axis_input) ? c.in(axis_input).AsInt(0)
                                     : -2;
  const int at = static_cast<int>(axis < 0 ? axis + rank : axis);
  const bool inverse = c.Int("inverse") != 0, onesided = c.Int("onesided") != 0,
             halved = inverse && onesided;
  const int64_t given = x.dim(at), bins = y->dim(at), parts = x.dim(rank - 1),
                out_parts = y->dim(rank - 1);
  const int64_t n =
      LengthsOf(Dim(given), c.Has(1), Dim(c.Has(1) ? c.in(1).AsInt(0) : 0), inverse, onesided)
          .n.value();
  const int64_t outer = ElementCount(x.shape(), 0, at),
                inner = ElementCount(x.shape(), at + 1, rank - 1);
  TRY(c.Charge(
      {outer, inner, bins, std::max<int64_t>(std::min(n, halved ? 2 * given : given), 1)}));
  TRY(c.Scratch(DType::kDouble, {n, 2}));  // the table below is within the limits
  return VisitFloat(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    std::vector<W> cosines, sines;
    TwiddlesAs<W>(n, &cosines, &sines);
    for (int64_t line = 0; line < outer * inner; ++line) {
      int64_t o = line / inner, i = line % inner;
      auto stored = [&](int64_t t) {
        const T* p = x.data<T>() + ((o * given + t) * inner + i) * parts;
        return Complex<W>{static_cast<W>(p[0]), parts == 2 ? static_cast<W>(p[1]) : W(0)};
      };
      // The bins that a onesided spectrum leaves out are the conjugates of the others.
      auto value = [&](int64_t t) -> Complex<W> {
        if (!halved || t <= n / 2) return t < given ? stored(t) : Complex<W>{};
        if (n - t >= given) return {};
        Complex<W> v = stored(n - t);
        return {v.re, -v.im};
      };
      for (int64_t k = 0; k < bins; ++k) {
        Complex<W> v = Bin<W>(cosines, sines, n, k, halved ? n : given, inverse, value);
        if (inverse) v.re = v.re / FromInteger<W>(n), v.im = v.im / FromInteger<W>(n);
        T* to = y->mutable_data<T>() + ((o * bins + k) * inner + i) * out_parts;
        to[0] = static_cast<T>(v.re);
        if (out_parts == 2) to[1] = static_cast<T>(v.im);
      }
    }
    return {};
  });
}

// ---- STFT: the transforms of frames that begin every frame_step places, weighted by a window

void StftRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  for (int i : {1, 3}) {
    if (c.Has(i) && c.Ranked(i))
      c.Require(Product(c.Dims(i)) == Dim(1), "frame_step and frame_length are scalars");
  }
  if (c.Has(2) && c.Ranked(2)) c.Require(c.Rank(2) == 1, "the window has one axis");
  if (!c.Ranked(0)) return;
  c.Require(c.Rank(0) == 3, "the signal is [batch, places, parts]");
  if (c.failed()) return;
  c.Require(c.In(0, 2) == Dim(1) || c.In(0, 2) == Dim(2), "the signal has one or two parts");
  std::vector<int64_t> step, length;
  bool known_step = c.KnownInts(1, &step) && !step.empty();
  Dim n = c.In(0, 1);
  if (c.Has(2)) n = c.Ranked(2) && c.Rank(2) == 1 ? c.In(2, 0) : Dim::Unknown();
  if (c.Has(3)) n = c.KnownInts(3, &length) && !length.empty() ? Dim(length[0]) : Dim::Unknown();
  c.Require(n >= Dim(1) && n <= c.In(0, 1), "a frame is within the signal");
  if (c.Has(2) && c.Has(3) && c.Ranked(2))
    c.Require(c.In(2, 0) == n, "the window is as long as a frame");
  Dim frames = Dim::Unknown();
  if (known_step) {
    c.Require(step[0] >= 1, "frame_step is at least 1");
    if (!c.failed()) frames = FloorDiv(c.In(0, 1) - n, Dim(step[0])) + Dim(1);
  }
  Dim bins = c.IntValue("onesided") != 0 ? FloorDiv(n, Dim(2)) + Dim(1) : n;
  if (!c.failed()) c.Out(0, c.dtype(0), {c.In(0, 0), frames, bins, Dim(2)});
}

Status EvalStft(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  const int64_t places = x.dim(1), parts = x.dim(2), frames = y->dim(1), bins = y->dim(2),
                step = c.in(1).AsInt(0);
  const int64_t n = c.Has(3) ? c.in(3).AsInt(0) : c.Has(2) ? c.in(2).size() : places;
  TRY(c.Charge({x.dim(0), frames, bins, n}));
  return VisitFloat(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    std::vector<W> cosines, sines, window;
    TwiddlesAs<W>(n, &cosines, &sines);
    if (c.Has(2)) window = TRY(LoadAs<W>(c.in(2)));
    for (int64_t f = 0; f < x.dim(0) * frames; ++f) {
      const T* from = x.data<T>() + (f / frames * places + f % frames * step) * parts;
      auto value = [&](int64_t t) {
        W w = window.empty() ? W(1) : window[t];
        return Complex<W>{static_cast<W>(from[t * parts]) * w,
                          parts == 2 ? static_cast<W>(from[t * parts + 1]) * w : W(0)};
      };
      for (int64_t k = 0; k < bins; ++k) {
        Complex<W> v = Bin<W>(cosines, sines, n, k, n, false, value);
        y->mutable_data<T>()[(f * bins + k) * 2] = static_cast<T>(v.re);
        y->mutable_data<T>()[(f * bins + k) * 2 + 1] = static_cast<T>(v.im);
      }
    }
    return {};
  });
}

// A spectrum has two parts, a signal one or two; the last axis holds them.
Shape DrawSignal(Choices& choices, const Draft& d, int rank) {
  if (d.concrete(0)) return d.shape(0);
  Shape shape = {DrawExtent(choices, 3)};
  while (static_cast<int>(shape.size()) < rank - 1) shape.push_back(choices.Between(2, 9));
  shape.push_back(choices.Between(1, 2));
  return shape;
}

Tensor Scalar(DType type, int64_t v) {
  Tensor t = Tensor::Make(type, {}).value();
  t.Set(0, static_cast<double>(v));
  return t;
}

bool DrawDft(Choices& choices, Draft& d) {
  d.attrs.clear();
  Shape x = DrawSignal(choices, d, static_cast<int>(choices.Between(3, 4)));
  const int rank = static_cast<int>(x.size());
  if (rank < 3 || x.back() > 2 || ElementCount(x) == 0) return false;
  Ask(d, 0, d.inputs[0].dtype, x);
  const bool by_input = AxisInput(*d.spec) >= 0;
  const int64_t axis = choices.Between(1, rank - 2), otherwise = by_input ? rank - 2 : 1;
  if (x[axis] < 2) return false;  // the same along any axis
  const bool inverse = choices.Chance(0.3);
  // The spectrum of a real signal is half of one.
  const bool onesided = !inverse && x.back() == 1 && choices.Chance(0.5);
  if (inverse || choices.Chance(0.2)) d.Set("inverse", static_cast<int64_t>(inverse));
  if (onesided || choices.Chance(0.2)) d.Set("onesided", static_cast<int64_t>(onesided));
  if (choices.Chance(0.3))
    d.SetConstant(1, Scalar(TypeOr(d, 1, DType::kInt64), choices.Between(1, x[axis] + 3)));
  if (axis == otherwise && choices.Chance(0.5)) return true;
  if (by_input)
    d.SetConstant(2, Scalar(DType::kInt64, choices.Chance(0.3) ? axis - rank : axis));
  else
    d.Set("axis", axis);
  return true;
}

bool DrawStft(Choices& choices, Draft& d) {
  constexpr int kLastOfLibonnx = 17;
  d.attrs.clear();
  Shape x = DrawSignal(choices, d, 3);
  if (x.size() != 3 || x[2] > 2 || ElementCount(x) == 0) return false;
  Ask(d, 0, d.inputs[0].dtype, x);
  // Of one frame alone nobody would see the step.
  if (x[1] < 2) return false;
  const int64_t length = choices.Between(1, x[1] - 1);
  const DType type = TypeOr(d, 1, DType::kInt64);
  // A complex signal has no half of a spectrum. Always said: libonnx 1.12 infers a twosided one
  // else.
  const bool onesided = x[2] == 1 && choices.Chance(0.7);
  d.Set("onesided", int64_t{onesided});
  // libonnx 1.12 counts frames as if they were as long as a onesided spectrum: steps for which
  // there are as many.
  std::vector<int64_t> steps;
  for (int64_t s = 1; s <= x[1] - length; ++s) {
    bool same = (x[1] - length) / s == (x[1] - (onesided ? length / 2 + 1 : length)) / s;
    if (same || (d.anything && d.opset > kLastOfLibonnx)) steps.push_back(s);
  }
  if (steps.empty()) return false;
  d.SetConstant(1, Scalar(type, choices.Pick(steps)));
  // ONNX Runtime 1.30 takes the window of a complex signal for a complex one.
  const bool window = choices.Chance(0.6) && (x[2] == 1 || d.anything);
  // A window that is computed may have another length, or none that libonnx knows.
  if (window && d.opset <= kLastOfLibonnx)
    d.SetConstant(2, UniformConstant(choices, d.inputs[0].dtype, {length}, 0.25, 1));
  else if (window)
    Ask(d, 2, d.inputs[0].dtype, {length});
  if (!window || choices.Chance(0.3)) d.SetConstant(3, Scalar(type, length));
  return x[0] * x[1] * (length + 1) * 2 <= d.max_elements;
}

OpSpec Row(const char* name, int since) { return Op(name, since).Class(Accuracy::kReduction); }

}  // namespace

std::vector<OpSpec> ops_fourier() {
  const AttrDomain flag{.lo = 0, .hi = 1};
  OpSpec dft = Row("DFT", 17)
                   .In("input", "T1", kFloatsBf16)
                   .In("dft_length", "T2", kIndexInts, Arity::kOptional);
  dft.Out("output", "T1", kFloatsBf16).Int("inverse", 0, flag).Int("onesided", 0, flag);
  dft.Rule(DftRule).Eval(EvalDft).Draw(DrawDft);
  OpSpec later = dft.Since(20).In("axis", "", Bit(DType::kInt64), Arity::kOptional);
  dft.Int("axis", 1, {.lo = 0, .hi = 2});
  dft.Example("graph(float[1,8,1] x) -> (y) { y = DFT(x) {onesided=1} }");
  OpSpec stft =
      Row("STFT", 17)
          .In("signal", "T1", kFloatsBf16)
          .In("frame_step", "T2", kIndexInts)
          .In("window", "T1", kFloatsBf16, Arity::kOptional)
          .In("frame_length", "T2", kIndexInts, Arity::kOptional)
          .Out("output", "T1", kFloatsBf16)
          .Int("onesided", 1, flag)
          .Rule(StftRule)
          .Eval(EvalStft)
          .Draw(DrawStft)
          .Example(
              "graph(float[1,16,1] x, float[4] w) -> (y) { s = int64[] {2} y = STFT(x, s, w) }");
  return {dft, later, stft};
}

}  // namespace assay
