#include "interp/convolve.h"

#include "interp/kernels_parallel.h"

namespace assay {
namespace {

// Gathered columns are held in cache-sized tiles: large enough for the product to run at full
// speed, small enough that scratch memory does not grow with the image.
constexpr int64_t kTileBytes = 4 << 20;
constexpr int64_t kMinTileColumns = 16;
constexpr int64_t kPartWork = 1 << 18;  // multiply-adds of depthwise planes worth a thread

// The offset in one channel of the input line that output line `line` reads at tap `tap` of all
// axes but the last; -1 when the line lies in the padding. Lines and taps count row-major.
int64_t LineOffset(const std::vector<WindowAxis>& axes, int64_t line, int64_t tap) {
  int64_t offset = 0, step = axes.back().in;
  for (size_t i = axes.size() - 1; i-- > 0;) {
    const WindowAxis& a = axes[i];
    int64_t at = a.Start(line % a.out) + (tap % a.kernel) * a.dilation;
    if (at < 0 || at >= a.in) return -1;
    offset += at * step;
    step *= a.in;
    line /= a.out;
    tap /= a.kernel;
  }
  return offset;
}

// Walks columns [begin, end) of one row of the gathered matrix line by line. For each line calls
// f(column, zeros_before, count, zeros_after, x_offset): `count` columns read the channel from
// x_offset on, every stride-th element.
template <class F>
void ForEachLine(const std::vector<WindowAxis>& axes, int64_t tap, int64_t begin, int64_t end,
                 F&& f) {
  const WindowAxis& last = axes.back();
  int64_t j = tap % last.kernel, column = 0;
  auto [first_valid, last_valid] = last.Windows(j);
  int64_t shift = j * last.dilation - last.pad_begin;
  for (int64_t line = begin / last.out, from = begin % last.out; begin < end; ++line, from = 0) {
    int64_t to = std::min(last.out, from + end - begin);
    int64_t offset = LineOffset(axes, line, tap / last.kernel);
    int64_t lo = offset < 0 ? to : std::clamp(first_valid, from, to);
    int64_t hi = offset < 0 ? to : std::clamp(last_valid, lo, to);
    f(column, lo - from, hi - lo, to - hi, offset + shift + lo * last.stride);
    column += to - from;
    begin += to - from;
  }
}

bool IsPointwise(const ConvShape& s) {
  for (const WindowAxis& a : s.axes) {
    if (a.kernel != 1 || a.stride != 1 || a.pad_begin != 0 || a.pad_end != 0) return false;
  }
  return true;
}

template <class T>
void FillBias(const ConvShape& s, const T* bias, T* y) {
  for (int64_t m = 0; m < s.maps; ++m)
    std::fill(y + m * s.out_size, y + (m + 1) * s.out_size, bias[m]);
}

// One input channel a group: sums along lines of the image need no gathering. U: the type to add up
// in (Fp as double: no more than 8192 products of residues are exact).
template <class U>
void DepthwisePlane(const ConvShape& s, const U* x, const U* w, U* y) {
  const WindowAxis& last = s.axes.back();
  int64_t lines = s.out_size / last.out, taps = s.kernel_size / last.kernel;
  for (int64_t line = 0; line < lines; ++line) {
    U* out = y + line * last.out;
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t offset = LineOffset(s.axes, line, tap);
      if (offset < 0) continue;
      for (int64_t j = 0; j < last.kernel; ++j) {
        auto [lo, hi] = last.Windows(j);
        U factor = w[tap * last.kernel + j];
        const U* in = x + offset + j * last.dilation - last.pad_begin;
        if (last.stride == 1)
          for (int64_t o = lo; o < hi; ++o) out[o] += factor * in[o];
        else
          for (int64_t o = lo; o < hi; ++o) out[o] += factor * in[o * last.stride];
      }
    }
  }
}

template <class T>
void Depthwise(const ConvShape& s, const T* x, const T* w, const T* bias, T* y) {
  if (bias)
    FillBias(s, bias, y);
  else
    std::fill(y, y + s.maps * s.out_size, T(0));
  int64_t grain = 1 + kPartWork / (s.out_size * s.kernel_size);
  ParallelRanges(s.maps, grain, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const T* plane = x + m / s.group_maps() * s.in_size;
      const T* weights = w + m * s.kernel_size;
      T* out = y + m * s.out_size;
      if constexpr (kIsFp<T>) {
        DepthwisePlane<double>(s, &plane->r, &weights->r, &out->r);
        for (int64_t i = 0; i < s.out_size; ++i) out[i] = Fp::Reduce(out[i].r);
      } else {
        DepthwisePlane<T>(s, plane, weights, out);
      }
    }
  });
}

}  // namespace

