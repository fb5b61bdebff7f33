#include "interp/convolve.h"

#include <optional>

#include "interp/kernels_panel.h"
#include "interp/kernels_parallel.h"

namespace assay {
namespace {

// Gathered columns are held in cache-sized tiles: large enough for the product to run at full
// speed, small enough that scratch memory does not grow with the image.
constexpr int64_t kTileBytes = 4 << 20;
constexpr int64_t kMinTileColumns = 16;
constexpr int64_t kPartWork = 1 << 18;  // multiply-adds of depthwise planes worth a thread

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
  int64_t stride = s.axes.back().stride;
  ForEachTapLine(s.axes, [&](int64_t to, int64_t n, int64_t tap, int64_t from) {
    U factor = w[tap];
    U* out = y + to;
    const U* in = x + from;
    for (int64_t o = 0; o < n; ++o) out[o] += factor * in[o * stride];
  });
}

// The same for two axes through a padded copy of the plane, split by the remainders of row and column by the strides:
// each tap then reads one run of memory for many lines at once.
class PaddedPlane {
 public:
  explicit PaddedPlane(const ConvShape& s) : rows_(s.axes[0]), columns_(s.axes[1]) {
    // One line more than taps reach, for the columns beyond the last line.
    height_ = rows_.out + (rows_.kernel - 1) * rows_.dilation / rows_.stride + 1;
    width_ = columns_.out + (columns_.kernel - 1) * columns_.dilation / columns_.stride;
    phase_ = height_ * width_;
  }
  // Is the copy about as large as what it is made from? Dilations and pads far beyond the plane make it larger.
  static bool Fits(const ConvShape& s) {
    if (s.axes.size() != 2) return false;
    double padded = 1;
    for (const WindowAxis& a : s.axes) {
      padded *= static_cast<double>(a.out) * static_cast<double>(a.stride) +
                static_cast<double>(a.kernel) * static_cast<double>(a.dilation) + static_cast<double>(a.stride);
    }
    return padded <= 8.0 * static_cast<double>(s.in_size + s.out_size) + 65536;
  }

  template <class U>
  void Convolve(const U* x, const U* w, U* y, std::vector<U>* memory) const {
    size_t copy = static_cast<size_t>(phase_ * rows_.stride * columns_.stride), sums = static_cast<size_t>(rows_.out * width_);
    memory->assign(copy + sums, U(0));
    Copy(x, memory->data());
    U* sum = memory->data() + copy;
    for (int64_t o = 0; o < rows_.out; ++o) std::fill_n(sum + o * width_, columns_.out, y[o * columns_.out]);
    constexpr int64_t kBlock = 1024;  // sums that stay in the first-level cache while the taps pass
    for (int64_t begin = 0; begin < rows_.out * width_; begin += kBlock) {
      int64_t n = std::min(kBlock, rows_.out * width_ - begin);
      for (int64_t tap = 0; tap < rows_.kernel * columns_.kernel; ++tap)
        Add(w[tap], memory->data() + Offset(tap / columns_.kernel, tap % columns_.kernel) + begin, sum + begin, n);
    }
    for (int64_t o = 0; o < rows_.out; ++o) std::copy_n(sum + o * width_, columns_.out, y + o * columns_.out);
  }

 private:
  // Where tap (i, j) of the first output lies in the copy.
  int64_t Offset(int64_t i, int64_t j) const {
    int64_t row = i * rows_.dilation, column = j * columns_.dilation;
    int64_t phase = row % rows_.stride * columns_.stride + column % columns_.stride;
    return phase * phase_ + row / rows_.stride * width_ + column / columns_.stride;
  }
  template <class U>
  void Copy(const U* x, U* to) const {
    for (int64_t r = 0; r < rows_.in; ++r, x += columns_.in) {
      int64_t row = r + rows_.pad_begin;
      if (row / rows_.stride >= height_) break;
      U* line = to + row % rows_.stride * columns_.stride * phase_ + row / rows_.stride * width_;
      int64_t at = columns_.pad_begin / columns_.stride, phase = columns_.pad_begin % columns_.stride;
      if (columns_.stride == 1) {
        std::copy_n(x, std::clamp<int64_t>(width_ - at, 0, columns_.in), line + at);
        continue;
      }
      for (int64_t c = 0; c < columns_.in && at < width_; ++c) {
        line[phase * phase_ + at] = x[c];
        if (++phase == columns_.stride) phase = 0, ++at;
      }
    }
  }
  template <class U>
  static void Add(U factor, const U* __restrict in, U* __restrict out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) out[i] += factor * in[i];
  }
  const WindowAxis rows_, columns_;
  int64_t height_, width_, phase_;  // lines, columns and elements of one part
};

template <class T>
void Depthwise(const ConvShape& s, const T* x, const T* w, const T* bias, T* y) {
  if (bias)
    FillBias(s, bias, y);
  else
    std::fill(y, y + s.maps * s.out_size, T(0));
  int64_t grain = 1 + kPartWork / (s.out_size * s.kernel_size);
  using U = std::conditional_t<kIsFp<T>, double, T>;
  bool padded = PaddedPlane::Fits(s);
  ParallelRanges(s.maps, grain, [&](int64_t begin, int64_t end) {
    std::optional<PaddedPlane> copy;
    if (padded) copy.emplace(s);
    std::vector<U> memory;
    for (int64_t m = begin; m < end; ++m) {
      const U* plane = reinterpret_cast<const U*>(x + m / s.group_maps() * s.in_size);
      const U* weights = reinterpret_cast<const U*>(w + m * s.kernel_size);
      U* out = reinterpret_cast<U*>(y + m * s.out_size);
      if (copy)
        copy->Convolve(plane, weights, out, &memory);
      else
        DepthwisePlane(s, plane, weights, out);
      if constexpr (kIsFp<T>) {
        for (int64_t i = 0; i < s.out_size; ++i) y[m * s.out_size + i] = Fp::Reduce(out[i]);
      }
    }
  });
}

