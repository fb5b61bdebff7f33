// Resize (opset 10, 11, 13, 18, 19) and Upsample (7, 9; deprecated in 10): Y[x..] = sum over
// neighbours n.. of w(x0, n0) * w(x1, n1) * .. * X[n..], the coordinate of x in X by
// coordinate_transformation_mode, the weights by mode. Extents: sizes, or floor(extent * scale) in
// float arithmetic. Integers are interpolated in double and cut.
#include <numeric>

#include "interp/interpolate.h"
#include "interp/movement.h"
#include "interp/resize_draft.h"

namespace assay {
namespace {

// ---- rule

// Extent of an axis under a scale, as runtimes round it; undefined when it overflows.
Dim Scaled(Dim in, float scale) {
  if (!in.known()) return Dim::Unknown();
  float out = std::floor(static_cast<float>(in.value()) * scale);
  return out >= 0 && out < 0x1p62f ? Dim(static_cast<int64_t>(out)) : Dim::Undefined();
}

// Extents by sizes of the resized axes, under keep_aspect_ratio_policy.
void SizedDims(RuleContext& c, const std::vector<int>& axes, const std::vector<int64_t>& sizes,
               std::vector<Dim>& out) {
  std::string policy = c.spec().since >= 18 ? c.String("keep_aspect_ratio_policy") : "stretch";
  for (int64_t s : sizes) c.Require(s >= 0, "sizes are at least 0");
  double best = 0;
  bool known = true;
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim in = c.In(0, axes[i]);
    known = known && in.known();
    c.Require(sizes[i] == 0 || (in >= Dim(1)) != Truth::kFalse,
              "an axis without places does not grow");
    double scale =
        static_cast<double>(sizes[i]) / static_cast<double>(std::max<int64_t>(1, in.lo()));
    bool better = i == 0 || (policy == "not_larger" ? scale < best : scale > best);
    if (better) best = scale;
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& d = out[axes[i]];
    if (policy == "stretch") {
      d = Dim(sizes[i]);
    } else if (!known) {
      d = Dim::Unknown();
    } else {
      double extent = std::floor(best * static_cast<double>(d.value()) + 0.5);
      d = extent < 0x1p62 ? Dim(static_cast<int64_t>(extent)) : Dim::Undefined();
    }
  }
}

void CheckRegion(RuleContext& c, int roi, size_t axes) {
  if (roi < 0 || c.String("coordinate_transformation_mode") != "tf_crop_and_resize") return;
  c.Require(c.Has(roi), "tf_crop_and_resize needs roi");
  if (c.failed() || !c.Ranked(roi)) return;
  c.Require(c.Rank(roi) == 1, "roi has one axis");
  if (!c.failed())
    c.Require(c.In(roi, 0) == Dim(2 * static_cast<int64_t>(axes)), "roi has two entries an axis");
}

// Is an operand there, with elements?
Truth Given(RuleContext& c, int input) {
  if (input < 0 || !c.Has(input)) return Truth::kFalse;
  if (!c.Ranked(input)) return Truth::kMaybe;
  c.Require(c.Rank(input) == 1, "scales and sizes have one axis");
  return c.Rank(input) == 1 ? c.In(input, 0) > Dim(0) : Truth::kTrue;
}

void ResizeRule(RuleContext& c) {
  ResizeOperands at = ResizeOperandsOf(c.spec());
  bool attribute = c.spec().name == "Upsample" && c.spec().since < 9;
  const Truth scales_given = attribute ? Truth::kTrue : Given(c, at.scales),
              sizes_given = Given(c, at.sizes);
  c.Require((scales_given && !sizes_given) || (!scales_given && sizes_given),
            "either scales or sizes is given");
  const bool by_sizes = sizes_given != Truth::kFalse && scales_given != Truth::kTrue;
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  int rank = c.Rank(0);
  std::vector<int> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (c.spec().since >= 18 && c.HasAttr("axes"))
    axes = DistinctAxes(c, c.node().Ints("axes"), rank);
  CheckRegion(c, at.roi, axes.size());
  std::vector<Dim> out = c.Dims(0);
  if (by_sizes) {
    std::vector<int64_t> sizes;
    if (c.KnownInts(at.sizes, &sizes)) {
      c.Require(sizes.size() == axes.size(), "sizes has one entry an axis");
      if (!c.failed()) SizedDims(c, axes, sizes, out);
    } else {
      for (int a : axes) out[a] = Dim::Unknown();
    }
    return c.Out(0, c.dtype(0), out);
  }
  std::vector<double> scales;
  if (attribute) {
    if (const AttrValue* v = c.node().Find("scales")) {
      for (float s : std::get<std::vector<float>>(*v)) scales.push_back(s);
    }
  } else if (c.failed() || !c.KnownReals(at.scales, &scales)) {
    for (int a : axes) out[a] = Dim::Unknown();
    return c.Out(0, c.dtype(0), out);
  }
  c.Require(scales.size() == axes.size(), "scales has one entry an axis");
  for (double s : scales) {
    c.Require(s > 0 && s <= std::numeric_limits<float>::max(), "scales are positive and finite");
    if (c.spec().name == "Upsample") c.Require(s >= 1, "scales are at least 1");
  }
  for (size_t i = 0; i < axes.size() && !c.failed(); ++i)
    out[axes[i]] = Scaled(out[axes[i]], static_cast<float>(scales[i]));
  c.Out(0, c.dtype(0), out);
}

// ---- kernel

Interpolation HowOf(const KernelContext& c) {
  Interpolation how;
  how.mode = c.String("mode");
  if (c.spec().since < 11) {
    how.coordinates = "asymmetric";
    how.nearest = "simple";
    return how;
  }
  how.coordinates = c.String("coordinate_transformation_mode");
  how.nearest = c.String("nearest_mode");
  how.exclude_outside = c.Int("exclude_outside") != 0;
  how.cubic_a = c.Float("cubic_coeff_a");
  return how;
}

// The ratio that an axis is resized by when sizes say so: that of the axis which
// keep_aspect_ratio_policy follows.
Fraction RatioOf(const KernelContext& c, const std::vector<int64_t>& axes,
                 const std::vector<int64_t>& sizes, int64_t axis) {
  std::string policy = c.spec().since >= 18 ? c.String("keep_aspect_ratio_policy") : "stretch";
  auto ratio = [&](size_t i) {
    return static_cast<double>(sizes[i]) /
           static_cast<double>(c.in(0).dim(static_cast<int>(axes[i])));
  };
  size_t best = 0;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (policy == "stretch"      ? axes[i] == axis
        : policy == "not_larger" ? ratio(i) < ratio(best)
                                 : ratio(i) > ratio(best))
      best = i;
  }
  return {sizes[best], c.in(0).dim(static_cast<int>(axes[best]))};
}

