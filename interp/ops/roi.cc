// RoiAlign (ONNX opset 10, 16, 22): regions of [N,C,H,W] cut into bins, each the average or maximum
// of places read linearly. MaxRoiPool (1, 22): the maximum over the elements of each bin.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

// ---- RoiAlign

void RoiAlignRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  int64_t height = c.IntValue("output_height"), width = c.IntValue("output_width");
  c.Require(height >= 1 && width >= 1 && c.IntValue("sampling_ratio") >= 0,
            "output extents are at least 1");
  if (c.Ranked(0)) c.Require(c.Rank(0) == 4, "X is [N,C,H,W]");
  if (c.Ranked(1)) c.Require(c.Rank(1) == 2, "rois is [regions,4]");
  if (c.Ranked(2)) c.Require(c.Rank(2) == 1, "batch_indices has one entry a region");
  if (!c.Ranked(0) || !c.Ranked(1) || c.failed()) return;
  c.Require(c.In(1, 1) == Dim(4), "rois is [regions,4]");
  c.Require(c.In(0, 2) >= Dim(1) && c.In(0, 3) >= Dim(1), "the image is not empty");
  if (c.Ranked(2)) c.Require(c.In(2, 0) == c.In(1, 0), "batch_indices has one entry a region");
  if (!c.failed()) c.Out(0, c.dtype(0), {c.In(1, 0), c.In(0, 1), Dim(height), Dim(width)});
}

// Places of one axis of a region: `bins` bins of `samples` places each.
struct RoiAxis {
  double start, bin;
  int64_t samples;
};
RoiAxis RoiAxisOf(double first, double last, double scale, double shift, bool at_least_one,
                  int64_t bins, int64_t ratio) {
  double start = first * scale - shift, extent = last * scale - shift - start;
  if (at_least_one) extent = std::max(extent, 1.0);
  RoiAxis a{start, extent / static_cast<double>(bins), ratio};
  constexpr double kMost = 1 << 20;
  if (ratio == 0) a.samples = static_cast<int64_t>(std::clamp(std::ceil(a.bin), 0.0, kMost));
  return a;
}

// The two neighbours of a coordinate; none where it is more than one element outside.
AxisTaps TapsAt(double x, int64_t extent) {
  if (!(x >= -1 && x <= static_cast<double>(extent))) return {};
  x = std::max(x, 0.0);
  int64_t low = std::min(static_cast<int64_t>(x), extent - 1), high = std::min(low + 1, extent - 1);
  double part = low == extent - 1 ? 0 : x - static_cast<double>(low);
  return {2, {low, high}, {1 - part, part}};
}

template <class T>
struct Aligner {
  using W = Wide<T>;
  const T* image;
  int64_t height, width;
  bool largest;

  W Bin(const RoiAxis& ay, const RoiAxis& ax, int64_t by, int64_t bx) const {
    W result = W(0);
    bool first = true;
    for (int64_t iy = 0; iy < ay.samples; ++iy) {
      for (int64_t ix = 0; ix < ax.samples; ++ix) {
        auto place = [](const RoiAxis& a, int64_t b, int64_t i) {
          return a.start + static_cast<double>(b) * a.bin +
                 (static_cast<double>(i) + 0.5) * a.bin / static_cast<double>(a.samples);
        };
        AxisTaps ty = TapsAt(place(ay, by, iy), height), tx = TapsAt(place(ax, bx, ix), width);
        if (ty.count == 0 || tx.count == 0) ty = {1, {0}, {0.0}}, tx = ty;
        for (int a = 0; a < ty.count; ++a) {
          for (int b = 0; b < tx.count; ++b) {
            // The maximum is over the weighted neighbours, as in ONNX's reference.
            W v =
                static_cast<W>(image[ty.at[a] * width + tx.at[b]]) * W(ty.weight[a] * tx.weight[b]);
            if (!largest)
              result += v;
            else
              result = first ? v : ScalarMax(result, v);
            first = false;
          }
        }
      }
    }
    if (largest) return result;
    return result / FromInteger<W>(std::max<int64_t>(ay.samples * ax.samples, 1));
  }
};

