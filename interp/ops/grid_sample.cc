// GridSample (ONNX opset 16, 20, 22): Y[n,c,o..] = X[n,c] read at grid[n,o..], whose numbers run
// from -1 to 1 over each axis, the last axis first. AffineGrid (20): such a grid, the places of an
// image moved by theta.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

// ---- GridSample

void GridSampleRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  if (!c.Ranked(0) || !c.Ranked(1)) return;
  int rank = c.Rank(0);
  c.Require(rank >= 3 && rank == c.Rank(1), "X is [N,C,D1..] and grid [N,O1..,axes]");
  c.Require(rank == 4 || c.spec().since >= 20, "before opset 20 X is [N,C,H,W]");
  if (c.failed()) return;
  c.Require(c.In(1, 0) == c.In(0, 0), "X and grid have the same batch");
  c.Require(c.In(1, rank - 1) == Dim(rank - 2), "the grid has a number for each axis");
  for (int d = 2; d < rank; ++d) c.Require(c.In(0, d) >= Dim(1), "no axis that is read is empty");
  std::vector<Dim> dims = {c.In(0, 0), c.In(0, 1)};
  for (int d = 1; d < rank - 1; ++d) dims.push_back(c.In(1, d));
  if (!c.failed()) c.Out(0, c.dtype(0), dims);
}

struct Sampler {
  std::vector<SampledAxis> axes;
  Taps taps;
  bool align, narrow;

  explicit Sampler(const KernelContext& c) {
    std::string mode = c.String("mode"), padding = c.String("padding_mode");
    taps = mode == "nearest"                      ? Taps::kNearest
           : mode == "bicubic" || mode == "cubic" ? Taps::kCubic
                                                  : Taps::kLinear;
    align = c.Int("align_corners") != 0;
    narrow = c.store() == Store::kNative && c.in(1).dtype() != DType::kDouble;
    for (int d = 2; d < c.in(0).rank(); ++d) {
      SampledAxis a;
      a.extent = c.in(0).dim(d);
      a.padding = padding == "border"       ? Padding::kBorder
                  : padding == "reflection" ? Padding::kReflection
                                            : Padding::kZeros;
      a.lo = align ? 0 : -0.5;
      a.hi = static_cast<double>(a.extent) - (align ? 1 : 0.5);
      axes.push_back(a);
    }
  }
  AxisTaps On(const SampledAxis& axis, double v) const {
    double n = static_cast<double>(axis.extent);
    double x = align ? (v + 1) / 2 * (n - 1) : ((v + 1) * n - 1) / 2;
    if (narrow) x = static_cast<float>(x);
    if (taps == Taps::kLinear) return axis.Linear(x);
    if (taps == Taps::kCubic) return axis.Cubic(x);
    // Halves to even, in three dimensions away from zero: as PyTorch, from which the operator
    // comes.
    x = axis.Wrap(axes.size() == 3 ? std::round(x) : std::nearbyint(x));
    return {1, {axis.Place(static_cast<int64_t>(x))}, {1.0}};
  }
  // At the place whose numbers, last axis first, begin at `grid`.
  Gathered At(const double* grid) const {
    std::vector<AxisTaps> all;
    for (size_t d = 0; d < axes.size(); ++d) all.push_back(On(axes[d], grid[axes.size() - 1 - d]));
    return Combine(axes, all);
  }
};

// y[n,c,o] = read(gathered places of o, plane of x[n,c]), as elements of type T.
template <class T, class F>
void SamplePlanes(KernelContext& c, const Sampler& sampler, const std::vector<double>& grid,
                  Tensor* y, F&& read) {
  const Tensor& x = c.in(0);
  const int64_t channels = x.dim(1), places = y->size() / y->dim(0) / channels,
                plane = ElementCount(x.shape(), 2, x.rank()),
                axes = static_cast<int64_t>(sampler.axes.size());
  for (int64_t n = 0; n < x.dim(0); ++n) {
    for (int64_t o = 0; o < places; ++o) {
      Gathered g = sampler.At(grid.data() + (n * places + o) * axes);
      for (int64_t ch = n * channels; ch < (n + 1) * channels; ++ch)
        MutableElementsOf<T>(*y)[ch * places + o] = read(g, ElementsOf<T>(x) + ch * plane);
    }
  }
}