// What happens to each axis. Every extent of X and Y is at least 1.
Result<std::vector<ResizedAxis>> AxesOf(const KernelContext& c, const Shape& out) {
  const Tensor& x = c.in(0);
  ResizeOperands at = ResizeOperandsOf(c.spec());
  std::vector<int64_t> axes(static_cast<size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  if (c.spec().since >= 18 && c.HasAttr("axes")) axes = c.Ints("axes");
  for (int64_t& a : axes) a = a < 0 ? a + x.rank() : a;
  std::vector<double> scales, roi;
  bool by_sizes = at.sizes >= 0 && c.Has(at.sizes) && c.in(at.sizes).size() > 0;
  if (at.scales < 0) {
    for (float s : c.FloatList("scales")) scales.push_back(s);
  } else if (!by_sizes && !RealsOf(c.in(at.scales), &scales)) {
    return Unsupported("scales have no value in this domain");
  }
  bool crop =
      c.spec().since >= 11 && c.String("coordinate_transformation_mode") == "tf_crop_and_resize";
  if (crop && !RealsOf(c.in(at.roi), &roi)) return Unsupported("roi has no value in this domain");
  std::vector<int64_t> sizes;
  if (by_sizes) sizes = c.in(at.sizes).AsInts();
  std::vector<ResizedAxis> result(out.size());
  for (size_t k = 0; k < out.size(); ++k) result[k] = {x.shape()[k], out[k], {1, 1}, 0, 1};
  for (size_t i = 0; i < axes.size(); ++i) {
    ResizedAxis& a = result[axes[i]];
    a.scale = by_sizes ? RatioOf(c, axes, sizes, axes[i])
                       : SimplestFraction(static_cast<float>(scales[i]));
    if (crop) a.roi_start = roi[i], a.roi_end = roi[i + axes.size()];
  }
  return result;
}

Status Nearest(KernelContext& c, const std::vector<ResizedAxis>& axes, const Interpolation& how,
               const Tensor& fill, Tensor* y) {
  std::vector<std::vector<int64_t>> maps;
  for (const ResizedAxis& a : axes) {
    std::vector<int64_t> map(static_cast<size_t>(a.out));
    bool same = IsIdentity(a, how.coordinates);
    for (int64_t x = 0; x < a.out; ++x) map[x] = same ? x : NearestOf(a, how, x);
    maps.push_back(std::move(map));
  }
  return CopyMapped(c.in(0), maps, &fill, *y);
}

// One axis of `x` as [outer, in, inner] by its weights.
template <class T, class S>
std::vector<T> AlongAxis(const std::vector<T>& x, int64_t outer, int64_t inner,
                         const ResizedAxis& a, const AxisWeights<S>& w) {
  std::vector<T> y(static_cast<size_t>(outer * a.out * inner), T(0));
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < a.out; ++i) {
      T* to = y.data() + (o * a.out + i) * inner;
      for (int k = 0; k < w.taps; ++k) {
        const T* from = x.data() + (o * a.in + w.places[i * w.taps + k]) * inner;
        T weight = static_cast<T>(w.weights[i * w.taps + k]);
        for (int64_t j = 0; j < inner; ++j) to[j] += weight * from[j];
      }
    }
  }
  return y;
}

