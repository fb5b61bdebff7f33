#include "interp/interpolate.h"

namespace assay {
namespace {

using Wide = __int128;

// Coordinates that are no fraction of small numbers (regions of interest) are taken in steps of
// 2^-32.
constexpr double kStep = 0x1p32;

Coordinate Split(Wide num, Wide den) {
  Coordinate c;
  Wide whole = num / den, part = num % den;
  if (part < 0) part += den, --whole;
  c.whole = static_cast<int64_t>(whole);
  c.part = part;
  c.den = den;
  return c;
}

// tf_crop_and_resize: X is cut to [roi_start, roi_end] (1 is the last place) and the corners are
// aligned.
Coordinate InRegion(const ResizedAxis& a, int64_t x) {
  double last = static_cast<double>(a.in - 1);
  double length = static_cast<double>(a.in) * static_cast<double>(a.scale.num) /
                  static_cast<double>(a.scale.den);
  double at = a.out > 1 ? a.roi_start * last + static_cast<double>(x) * (a.roi_end - a.roi_start) *
                                                   last / (length - 1)
                        : 0.5 * (a.roi_start + a.roi_end) * last;
  if (at >= 0 && at <= last) return Split(static_cast<Wide>(at * kStep), static_cast<Wide>(kStep));
  Coordinate c;  // NaN lies outside as well
  c.outside = true;
  return c;
}

double Real(Wide v, double) { return static_cast<double>(v); }
Fp Real(Wide v, Fp) {
  return Fp(static_cast<int64_t>(v % static_cast<Wide>(field_internal::modulus.p)));
}

// Weights of the neighbours floor, floor + 1 at the part t beyond floor.
template <class S>
void Linear(S t, S* w) {
  w[0] = S(1) - t;
  w[1] = t;
}

// Weights of floor - 1 .. floor + 2 (Keys' cubic convolution with coefficient a).
template <class S>
void Cubic(S t, S a, S* w) {
  auto near = [&](S d) { return ((a + S(2)) * d - (a + S(3))) * d * d + S(1); };  // 0 <= d <= 1
  auto far = [&](S d) {
    return ((a * d - S(5) * a) * d + S(8) * a) * d - S(4) * a;
  };  // 1 <= d <= 2
  w[0] = far(t + S(1));
  w[1] = near(t);
  w[2] = near(S(1) - t);
  w[3] = far(S(2) - t);
}

}  // namespace

ResizeOperands ResizeOperandsOf(const OpSpec& spec) {
  if (spec.since >= 11) return {1, 2, 3};
  return {-1, spec.name == "Upsample" && spec.since < 9 ? -1 : 1, -1};
}

Fraction SimplestFraction(float v) {
  constexpr int64_t kMaxDenominator = 1024;
  for (int64_t den = 1; den <= kMaxDenominator; ++den) {
    double num = std::nearbyint(static_cast<double>(v) * static_cast<double>(den));
    if (num < 1 || num > 0x1p60) continue;
    if (static_cast<float>(num / static_cast<double>(den)) == v)
      return {static_cast<Wide>(num), den};
  }
  int exponent;
  Wide mantissa = static_cast<Wide>(std::frexp(v, &exponent) * 0x1p24f);
  exponent = std::clamp(exponent - 24, -100, 60);
  return exponent >= 0 ? Fraction{mantissa << exponent, 1}
                       : Fraction{mantissa, Wide{1} << -exponent};
}

bool IsIdentity(const ResizedAxis& a, const std::string& coordinates) {
  return a.in == a.out && a.scale.num == a.scale.den && coordinates != "tf_crop_and_resize";
}

Coordinate CoordinateOf(const ResizedAxis& a, const std::string& coordinates, int64_t x) {
  Wide num = a.scale.num, den = a.scale.den;
  Wide centre = (2 * static_cast<Wide>(x) + 1) * den;  // over 2 * num: (x + 0.5) / scale
  if (coordinates == "tf_crop_and_resize") return InRegion(a, x);
  if (coordinates == "asymmetric") return Split(x * den, num);
  if (coordinates == "tf_half_pixel_for_nn") return Split(centre, 2 * num);
  if (coordinates == "align_corners") {
    // (length - 1) spaces, where length = in * scale need not be whole.
    Wide spaces = a.in * num - den;
    return a.out > 1 && spaces > 0 ? Split(x * static_cast<Wide>(a.in - 1) * den, spaces)
                                   : Coordinate{};
  }
  if (coordinates == "pytorch_half_pixel" && a.out == 1) return Coordinate{};
  if (coordinates == "half_pixel_symmetric")
    return Split(a.in * num - a.out * den + centre - num, 2 * num);
  return Split(centre - num, 2 * num);
}

int64_t NearestOf(const ResizedAxis& a, const Interpolation& how, int64_t x) {
  Coordinate c = CoordinateOf(a, how.coordinates, x);
  if (c.outside) return -1;
  bool up = false;
  if (how.nearest == "ceil")
    up = c.part > 0;
  else if (how.nearest == "simple")
    up = c.part > 0 && a.scale.num < a.scale.den;
  else if (how.nearest == "round_prefer_ceil")
    up = 2 * c.part >= c.den;
  else if (how.nearest != "floor")
    up = 2 * c.part > c.den;
  return std::clamp<int64_t>(c.whole + (up ? 1 : 0), 0, a.in - 1);
}

namespace {

// The kernel at distance d, whose value as a real number is `real`: a triangle, or Keys' cubic.
template <class S>
S KernelAt(S d, double real, const Interpolation& how) {
  if (real < 0) d = -d, real = -real;
  const S one = S(1);
  if (how.mode != "cubic") return real < 1 ? one - d : S(0);
  const S a = S(static_cast<double>(how.cubic_a));
  if (real <= 1) return ((a + S(2)) * d - (a + S(3))) * d * d + one;
  if (real < 2) return ((a * d - S(5) * a) * d + S(8) * a) * d - S(4) * a;
  return S(0);
}

// First neighbour of a place, relative to the whole part of its coordinate; there are 2 - 2 *
// first.
int64_t FirstTap(const ResizedAxis& a, const Interpolation& how) {
  const int64_t reach = how.mode == "cubic" ? 2 : 1;
  if (!how.antialias || a.scale.num >= a.scale.den) return 1 - reach;
  // floor(-reach / scale) + 1; further out than this every tap reads an edge.
  Wide first = 1 - (reach * a.scale.den + a.scale.num - 1) / a.scale.num;
  return static_cast<int64_t>(std::max<Wide>(first, -2 * static_cast<Wide>(a.in) - 2));
}

// Weights of the taps from `first` on around a coordinate's part. Stretched filters are scaled to
// sum 1.
template <class S>
void Stretched(const ResizedAxis& a, const Interpolation& how, const Coordinate& c, int64_t first,
               int taps, S* w) {
  const bool shrinks = a.scale.num < a.scale.den;
  const S scale = shrinks ? Real(a.scale.num, S()) / Real(a.scale.den, S()) : S(1);
  const double real =
      shrinks ? static_cast<double>(a.scale.num) / static_cast<double>(a.scale.den) : 1;
  const S part = Real(c.part, S()) / Real(c.den, S());
  const double real_part = static_cast<double>(c.part) / static_cast<double>(c.den);
  S sum = S(0);
  for (int k = 0; k < taps; ++k) {
    double distance = (static_cast<double>(first + k) - real_part) * real;
    w[k] = KernelAt<S>((Real(static_cast<Wide>(first + k), S()) - part) * scale, distance, how);
    sum += w[k];
  }
  for (int k = 0; k < taps; ++k) w[k] /= sum;
}

}  // namespace

template <class S>
AxisWeights<S> WeightsOf(const ResizedAxis& a, const Interpolation& how) {
  AxisWeights<S> r;
  bool cubic = how.mode == "cubic";
  const int64_t first = FirstTap(a, how);
  r.taps = static_cast<int>(2 - 2 * first);
  r.places.resize(static_cast<size_t>(a.out * r.taps));
  r.weights.resize(r.places.size());
  r.outside.resize(static_cast<size_t>(a.out));
  for (int64_t x = 0; x < a.out; ++x) {
    Coordinate c = CoordinateOf(a, how.coordinates, x);
    S* w = r.weights.data() + x * r.taps;
    S part = Real(c.part, S()) / Real(c.den, S());
    if (how.antialias)
      Stretched(a, how, c, first, r.taps, w);
    else if (cubic)
      Cubic(part, S(static_cast<double>(how.cubic_a)), w);
    else
      Linear(part, w);
    S sum = S(0);
    for (int k = 0; k < r.taps; ++k) {
      int64_t place = c.whole + k + first;
      if (how.exclude_outside && (place < 0 || place >= a.in)) w[k] = S(0);
      r.places[x * r.taps + k] = std::clamp<int64_t>(place, 0, a.in - 1);
      sum += w[k];
    }
    if (how.exclude_outside) {
      for (int k = 0; k < r.taps; ++k) w[k] /= sum;
    }
    r.outside[x] = c.outside;
  }
  return r;
}
template AxisWeights<double> WeightsOf<double>(const ResizedAxis&, const Interpolation&);
template AxisWeights<Fp> WeightsOf<Fp>(const ResizedAxis&, const Interpolation&);

}  // namespace assay
