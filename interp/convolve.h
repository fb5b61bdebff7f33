// Convolution over any scalar domain, shared by Conv, ConvInteger and QLinearConv:
//   y[n,m,o] = b[m] + sum over c, j of w[m,c,j] * x[n, g*Cg+c, o*stride - pad + j*dilation],  g = m
//   / Mg
// x [N,C,D1..Dn], w [M,C/group,K1..Kn], y [N,M,O1..On]; padding contributes nothing.
#pragma once

#include "interp/kernels_matmul.h"
#include "interp/window.h"

namespace assay {

struct ConvExtents {
  int64_t batch, channels, maps, group;  // N, C, M, group
  std::vector<WindowAxis> axes;
  int64_t in_size, out_size, kernel_size;  // products over the spatial axes

  int64_t group_channels() const { return channels / group; }
  int64_t group_maps() const { return maps / group; }
  int64_t depth() const { return group_channels() * kernel_size; }  // products of one output
};

// Rule of convolutions: x and w at inputs `x` and `w`, optional bias at `bias`; one output of type
// `out`.
void ConvRule(RuleContext& c, int x, int w, int bias, DType out);

// The shape of this node's convolution, inputs as in ConvRule; LimitHit when it is too much work.
Result<ConvExtents> ConvExtentsOf(const KernelContext& c, int x, int w);

// Adds the attributes of every convolution row.
OpSpec& ConvAttributes(OpSpec& row);

// The columns of a convolution: the matrix whose product with w[g] ([Mg, depth]) is y[g] ([Mg, out_size]); its row
// (c, j) holds x[c] read at tap j for each output position. Adds columns [begin, end) back to where they were read from:
// the adjoint of gathering them. `x` is one group's [Cg, in]; `columns` is row-major.
template <class T>
void ScatterColumns(const ConvExtents& s, const T* columns, int64_t begin, int64_t end, T* x);

// How many columns of the gathered matrix of T to hold at once.
template <class T>
int64_t TileColumns(const ConvExtents& s);
// Memory for that many, within limits.
template <class T>
Result<Tensor> ColumnScratch(const KernelContext& c, const ConvExtents& s);

// y of the formula above; bias may be null. T: float, double, Fp.
template <class T>
Status Convolve(KernelContext& c, const ConvExtents& s, const T* x, const T* w, const T* bias, T* y);

}  // namespace assay