// The real number as T: integers are cut towards zero and saturate.
template <class T, class W>
T Cut(W v) {
  if constexpr (std::is_integral_v<T>) {
    if (!(v > static_cast<W>(std::numeric_limits<T>::min())))
      return v == v ? std::numeric_limits<T>::min() : T(0);
    if (v >= static_cast<W>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  }
  return static_cast<T>(v);
}

template <class T>
void Interpolate(const T* x, const Shape& shape, const std::vector<ResizedAxis>& axes,
                 const Interpolation& how, const T* fill, T* y) {
  using W = std::conditional_t<std::is_integral_v<T>, double,
                               T>;                     // elements while they are computed with
  using S = std::conditional_t<kIsFp<T>, Fp, double>;  // weights
  Shape now = shape;
  int rank = static_cast<int>(axes.size());
  std::vector<W> data(x, x + ElementCount(shape));
  // The axes that shrink most go first: nothing between is larger than X or Y.
  std::vector<int> order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int i, int j) {
    return static_cast<__int128>(axes[i].out) * axes[j].in <
           static_cast<__int128>(axes[j].out) * axes[i].in;
  });
  std::vector<std::vector<bool>> outside(axes.size());
  for (int k : order) {
    if (IsIdentity(axes[k], how.coordinates)) continue;
    AxisWeights<S> w = WeightsOf<S>(axes[k], how);
    data = AlongAxis(data, ElementCount(now, 0, k), ElementCount(now, k + 1, rank), axes[k], w);
    now[k] = axes[k].out;
    outside[k] = std::move(w.outside);
  }
  Shape strides = Strides(now);
  for (size_t i = 0; i < data.size(); ++i) {
    bool beyond = false;
    for (int k = 0; k < rank && fill; ++k) {
      beyond = beyond ||
               (!outside[k].empty() && outside[k][static_cast<int64_t>(i) / strides[k] % now[k]]);
    }
    y[i] = beyond ? *fill : Cut<T>(data[i]);
  }
}

Status ResizeKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  const Tensor& x = c.in(0);
  if (x.size() == 0) return Invalid("an axis without places does not grow");
  Interpolation how = HowOf(c);
  how.antialias = c.spec().since >= 18 && c.Int("antialias") != 0;
  std::vector<ResizedAxis> axes = TRY(AxesOf(c, y->shape()));
  // Maps and weights: up to 4 neighbours a place, a place and a weight each.
  double scratch = 16.0 * static_cast<double>(x.size() + y->size());
  // A filter that grows reaches over at most 4 elements of X a place and per element that it
  // shrinks.
  for (const ResizedAxis& a : axes)
    scratch += 64.0 * static_cast<double>(a.out) +
               (how.antialias ? 128.0 * static_cast<double>(a.in) : 0.0);
  if (scratch > static_cast<double>(c.limits().bytes))
    return LimitHit("interpolating takes more than the byte limit");
  Tensor fill = TRY(c.Scratch(y->dtype(), {1}));
  if (y->dtype() != DType::kString)
    fill.Set(0, c.spec().since >= 11 ? c.Float("extrapolation_value") : 0.0);
  if (how.mode == "nearest") return Nearest(c, axes, how, fill, y);
  bool crop = how.coordinates == "tf_crop_and_resize";
  auto interpolate = [&](auto zero) -> Status {
    using T = decltype(zero);
    Interpolate<T>(c.data<T>(0), x.shape(), axes, how, crop ? fill.data<T>() : nullptr,
                   y->mutable_data<T>());
    return {};
  };
  if (x.dtype() == DType::kComplex64) return interpolate(std::complex<float>{});
  if (x.dtype() == DType::kComplex128) return interpolate(std::complex<double>{});
  return VisitNumeric(x, interpolate);
}

