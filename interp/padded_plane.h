// Windows over one plane through a padded copy of it, split by the remainders of row and column by the strides: each tap
// then reads one run of memory for many lines at once, and what is folded over the taps stays in registers.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "interp/kernels_vector.h"
#include "interp/window.h"

namespace assay {

// For windows over two axes. U: float, double or an integer.
template <class U>
class PaddedPlane {
 public:
  // Is the copy about as large as what it is made from? Dilations and pads far beyond the plane make it larger.
  static bool Fits(const std::vector<WindowAxis>& axes) {
    if (axes.size() != 2) return false;
    double padded = 1, read = 1, written = 1;
    for (const WindowAxis& a : axes) {
      padded *= static_cast<double>(a.out) * static_cast<double>(a.stride) +
                static_cast<double>(a.kernel) * static_cast<double>(a.dilation) + static_cast<double>(a.stride);
      read *= static_cast<double>(a.in);
      written *= static_cast<double>(a.out);
    }
    return padded <= 8 * (read + written) + 65536;
  }

  // `padding` is what the taps beyond the plane read.
  PaddedPlane(const std::vector<WindowAxis>& axes, U padding) : rows_(axes[0]), columns_(axes[1]) {
    // One line more than taps reach, for the columns beyond the last line.
    height_ = rows_.out + (rows_.kernel - 1) * rows_.dilation / rows_.stride + 1;
    width_ = columns_.out + (columns_.kernel - 1) * columns_.dilation / columns_.stride;
    phase_ = height_ * width_;
    for (int64_t i = 0; i < rows_.kernel; ++i) {
      for (int64_t j = 0; j < columns_.kernel; ++j) offsets_.push_back(Offset(i, j));
    }
    for (int64_t r = 0; r < rows_.in && (r + rows_.pad_begin) / rows_.stride < height_; ++r) {
      int64_t row = r + rows_.pad_begin;
      lines_.push_back(row % rows_.stride * columns_.stride * phase_ + row / rows_.stride * width_);
    }
    for (int64_t first = 0; first < std::min(columns_.stride, columns_.in); ++first) {
      int64_t column = first + columns_.pad_begin, at = column / columns_.stride;
      int64_t count = (columns_.in - first + columns_.stride - 1) / columns_.stride;
      runs_.push_back({first, column % columns_.stride * phase_ + at, std::clamp<int64_t>(width_ - at, 0, count)});
    }
    // The last vector may read and write beyond.
    copy_.assign(static_cast<size_t>(phase_ * rows_.stride * columns_.stride + kLanes<U>), padding);
    folded_.resize(static_cast<size_t>(rows_.out * width_ + kLanes<U>));
  }

  // The plane that the windows read next: convert(x[i]).
  template <class X, class F>
  void Copy(const X* x, F&& convert) {
    for (int64_t line : lines_) {
      for (const Run& run : runs_) CopyEach(x + run.first, columns_.stride, copy_.data() + line + run.to, run.count, convert);
      x += columns_.in;
    }
  }

  // y[o] = finish(the fold over the taps of window o, o), where a tap makes `sum` fold(sum, tap, x), beginning with
  // `first`. Both are called for single elements and for vectors of them, of outputs from o on.
  template <class Y, class Fold, class Finish>
  void Windows(U first, Fold&& fold, Finish&& finish, Y* y) {
    if (columns_.out < kLanes<U>) return NarrowWindows(first, fold, finish, y);
    const int64_t last = columns_.out - kLanes<U>;  // where the last vector of a line begins: it may overlap the one before
    for (int64_t row = 0; row < rows_.out; ++row) {
      const int64_t line = row * width_, o = row * columns_.out;
      // kVectors of them, `step` columns apart.
      auto vectors = [&]<int kVectors>(int64_t j, int64_t step) {
        Vector<U> sums[kVectors];
        FoldTaps(first, fold, line + j, step, sums);
#pragma GCC unroll 4
        for (int64_t v = 0; v < kVectors; ++v, j += step) StoreAs(y + o + j, finish(sums[v], o + j));
      };
      int64_t j = 0;
      for (; j + 3 * kLanes<U> <= last; j += 4 * kLanes<U>) vectors.template operator()<4>(j, kLanes<U>);
      for (; j + kLanes<U> <= last; j += 2 * kLanes<U>) vectors.template operator()<2>(j, kLanes<U>);
      if (j < last)
        vectors.template operator()<2>(j, last - j);
      else if (j < columns_.out)
        vectors.template operator()<1>(last, 0);
    }
  }

