// The columns of a convolution (interp/convolve.h) in panels (interp/kernels_panel.h).
//
// The lines of a channel are first copied with their padding, every stride-th element next to each
// other. What a panel holds of one tap then lies in a few runs of that copy, at the same places for
// every channel and, but for an offset, for every tap along the last axis.
#pragma once

#include <cstdint>
#include <vector>

#include "interp/convolve.h"

namespace assay {

// Columns [begin, end) of one group. T: float or double. Immutable; may be used by several threads
// at once.
template <class T>
class ColumnPanels {
 public:
  ColumnPanels(const ConvExtents& s, int64_t begin, int64_t end);

  // Memory for the copied lines, as Gather wants it; one for each thread.
  std::vector<T> Lines() const {
    return std::vector<T>(static_cast<size_t>(slots_ * slot_size_ + 2 * kSlack), T(0));
  }

  // Rows [k0, k1) of the matrix of x [Cg, in_size]: the row of panel j at panels + j *
  // panel_stride, and so on. What the last panel has beyond `end` are numbers of no meaning.
  void Gather(const T* x, int64_t k0, int64_t k1, int64_t panel_stride, T* panels,
              std::vector<T>& lines) const;

 private:
  // What a panel holds of one output line, from its column `at` on; `from`: in the copy, as if `at`
  // were 0.
  struct Piece {
    int64_t from, at;
    bool ends;  // the panel
  };
  // Every stride-th element of an input line.
  struct Run {
    int64_t first, to, count;
  };
  // A panel is read whole, beyond the run on both sides.
  static constexpr int64_t kSlack = 64 / static_cast<int64_t>(sizeof(T));

  void LayOutRuns(const WindowAxis& axis, int64_t begin, int64_t end);
  void LayOutPieces(const ConvExtents& s, int64_t begin, int64_t end);
  void CopyLines(const T* x, T* lines) const;
  void GatherRow(const T* lines, const Piece* piece, int64_t panel_stride, T* panel) const;

  int64_t in_size_, stride_;
  int64_t slot_size_ = 0, slots_ = 0;  // of a copied line; with a line of zeros if one is read
  std::vector<Run> runs_;              // of each line
  std::vector<int64_t> taps_;          // along the last axis: where the first column lies in a slot
  std::vector<int64_t> line_offsets_;  // of the copied lines in a channel, by slot
  std::vector<Piece> pieces_;          // for each tap along the other axes those of all panels
  int64_t row_pieces_ = 0;
};

}  // namespace assay
