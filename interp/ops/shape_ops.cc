// Shape (opset 1, 13, 15) and Size (1, 13): what a tensor's extents are, as data.
#include "interp/kernels.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// The axes [start, end) that Shape reports; both count from the back when negative and are clamped
// to the rank.
void Window(int64_t rank, int64_t start, int64_t end, int64_t* first, int64_t* count) {
  auto clamp = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  *first = clamp(start);
  *count = std::max<int64_t>(0, clamp(end) - *first);
}

void ShapeRule(RuleContext& c) {
  if (!c.Ranked(0)) return c.Out(0, DType::kInt64, {Dim::Unknown()});
  int64_t first = 0, count = c.Rank(0);
  if (c.spec().since >= 15) {
    Window(c.Rank(0), c.IntValue("start"), c.HasAttr("end") ? c.IntValue("end") : c.Rank(0), &first,
           &count);
  }
  c.Out(0, DType::kInt64, {Dim(count)});
}

Status ShapeKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  const Shape& shape = c.in(0).shape();
  int64_t rank = static_cast<int64_t>(shape.size()), first = 0, count = rank;
  if (c.spec().since >= 15)
    Window(rank, c.Int("start"), c.HasAttr("end") ? c.Int("end") : rank, &first, &count);
  std::copy_n(shape.begin() + first, count, y->mutable_data<int64_t>());
  return {};
}

bool DrawShape(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (d.spec->since < 15) return true;
  int64_t rank = static_cast<int64_t>(d.inputs[0].dims.size());
  if (choices.Chance(0.3)) d.Set("start", choices.Between(-rank - 1, rank + 1));
  if (choices.Chance(0.3)) d.Set("end", choices.Between(-rank - 1, rank + 1));
  return true;
}

void SizeRule(RuleContext& c) { c.Out(0, DType::kInt64, {}); }

Status SizeKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  y->mutable_data<int64_t>()[0] = c.in(0).size();
  return {};
}

}  // namespace

std::vector<OpSpec> ops_shape_ops() {
  std::vector<OpSpec> rows;
  uint32_t traits = kMovesData | kReadsShape;
  OpSpec shape = Op("Shape", 1)
                     .In("data", "T", kAll7)
                     .Out("shape", "T1", Bit(DType::kInt64))
                     .Rule(ShapeRule)
                     .Eval(ShapeKernel)
                     .Draw(DrawShape)
                     .Traits(traits)
                     .Class(Accuracy::kExact);
  rows.push_back(shape);
  rows.push_back(shape.Since(13).Types("T", kAll13));
  shape.Attr({"end", AttrType::kInt, false, std::nullopt, {.lo = -5, .hi = 5}})
      .Int("start", 0, {.lo = -5, .hi = 5});
  PushAllTypes(rows, shape, "T", {15, 19, 21, 23, 24, 25});
  OpSpec size = Op("Size", 1)
                    .In("data", "T", kAll7)
                    .Out("size", "T1", Bit(DType::kInt64))
                    .Rule(SizeRule)
                    .Eval(SizeKernel)
                    .Traits(traits)
                    .Class(Accuracy::kExact);
  rows.push_back(size);
  PushAllTypes(rows, size, "T", {13, 19, 21, 23, 24, 25});
  return rows;
}

}  // namespace assay
