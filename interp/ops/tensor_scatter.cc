// TensorScatter (ONNX opset 24): `update` written into a copy of past_cache along `axis`, from
// write_indices[batch] on; "circular" wraps around the end of the axis.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

void TensorScatterRule(RuleContext& c) {
  SameAsInput0(c);
  if (c.Has(2) && c.Ranked(2)) c.Require(c.Rank(2) == 1, "write_indices has one entry a batch");
  if (!c.Ranked(0)) return;
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
  c.Require(c.Rank(0) >= 2 && axis > 0, "axis is behind the batch");
  if (c.Has(2) && c.Ranked(2) && !c.failed())
    c.Require(c.In(2, 0) == c.In(0, 0), "write_indices has one entry a batch");
  if (!c.Ranked(1)) return;
  c.Require(c.Rank(1) == c.Rank(0), "update has the shape of the cache, shorter along the axis");
  for (int d = 0; d < c.Rank(0) && !c.failed(); ++d)
    c.Require(d == axis ? c.In(1, d) <= c.In(0, d) : c.In(1, d) == c.In(0, d),
              "update has the shape of the cache, shorter along the axis");
}

Status EvalTensorScatter(KernelContext& c) {
  const Tensor &cache = c.in(0), &update = c.in(1);
  Tensor y = cache.Clone();
  int rank = cache.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  bool circular = c.String("mode") == "circular";
  int64_t extent = cache.dim(axis), steps = update.dim(axis),
          inner = ElementCount(cache.shape(), axis + 1, rank);
  int64_t outer = ElementCount(cache.shape(), 0, axis),
          of_batch = ElementCount(cache.shape(), 1, axis);
  auto write = [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t o = 0; update.size() > 0 && o < outer; ++o) {
      int64_t start = c.Has(2) ? c.in(2).AsInt(o / of_batch) : 0;
      bool fits = circular ? start >= 0 : start >= 0 && start <= extent - steps;
      if (!fits && c.store() != Store::kField)
        return Invalid("write index " + std::to_string(start) + " leaves the axis of extent " +
                       std::to_string(extent));
      start = static_cast<int64_t>(static_cast<uint64_t>(start) % static_cast<uint64_t>(extent));
      for (int64_t s = 0; s < steps; ++s) {
        int64_t at = (start + s) % extent;
        std::copy_n(ElementsOf<T>(update) + (o * steps + s) * inner, inner,
                    MutableElementsOf<T>(y) + (o * extent + at) * inner);
      }
    }
    return {};
  };
  TRY(VisitBytes(cache, write));
  c.Set(0, std::move(y));
  return {};
}

bool DrawTensorScatter(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() < 2) return false;
  Shape cache = d.shape(0), update = cache;
  int rank = static_cast<int>(cache.size());
  int64_t axis = choices.Between(1, rank - 1), extent = cache[axis];
  if (extent < 2) return false;  // nothing of the cache would be left
  if (axis != rank - 2 || choices.Chance(0.5)) d.Set("axis", MaybeNegative(choices, d, axis, rank));
  update[axis] = DrawExtent(choices, extent - 1);
  bool circular = choices.Chance(0.4);
  if (circular || choices.Chance(0.3)) d.Set("mode", circular ? "circular" : "linear");
  Ask(d, 1, d.inputs[0].dtype, update);
  if (choices.Chance(0.3)) return true;
  d.SetConstant(2, IntegerConstant(choices, DType::kInt64, {cache[0]}, 0,
                                   circular ? extent - 1 : extent - update[axis]));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_tensor_scatter() {
  return {
      Op("TensorScatter", 24)
          .In("past_cache", "T", kAll24)
          .In("update", "T", kAll24)
          .In("write_indices", "", Bit(DType::kInt64), Arity::kOptional)
          .Out("present_cache", "T", kAll24)
          .Int("axis", -2, {.lo = -2, .hi = 2})
          .String("mode", "linear", {.strings = {"linear", "circular"}})
          .Rule(TensorScatterRule)
          .Eval(EvalTensorScatter)
          .Draw(DrawTensorScatter)
          .Traits(kMovesData)
          .Class(Accuracy::kExact)
          .Example(
              "opset 24 graph(float[2,4,3] x, float[2,1,3] u) -> (y) { y = TensorScatter(x, u) }")};
}

}  // namespace assay