Status EvalGridSample(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Sampler sampler(c);
  int64_t taps = 1;
  for (size_t d = 0; d < sampler.axes.size() && taps < (int64_t{1} << 40); ++d)
    taps *= static_cast<int>(sampler.taps);
  TRY(c.Charge({y->size(), taps}));
  std::vector<double> grid = TRY(RealInput(c, 1));
  if (IsFloat(x.dtype())) {
    return VisitFloat(x, [&](auto zero) -> Status {
      using T = decltype(zero);
      SamplePlanes<T>(c, sampler, grid, y,
                      [](const Gathered& g, const T* plane) { return T(Read(g, plane)); });
      return {};
    });
  }
  if (sampler.taps != Taps::kNearest)
    return Unsupported(std::string("nothing lies between elements of type ") + DTypeName(x.dtype()));
  return VisitBytes(x, [&](auto element) -> Status {
    using T = decltype(element);
    SamplePlanes<T>(c, sampler, grid, y, [](const Gathered& g, const T* plane) {
      return g.at.empty() ? T() : plane[g.at[0]];
    });
    return {};
  });
}

// Places around the image. They are constants where the oracle has to decide: the field does not
// know which element a computed place is next to.
bool DrawGridSample(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() < 3 || ElementsOfInput(d, 0) == 0) return false;
  if (!IsFloat(d.inputs[0].dtype)) return false;  // runtimes read floats alone
  int rank = static_cast<int>(d.inputs[0].dims.size());
  // Of images and, later, of volumes: runtimes know no other.
  if (rank != 4 && (rank != 5 || d.spec->since < 20)) return false;
  Shape x = d.shape(0), grid = {x[0]};
  int64_t room = std::max<int64_t>(1, d.max_elements / (x[0] * std::max<int64_t>(x[1], rank)));
  for (int a = 2; a < rank; ++a) {
    grid.push_back(DrawExtent(choices, std::min<int64_t>(room, 6)));
    room /= grid.back();
  }
  grid.push_back(rank - 2);
  MaybeSet(choices, d, "align_corners");
  MaybeSet(choices, d, "padding_mode", 0.7);
  const std::vector<std::string>& modes = d.spec->FindAttr("mode")->domain.strings;
  // Cubic interpolation is one of images. Behind a border the reference of ONNX moves the place,
  // ONNX Runtime 1.30 and PyTorch each element that the cubic reads.
  bool border = std::any_of(d.attrs.begin(), d.attrs.end(), [](const Attribute& a) {
    return a.name == "padding_mode" && std::get<std::string>(a.value) == "border";
  });
  bool cubic = rank == 4 && !border;
  if (choices.Chance(0.7)) d.Set("mode", modes[choices.Below(cubic ? modes.size() : 2)]);
  // The schema of opset 16 gives both one type (onnx#4655), and libonnx 1.12 asks for it.
  DType type = d.spec->since < 20 ? d.inputs[0].dtype : TypeOr(d, 1, d.inputs[0].dtype);
  if (d.anything && choices.Chance(0.5))
    Ask(d, 1, type, grid);
  else
    d.SetConstant(1, UniformConstant(choices, type, grid, -1.3, 1.3));
  return true;
}

// `types` of what is read, `places` of the grid.
OpSpec GridSampleRow(int since, std::vector<std::string> modes, DTypeSet types, DTypeSet places) {
  std::string otherwise = modes[0];
  return Op("GridSample", since)
      .In("X", "T1", types)
      .In("grid", "T2", places)
      .Out("Y", "T1", types)
      .Parameter("grid")
      .Int("align_corners", 0, {.lo = 0, .hi = 1})
      .String("mode", otherwise, {.strings = std::move(modes)})
      .String("padding_mode", "zeros", {.strings = {"zeros", "border", "reflection"}})
      .Rule(GridSampleRule)
      .Eval(EvalGridSample)
      .Traits(kOnRequest)
      .Draw(DrawGridSample)
      .Safe("grid", {.lo = -1, .hi = 1})
      .Class(Accuracy::kReduction);
}

// ---- AffineGrid

void AffineGridRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  std::vector<int64_t> size;
  if (c.Ranked(0)) {
    auto is = [&](int64_t axes) { return c.In(0, 1) == Dim(axes) && c.In(0, 2) == Dim(axes + 1); };
    c.Require(c.Rank(0) == 3 && (is(2) || is(3)) != Truth::kFalse, "theta is [N,2,3] or [N,3,4]");
    // ONNX Runtime 1.30 writes it out and fails on some batches of one.
    if (c.solving()) c.Require(c.In(0, 0) != Dim(1), "a batch of one is not generated");
  }
  if (c.Ranked(1))
    c.Require(c.Rank(1) == 1 && (c.In(1, 0) == Dim(4) || c.In(1, 0) == Dim(5)) != Truth::kFalse,
              "size is [N,C,(D,)H,W]");
  if (!c.KnownInts(1, &size) || c.failed()) return;
  c.Require(size.size() == 4 || size.size() == 5, "size is [N,C,(D,)H,W]");
  for (int64_t extent : size) c.Require(extent >= 0, "extents are at least 0");
  if (c.failed()) return;
  int64_t axes = static_cast<int64_t>(size.size()) - 2;
  if (c.Ranked(0))
    c.Require(c.In(0, 0) == Dim(size[0]) && c.In(0, 1) == Dim(axes) && c.In(0, 2) == Dim(axes + 1),
              "theta is [N,2,3] or [N,3,4]");
  std::vector<Dim> dims = {Dim(size[0])};
  dims.insert(dims.end(), size.begin() + 2, size.end());
  dims.push_back(Dim(axes));
  if (!c.failed()) c.Out(0, c.dtype(0), dims);
}

