// CenterCropPad (ONNX opset 18): the axes cropped or padded with zeros to the extents of `shape`,
// around the middle; an odd element goes to the end.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// The axes that `shape` speaks of.
std::vector<int64_t> AxesOf(const std::vector<int64_t>& given, int rank) {
  std::vector<int64_t> axes = given;
  for (int d = 0; given.empty() && d < rank; ++d) axes.push_back(d);
  for (int64_t& a : axes) a += a < 0 ? rank : 0;
  return axes;
}

void CenterCropPadRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "shape has one axis");
  if (!c.Ranked(0)) return;
  int rank = c.Rank(0);
  std::vector<int64_t> given;
  for (const Dim& d : c.Ints("axes")) given.push_back(d.value());
  if (static_cast<int>(DistinctAxes(c, given, rank).size()) != static_cast<int>(given.size()) ||
      c.failed())
    return;
  std::vector<int64_t> axes = AxesOf(given, rank), extents;
  std::vector<Dim> dims = c.Dims(0);
  if (c.Ranked(1) && c.Rank(1) == 1)
    c.Require(c.In(1, 0) == Dim(static_cast<int64_t>(axes.size())),
              "shape has an extent for each axis");
  bool known = c.KnownInts(1, &extents) && extents.size() == axes.size();
  for (size_t i = 0; i < axes.size(); ++i) {
    if (known) c.Require(extents[i] >= 0, "extents are at least 0");
    dims[axes[i]] = known ? Dim(extents[i]) : Dim::Unknown();
  }
  if (!c.failed()) c.Out(0, c.dtype(0), dims);
}

Status EvalCenterCropPad(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  std::vector<std::vector<int64_t>> maps(static_cast<size_t>(x.rank()));
  for (int d = 0; d < x.rank(); ++d) {
    int64_t from = x.dim(d), to = y->dim(d);
    // Place i of the output reads place i + shift.
    int64_t shift = from >= to ? (from - to) / 2 : -((to - from) / 2);
    for (int64_t i = 0; i < to; ++i) {
      int64_t at = i + shift;
      maps[d].push_back(at >= 0 && at < from ? at : -1);
    }
  }
  Tensor fill = TRY(Tensor::Make(x.dtype(), {1}, x.store()));
  if (x.dtype() != DType::kString) std::fill_n(fill.mutable_raw(), fill.bytes(), std::byte{0});
  return CopyMapped(x, maps, &fill, *y);
}

bool DrawCenterCropPad(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty()) return false;
  Shape shape = d.shape(0);
  int rank = static_cast<int>(shape.size());
  std::vector<int64_t> axes = AxesOf({}, rank), extents;
  if (choices.Chance(0.6)) axes = DrawAxes(choices, rank);
  int64_t room = std::max<int64_t>(1, d.max_elements / std::max<int64_t>(1, ElementsOfInput(d, 0)));
  for (int64_t a : axes) {
    int64_t most = std::min<int64_t>(shape[a] + 3, shape[a] * room);
    extents.push_back(choices.Between(1, std::max<int64_t>(1, most)));
    room = std::max<int64_t>(1, room * shape[a] / extents.back());
  }
  bool all = static_cast<int>(axes.size()) == rank;
  for (int64_t& a : axes) a = MaybeNegative(choices, d, a, rank);
  if (!all || choices.Chance(0.3)) d.Set("axes", axes);
  // No int32: ONNX's own definition of the operator by others does not type then.
  d.SetConstant(1, Tensor::Vector(extents));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_center_crop_pad() {
  return {Op("CenterCropPad", 18)
              .In("input_data", "T", kAll13)
              .In("shape", "Tind", kIndexInts)
              .Out("output_data", "T", kAll13)
              .Ints("axes", {.lo = -4, .hi = 3})
              .Rule(CenterCropPadRule)
              .Eval(EvalCenterCropPad)
              .Draw(DrawCenterCropPad)
              .Traits(kMovesData)
              .Class(Accuracy::kExact)
              .Example("opset 18 graph(float[4,3] x) -> (y) { s = int64[2] {2, 5} y = "
                       "CenterCropPad(x, s) }")};
}

}  // namespace assay
