// DeformConv (ONNX opset 19, 22): a convolution whose taps are moved by `offset` and weighted by
// `mask`:
//   Y[n,m,o] = B[m] + sum over c, k of W[m,c,k] mask[n,g,k,o] X[n,c] at o stride - pad + k dilation
//   + offset[n,g,k,:,o]
// X [N,C,D..], W [M,C/group,K..], offset [N,G*K*axes,O..], mask [N,G*K,O..]; X is read linearly, as
// 0 outside.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/sampling.h"
#include "interp/window.h"

namespace assay {
namespace {

enum Input { kX, kW, kOffset, kBias, kMask };

void DeformConvRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(kX));
  if (!c.Ranked(kX) || !c.Ranked(kW) || !c.Ranked(kOffset)) return;
  int rank = c.Rank(kX);
  c.Require(rank >= 3 && c.Rank(kW) == rank && c.Rank(kOffset) == rank,
            "X, W and offset have as many axes");
  Dim group = c.Int("group"), offset_group = c.Int("offset_group");
  c.Require(group >= Dim(1) && offset_group >= Dim(1), "group and offset_group are at least 1");
  if (c.failed()) return;
  size_t axes = static_cast<size_t>(rank - 2);
  WindowDims w = ReadWindow(c, KernelDims(c, axes, kW));
  c.Require(c.In(kX, 1) == c.In(kW, 1) * group && Divides(group, c.In(kW, 0)) &&
                Divides(offset_group, c.In(kX, 1)),
            "channels and maps fall into whole groups");
  if (c.failed()) return;
  std::vector<Dim> in(c.Dims(kX).begin() + 2, c.Dims(kX).end());
  std::vector<Dim> out = WindowPositions(c, in, w, false);
  Dim taps = offset_group * Product(w.kernel);
  c.Require(c.In(kOffset, 0) == c.In(kX, 0) && c.In(kOffset, 1) == taps * Dim(rank - 2),
            "offset is [N, offset_group * kernel * axes, out..]");
  bool masked = c.Has(kMask) && c.Ranked(kMask);
  if (masked) c.Require(c.Rank(kMask) == rank, "mask is [N, offset_group * kernel, out..]");
  if (c.failed()) return;
  if (masked)
    c.Require(c.In(kMask, 0) == c.In(kX, 0) && c.In(kMask, 1) == taps,
              "mask is [N, offset_group * kernel, out..]");
  std::vector<Dim> dims = {c.In(kX, 0), c.In(kW, 0)};
  for (size_t d = 0; d < axes; ++d) {
    int at = static_cast<int>(d) + 2;
    c.Require(c.In(kOffset, at) == out[d], "offset has a place for each output");
    if (masked) c.Require(c.In(kMask, at) == out[d], "mask has a place for each output");
    dims.push_back(out[d]);
  }
  if (c.Has(kBias) && c.Ranked(kBias)) {
    c.Require(c.Rank(kBias) == 1, "B has one element a map");
    c.Require(c.In(kBias, 0) == c.In(kW, 0), "B has one element a map");
  }
  if (!c.failed()) c.Out(0, c.dtype(kX), dims);
}

template <class T>
struct Deform {
  using W = Wide<T>;
  KernelContext& c;
  std::vector<WindowAxis> axes;
  std::vector<SampledAxis> sampled;
  std::vector<double> offset;
  int64_t taps, places, plane;

  // What output place o of batch n reads through tap k of offset group g.
  Gathered At(int64_t n, int64_t g, int64_t k, int64_t o, int64_t groups) const {
    std::vector<AxisTaps> all(axes.size());
    int64_t tap = k, place = o, rank = static_cast<int64_t>(axes.size());
    for (int64_t d = rank; d-- > 0;) {
      const WindowAxis& a = axes[d];
      double moved = offset[(((n * groups + g) * taps + k) * rank + d) * places + o];
      all[d] = sampled[d].Linear(
          static_cast<double>(a.Start(place % a.out) + tap % a.kernel * a.dilation) + moved);
      tap /= a.kernel;
      place /= a.out;
    }
    return Combine(sampled, all);
  }
};