Status EvalRoiAlign(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  std::vector<double> rois = TRY(RealInput(c, 1));
  std::vector<int64_t> batches;
  TRY(ReadIndices(
      c, 2, [&](int64_t) { return x.dim(0); }, &batches));
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3), bins_y = y->dim(2),
                bins_x = y->dim(3);
  const double scale = static_cast<double>(c.Float("spatial_scale"));
  const bool half = c.spec().FindAttr("coordinate_transformation_mode") &&
                    c.String("coordinate_transformation_mode") == "half_pixel";
  return VisitFloat(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    T* out = y->mutable_data<T>();
    for (int64_t r = 0; r < y->dim(0); ++r) {
      const double *roi = rois.data() + r * 4, shift = half ? 0.5 : 0;
      RoiAxis ax = RoiAxisOf(roi[0], roi[2], scale, shift, !half, bins_x, c.Int("sampling_ratio"));
      RoiAxis ay = RoiAxisOf(roi[1], roi[3], scale, shift, !half, bins_y, c.Int("sampling_ratio"));
      TRY(c.Charge({channels, bins_y, bins_x, std::max<int64_t>(ay.samples, 1),
                    std::max<int64_t>(ax.samples, 1), 4}));
      for (int64_t ch = 0; ch < channels; ++ch) {
        Aligner<T> aligner{x.data<T>() + (batches[r] * channels + ch) * height * width, height,
                           width, c.String("mode") == "max"};
        for (int64_t b = 0; b < bins_y * bins_x; ++b)
          *out++ = static_cast<T>(aligner.Bin(ay, ax, b / bins_x, b % bins_x));
      }
    }
    return {};
  });
}

// Regions of an image, as a constant: the field does not know which elements a computed one is next
// to.
bool DrawRoiAlign(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() != 4 || ElementsOfInput(d, 0) == 0) return false;
  Shape x = d.shape(0);
  for (const char* name : {"coordinate_transformation_mode", "mode", "output_height",
                           "output_width", "sampling_ratio", "spatial_scale"})
    MaybeSet(choices, d, name);
  double scale = 1;
  for (const Attribute& a : d.attrs) {
    if (a.name == "spatial_scale") scale = static_cast<double>(std::get<float>(a.value));
  }
  int64_t regions = DrawExtent(choices, 4);
  Tensor rois = Tensor::Make(d.inputs[0].dtype, {regions, 4}).value();
  for (int64_t i = 0; i < regions * 2; ++i) {
    double extent = static_cast<double>(x[i % 2 == 0 ? 3 : 2]) / scale;
    double from = choices.Uniform(-0.1, 0.7) * extent;
    rois.Set(i / 2 * 4 + i % 2, from);
    rois.Set(i / 2 * 4 + i % 2 + 2, from + choices.Uniform(0.1, 0.6) * extent);
  }
  d.SetConstant(1, rois);
  d.SetConstant(2, IntegerConstant(choices, DType::kInt64, {regions}, 0, x[0] - 1));
  return x[1] * regions * 16 <= d.max_elements;
}

OpSpec AlignRow(int since, DTypeSet types) {
  OpSpec row = Op("RoiAlign", since)
                   .In("X", "T1", types)
                   .In("rois", "T1", types)
                   .In("batch_indices", "T2", Bit(DType::kInt64))
                   .Out("Y", "T1", types)
                   .Parameter("rois");
  if (since >= 16)
    row.String("coordinate_transformation_mode", "half_pixel",
               {.strings = {"half_pixel", "output_half_pixel"}});
  return row.String("mode", "avg", {.strings = {"avg", "max"}})
      .Int("output_height", 1, {.lo = 1, .hi = 4})
      .Int("output_width", 1, {.lo = 1, .hi = 4})
      .Int("sampling_ratio", 0, {.lo = 0, .hi = 3})
      .Float("spatial_scale", 1, {.floats = {1.0, 0.5, 0.0625}})
      .Rule(RoiAlignRule)
      .Eval(EvalRoiAlign)
      .Traits(kOnRequest)
      .Draw(DrawRoiAlign)
      .Class(Accuracy::kReduction);
}

// ---- MaxRoiPool: rois [regions, 5] are batch, x1, y1, x2, y2

void MaxRoiRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  IntList pooled = c.IntsOr("pooled_shape", 2, 1);
  for (size_t i = 0; i < pooled.size(); ++i) c.Require(pooled[i] >= Dim(1), "pooled extents are at least 1");
  if (c.Ranked(0)) c.Require(c.Rank(0) == 4, "X is [N,C,H,W]");
  if (c.Ranked(1)) c.Require(c.Rank(1) == 2, "rois is [regions,5]");
  if (!c.Ranked(0) || !c.Ranked(1) || c.failed()) return;
  c.Require(c.In(1, 1) == Dim(5), "rois is [regions,5]");
  if (!c.failed()) c.Out(0, c.dtype(0), {c.In(1, 0), c.In(0, 1), pooled[0], pooled[1]});
}