template <class T>
void GatherColumns(const ConvShape& s, const T* x, int64_t begin, int64_t end, T* columns) {
  int64_t stride = s.axes.back().stride;
  for (int64_t c = 0; c < s.group_channels(); ++c, x += s.in_size) {
    for (int64_t tap = 0; tap < s.kernel_size; ++tap, columns += end - begin) {
      ForEachLine(s.axes, tap, begin, end,
                  [&](int64_t at, int64_t before, int64_t n, int64_t after, int64_t from) {
                    T* row = columns + at;
                    std::fill(row, row + before, T(0));
                    row += before;
                    if (stride == 1 && n > 0)
                      std::memcpy(static_cast<void*>(row), x + from, sizeof(T) * n);
                    else
                      for (int64_t i = 0; i < n; ++i) row[i] = x[from + i * stride];
                    std::fill(row + n, row + n + after, T(0));
                  });
    }
  }
}

template <class T>
void ScatterColumns(const ConvShape& s, const T* columns, int64_t begin, int64_t end, T* x) {
  int64_t stride = s.axes.back().stride;
  for (int64_t c = 0; c < s.group_channels(); ++c, x += s.in_size) {
    for (int64_t tap = 0; tap < s.kernel_size; ++tap, columns += end - begin) {
      ForEachLine(s.axes, tap, begin, end,
                  [&](int64_t at, int64_t before, int64_t n, int64_t, int64_t from) {
                    const T* row = columns + at + before;
                    for (int64_t i = 0; i < n; ++i)
                      x[from + i * stride] = WrapAdd(x[from + i * stride], row[i]);
                  });
    }
  }
}

template <class T>
int64_t TileColumns(const ConvShape& s) {
  int64_t fit = kTileBytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(s.depth(), 1);
  return std::min(std::max(kMinTileColumns, fit), s.out_size);
}

template <class T>
Result<Tensor> ColumnScratch(const KernelContext& c, const ConvShape& s) {
  int64_t bytes = ElementCount({s.depth(), TileColumns<T>(s), static_cast<int64_t>(sizeof(T))});
  if (bytes < 0) return LimitHit("the scratch memory overflows");
  Limits limits = c.limits();
  limits.elements = limits.bytes;  // counted in bytes
  return Tensor::Make(DType::kUint8, {bytes}, Store::kNative, limits);
}

template <class T>
Status Convolve(KernelContext& c, const ConvShape& s, const T* x, const T* w, const T* bias, T* y) {
  if (s.batch == 0 || s.maps == 0 || s.out_size == 0) return {};
  bool pointwise = IsPointwise(s);
  bool depthwise = !pointwise && s.group_channels() == 1 && s.kernel_size < 8192;
  int64_t rows = s.group_maps(), depth = s.depth(), tile = TileColumns<T>(s);
  int64_t tiles = (s.out_size + tile - 1) / tile;
  std::vector<Tensor> scratch;  // one for each thread that gathers
  for (int64_t k = 0; !pointwise && !depthwise && k < std::min<int64_t>(ThreadsHere(), tiles); ++k)
    scratch.push_back(TRY(ColumnScratch<T>(c, s)));
  for (int64_t n = 0; n < s.batch; ++n, x += s.channels * s.in_size, y += s.maps * s.out_size) {
    if (depthwise) {
      Depthwise(s, x, w, bias, y);
      continue;
    }
    if (bias) FillBias(s, bias, y);
    for (int64_t g = 0; g < s.group; ++g) {
      const T* group_x = x + g * s.group_channels() * s.in_size;
      T* group_y = y + g * rows * s.out_size;
      MatrixView<T> weights{w + g * rows * depth, depth};
      if (pointwise) {
        MultiplyViews<T>(weights, {group_x, s.in_size}, group_y, s.out_size, rows, depth,
                         s.out_size, bias);
        continue;
      }
      ParallelFor(tiles, [&](int64_t i, int worker) {
        int64_t begin = i * tile, count = std::min(tile, s.out_size - begin);
        T* columns = reinterpret_cast<T*>(scratch[static_cast<size_t>(worker)].mutable_raw());
        GatherColumns(s, group_x, begin, begin + count, columns);
        MultiplyViews<T>(weights, {columns, count}, group_y + begin, s.out_size, rows, depth, count,
                         bias);
      });
    }
  }
  return {};
}