// One row of the gathered matrix: channel x at tap `tap` for output positions [begin, end), 0 in the padding.
template <class T>
void GatherRow(const ConvShape& s, const T* x, int64_t tap, int64_t begin, int64_t end, T* row) {
  int64_t stride = s.axes.back().stride;
  ForEachLine(s.axes, tap, begin, end, [&](int64_t at, int64_t before, int64_t n, int64_t after, int64_t from) {
    T* to = row + at;
    std::fill(to, to + before, T(0));
    to += before;
    if (stride == 1)
      std::copy(x + from, x + from + n, to);
    else
      for (int64_t i = 0; i < n; ++i) to[i] = x[from + i * stride];
    std::fill(to + n, to + n + after, T(0));
  });
}

}  // namespace

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

namespace {

// A tile of gathered columns: its panels fill about half of a second-level cache.
constexpr int64_t kTileDepth = 256;
template <class T>
constexpr int64_t kWidestTile = (512 << 10) / kTileDepth / static_cast<int64_t>(sizeof(T));

// How the columns of a convolution are shared out: evenly among threads, in tiles that are not too narrow.
template <class T>
int64_t TileWidth(const ConvShape& s) {
  constexpr int64_t kPanel = kPanelColumns<T>, kNarrow = 256;
  int64_t tiles = (s.out_size + kWidestTile<T> - 1) / kWidestTile<T>, threads = ThreadsHere();
  if (s.batch * s.group < threads) {
    int64_t share = s.out_size / (2 * threads) >= kNarrow ? 2 * threads : threads;
    tiles = (tiles + share - 1) / share * share;
  }
  int64_t width = (s.out_size + tiles - 1) / tiles;
  return (width + kPanel - 1) / kPanel * kPanel;
}

// Rows [k0, k1) of the matrix of GatherColumns, columns [begin, end), into panels. `line`: room for end - begin.
template <class T>
void GatherPanels(const ConvShape& s, const T* x, bool pointwise, int64_t k0, int64_t k1, int64_t begin, int64_t end,
                  T* line, T* panels) {
  constexpr int64_t kPanel = kPanelColumns<T>;
  int64_t n = end - begin, whole = n / kPanel * kPanel, depth = k1 - k0;
  for (int64_t k = k0; k < k1; ++k) {
    const T* row = line;
    if (pointwise)
      row = x + k * s.in_size + begin;
    else
      GatherRow(s, x + k / s.kernel_size * s.in_size, k % s.kernel_size, begin, end, line);
    T* to = panels + (k - k0) * kPanel;
    for (int64_t j = 0; j < whole; j += kPanel, to += depth * kPanel)
      std::memcpy(static_cast<void*>(to), row + j, sizeof(T) * kPanel);
    if (whole == n) continue;
    std::copy(row + whole, row + n, to);
    std::fill(to + (n - whole), to + kPanel, T(0));
  }
}

// Columns [begin, end) of one group's result y [Mg, out_size].
template <class T>
void ConvolveTile(const ConvShape& s, const T* x, const T* w, const T* bias, bool pointwise, int64_t begin, int64_t end,
                  T* scratch, T* y) {
  for (int64_t m = 0; m < s.group_maps(); ++m)
    std::fill(y + m * s.out_size + begin, y + m * s.out_size + end, bias ? bias[m] : T(0));
  T* panels = scratch + kWidestTile<T>;
  for (int64_t k = 0; k < s.depth(); k += kTileDepth) {
    int64_t depth = std::min(kTileDepth, s.depth() - k);
    GatherPanels(s, x, pointwise, k, k + depth, begin, end, scratch, panels);
    MultiplyPanels(w + k, s.depth(), panels, y + begin, s.out_size, s.group_maps(), depth, end - begin);
  }
}

}  // namespace

template <class T>
Status Convolve(KernelContext& c, const ConvShape& s, const T* x, const T* w, const T* bias, T* y) {
  if (s.batch == 0 || s.maps == 0 || s.out_size == 0) return {};
  bool pointwise = IsPointwise(s);
  if (!pointwise && s.group_channels() == 1 && s.kernel_size < 8192) {
    for (int64_t n = 0; n < s.batch; ++n) Depthwise(s, x + n * s.channels * s.in_size, w, bias, y + n * s.maps * s.out_size);
    return {};
  }
  int64_t width = TileWidth<T>(s), tiles = (s.out_size + width - 1) / width, parts = s.batch * s.group * tiles;
  std::vector<Tensor> scratch;  // one for each thread
  for (int64_t k = 0; k < std::min<int64_t>(ThreadsHere(), parts); ++k) {
    int64_t bytes = kWidestTile<T> * (std::min(kTileDepth, s.depth()) + 1) * static_cast<int64_t>(sizeof(T));
    scratch.push_back(TRY(Tensor::Make(DType::kUint8, {bytes}, Store::kNative, c.limits())));
  }
  ParallelFor(parts, [&](int64_t i, int worker) {
    int64_t begin = i % tiles * width, end = std::min(s.out_size, begin + width);
    int64_t g = i / tiles % s.group, n = i / tiles / s.group, first = g * s.group_maps();
    ConvolveTile(s, x + (n * s.channels + g * s.group_channels()) * s.in_size, w + first * s.depth(),
                 bias ? bias + first : nullptr, pointwise, begin, end,
                 reinterpret_cast<T*>(scratch[static_cast<size_t>(worker)].mutable_raw()),
                 y + (n * s.maps + first) * s.out_size);
  });
  return {};
}

#define ASSAY_CONVOLVE(T)                                                            \
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