// First and last + 1 element of bin b on an axis of a region.
std::pair<int64_t, int64_t> BinOf(double first, double last, double scale, int64_t bins, int64_t b,
                                  int64_t extent) {
  double lo = std::round(first * scale),
         size = std::max(std::round(last * scale) - lo + 1, 1.0) / static_cast<double>(bins);
  auto bound = [&](double v) {
    return std::isnan(v) ? int64_t{0}
                         : static_cast<int64_t>(std::clamp(v, 0.0, static_cast<double>(extent)));
  };
  double i = static_cast<double>(b);
  return {bound(std::floor(i * size) + lo), bound(std::ceil((i + 1) * size) + lo)};
}

Status EvalMaxRoi(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  std::vector<double> rois = TRY(RealInput(c, 1));
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3), bins_y = y->dim(2),
                bins_x = y->dim(3);
  TRY(c.Charge({y->size(), std::max<int64_t>(height, 1), std::max<int64_t>(width, 1)}));
  const double scale = static_cast<double>(c.Float("spatial_scale"));
  return VisitFloat(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    T* out = y->mutable_data<T>();
    for (int64_t r = 0; r < y->dim(0); ++r) {
      const double* roi = rois.data() + r * 5;
      if (!(roi[0] >= 0 && roi[0] < static_cast<double>(x.dim(0))))
        return Invalid("a region is of no image of the batch");
      for (int64_t ch = 0; ch < channels; ++ch) {
        const T* image =
            x.data<T>() + (static_cast<int64_t>(roi[0]) * channels + ch) * height * width;
        for (int64_t b = 0; b < bins_y * bins_x; ++b) {
          auto [top, bottom] = BinOf(roi[2], roi[4], scale, bins_y, b / bins_x, height);
          auto [left, right] = BinOf(roi[1], roi[3], scale, bins_x, b % bins_x, width);
          T best = T();
          for (int64_t h = top; h < bottom; ++h) {
            for (int64_t w = left; w < right; ++w) {
              T v = image[h * width + w];
              best = h == top && w == left ? v : ScalarMax(best, v);
            }
          }
          *out++ = best;
        }
      }
    }
    return {};
  });
}

bool DrawMaxRoi(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() != 4 || ElementsOfInput(d, 0) == 0) return false;
  Shape x = d.shape(0);
  d.Set("pooled_shape", std::vector<int64_t>{choices.Between(1, 3), choices.Between(1, 3)});
  bool half = choices.Chance(0.3);
  if (half) d.Set("spatial_scale", 0.5f);
  int64_t regions = DrawExtent(choices, 4);
  Tensor rois = Tensor::Make(d.inputs[0].dtype, {regions, 5}).value();
  for (int64_t r = 0; r < regions; ++r) {
    rois.Set(r * 5, static_cast<double>(choices.Between(0, x[0] - 1)));
    // Whole elements: how halves are rounded is not specified.
    for (int64_t axis : {0, 1}) {
      int64_t extent = x[3 - axis], from = choices.Between(0, extent - 1);
      rois.Set(r * 5 + 1 + axis, static_cast<double>(from * (half ? 2 : 1)));
      rois.Set(r * 5 + 3 + axis,
               static_cast<double>(choices.Between(from, extent - 1) * (half ? 2 : 1)));
    }
  }
  d.SetConstant(1, rois);
  return x[1] * regions * 9 <= d.max_elements;
}

}  // namespace

std::vector<OpSpec> ops_roi() {
  OpSpec align = AlignRow(10, kFloats16);
  align.Example(
      "graph(float[1,1,4,4] x) -> (y) { r = float[1,4] {0, 0, 3, 3} b = int64[1] {0} y = "
      "RoiAlign(x, r, b) {output_height=2, output_width=2} }");
  OpSpec pool = Op("MaxRoiPool", 1)
                    .In("X", "T", kFloats16)
                    .In("rois", "T", kFloats16)
                    .Out("Y", "T", kFloats16)
                    .Parameter("rois")
                    .Attr({"pooled_shape",
                           AttrType::kInts,
                           true,
                           std::nullopt,
                           {.lo = 1, .hi = 3, .len_const = 2}})
                    .Float("spatial_scale", 1, {.floats = {1.0, 0.5}})
                    .Rule(MaxRoiRule)
                    .Eval(EvalMaxRoi)
                    .Draw(DrawMaxRoi);
  return {align, AlignRow(16, kFloats16), AlignRow(22, kFloatsBf16), pool,
          pool.Since(22).Types("T", kFloatsBf16)};
}

}  // namespace assay
