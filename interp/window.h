// Windows that slide over the spatial axes of [N,C,D1,..,Dn]: the geometry that convolutions and
// poolings share (ONNX attributes kernel_shape, strides, dilations, pads, auto_pad, ceil_mode),
// once for rules and once for kernels.
#pragma once

#include <vector>

#include "interp/kernels.h"

namespace assay {

// ---- rules
// -----------------------------------------------------------------------------------------------------

// One entry an axis; pads as in ONNX, all begins, then all ends.
struct WindowDims {
  std::vector<Dim> kernel;
  IntList strides, dilations, pads;
  bool same = false;  // auto_pad SAME_UPPER or SAME_LOWER: pads follow from the extents
};

// Kernel extents from attribute kernel_shape; with `weights` >= 0 from that input's axes 2.. as
// well, which then must agree. `axes`: number of spatial axes.
std::vector<Dim> KernelDims(RuleContext& c, size_t axes, int weights = -1);

// Reads and checks the attributes: kernel, strides, dilations at least 1, pads at least 0, all
// below 2^31, so that no position overflows; no explicit pads beside an auto_pad.
WindowDims ReadWindow(RuleContext& c, std::vector<Dim> kernel);

// Extent of a dilated kernel: (kernel - 1) * dilation + 1.
Dim Reach(const WindowDims& w, size_t axis);

// Rule of poolings: X [N,C,D1..Dn] to [N,C,positions..], same element type, in every output asked
// for; outputs after the first have type `others`. Pads are below the kernel's extent, as in every
// runtime.
void PoolRule(RuleContext& c, DType others = DType::kInt64);

// Number of window positions on each axis of `in` (spatial extents only). `ceil_mode` counts a last
// window that sticks out at the end, unless it would begin beyond the input and its begin padding.
std::vector<Dim> WindowPositions(RuleContext& c, const std::vector<Dim>& in, const WindowDims& w,
                                 bool ceil_mode);

// ---- kernels
// ---------------------------------------------------------------------------------------------------

// One spatial axis. Window `o` reads input positions o * stride - pad_begin + j * dilation, j in
// [0, kernel).
struct WindowAxis {
  int64_t in, out, kernel, stride, dilation, pad_begin, pad_end;

  int64_t Start(int64_t o) const { return o * stride - pad_begin; }
  // The taps [first, last) of window `o` that lie within the input.
  std::pair<int64_t, int64_t> Taps(int64_t o) const;
  // The windows [first, last) whose tap `j` lies within the input.
  std::pair<int64_t, int64_t> Windows(int64_t j) const;
};

// Axes for input extents `in` and output extents `out` (as the rule inferred them), auto_pad
// resolved.
std::vector<WindowAxis> WindowAxes(const KernelContext& c, const Shape& in, const Shape& out,
                                   const Shape& kernel);

// The offset in one channel of the input line that output line `line` reads at tap `tap` of all axes but the last; -1
// when the line lies in the padding. Lines and taps count row-major.
int64_t LineOffset(const std::vector<WindowAxis>& axes, int64_t line, int64_t tap);

// Walks what windows read line by line: calls f(to, n, tap, from), meaning that windows to .. to + n - 1 read at tap
// `tap` the inputs from, from + stride, .. of the last axis. Each window meets its taps in ascending order.
template <class F>
void ForEachTapLine(const std::vector<WindowAxis>& axes, F&& f) {
  const WindowAxis& last = axes.back();
  std::vector<std::pair<int64_t, int64_t>> windows;
  for (int64_t j = 0; j < last.kernel; ++j) windows.push_back(last.Windows(j));
  int64_t lines = 1, taps = 1;
  for (size_t i = 0; i + 1 < axes.size(); ++i) lines *= axes[i].out, taps *= axes[i].kernel;
  for (int64_t line = 0; line < lines; ++line) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t offset = LineOffset(axes, line, tap);
      if (offset < 0) continue;
      for (int64_t j = 0; j < last.kernel; ++j) {
        auto [lo, hi] = windows[static_cast<size_t>(j)];
        if (lo < hi) f(line * last.out + lo, hi - lo, tap * last.kernel + j, offset + last.Start(lo) + j * last.dilation);
      }
    }
  }
}

// The same line by line, for who walks them for many planes.
struct TapLine {
  int64_t to, n, tap, from;
};
inline std::vector<TapLine> TapLines(const std::vector<WindowAxis>& axes) {
  std::vector<TapLine> lines;
  ForEachTapLine(axes, [&](int64_t to, int64_t n, int64_t tap, int64_t from) { lines.push_back({to, n, tap, from}); });
  return lines;
}

// All windows over one plane of spatial extents, with the input offsets that each reads.
class Windows {
 public:
  explicit Windows(std::vector<WindowAxis> axes);
  int64_t size() const { return size_; }        // windows of a plane
  int64_t in_size() const { return in_size_; }  // inputs of a plane
  const std::vector<WindowAxis>& axes() const { return axes_; }
  // Calls f(offset) for each tap of a window that lies within the plane, row-major.
  template <class F>
  void Read(int64_t window, F&& f) const;
  // Taps of a window that lie within the plane / within the plane and its pads.
  int64_t Count(int64_t window, bool with_pads) const;

 private:
  struct Line {
    int64_t start, first, last, padded;  // position of tap 0; taps within; how many with pads
  };
  std::vector<WindowAxis> axes_;
  std::vector<std::vector<Line>> lines_;  // [axis][window on that axis]
  int64_t size_ = 1, in_size_ = 1;
};

template <class F>
void Windows::Read(int64_t window, F&& f) const {
  constexpr size_t kMaxAxes = 16;
  const Line* at[kMaxAxes];
  int64_t tap[kMaxAxes], step[kMaxAxes];
  size_t n = axes_.size();
  int64_t offset = 0, stride = 1;
  for (size_t i = n; i-- > 0; window /= axes_[i].out) {
    at[i] = &lines_[i][window % axes_[i].out];
    if (at[i]->first == at[i]->last) return;
    tap[i] = at[i]->first;
    step[i] = axes_[i].dilation * stride;
    offset += at[i]->start * stride + tap[i] * step[i];
    stride *= axes_[i].in;
  }
  while (true) {
    int64_t count = at[n - 1]->last - at[n - 1]->first;
    for (int64_t j = 0; j < count; ++j) f(offset + j * step[n - 1]);
    size_t i = n - 1;
    while (true) {  // next line: the odometer over all axes but the last
      if (i-- == 0) return;
      offset += step[i];
      if (++tap[i] < at[i]->last) break;
      offset -= step[i] * (at[i]->last - at[i]->first);
      tap[i] = at[i]->first;
    }
  }
}

// Attribute domains for the rows: list lengths by the rank of input 0.
AttrDomain KernelShapeDomain();
AttrDomain StridesDomain();
AttrDomain DilationsDomain();
AttrDomain PadsDomain(int64_t hi);
AttrDomain AutoPadDomain();

}  // namespace assay
