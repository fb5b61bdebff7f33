// Noise: what rounding may do to numbers, drawn. Metric and snapping measure by it how far results
// may lie apart.
#pragma once

#include <cmath>
#include <cstdint>

#include "interp/op_spec.h"
#include "interp/tensor.h"

namespace assay {

// A folded constant has gone through about four roundings; as much noise, so that flips at a
// breakpoint show.
inline constexpr double kNoise = 4;
// The spread of a few runs underestimates the largest error.
inline constexpr double kSafety = 3;

// Rounding unit of an element type. Double is what a reference itself computes in: it leaves room
// for the order of its additions.
double MetricUnit(DType t);

// A stream of factors 1 + amplitude * r with |r| in [1/2, 1]: never near 0, so that few runs show
// the spread.
class Noise {
 public:
  explicit Noise(uint64_t seed) {
    for (uint64_t& s : state_) s = Mix(seed++) | 1;
  }
  double Factor(double amplitude) { return Next(state_[at_++ % kStreams], amplitude); }
  // y = x times a factor each.
  void Apply(const double* x, double* y, int64_t n, double amplitude) {
    int64_t i = 0;
    uint64_t s[kStreams];
    std::copy(state_, state_ + kStreams, s);
    for (; i + kStreams <= n; i += kStreams) {
      for (int k = 0; k < kStreams; ++k) y[i + k] = x[i + k] * Next(s[k], amplitude);
    }
    std::copy(s, s + kStreams, state_);
    for (; i < n; ++i) y[i] = x[i] * Factor(amplitude);
  }

 private:
  // Several streams, because one waits for its own last number.
  static constexpr int kStreams = 4;
  static double Next(uint64_t& state, double amplitude) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    double r = static_cast<double>(static_cast<int64_t>(state)) * 0x1p-64;  // [-1/2, 1/2)
    return 1 + amplitude * (r + std::copysign(0.5, r));
  }
  uint64_t state_[kStreams];
  unsigned at_ = 0;
};

// A copy in double with every element moved by up to `amplitude` of itself; NaN, Inf and 0 stay.
Tensor Perturbed(const Tensor& t, double amplitude, Noise& noise);
// The same by up to `amplitude` of the largest one.
Tensor Shifted(const Tensor& t, double amplitude, Noise& noise);

// Does the operator compute reals of integers alone? So do windows (HannWindow, HammingWindow,
// BlackmanWindow), and the function bodies that ONNX gives for them add cosines in float, whatever
// type they end in: their elements move by a share of the largest one, in units of float.
bool IsWindow(const OpSpec& row);

}  // namespace assay
