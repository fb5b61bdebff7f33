#include "interp/depthwise.h"

#include <optional>

#include "interp/kernels_parallel.h"
#include "interp/padded_plane.h"

namespace assay {
namespace {

constexpr int64_t kPartWork = 1 << 16;  // multiply-adds worth a thread

template <class U>
void DepthwisePlane(const ConvExtents& s, const U* x, const U* w, U* y) {
  int64_t stride = s.axes.back().stride;
  ForEachTapLine(s.axes, [&](int64_t to, int64_t n, int64_t tap, int64_t from) {
    U factor = w[tap];
    U* out = y + to;
    const U* in = x + from;
    for (int64_t o = 0; o < n; ++o) out[o] = MultiplyAdd(factor, in[o * stride], out[o]);
  });
}

}  // namespace

template <class T>
void ConvolveDepthwise(const ConvExtents& s, const T* x, const T* w, const T* start, const Bounds* bounds, T* y) {
  // Fp adds up in double: no more than 8192 products of residues are exact.
  using U = std::conditional_t<kIsFp<T>, double, T>;
  int64_t grain = 1 + kPartWork / (s.out_size * s.kernel_size);
  bool padded = PaddedPlane<U>::Fits(s.axes);
  // Infinite bounds leave everything as it is.
  const U lo = bounds ? U(bounds->lo) : -std::numeric_limits<U>::infinity(), hi = bounds ? U(bounds->hi) : -lo;
  auto bound = [lo, hi](auto v, int64_t) {
    if constexpr (std::is_same_v<decltype(v), U>)
      return ScalarMin(ScalarMax(v, lo), hi);
    else
      return Bounded(v, lo, hi);
  };
  ParallelRanges(s.maps, grain, [=, &s](int64_t begin, int64_t end) {
    std::optional<PaddedPlane<U>> copy;
    if (padded) copy.emplace(s.axes, U(0));
    for (int64_t m = begin; m < end; ++m) {
      const U* plane = reinterpret_cast<const U*>(x + m / s.group_maps() * s.in_size);
      const U* weights = reinterpret_cast<const U*>(w + m * s.kernel_size);
      const U first = *reinterpret_cast<const U*>(start + m);
      U* out = reinterpret_cast<U*>(y + m * s.out_size);
      if (copy) {
        auto same = [](U v) { return v; };
        copy->Copy(plane, same);
        copy->Windows(first, [weights](auto sum, size_t tap, auto v) { return MultiplyAdd(weights[tap], v, sum); }, bound, out);
      } else {
        std::fill_n(out, s.out_size, first);
        DepthwisePlane(s, plane, weights, out);
        for (int64_t i = 0; bounds && i < s.out_size; ++i) out[i] = bound(out[i], i);
      }
      if constexpr (kIsFp<T>) {
        for (int64_t i = 0; i < s.out_size; ++i) y[m * s.out_size + i] = Fp::Reduce(out[i]);
      }
    }
  });
}

template void ConvolveDepthwise<float>(const ConvExtents&, const float*, const float*, const float*, const Bounds*, float*);
template void ConvolveDepthwise<double>(const ConvExtents&, const double*, const double*, const double*, const Bounds*, double*);
template void ConvolveDepthwise<Fp>(const ConvExtents&, const Fp*, const Fp*, const Fp*, const Bounds*, Fp*);

}  // namespace assay
