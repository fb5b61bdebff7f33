#include "interp/column_panels.h"

#include <algorithm>

#include "interp/kernels_panel.h"
#include "interp/kernels_vector.h"

namespace assay {
namespace {

// An integer as wide as T: what comparisons of vectors give.
template <class T>
using MaskInt = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// The lanes from `at` on, for vectors that begin at lane 0 and at lane kLanes<T>.
template <class T>
struct LaneMasks {
  static constexpr int64_t kWidth = 2 * kLanes<T>;
  MaskInt<T> lanes[2 * kWidth];
  constexpr LaneMasks() : lanes() {
    for (int64_t i = 0; i < 2 * kWidth; ++i) lanes[i] = i < kWidth ? 0 : -1;
  }
  const MaskInt<T>* From(int64_t at) const { return lanes + kWidth - at; }
};
template <class T>
constexpr LaneMasks<T> kLaneMasks;

template <class T>
void CopyEach(const T* from, int64_t stride, int64_t n, T* to) {
  if (stride == 1)
    std::copy(from, from + n, to);
  else if (stride == 2)  // the stride of networks, which vectors can take
    for (int64_t i = 0; i < n; ++i) to[i] = from[2 * i];
  else
    for (int64_t i = 0; i < n; ++i) to[i] = from[stride * i];
}

}  // namespace

template <class T>
ColumnPanels<T>::ColumnPanels(const ConvExtents& s, int64_t begin, int64_t end)
    : in_size_(s.in_size), stride_(s.axes.back().stride) {
  const WindowAxis& last = s.axes.back();
  bool within_line = begin / last.out == (end - 1) / last.out;
  LayOutRuns(last, within_line ? begin % last.out : 0,
             within_line ? (end - 1) % last.out + 1 : last.out);
  LayOutPieces(s, begin, end);
}

// What output columns [begin, end) of a line read of an input line.
template <class T>
void ColumnPanels<T>::LayOutRuns(const WindowAxis& axis, int64_t begin, int64_t end) {
  // Taps with the same remainder by the stride share a run, unless dilations and pads make it
  // longer than one for each.
  int64_t n = end - begin, phases = std::min(axis.stride, axis.kernel),
          last = (axis.kernel - 1) * axis.dilation / axis.stride;
  bool shared = phases <= axis.kernel * n / (n + last);
  int64_t width = shared ? n + last : n;
  std::vector<int64_t> starts;  // of the runs, from the first element that tap 0 reads
  for (int64_t j = 0; j < axis.kernel; ++j) {
    int64_t start = shared ? j * axis.dilation % axis.stride : j * axis.dilation;
    size_t run =
        static_cast<size_t>(std::find(starts.begin(), starts.end(), start) - starts.begin());
    if (run == starts.size()) starts.push_back(start);
    taps_.push_back(static_cast<int64_t>(run) * width + (j * axis.dilation - start) / axis.stride);
  }
  WindowAxis run = axis;
  run.out = width;
  for (size_t i = 0; i < starts.size(); ++i) {
    run.pad_begin = axis.pad_begin - begin * axis.stride - starts[i];
    auto [lo, hi] = run.Windows(0);
    if (lo < hi) runs_.push_back({run.Start(lo), static_cast<int64_t>(i) * width + lo, hi - lo});
  }
  slot_size_ = static_cast<int64_t>(starts.size()) * width;
}

template <class T>
void ColumnPanels<T>::LayOutPieces(const ConvExtents& s, int64_t begin, int64_t end) {
  constexpr int64_t kPanel = kPanelColumns<T>;
  const WindowAxis& last = s.axes.back();
  int64_t first_line = begin / last.out, lines = (end - 1) / last.out + 1 - first_line,
          taps = s.kernel_size / last.kernel;
  // Which input line each output line reads at each tap along the other axes; -1: none.
  std::vector<int64_t> read;
  int64_t least = s.in_size, most = -1;
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t line = 0; line < lines; ++line) {
      int64_t offset = LineOffset(s.axes, first_line + line, tap);
      read.push_back(offset < 0 ? -1 : offset / last.in);
      if (offset >= 0) least = std::min(least, read.back()), most = std::max(most, read.back());
    }
  }
  std::vector<int64_t> slot(static_cast<size_t>(std::max<int64_t>(most - least + 1, 0)), -1);
  for (int64_t line : read) {
    if (line >= 0) slot[static_cast<size_t>(line - least)] = 0;
  }
  for (size_t i = 0; i < slot.size(); ++i) {
    if (slot[i] < 0) continue;
    slot[i] = static_cast<int64_t>(line_offsets_.size());
    line_offsets_.push_back((least + static_cast<int64_t>(i)) * last.in);
  }
  // Padding: a line of zeros behind the others.
  int64_t zeros = static_cast<int64_t>(line_offsets_.size());
  slots_ = zeros + 1;
  int64_t origin =
      lines == 1 ? begin - first_line * last.out : 0;  // the column that lies first in a slot
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t at = begin; at < end;) {
      int64_t line = at / last.out - first_line, column = at % last.out,
              in_panel = (at - begin) % kPanel;
      int64_t n = std::min({last.out - column, kPanel - in_panel, end - at}),
              in = read[static_cast<size_t>(tap * lines + line)];
      int64_t from =
          (in < 0 ? zeros : slot[static_cast<size_t>(in - least)]) * slot_size_ + column - origin;
      at += n;
      pieces_.push_back({kSlack + from - in_panel, in_panel, in_panel + n == kPanel || at == end});
    }
  }
  row_pieces_ = static_cast<int64_t>(pieces_.size()) / taps;
}

template <class T>
void ColumnPanels<T>::CopyLines(const T* x, T* lines) const {
  for (int64_t offset : line_offsets_) {
    for (const Run& run : runs_)
      CopyEach(x + offset + run.first, stride_, run.count, lines + run.to);
    lines += slot_size_;
  }
}

template <class T>
void ColumnPanels<T>::GatherRow(const T* lines, const Piece* piece, int64_t panel_stride,
                                T* panel) const {
  constexpr int64_t kHalf = kLanes<T>;
  for (const Piece* end = piece + row_pieces_; piece != end; ++piece, panel += panel_stride) {
    Vector<T> left = LoadVector(lines + piece->from),
              right = LoadVector(lines + piece->from + kHalf);
    while (!piece->ends) {
      ++piece;
      const MaskInt<T>* mask = kLaneMasks<T>.From(piece->at);
      left = LoadVector(mask) ? LoadVector(lines + piece->from) : left;
      right = LoadVector(mask + kHalf) ? LoadVector(lines + piece->from + kHalf) : right;
    }
    StoreVector(panel, left);
    StoreVector(panel + kHalf, right);
  }
}

template <class T>
void ColumnPanels<T>::Gather(const T* x, int64_t k0, int64_t k1, int64_t panel_stride, T* panels,
                             std::vector<T>& lines) const {
  int64_t along = static_cast<int64_t>(taps_.size()),
          taps = along * static_cast<int64_t>(pieces_.size()) / row_pieces_;
  int64_t tap = k0 % taps;
  x += k0 / taps * in_size_;
  for (int64_t k = k0; k < k1; ++k, panels += kPanelColumns<T>) {
    if (k == k0 || tap == 0) CopyLines(x, lines.data() + kSlack);
    GatherRow(lines.data() + taps_[static_cast<size_t>(tap % along)],
              pieces_.data() + tap / along * row_pieces_, panel_stride, panels);
    if (++tap < taps) continue;
    tap = 0;
    x += in_size_;
  }
}

template class ColumnPanels<float>;
template class ColumnPanels<double>;

}  // namespace assay
