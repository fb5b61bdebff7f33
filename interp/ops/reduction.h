// Sums and the like over some axes of a tensor: a walk over the input, in order, that tells for
// each run of elements where it goes in the output.
#pragma once

#include "interp/kernels.h"

namespace assay {

class Reduction {
 public:
  // `reduced[d]`: axis d of `shape` is summed over. The shape holds no 0.
  Reduction(const Shape& shape, const std::vector<bool>& reduced);

  int64_t out_size() const { return out_size_; }
  int64_t count() const { return count_; }  // inputs of one output

  // Calls f(in, out, n, step, first) for runs of n inputs from `in` on: the i-th goes to output out
  // + i * step, step 0 or 1. `first`: the run holds the first input of each output it goes to (with
  // step 0 its own first).
  template <class F>
  void ForEachRun(F&& f) const;

  // out[o] = the inputs of o, combined in order: start(x) of the first, then step(accumulator, x,
  // o).
  template <class Acc, class T, class Start, class Step>
  void Accumulate(const T* x, Acc* out, Start&& start, Step&& step) const {
    ForEachRun([&](int64_t in, int64_t o, int64_t n, int64_t out_step, bool first) {
      const T* run = x + in;
      if (out_step == 0) {
        Acc acc = first ? start(run[0]) : out[o];
        for (int64_t i = first; i < n; ++i) step(acc, run[i], o);
        out[o] = acc;
      } else if (first) {
        for (int64_t i = 0; i < n; ++i) out[o + i] = start(run[i]);
      } else {
        for (int64_t i = 0; i < n; ++i) step(out[o + i], run[i], o + i);
      }
    });
  }
  // y[i] = f(x[i], o), where o is the output that input i goes to.
  template <class T, class F>
  void Map(const T* x, T* y, F&& f) const {
    ForEachRun([&](int64_t in, int64_t o, int64_t n, int64_t out_step, bool) {
      for (int64_t i = 0; i < n; ++i) y[in + i] = f(x[in + i], o + i * out_step);
    });
  }

 private:
  struct Axis {
    int64_t extent;
    bool reduced;
    int64_t out_step;  // outputs between neighbours
  };
  std::vector<Axis>
      axes_;  // neighbours of one kind merged, no extent of 1 where avoidable; never empty
  int64_t out_size_ = 1, count_ = 1, in_size_ = 1;
};

inline Reduction::Reduction(const Shape& shape, const std::vector<bool>& reduced) {
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    if (!axes_.empty() && axes_.back().reduced == reduced[d])
      axes_.back().extent *= shape[d];
    else
      axes_.push_back({shape[d], reduced[d], 0});
  }
  if (axes_.empty()) axes_.push_back({1, true, 0});
  for (size_t d = axes_.size(); d-- > 0;) {
    in_size_ *= axes_[d].extent;
    if (axes_[d].reduced) {
      count_ *= axes_[d].extent;
    } else {
      axes_[d].out_step = out_size_;
      out_size_ *= axes_[d].extent;
    }
  }
}

template <class F>
void Reduction::ForEachRun(F&& f) const {
  const Axis& last = axes_.back();
  std::vector<int64_t> at(axes_.size() - 1, 0);
  int64_t o = 0, inside = 0;  // `inside`: reduced axes that are not at their first element
  for (int64_t in = 0; in < in_size_; in += last.extent) {
    f(in, o, last.extent, last.out_step, inside == 0);
    for (size_t d = at.size(); d-- > 0;) {
      o += axes_[d].out_step;
      if (at[d]++ == 0) inside += axes_[d].reduced;
      if (at[d] < axes_[d].extent) break;
      o -= axes_[d].out_step * axes_[d].extent;
      inside -= axes_[d].reduced;
      at[d] = 0;
    }
  }
}

}  // namespace assay
