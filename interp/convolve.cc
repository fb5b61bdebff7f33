#include "interp/convolve.h"

#include <functional>
#include <optional>

#include "interp/column_panels.h"
#include "interp/depthwise.h"
#include "interp/kernels_panel.h"
#include "interp/kernels_parallel.h"
#include "interp/kernels_vector.h"

namespace assay {
namespace {

// Gathered columns are held in cache-sized tiles: large enough for the product to run at full
// speed, small enough that scratch memory does not grow with the image.
constexpr int64_t kTileBytes = 4 << 20;
constexpr int64_t kMinTileColumns = 16;

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

bool IsPointwise(const ConvExtents& s) {
  for (const WindowAxis& a : s.axes) {
    if (a.kernel != 1 || a.stride != 1 || a.pad_begin != 0 || a.pad_end != 0) return false;
  }
  return true;
}

}  // namespace

template <class T>
void ScatterColumns(const ConvExtents& s, const T* columns, int64_t begin, int64_t end, T* x) {
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
int64_t TileColumns(const ConvExtents& s) {
  int64_t fit = kTileBytes / static_cast<int64_t>(sizeof(T)) / std::max<int64_t>(s.depth(), 1);
  return std::min(std::max(kMinTileColumns, fit), s.out_size);
}

template <class T>
Result<Tensor> ColumnScratch(const KernelContext& c, const ConvExtents& s) {
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
constexpr int64_t kWidestTile = (256 << 10) / kTileDepth / static_cast<int64_t>(sizeof(T));
constexpr int64_t kNarrowTile = 256;   // columns; narrower ones read the weights too often
constexpr int64_t kGatheredRows = 64;  // of a part that a thread gathers
constexpr int64_t kFewMaps = 36;       // a pointwise convolution with no more of them reads its columns where they lie

// One group's product: y [Mg, out_size] = start + w [Mg, depth] * columns.
template <class T>
struct GroupProduct {
  const ConvExtents& s;
  const T* x;
  const T* w;
  const T* start;  // [Mg]
  T* y;
  const Bounds* bounds;
  bool pointwise;

  int64_t BlockDepth(int64_t k) const { return std::min(kTileDepth, s.depth() - k); }
  // Maps [first, first + maps) from column `begin` on, by the products that begin at k.
  PanelRows<T> Rows(int64_t first, int64_t maps, int64_t begin, int64_t k) const {
    PanelRows<T> rows{w + first * s.depth() + k, s.depth(), y + first * s.out_size + begin, s.out_size,
                      maps, k == 0 ? start + first : nullptr};
    if (bounds && k + kTileDepth >= s.depth()) {
      rows.bounded = true;
      rows.lo = T(bounds->lo);
      rows.hi = T(bounds->hi);
    }
    return rows;
  }
};

// Gathering is the same for the field, whose residues are doubles.
template <class T>
using Gathered = std::conditional_t<kIsFp<T>, double, T>;

// Rows [k0, k1) of the gathered matrix, columns [begin, end), into the panels of the `depth` rows from `base` on.
// `columns`: null for a pointwise convolution.
template <class T>
void GatherPanels(const GroupProduct<T>& p, const ColumnPanels<Gathered<T>>* columns, std::vector<Gathered<T>>& lines,
                  int64_t base, int64_t depth, int64_t k0, int64_t k1, int64_t begin, int64_t end, T* panels) {
  constexpr int64_t kPanel = kPanelColumns<T>;
  panels += (k0 - base) * kPanel;
  if (columns) {
    columns->Gather(reinterpret_cast<const Gathered<T>*>(p.x), k0, k1, depth * kPanel,
                    reinterpret_cast<Gathered<T>*>(panels), lines);
    return;
  }
  int64_t n = end - begin, whole = n / kPanel * kPanel;
  for (int64_t k = k0; k < k1; ++k, panels += kPanel) {
    const T* row = p.x + k * p.s.in_size + begin;
    T* to = panels;
    for (int64_t j = 0; j < whole; j += kPanel, to += depth * kPanel)
      std::memcpy(static_cast<void*>(to), row + j, sizeof(T) * kPanel);
    if (whole == n) continue;
    std::copy(row + whole, row + n, to);
    std::fill(to + (n - whole), to + kPanel, T(0));
  }
}

// Columns [begin, end) of all maps. `panels`: room for those of a tile.
template <class T>
void ConvolveTile(const GroupProduct<T>& p, int64_t begin, int64_t end, T* panels) {
  const ConvExtents& s = p.s;
  std::optional<ColumnPanels<Gathered<T>>> columns;
  std::vector<Gathered<T>> lines;
  if (!p.pointwise) lines = columns.emplace(s, begin, end).Lines();
  for (int64_t k = 0; k < s.depth(); k += kTileDepth) {
    int64_t depth = p.BlockDepth(k), from = begin;
    if (p.pointwise && s.group_maps() <= kFewMaps) {
      from = begin + (end - begin) / kPanelColumns<T> * kPanelColumns<T>;
      MultiplyColumns(p.Rows(0, s.group_maps(), begin, k), p.x + k * s.in_size + begin, s.in_size, depth, from - begin);
    }
    if (from == end) continue;
    GatherPanels(p, columns ? &*columns : nullptr, lines, k, depth, k, k + depth, from, end, panels);
    MultiplyPanels(p.Rows(0, s.group_maps(), from, k), panels, depth, end - from);
  }
}

// How the columns of a convolution are shared out: evenly among threads, in tiles that are not too narrow.
template <class T>
int64_t TileWidth(const ConvExtents& s) {
  constexpr int64_t kPanel = kPanelColumns<T>;
  int64_t tiles = (s.out_size + kWidestTile<T> - 1) / kWidestTile<T>, threads = ThreadsHere();
  if (s.batch * s.group < threads) {
    int64_t share = s.out_size / (2 * threads) >= kNarrowTile ? 2 * threads : threads;
    tiles = (tiles + share - 1) / share * share;
  }
  int64_t width = (s.out_size + tiles - 1) / tiles;
  return (width + kPanel - 1) / kPanel * kPanel;
}

// Threads share out the columns.
template <class T>
Status ConvolveByColumns(KernelContext& c, const ConvExtents& s, const std::function<GroupProduct<T>(int64_t)>& product) {
  int64_t width = TileWidth<T>(s), tiles = (s.out_size + width - 1) / width, parts = s.batch * s.group * tiles;
  std::vector<Tensor> scratch;  // one for each thread, any of which may come first
  for (int k = 0; k < (parts < 2 ? 1 : ThreadsHere()); ++k) {
    int64_t bytes = kWidestTile<T> * std::min(kTileDepth, s.depth()) * static_cast<int64_t>(sizeof(T));
    scratch.push_back(TRY(Tensor::Make(DType::kUint8, {bytes}, Store::kNative, c.limits())));
  }
  ParallelFor(parts, [&](int64_t i, int worker) {
    int64_t begin = i % tiles * width, end = std::min(s.out_size, begin + width);
    ConvolveTile(product(i / tiles), begin, end,
                 reinterpret_cast<T*>(scratch[static_cast<size_t>(worker)].mutable_raw()));
  });
  return {};
}

// Threads share out first the gathering of all columns, then the maps: for few columns with many weights, which would be
// read by every thread otherwise.
template <class T>
Status ConvolveByMaps(KernelContext& c, const ConvExtents& s, bool pointwise,
                      const std::function<GroupProduct<T>(int64_t)>& product) {
  constexpr int64_t kPanel = kPanelColumns<T>;
  int64_t columns = (s.out_size + kPanel - 1) / kPanel * kPanel;
  int64_t bytes = s.depth() * columns * static_cast<int64_t>(sizeof(T));
  Tensor scratch = TRY(Tensor::Make(DType::kUint8, {bytes}, Store::kNative, c.limits()));
  T* panels = reinterpret_cast<T*>(scratch.mutable_raw());
  std::optional<ColumnPanels<Gathered<T>>> gather;
  if (!pointwise) gather.emplace(s, 0, s.out_size);
  std::vector<std::vector<Gathered<T>>> lines(static_cast<size_t>(ThreadsHere()));
  for (auto& l : lines) l = gather ? gather->Lines() : std::vector<Gathered<T>>();
  int64_t gathered = (s.depth() + kGatheredRows - 1) / kGatheredRows;
  static_assert(kTileDepth % kGatheredRows == 0);
  int64_t maps = (s.group_maps() / (2 * ThreadsHere()) + kPanelRows - 1) / kPanelRows * kPanelRows;
  for (int64_t g = 0; g < s.batch * s.group; ++g) {
    GroupProduct<T> p = product(g);
    ParallelFor(gathered, [&](int64_t i, int worker) {
      int64_t k = i * kGatheredRows, base = k / kTileDepth * kTileDepth;
      GatherPanels(p, gather ? &*gather : nullptr, lines[static_cast<size_t>(worker)], base, p.BlockDepth(base), k,
                   std::min(s.depth(), k + kGatheredRows), 0, s.out_size, panels + base * columns);
    });
    ParallelRanges(s.group_maps(), maps, [&](int64_t begin, int64_t end) {
      for (int64_t k = 0; k < s.depth(); k += kTileDepth)
        MultiplyPanels(p.Rows(begin, end - begin, 0, k), panels + k * columns, p.BlockDepth(k), s.out_size);
    });
  }
  return {};
}

// A convolution of so few multiply-adds that panels would take longer to make than to multiply. Its sums are the chains
// that panels make: the same bits.
constexpr int64_t kFewProducts = 1 << 13;

template <class T>
void ConvolveDirectly(const ConvExtents& s, const T* x, const T* w, const T* start, const Bounds* bounds, T* y) {
  const std::vector<TapLine> lines = TapLines(s.axes);
  const int64_t stride = s.axes.back().stride;
  for (int64_t i = 0; i < s.batch * s.maps; ++i, y += s.out_size) {
    int64_t map = i % s.maps;
    const T* in = x + (i / s.maps * s.channels + map / s.group_maps() * s.group_channels()) * s.in_size;
    const T* weights = w + map * s.depth();
    std::fill_n(y, s.out_size, start[map]);
    for (int64_t c = 0; c < s.group_channels(); ++c, in += s.in_size, weights += s.kernel_size) {
      for (const TapLine& line : lines) {
        const T* from = in + line.from;
        const T factor = weights[line.tap];
        for (int64_t o = 0; o < line.n; ++o) y[line.to + o] = MultiplyAdd(factor, from[o * stride], y[line.to + o]);
      }
    }
    if (!bounds) continue;
    for (int64_t o = 0; o < s.out_size; ++o) y[o] = ScalarMin(ScalarMax(y[o], T(bounds->lo)), T(bounds->hi));
  }
}
// Sums of up to 8192 products of residues are exact in double.
void ConvolveDirectly(const ConvExtents& s, const Fp* x, const Fp* w, const Fp* start, const Bounds*, Fp* y) {
  ConvolveDirectly(s, &x->r, &w->r, &start->r, nullptr, &y->r);
  for (int64_t i = 0; i < s.batch * s.maps * s.out_size; ++i) y[i] = Fp::Reduce(y[i].r);
}

}  // namespace

template <class T>
Status Convolve(KernelContext& c, const ConvExtents& s, const T* x, const T* w, const T* bias, T* y) {
  if (s.batch == 0 || s.maps == 0 || s.out_size == 0) return {};
  std::vector<T> zeros(bias ? 0 : static_cast<size_t>(s.maps), T(0));
  const T* start = bias ? bias : zeros.data();
  if (ElementCount({s.batch * s.maps, s.out_size, s.depth()}) <= kFewProducts) {
    ConvolveDirectly(s, x, w, start, c.bounds(), y);
    return {};
  }
  bool pointwise = IsPointwise(s);
  if (!pointwise && s.group_channels() == 1 && s.kernel_size < 8192) {
    for (int64_t n = 0; n < s.batch; ++n)
      ConvolveDepthwise(s, x + n * s.channels * s.in_size, w, start, c.bounds(), y + n * s.maps * s.out_size);
    return {};
  }
  auto product = [&](int64_t i) {
    int64_t g = i % s.group, n = i / s.group, first = g * s.group_maps();
    return GroupProduct<T>{s, x + (n * s.channels + g * s.group_channels()) * s.in_size, w + first * s.depth(),
                      start + first, y + (n * s.maps + first) * s.out_size, c.bounds(), pointwise};
  };
  int64_t threads = ThreadsHere();
  bool by_maps = s.batch * s.group < threads && s.out_size < threads * kNarrowTile && s.group_maps() >= 48;
  return by_maps ? ConvolveByMaps<T>(c, s, pointwise, product) : ConvolveByColumns<T>(c, s, product);
}

#define ASSAY_CONVOLVE(T)                                                            \
  template void ScatterColumns<T>(const ConvExtents&, const T*, int64_t, int64_t, T*); \
  template int64_t TileColumns<T>(const ConvExtents&);                                 \
  template Result<Tensor> ColumnScratch<T>(const KernelContext&, const ConvExtents&);  \
  template Status Convolve<T>(KernelContext&, const ConvExtents&, const T*, const T*, const T*, T*);
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
  c.Require(Divides(group, c.In(x, 1)), "group divides the input channels");
  c.Require(Divides(group, maps), "group divides the output channels");
  if (c.Has(bias) && c.Ranked(bias)) {
    c.Require(c.Rank(bias) == 1, "the bias is [M]");
    c.Require(c.In(bias, 0) == maps, "the bias is [M]");
  }
  std::vector<Dim> y = {c.In(x, 0), maps};
  y.reserve(static_cast<size_t>(rank));
  std::vector<Dim> in(c.Dims(x).begin() + 2, c.Dims(x).end());
  for (const Dim& d : WindowPositions(c, in, window, false)) y.push_back(d);
  c.Out(0, out, std::move(y));
}

Result<ConvExtents> ConvExtentsOf(const KernelContext& c, int x, int w) {
  const Shape& xs = c.in(x).shape();
  const Shape& ws = c.in(w).shape();
  Shape ys = c.out_shape(0);
  Shape in(xs.begin() + 2, xs.end()), out(ys.begin() + 2, ys.end()),
      kernel(ws.begin() + 2, ws.end());
  ConvExtents s;
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
