// ConvTranspose (ONNX opset 1, 11), the adjoint of Conv: y[n,m,i] = B[m] + sum over c, j with
// o*stride - pad + j*dilation = i of W[c,m,j] * X[n,c,o]. X [N,C,D1..Dn], W [C,M/group,K1..Kn], B
// [M].
//
// Surprises: with output_shape, or auto_pad SAME (whose output is stride times the input), the pads
// follow from the output; an output larger than the full one is padded at its end with the bias
// alone.
#include "interp/convolve.h"

namespace assay {
namespace {

// Extent of the output without pads.
Dim FullExtent(Dim in, Dim stride, Dim reach, Dim output_padding) {
  return stride * (in - Dim(1)) + output_padding + reach;
}

void Rule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  int rank = c.Rank(0);
  c.Require(rank >= 3, "the input is [N,C,D1,..]");
  c.Require(c.Rank(1) == rank, "the weights have the input's rank");
  if (c.failed()) return;
  size_t axes = static_cast<size_t>(rank) - 2;
  WindowDims window = ReadWindow(c, KernelDims(c, axes, 1));
  Dim group = c.Int("group"), maps = c.In(1, 1) * group;
  c.Require(group >= Dim(1), "group is at least 1");
  c.Require(c.In(0, 1) == c.In(1, 0), "the input's channels are the weights'");
  c.Require(Divides(group, c.In(0, 1)), "group divides the input channels");
  if (c.Has(2) && c.Ranked(2)) {
    c.Require(c.Rank(2) == 1, "the bias is [M]");
    c.Require(c.In(2, 0) == maps, "the bias is [M]");
  }
  IntList output_padding = c.IntsOr("output_padding", axes, 0), output_shape = c.IntsOr("output_shape", axes, 0);
  std::vector<Dim> y = {c.In(0, 0), maps};
  bool given = !c.List("output_shape").empty();
  for (size_t i = 0; i < axes; ++i) {
    Dim in = c.In(0, static_cast<int>(i) + 2), stride = window.strides[i],
        extra = output_padding[i];
    c.Require(in >= Dim(1), "no spatial extent is 0");
    c.Require(Dim(0) <= extra && extra < Max(stride, window.dilations[i]),
              "output_padding is below the stride or the dilation");
    Dim full = FullExtent(in, stride, Reach(window, i), extra), out = full;
    c.Require(full >= Dim(1), "the output's extent does not overflow");
    if (given) {
      out = output_shape[i];
    } else if (window.same) {
      c.Require(extra == Dim(0), "output_padding is 0 with auto_pad SAME");
      out = Min(full, in * stride);
    } else {
      out = full - window.pads[i] - window.pads[axes + i];
    }
    c.Require(out >= Dim(1), "the pads leave an output");
    y.push_back(Max(Dim(1), out));
  }
  c.Out(0, c.dtype(0), std::move(y));
}

// The convolution of which this node is the adjoint: it reads our output and makes our input.
Result<ConvExtents> AdjointShape(const KernelContext& c) {
  const Shape& xs = c.in(0).shape();
  const Shape& ws = c.in(1).shape();
  Shape ys = c.out_shape(0);
  Shape in(xs.begin() + 2, xs.end()), out(ys.begin() + 2, ys.end()),
      kernel(ws.begin() + 2, ws.end());
  ConvExtents s;
  s.batch = xs[0];
  s.channels = ys[1];
  s.maps = xs[1];
  s.group = c.Int("group");
  s.axes = WindowAxes(c, out, in, kernel);
  std::string auto_pad = c.String("auto_pad");
  if (!c.Ints("output_shape").empty() || auto_pad.starts_with("SAME")) {
    std::vector<int64_t> output_padding = c.Ints("output_padding");
    for (size_t i = 0; i < s.axes.size(); ++i) {
      WindowAxis& a = s.axes[i];
      int64_t extra = output_padding.empty() ? 0 : output_padding[i];
      int64_t full = a.stride * (a.out - 1) + extra + (a.kernel - 1) * a.dilation + 1;
      int64_t total = std::max<int64_t>(0, full - a.in);
      a.pad_begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      a.pad_end = total - a.pad_begin;
    }
  }
  s.in_size = ElementCount(out);
  s.out_size = ElementCount(in);
  s.kernel_size = ElementCount(kernel);
  if (s.in_size < 0 || s.out_size < 0 || s.kernel_size < 0) return LimitHit("the extents overflow");
  TRY(c.Charge({c.in(0).size(), s.group_channels(), s.kernel_size}));
  return s;
}

// Of so few multiply-adds that it is done before a matrix of columns is laid out.
constexpr int64_t kFewProducts = 1 << 13;

template <class T>
void ScatterDirectly(const ConvExtents& s, const T* x, const T* w, T* y) {
  const std::vector<TapLine> lines = TapLines(s.axes);
  const int64_t stride = s.axes.back().stride, channels = s.group_channels();
  for (int64_t i = 0; i < s.batch * s.channels; ++i, y += s.in_size) {
    int64_t group = i % s.channels / channels, channel = i % channels;
    const T* in = x + (i / s.channels * s.maps + group * s.group_maps()) * s.out_size;
    const T* weights = w + (group * s.group_maps() * channels + channel) * s.kernel_size;
    for (int64_t m = 0; m < s.group_maps(); ++m, in += s.out_size, weights += s.depth()) {
      for (const TapLine& line : lines) {
        const T factor = weights[line.tap];
        for (int64_t o = 0; o < line.n; ++o) y[line.from + o * stride] += factor * in[line.to + o];
      }
    }
  }
}

template <class T>
Status ConvolveTransposed(KernelContext& c, const ConvExtents& s, const T* x, const T* w,
                          const T* bias, T* y) {
  if (s.batch == 0 || s.channels == 0) return {};
  for (int64_t i = 0; i < s.batch * s.channels; ++i)
    std::fill_n(y + i * s.in_size, s.in_size, bias ? bias[i % s.channels] : T(0));
  if (ElementCount({s.batch * s.maps, s.out_size, s.depth()}) <= kFewProducts) {
    ScatterDirectly(s, x, w, y);
    return {};
  }
  int64_t rows = s.group_maps(), depth = s.depth(), tile = TileColumns<T>(s);
  Tensor scratch = TRY(ColumnScratch<T>(c, s));
  T* columns = reinterpret_cast<T*>(scratch.mutable_raw());
  for (int64_t n = 0; n < s.batch; ++n, x += s.maps * s.out_size, y += s.channels * s.in_size) {
    for (int64_t g = 0; g < s.group; ++g) {
      const T* group_x = x + g * rows * s.out_size;
      T* group_y = y + g * s.group_channels() * s.in_size;
      for (int64_t begin = 0; begin < s.out_size; begin += tile) {
        int64_t count = std::min(tile, s.out_size - begin);
        MultiplyViews<T>({w + g * rows * depth, depth, true}, {group_x + begin, s.out_size},
                         columns, count, depth, rows, count);
        ScatterColumns(s, columns, begin, begin + count, group_y);
      }
    }
  }
  return {};
}

Status Eval(KernelContext& c) {
  ConvExtents shape = TRY(AdjointShape(c));
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    return ConvolveTransposed<T>(c, shape, c.data<T>(0), c.data<T>(1),
                                 c.Has(2) ? c.data<T>(2) : nullptr, y->mutable_data<T>());
  });
}

}  // namespace

std::vector<OpSpec> ops_conv_transpose() {
  OpSpec v1 = Op("ConvTranspose", 1)
                  .In("X", "T", kFloats16)
                  .In("W", "T", kFloats16)
                  .In("B", "T", kFloats16, Arity::kOptional)
                  .Out("Y", "T", kFloats16)
                  .Rule(Rule)
                  .Eval(Eval)
                  .Class(Accuracy::kReduction);
  ConvAttributes(v1)
      .Ints("output_padding", {.lo = 0, .hi = 2, .len_rank = 1, .len_const = -2, .solve = true})
      .Ints("output_shape");
  return {v1, v1.Since(11), v1.Since(22).Types("T", kFloatsBf16)};
}

}  // namespace assay
