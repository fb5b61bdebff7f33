// CenterCropPad (ONNX opset 18): the axes cropped or padded with zeros to the extents of `shape`,
// around the middle; an odd element goes to the end.
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

}  // namespace

std::vector<OpSpec> ops_center_crop_pad() {
  return {Op("CenterCropPad", 18)
              .In("input_data", "T", kAll13)
              .In("shape", "Tind", kIndexInts)
              .Out("output_data", "T", kAll13)
              .Ints("axes", {.lo = -4, .hi = 3})
              .Rule(CenterCropPadRule)
              .Eval(EvalCenterCropPad)
              .Traits(kMovesData | kNotGenerated)
              .Class(Accuracy::kExact)
              .Example("opset 18 graph(float[4,3] x) -> (y) { s = int64[2] {2, 5} y = "
                       "CenterCropPad(x, s) }")};
}

}  // namespace assay
