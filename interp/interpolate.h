// Where the places of a resized axis read from (ONNX Resize-10 to 19, Upsample-7 and 9).
//
// Coordinates are exact fractions: a scale given as a float means the simplest fraction that rounds
// to it (0.6f is 3/5), a scale given by sizes is their ratio. So every scalar domain picks the same
// neighbours, and weights are exact in the field.
#pragma once

#include <string>
#include <vector>

#include "interp/kernels.h"

namespace assay {

struct Fraction {
  __int128 num = 1, den = 1;  // den > 0
};
// The fraction with the smallest denominator up to 1024 that rounds to the float; else the float's
// exact value. `v` is finite and positive.
Fraction SimplestFraction(float v);

// Input numbers of a row's operands; -1: this version has none.
struct ResizeOperands {
  int roi = -1, scales = -1, sizes = -1;
};
ResizeOperands ResizeOperandsOf(const OpSpec& spec);

// One axis being resized.
struct ResizedAxis {
  int64_t in = 1, out = 1;
  Fraction scale;                     // out by in, before the extent was rounded
  double roi_start = 0, roi_end = 1;  // tf_crop_and_resize only
};

struct Interpolation {
  std::string mode = "nearest";  // nearest, linear, cubic
  std::string coordinates = "half_pixel";
  std::string nearest =
      "round_prefer_floor";  // or "simple": floor where the axis grows, ceil where it shrinks
  bool exclude_outside = false;
  float cubic_a = -0.75f;
  bool antialias = false;  // where an axis shrinks, the filter grows with it (Resize-18)
};

// The coordinate in X of place x of the axis: whole + part / den with 0 <= part < den. `outside`:
// beyond the axis and to be extrapolated (tf_crop_and_resize).
struct Coordinate {
  int64_t whole = 0;
  __int128 part = 0, den = 1;
  bool outside = false;
  double value() const {
    return static_cast<double>(whole) + static_cast<double>(part) / static_cast<double>(den);
  }
};
Coordinate CoordinateOf(const ResizedAxis& axis, const std::string& coordinates, int64_t x);

// The place of X that place x takes in nearest mode; -1 to extrapolate.
int64_t NearestOf(const ResizedAxis& axis, const Interpolation& how, int64_t x);

// No place of the axis moves, whatever the mode.
bool IsIdentity(const ResizedAxis& axis, const std::string& coordinates);

// Weights of the 2 (linear) or 4 (cubic) neighbours of each place of the axis, of more with antialias,
// `taps` a place, and their places in X, clamped to it. S is double or Fp.
template <class S>
struct AxisWeights {
  int taps = 2;
  std::vector<int64_t> places;
  std::vector<S> weights;
  std::vector<bool> outside;
};
template <class S>
AxisWeights<S> WeightsOf(const ResizedAxis& axis, const Interpolation& how);

}  // namespace assay
