// Convolutions with one input channel a group: sums along lines of the image, without gathering.
#pragma once

#include "interp/convolve.h"

namespace assay {

// y[m,o] = start[m] + sum over taps j of w[m,j] * x[m / Mg, o*stride - pad + j*dilation]: one image of a convolution whose
// s.group_channels() is 1, kept within `bounds` unless null. x [C,D1..Dn], w [M,K1..Kn], y [M,O1..On]. For float, double
// and Fp (without bounds); s.kernel_size below 8192.
template <class T>
void ConvolveDepthwise(const ConvExtents& s, const T* x, const T* w, const T* start, const Bounds* bounds, T* y);

}  // namespace assay