// Place i of n as a number from -1 to 1: at the corners, or in the middle of its cell.
template <class W>
W PlaceOf(int64_t i, int64_t n, bool align) {
  if (align) return n == 1 ? W(0) : FromInteger<W>(2 * i) / FromInteger<W>(n - 1) - W(1);
  return FromInteger<W>(2 * i + 1) / FromInteger<W>(n) - W(1);
}

Status EvalAffineGrid(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  const bool align = c.Int("align_corners") != 0;
  const int axes = y->rank() - 2;
  const int64_t places = y->size() / y->dim(0) / axes;
  return VisitFloat(*y, [&](auto zero) -> Status {
    using T = decltype(zero);
    using W = Wide<T>;
    const T* theta = c.data<T>(0);
    T* out = y->mutable_data<T>();
    for (int64_t i = 0; i < y->dim(0) * places; ++i, out += axes) {
      const T* matrix = theta + i / places * axes * (axes + 1);
      W at[3] = {};  // last axis first
      int64_t rest = i % places;
      for (int d = 0; d < axes; ++d) {
        int64_t n = y->dim(axes - d);
        at[d] = PlaceOf<W>(rest % n, n, align);
        rest /= n;
      }
      for (int r = 0; r < axes; ++r) {
        W sum = static_cast<W>(matrix[r * (axes + 1) + axes]);
        for (int d = 0; d < axes; ++d) sum += static_cast<W>(matrix[r * (axes + 1) + d]) * at[d];
        out[r] = static_cast<T>(sum);
      }
    }
    return {};
  });
}

bool DrawAffineGrid(Choices& choices, Draft& d) {
  d.attrs.clear();
  Shape theta = {DrawExtent(choices, 3), 2, 3};
  if (choices.Chance(0.4)) theta = {theta[0], 3, 4};
  if (d.concrete(0)) theta = d.shape(0);
  MaybeSet(choices, d, "align_corners");
  // Where corners are aligned an axis of one place is nowhere: the reference divides by 0 there.
  const int64_t least = d.attrs.empty() || std::get<int64_t>(d.attrs[0].value) == 0 ? 1 : 2;
  bool fits = theta.size() == 3 && (theta[1] == 2 || theta[1] == 3) && theta[2] == theta[1] + 1;
  if (!fits) return false;
  Ask(d, 0, d.inputs[0].dtype, theta);
  std::vector<int64_t> size = {theta[0], DrawExtent(choices, 4)};
  for (int64_t a = 0; a < theta[1]; ++a)
    size.push_back(choices.Between(least, theta[1] == 2 ? 4 : 3));
  d.SetConstant(1, Tensor::Vector(size));
  size[1] = theta[1];  // what is made: a place in as many axes, for each pixel
  return ElementCount(size) <= d.max_elements;
}

}  // namespace

std::vector<OpSpec> ops_grid_sample() {
  OpSpec first = GridSampleRow(16, {"bilinear", "nearest", "bicubic"}, kAll7, kFloats16);
  first.Example("graph(float[1,1,3,3] x, float[1,2,2,2] g) -> (y) { y = GridSample(x, g) }");
  return {first, GridSampleRow(20, {"linear", "nearest", "cubic"}, kAll7, kFloats16),
          GridSampleRow(22, {"linear", "nearest", "cubic"}, kAll13, kFloatsBf16),
          Op("AffineGrid", 20)
              .In("theta", "T1", kFloatsBf16)
              .In("size", "T2", Bit(DType::kInt64))
              .Out("grid", "T1", kFloatsBf16)
              .Int("align_corners", 0, {.lo = 0, .hi = 1})
              .Rule(AffineGridRule)
              .Eval(EvalAffineGrid)
              .Draw(DrawAffineGrid)
              .Example("opset 20 graph(float[1,2,3] t) -> (y) { s = int64[4] {1, 1, 2, 3} y = "
                       "AffineGrid(t, s) }")};
}

}  // namespace assay