 private:
  // Of lines shorter than a vector: as one, with the columns between them.
  template <class Y, class Fold, class Finish>
  void NarrowWindows(U first, Fold& fold, Finish& finish, Y* y) {
    int64_t n = rows_.out * width_, i = 0;
    auto vectors = [&]<int kVectors>() {
      Vector<U> sums[kVectors];
      FoldTaps(first, fold, i, kLanes<U>, sums);
      for (int64_t v = 0; v < kVectors; ++v, i += kLanes<U>) StoreVector(folded_.data() + i, sums[v]);
    };
    while (i + 4 * kLanes<U> <= n) vectors.template operator()<4>();
    while (i < n) vectors.template operator()<1>();
    // What a vector holds beyond its line is overwritten by the next one's.
    const U* line = folded_.data();
    int64_t all = rows_.out * columns_.out;
    for (int64_t o = 0; o < all; o += columns_.out, line += width_) {
      if (o + kLanes<U> <= all) {
        StoreAs(y + o, finish(LoadVector(line), o));
        continue;
      }
      for (int64_t j = 0; j < columns_.out; ++j) y[o + j] = static_cast<Y>(finish(line[j], o + j));
    }
  }

  // The vectors of windows at places i, i + step, ..
  template <int kVectors, class Fold>
  void FoldTaps(U first, Fold& fold, int64_t i, int64_t step, Vector<U> (&sums)[kVectors]) const {
    Vector<U> sum[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[v] = FillVector(first);
    for (size_t tap = 0; tap < offsets_.size(); ++tap) {
      const U* in = copy_.data() + offsets_[tap] + i;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[v] = fold(sum[v], tap, LoadVector(in + v * step));
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] = sum[v];
  }

  template <class Y>
  static void StoreAs(Y* to, Vector<U> v) {
    if constexpr (std::is_same_v<Y, U>) {
      StoreVector(to, v);
    } else {
      typedef Y Converted __attribute__((vector_size(kLanes<U> * sizeof(Y))));
      Converted converted = __builtin_convertvector(v, Converted);
      std::memcpy(to, &converted, sizeof(converted));
    }
  }

  // Where tap (i, j) of the first output lies in the copy.
  int64_t Offset(int64_t i, int64_t j) const {
    int64_t row = i * rows_.dilation, column = j * columns_.dilation;
    int64_t phase = row % rows_.stride * columns_.stride + column % columns_.stride;
    return phase * phase_ + row / rows_.stride * width_ + column / columns_.stride;
  }
  template <class X, class F>
  static void CopyEach(const X* from, int64_t stride, U* to, int64_t n, F& convert) {
    if (stride == 1)
      for (int64_t i = 0; i < n; ++i) to[i] = convert(from[i]);
    else if (stride == 2)  // the stride of networks, which vectors can take
      for (int64_t i = 0; i < n; ++i) to[i] = convert(from[2 * i]);
    else
      for (int64_t i = 0; i < n; ++i) to[i] = convert(from[stride * i]);
  }

  // Every stride-th element of a line of the plane, from `first` on.
  struct Run {
    int64_t first, to, count;
  };

  const WindowAxis rows_, columns_;
  int64_t height_, width_, phase_;  // lines, columns and elements of one part
  std::vector<int64_t> offsets_;    // of the taps
  std::vector<int64_t> lines_;      // where the plane's lines go
  std::vector<Run> runs_;           // and what of each line
  std::vector<U> copy_, folded_;
};

}  // namespace assay
