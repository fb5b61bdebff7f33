// Reading a tensor between its elements, for the operators whose coordinates are data: GridSample,
// DeformConv, RoiAlign. Coordinates count elements; the weights are real numbers in every domain.
#pragma once

#include "interp/ops/elementwise.h"

namespace assay {

// The elements of input i as real numbers. Error: Unsupported where they have none, in the field.
inline Result<std::vector<double>> RealInput(const KernelContext& c, int i) {
  std::vector<double> v;
  if (!RealsOf(c.in(i), &v))
    return Unsupported("coordinates that depend on data have no place in the field");
  return v;
}

enum class Padding : uint8_t { kZeros, kBorder, kReflection };
enum class Taps : uint8_t { kNearest = 1, kLinear = 2, kCubic = 4 };

// v between lo and hi, reflected at both as often as needed.
inline double Reflect(double v, double lo, double hi) {
  double range = hi - lo;
  if (range <= 0) return lo;
  double d = std::fmod(std::fabs(v - lo), 2 * range);
  return d <= range ? lo + d : hi - (d - range);
}

// The neighbours of one coordinate on an axis and their weights; -1: outside, counts as 0.
struct AxisTaps {
  int count = 0;
  int64_t at[4];
  double weight[4];
};

struct SampledAxis {
  int64_t extent = 1;
  Padding padding = Padding::kZeros;
  double lo = 0, hi = 0;  // where reflection turns: 0 and extent - 1, or half an element further

  double Wrap(double x) const {
    constexpr double kFar = 1e9;
    if (std::isnan(x)) x = -1;
    x = std::clamp(x, -kFar, kFar);
    if (x >= lo && x <= hi) return x;
    if (padding == Padding::kBorder) return std::clamp(x, 0.0, static_cast<double>(extent - 1));
    return padding == Padding::kReflection ? Reflect(x, lo, hi) : x;
  }
  int64_t Place(int64_t i) const {
    if (i >= 0 && i < extent) return i;
    if (padding == Padding::kZeros) return -1;
    double wrapped = padding == Padding::kBorder ? static_cast<double>(i)
                                                 : Reflect(static_cast<double>(i), lo, hi);
    return std::clamp<int64_t>(static_cast<int64_t>(wrapped), 0, extent - 1);
  }
  AxisTaps Linear(double x) const {
    x = Wrap(x);
    int64_t first = static_cast<int64_t>(std::floor(x));
    double part = x - static_cast<double>(first);
    return {2, {Place(first), Place(first + 1)}, {1 - part, part}};
  }
  // Keys' cubic convolution with a = -0.75, as PyTorch's.
  AxisTaps Cubic(double x) const {
    constexpr double a = -0.75;
    x = Wrap(x);
    int64_t first = static_cast<int64_t>(std::floor(x));
    double t = x - static_cast<double>(first), u = 1 - t;
    auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    return {4,
            {Place(first - 1), Place(first), Place(first + 1), Place(first + 2)},
            {far(t + 1), near(t), near(u), far(u + 1)}};
  }
};

// Weights and offsets in a plane of row-major `axes`, from taps on each axis.
struct Gathered {
  std::vector<int64_t> at;
  std::vector<double> weight;
};
inline Gathered Combine(const std::vector<SampledAxis>& axes, const std::vector<AxisTaps>& taps) {
  Gathered g{{0}, {1.0}};
  for (size_t d = 0; d < axes.size(); ++d) {
    Gathered next;
    for (size_t i = 0; i < g.at.size(); ++i) {
      for (int k = 0; k < taps[d].count; ++k) {
        if (taps[d].at[k] < 0 || taps[d].weight[k] == 0) continue;
        next.at.push_back(g.at[i] * axes[d].extent + taps[d].at[k]);
        next.weight.push_back(g.weight[i] * taps[d].weight[k]);
      }
    }
    g = std::move(next);
  }
  return g;
}

// The weighted sum over one plane.
template <class T>
Wide<T> Read(const Gathered& g, const T* plane) {
  using W = Wide<T>;
  W sum = W(0);
  for (size_t i = 0; i < g.at.size(); ++i) {
    if constexpr (kIsFp<T>)
      sum += plane[g.at[i]] * Fp(g.weight[i]);
    else
      sum += static_cast<W>(plane[g.at[i]]) * static_cast<W>(g.weight[i]);
  }
  return sum;
}

}  // namespace assay
