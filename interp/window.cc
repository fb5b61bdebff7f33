#include "interp/window.h"

namespace assay {
namespace {

constexpr int64_t kMaxAttribute = std::numeric_limits<int32_t>::max();

void RequireWithin(RuleContext& c, const IntList& list, int64_t least, const char* label) {
  for (size_t i = 0; i < list.size(); ++i) {
    Dim d = list[i];
    bool within = d.defined() && d.lo() >= least && d.hi() <= kMaxAttribute;
    if (!within) c.Require(Dim(least) <= d && d <= Dim(kMaxAttribute), label);
  }
}

// The smallest and largest multiple counts: ceil and floor of a / b for b > 0 and any a.
int64_t CeilOf(int64_t a, int64_t b) { return a >= 0 ? (a + b - 1) / b : -(-a / b); }
int64_t FloorOf(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// [first, last) of the steps i in [0, count) with 0 <= start + i * step < extent; first == last
// when none.
std::pair<int64_t, int64_t> Inside(int64_t start, int64_t step, int64_t count, int64_t extent) {
  int64_t first = std::clamp<int64_t>(CeilOf(-start, step), 0, count);
  int64_t last = std::clamp<int64_t>(FloorOf(extent - 1 - start, step) + 1, first, count);
  return {first, last};
}

}  // namespace

std::vector<Dim> KernelDims(RuleContext& c, size_t axes, int weights) {
  bool given = !c.List("kernel_shape").empty();
  IntList list = given ? c.IntsOr("kernel_shape", axes, 1) : IntList(axes, 1);
  std::vector<Dim> kernel(axes);
  for (size_t i = 0; i < axes; ++i) kernel[i] = list[i];
  if (weights < 0) {
    c.Require(given, "kernel_shape has one entry for each axis");
    return kernel;
  }
  for (size_t i = 0; i < axes; ++i) {
    Dim w = c.In(weights, static_cast<int>(i) + 2);
    if (given) {
      c.Require(kernel[i] == w, "kernel_shape agrees with the weights");
      // Both are one number: what either says holds for it.
      Dim both(std::max(kernel[i].lo(), w.lo()), std::min(kernel[i].hi(), w.hi()));
      w = both.defined() ? both : w;
    }
    kernel[i] = w;
  }
  return kernel;
}

WindowDims ReadWindow(RuleContext& c, std::vector<Dim> kernel) {
  size_t n = kernel.size();
  WindowDims w{std::move(kernel), c.IntsOr("strides", n, 1), c.IntsOr("dilations", n, 1),
               c.IntsOr("pads", 2 * n, 0)};
  RequireWithin(c, IntList(w.kernel), 1, "kernel extents are in [1, 2^31)");
  RequireWithin(c, w.strides, 1, "strides are in [1, 2^31)");
  RequireWithin(c, w.dilations, 1, "dilations are in [1, 2^31)");
  RequireWithin(c, w.pads, 0, "pads are in [0, 2^31)");
  std::string_view auto_pad;
  if (const AttrValue* given = c.node().Find("auto_pad")) {
    if (auto text = std::get_if<std::string>(given)) auto_pad = *text;
  }
  w.same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (w.same || auto_pad == "VALID") {
    for (size_t i = 0; i < w.pads.size(); ++i)
      c.Require(w.pads[i] == Dim(0), "pads are not combined with auto_pad");
    // Some implementations let the explicit zeros win over SAME.
    if (c.solving())
      c.Require(!w.same || c.List("pads").empty(), "pads are not combined with auto_pad");
  }
  return w;
}

Dim Reach(const WindowDims& w, size_t axis) {
  return (w.kernel[axis] - Dim(1)) * w.dilations[axis] + Dim(1);
}

std::vector<Dim> WindowPositions(RuleContext& c, const std::vector<Dim>& in, const WindowDims& w,
                                 bool ceil_mode) {
  std::vector<Dim> out;
  out.reserve(in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    if (w.same) {
      out.push_back(CeilDiv(in[i], w.strides[i]));
      continue;
    }
    Dim begin = in[i] + w.pads[i], padded = begin + w.pads[in.size() + i], reach = Reach(w, i);
    c.Require(reach <= padded, "the dilated kernel fits the padded input");
    Dim steps =
        ceil_mode ? CeilDiv(padded - reach, w.strides[i]) : FloorDiv(padded - reach, w.strides[i]);
    if (ceil_mode) {
      Truth beyond = steps * w.strides[i] >= begin;
      if (beyond == Truth::kTrue)
        steps = steps - Dim(1);
      else if (beyond == Truth::kMaybe)
        steps = Dim(steps.lo() - 1, steps.hi());
      // Until ONNX 1.16 inference counted such a window; runtimes did not.
      if (c.solving()) c.Require(!beyond, "the last window begins inside the input");
    }
    out.push_back(Max(Dim(1), steps + Dim(1)));
  }
  return out;
}

void PoolRule(RuleContext& c, DType others) {
  auto out = [&](int i) { return i == 0 ? c.dtype(0) : others; };
  if (!c.Ranked(0)) {
    for (int i = 0; i < c.outputs(); ++i) c.OutUnranked(i, out(i));
    return;
  }
  int rank = c.Rank(0);
  c.Require(rank >= 3 && rank < 16, "the input is [N,C,D1,..]");
  if (c.failed()) return;
  size_t axes = static_cast<size_t>(rank) - 2;
  WindowDims w = ReadWindow(c, KernelDims(c, axes));
  for (size_t i = 0; i < 2 * axes; ++i)
    c.Require(w.pads[i] < w.kernel[i % axes], "pads are below the kernel's extent");
  std::vector<Dim> in(c.Dims(0).begin() + 2, c.Dims(0).end()), y = {c.In(0, 0), c.In(0, 1)};
  for (const Dim& d : WindowPositions(c, in, w, c.IntValue("ceil_mode") != 0)) y.push_back(d);
  for (int i = 0; i < c.outputs(); ++i) c.Out(i, out(i), y);
}

int64_t LineOffset(const std::vector<WindowAxis>& axes, int64_t line, int64_t tap) {
  int64_t offset = 0, step = axes.back().in;
  for (size_t i = axes.size() - 1; i-- > 0;) {
    const WindowAxis& a = axes[i];
    // The divisions are what this costs; the outermost axis needs none.
    int64_t o = i == 0 ? line : line % a.out, j = i == 0 ? tap : tap % a.kernel;
    int64_t at = a.Start(o) + j * a.dilation;
    if (at < 0 || at >= a.in) return -1;
    offset += at * step;
    if (i == 0) break;
    step *= a.in;
    line /= a.out;
    tap /= a.kernel;
  }
  return offset;
}

Windows::Windows(std::vector<WindowAxis> axes) : axes_(std::move(axes)) {
  for (const WindowAxis& a : axes_) {
    std::vector<Line> lines;
    for (int64_t o = 0; o < a.out; ++o) {
      auto [first, last] = a.Taps(o);
      auto [padded_first, padded_last] =
          Inside(a.Start(o) + a.pad_begin, a.dilation, a.kernel, a.pad_begin + a.in + a.pad_end);
      lines.push_back({a.Start(o), first, last, padded_last - padded_first});
    }
    lines_.push_back(std::move(lines));
    size_ *= a.out;
    in_size_ *= a.in;
  }
}

int64_t Windows::Count(int64_t window, bool with_pads) const {
  int64_t count = 1;
  for (size_t i = axes_.size(); i-- > 0; window /= axes_[i].out) {
    const Line& line = lines_[i][window % axes_[i].out];
    count *= with_pads ? line.padded : line.last - line.first;
  }
  return count;
}

std::pair<int64_t, int64_t> WindowAxis::Taps(int64_t o) const {
  return Inside(Start(o), dilation, kernel, in);
}
std::pair<int64_t, int64_t> WindowAxis::Windows(int64_t j) const {
  return Inside(j * dilation - pad_begin, stride, out, in);
}

std::vector<WindowAxis> WindowAxes(const KernelContext& c, const Shape& in, const Shape& out,
                                   const Shape& kernel) {
  size_t n = in.size();
  auto entry = [](const std::vector<int64_t>& list, size_t i, int64_t otherwise) {
    return list.empty() ? otherwise : list[i];
  };
  std::vector<int64_t> strides = c.Ints("strides"), dilations = c.Ints("dilations"),
                       pads = c.Ints("pads");
  std::string auto_pad = c.String("auto_pad");
  std::vector<WindowAxis> axes;
  for (size_t i = 0; i < n; ++i) {
    WindowAxis a{in[i],
                 out[i],
                 kernel[i],
                 entry(strides, i, 1),
                 entry(dilations, i, 1),
                 entry(pads, i, 0),
                 entry(pads, n + i, 0)};
    if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
      int64_t reach = (a.kernel - 1) * a.dilation + 1;
      int64_t total = std::max<int64_t>(0, (a.out - 1) * a.stride + reach - a.in);
      a.pad_begin = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
      a.pad_end = total - a.pad_begin;
    }
    axes.push_back(a);
  }
  return axes;
}

AttrDomain KernelShapeDomain() {
  return {.lo = 1, .hi = 7, .len_rank = 1, .len_const = -2, .solve = true};
}
AttrDomain StridesDomain() {
  return {.lo = 1, .hi = 3, .len_rank = 1, .len_const = -2, .solve = true};
}
AttrDomain DilationsDomain() {
  return {.lo = 1, .hi = 3, .len_rank = 1, .len_const = -2, .solve = true};
}
AttrDomain PadsDomain(int64_t hi) {
  return {.lo = 0, .hi = hi, .len_rank = 2, .len_const = -4, .solve = true};
}
AttrDomain AutoPadDomain() { return {.strings = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}}; }

}  // namespace assay