template <class T>
Status Run(KernelContext& c, Tensor* y) {
  using W = Wide<T>;
  const Tensor &x = c.in(kX), &w = c.in(kW);
  const int64_t batch = x.dim(0), channels = x.dim(1), maps = w.dim(0), of_group = w.dim(1);
  const int64_t offset_groups = c.Int("offset_group"), of_offset = channels / offset_groups;
  auto spatial = [](const Shape& s) { return Shape(s.begin() + 2, s.end()); };
  Deform<T> d{
      c, WindowAxes(c, spatial(x.shape()), spatial(y->shape()), spatial(w.shape())), {}, {}, 1, 1,
      1};
  for (const WindowAxis& a : d.axes) {
    d.sampled.push_back({a.in, Padding::kZeros, 0, static_cast<double>(a.in - 1)});
    d.taps *= a.kernel, d.places *= a.out, d.plane *= a.in;
  }
  TRY(c.Charge({y->size(), of_group, d.taps, int64_t{1} << std::min<size_t>(d.axes.size(), 30)}));
  d.offset = TRY(RealInput(c, kOffset));
  const int64_t maps_of_group = maps / c.Int("group");
  std::vector<W> sums(static_cast<size_t>(maps));
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t o = 0; o < d.places; ++o) {
      for (int64_t m = 0; m < maps; ++m)
        sums[m] = c.Has(kBias) ? static_cast<W>(c.data<T>(kBias)[m]) : W(0);
      for (int64_t g = 0; g < offset_groups; ++g) {
        for (int64_t k = 0; k < d.taps; ++k) {
          Gathered from = d.At(n, g, k, o, offset_groups);
          W weight = c.Has(kMask)
                         ? static_cast<W>(c.data<T>(
                               kMask)[((n * offset_groups + g) * d.taps + k) * d.places + o])
                         : W(1);
          for (int64_t ch = g * of_offset; ch < (g + 1) * of_offset; ++ch) {
            W v = Read(from, x.data<T>() + (n * channels + ch) * d.plane) * weight;
            int64_t first = ch / of_group * maps_of_group;
            for (int64_t m = first; m < first + maps_of_group; ++m)
              sums[m] +=
                  v * static_cast<W>(w.data<T>()[(m * of_group + ch % of_group) * d.taps + k]);
          }
        }
      }
      for (int64_t m = 0; m < maps; ++m)
        y->mutable_data<T>()[(n * maps + m) * d.places + o] = static_cast<T>(sums[m]);
    }
  }
  return {};
}

Status EvalDeformConv(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  return VisitFloat(c.in(kX), [&](auto zero) -> Status { return Run<decltype(zero)>(c, y); });
}

// Weights, offsets and mask of a convolution that fits X. Offsets are constants where the oracle
// has to decide: the field does not know which elements a computed place is next to.
bool DrawDeformConv(Choices& choices, Draft& d) {
  d.attrs.clear();
  // Of images: runtimes know no other.
  if (!d.concrete(kX) || d.inputs[kX].dims.size() != 4 || ElementsOfInput(d, kX) == 0) return false;
  Shape x = d.shape(kX), kernel, out;
  std::vector<int64_t> strides, dilations, begin, end;
  for (size_t a = 2; a < x.size(); ++a) {
    strides.push_back(choices.Between(1, 2));
    begin.push_back(choices.Between(0, 1));
    end.push_back(choices.Between(0, 1));
    kernel.push_back(choices.Between(1, std::min<int64_t>(3, x[a] + begin.back() + end.back())));
    int64_t room = x[a] + begin.back() + end.back();
    dilations.push_back(2 * (kernel.back() - 1) < room && choices.Chance(0.3) ? 2 : 1);
    out.push_back((room - (kernel.back() - 1) * dilations.back() - 1) / strides.back() + 1);
  }
  begin.insert(begin.end(), end.begin(), end.end());
  d.Set("strides", strides);
  d.Set("pads", begin);
  if (choices.Chance(0.7))
    d.Set("dilations", dilations);
  else
    for (size_t a = 0; a < out.size(); ++a)
      out[a] = (x[a + 2] + begin[a] + begin[a + out.size()] - kernel[a]) / strides[a] + 1;
  if (choices.Chance(0.5)) d.Set("kernel_shape", kernel);
  int64_t group = DrawDivisor(choices, x[1]), offset_group = DrawDivisor(choices, x[1]),
          maps = group * choices.Between(1, 3), taps = ElementCount(kernel);
  if (group > 1) d.Set("group", group);
  if (offset_group > 1) d.Set("offset_group", offset_group);
  DType type = d.inputs[kX].dtype;
  auto with = [](Shape first, const Shape& rest) {
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
  };
  Shape offset = with({x[0], offset_group * taps * static_cast<int64_t>(out.size())}, out);
  if (ElementCount(offset) > d.max_elements || x[0] * maps * ElementCount(out) > d.max_elements)
    return false;
  Ask(d, kW, type, with({maps, x[1] / group}, kernel));
  if (d.anything && choices.Chance(0.5))
    Ask(d, kOffset, type, offset);
  else
    d.SetConstant(kOffset, UniformConstant(choices, type, offset, -1.2, 1.2));
  if (choices.Chance(0.5)) Ask(d, kBias, type, {maps});
  if (choices.Chance(0.5)) Ask(d, kMask, type, with({x[0], offset_group * taps}, out));
  return true;
}

OpSpec Row(int since, DTypeSet types) {
  return Op("DeformConv", since)
      .In("X", "T", types)
      .In("W", "T", types)
      .In("offset", "T", types)
      .In("B", "T", types, Arity::kOptional)
      .In("mask", "T", types, Arity::kOptional)
      .Out("Y", "T", types)
      .Parameter("offset")
      .Ints("dilations", DilationsDomain())
      .Int("group", 1, {.ints = {1, 2}})
      .Ints("kernel_shape", KernelShapeDomain())
      .Int("offset_group", 1, {.ints = {1, 2}})
      .Ints("pads", PadsDomain(2))
      .Ints("strides", StridesDomain())
      .Rule(DeformConvRule)
      .Eval(EvalDeformConv)
      .Traits(kOnRequest)
      .Draw(DrawDeformConv)
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_deform_conv() {
  OpSpec first = Row(19, kFloats16);
  first.Example(
      "opset 19 graph(float[1,1,3,3] x, float[1,1,2,2] w, float[1,8,2,2] o) -> (y) { y = "
      "DeformConv(x, w, o) }");
  return {first, Row(22, kFloatsBf16)};
}

}  // namespace assay