// ---- rows

void DeprecatedRule(RuleContext& c) {
  c.Require(false, "Upsample is deprecated since opset 10; Resize takes its place");
}

OpSpec Row(const char* name, int since, const char* type, std::vector<std::string> modes) {
  return Op(name, since)
      .In("X", type, kAll7)
      .Out("Y", type, kAll7)
      .String("mode", "nearest", {.strings = std::move(modes)})
      .Rule(ResizeRule)
      .Eval(ResizeKernel)
      .Draw(DrawResize);
}

void AddUpsample(std::vector<OpSpec>& rows) {
  OpSpec row = Row("Upsample", 7, "T", {"nearest", "linear"});
  rows.push_back(
      row.Since(7).Attr({"scales", AttrType::kFloats, true, std::nullopt, {.floats = {1, 2, 3}}}));
  row.In("scales", "", Bit(DType::kFloat)).Parameter("scales");
  rows.push_back(row.Since(9));
  OpSpec gone = row.Since(10);
  gone.draw = nullptr;
  gone.eval = nullptr;
  gone.rule = DeprecatedRule;
  gone.LeftOut("deprecated");
  rows.push_back(gone);
}

void AddResize(std::vector<OpSpec>& rows) {
  rows.push_back(Row("Resize", 10, "T", {"nearest", "linear"})
                     .In("scales", "", Bit(DType::kFloat))
                     .Parameter("scales"));
  std::vector<std::string> coordinates = {"half_pixel",           "pytorch_half_pixel",
                                          "align_corners",        "asymmetric",
                                          "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  OpSpec row =
      Row("Resize", 11, "T1", {"nearest", "linear", "cubic"})
          .String("coordinate_transformation_mode", "half_pixel", {.strings = coordinates})
          .Float("cubic_coeff_a", -0.75f, {.floats = {-0.75, -0.5}})
          .Int("exclude_outside", 0, {.lo = 0, .hi = 1})
          .Float("extrapolation_value", 0, {.floats = {0, 1, -2}})
          .String("nearest_mode", "round_prefer_floor",
                  {.strings = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}});
  auto operands = [](OpSpec r, Arity arity) {
    return r.In("roi", "T2", kFloats16, arity)
        .In("scales", "", Bit(DType::kFloat), arity)
        .In("sizes", "", Bit(DType::kInt64), Arity::kOptional)
        .Parameter("roi")
        .Parameter("scales");
  };
  rows.push_back(operands(row, Arity::kSingle));
  row.Types("T1", kAll13);
  rows.push_back(operands(row, Arity::kOptional).Since(13));
  row.Int("antialias", 0, {.lo = 0, .hi = 0})
      .Ints("axes", {.lo = -4, .hi = 4})
      .String("keep_aspect_ratio_policy", "stretch",
              {.strings = {"stretch", "not_larger", "not_smaller"}});
  auto set_coordinates = [&](std::vector<std::string> list) {
    for (AttrSpec& a : row.attrs) {
      if (a.name == "coordinate_transformation_mode") a.domain.strings = std::move(list);
    }
  };
  coordinates.erase(coordinates.begin() + 4);
  set_coordinates(coordinates);
  rows.push_back(operands(row, Arity::kOptional).Since(18));
  coordinates.push_back("half_pixel_symmetric");
  set_coordinates(coordinates);
  rows.push_back(operands(row, Arity::kOptional).Since(19));
}

}  // namespace

std::vector<OpSpec> ops_resize() {
  std::vector<OpSpec> rows;
  AddUpsample(rows);
  AddResize(rows);
  return rows;
}

}  // namespace assay