#define ASSAY_CONVOLVE(T)                                                            \
  template void GatherColumns<T>(const ConvShape&, const T*, int64_t, int64_t, T*);  \
  template void ScatterColumns<T>(const ConvShape&, const T*, int64_t, int64_t, T*); \
  template int64_t TileColumns<T>(const ConvShape&);                                 \
  template Result<Tensor> ColumnScratch<T>(const KernelContext&, const ConvShape&);  \
  template Status Convolve<T>(KernelContext&, const ConvShape&, const T*, const T*, const T*, T*);
ASSAY_CONVOLVE(float)
ASSAY_CONVOLVE(double)
ASSAY_CONVOLVE(Fp)
#undef ASSAY_CONVOLVE

void ConvRule(RuleContext& c, int x, int w, int bias, DType out) {
  if (!c.Ranked(x) || !c.Ranked(w)) return c.OutUnranked(0, out);
  int rank = c.Rank(x);
  c.Require(rank >= 3, "the input is [N,C,D1,..]");
  c.Require(c.Rank(w) == rank, "the weights have the input's rank");
  if (c.failed()) return;
  size_t axes = static_cast<size_t>(rank) - 2;
  WindowDims window = ReadWindow(c, KernelDims(c, axes, w));
  Dim group = c.Int("group"), maps = c.In(w, 0);
  c.Require(group >= Dim(1), "group is at least 1");
  c.Require(c.In(x, 1) == group * c.In(w, 1), "the input's channels are group times the weights'");
  c.Require(Divides(group, maps), "group divides the output channels");
  if (c.Has(bias) && c.Ranked(bias)) {
    c.Require(c.Rank(bias) == 1, "the bias is [M]");
    c.Require(c.In(bias, 0) == maps, "the bias is [M]");
  }
  std::vector<Dim> y = {c.In(x, 0), maps};
  std::vector<Dim> in(c.Dims(x).begin() + 2, c.Dims(x).end());
  for (const Dim& d : WindowPositions(c, in, window, false)) y.push_back(d);
  c.Out(0, out, std::move(y));
}

Result<ConvShape> ConvShapeOf(const KernelContext& c, int x, int w) {
  const Shape& xs = c.in(x).shape();
  const Shape& ws = c.in(w).shape();
  Shape ys = c.out_shape(0);
  Shape in(xs.begin() + 2, xs.end()), out(ys.begin() + 2, ys.end()),
      kernel(ws.begin() + 2, ws.end());
  ConvShape s;
  s.batch = xs[0];
  s.channels = xs[1];
  s.maps = ws[0];
  s.group = c.Int("group");
  s.axes = WindowAxes(c, in, out, kernel);
  s.in_size = ElementCount(in);
  s.out_size = ElementCount(out);
  s.kernel_size = ElementCount(kernel);
  if (s.in_size < 0 || s.out_size < 0 || s.kernel_size < 0) return LimitHit("the extents overflow");
  TRY(c.Charge({ElementCount(ys), s.group_channels(), s.kernel_size}));
  return s;
}

OpSpec& ConvAttributes(OpSpec& row) {
  return row.String("auto_pad", "NOTSET", AutoPadDomain())
      .Ints("dilations", DilationsDomain())
      .Int("group", 1, {.lo = 1, .hi = 32, .solve = true})
      .Ints("kernel_shape", KernelShapeDomain())
      .Ints("pads", PadsDomain(3))
      .Ints("strides", StridesDomain());
}

}  // namespace assay
