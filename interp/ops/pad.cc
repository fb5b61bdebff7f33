// Pad (opset 2, 11, 13, 18, 19): each axis grows by pads[axis] places before and pads[axis + n]
// behind (negative: shrinks). New places hold a constant, or repeat X: its mirror image without the
// border (reflect), its border (edge), or X from its other end (wrap). Negative pads cut X first;
// what is left is what repeats.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// Pads of every axis, [before.., behind..]: an attribute until opset 10, an input since, with axes
// since 18. False when they are not known.
bool PadsOf(RuleContext& c, std::vector<int64_t>* pads) {
  int rank = c.Rank(0);
  if (c.spec().since < 11) {
    *pads = c.node().Ints("pads");
  } else {
    if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "pads has one axis");
    if (!c.KnownInts(1, pads)) return false;
  }
  if (c.spec().since >= 18 && c.Has(3)) {
    std::vector<int64_t> axes;
    if (!c.KnownInts(3, &axes)) return false;
    std::vector<int> at = DistinctAxes(c, axes, rank);
    c.Require(pads->size() == 2 * axes.size(), "pads has two entries an axis");
    if (c.failed()) return false;
    std::vector<int64_t> all(2 * static_cast<size_t>(rank), 0);
    for (size_t i = 0; i < at.size(); ++i) {
      all[at[i]] = (*pads)[i];
      all[at[i] + rank] = (*pads)[i + at.size()];
    }
    *pads = all;
  }
  c.Require(pads->size() == 2 * static_cast<size_t>(rank), "pads has two entries an axis");
  return !c.failed();
}

void PadRule(RuleContext& c) {
  if (c.Has(2) && c.spec().since >= 11) {
    if (c.Ranked(2)) c.Require(Product(c.Dims(2)) == Dim(1), "constant_value has one element");
  }
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  std::vector<int64_t> pads;
  size_t rank = static_cast<size_t>(c.Rank(0));
  if (!PadsOf(c, &pads)) return c.Out(0, c.dtype(0), std::vector<Dim>(rank));
  bool repeats = c.String("mode") != "constant";
  std::vector<Dim> out = c.Dims(0);
  for (size_t a = 0; a < rank; ++a) {
    Dim before = pads[a], behind = pads[a + rank], cut = out[a];
    if (pads[a] < 0) cut = cut + before;
    if (pads[a + rank] < 0) cut = cut + behind;
    c.Require(cut >= Dim(0), "negative pads cut no more than the axis holds");
    if (repeats && (pads[a] > 0 || pads[a + rank] > 0))
      c.Require(cut >= Dim(1), "a repeated axis is not empty");
    out[a] = out[a] + before + behind;
  }
  c.Out(0, c.dtype(0), out);
}

// For each place of the padded axis the place of X it repeats.
std::vector<int64_t> AxisMap(int64_t n, int64_t before, int64_t out, int64_t behind,
                             const std::string& mode) {
  int64_t first = std::max<int64_t>(0, -before), left = n - first - std::max<int64_t>(0, -behind);
  std::vector<int64_t> map(static_cast<size_t>(out));
  for (int64_t o = 0; o < out; ++o) {
    int64_t i = o - std::max<int64_t>(0, before);  // place within what the cut leaves
    if (i < 0 || i >= left) {
      if (mode == "edge") {
        i = std::clamp<int64_t>(i, 0, left - 1);
      } else if (mode == "wrap") {
        i = ((i % left) + left) % left;
      } else {  // reflect, again and again where the pad is longer than the axis
        int64_t period = std::max<int64_t>(1, 2 * (left - 1));
        i = ((i % period) + period) % period;
        if (i >= left) i = period - i;
      }
    }
    map[o] = first + i;
  }
  return map;
}

// Y is the constant all over, but for what is left of X.
Status PadWithConstant(KernelContext& c, const std::vector<int64_t>& pads, Tensor* y) {
  const Tensor& x = c.in(0);
  size_t rank = x.shape().size();
  Tensor fill;
  if (c.spec().since >= 11 && c.Has(2)) {
    fill = c.in(2);
  } else {
    fill = TRY(c.Scratch(x.dtype(), {1}));
    if (x.dtype() != DType::kString) fill.Set(0, c.spec().since < 11 ? c.Float("value") : 0.0);
  }
  TRY(FillWith(fill, *y));
  Walk walk{x.shape(), Strides(x.shape()), Strides(y->shape())};
  for (size_t a = 0; a < rank; ++a) {
    int64_t before = pads[a], cut = std::max<int64_t>(0, -before);
    walk.extent[a] -= cut + std::max<int64_t>(0, -pads[a + rank]);
    walk.from += cut * walk.from_step[a];
    walk.to += std::max<int64_t>(0, before) * walk.to_step[a];
  }
  return CopyWalk(x, std::move(walk), *y);
}

Status PadKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  size_t rank = x.shape().size();
  std::vector<int64_t> pads = c.spec().since < 11 ? c.Ints("pads") : c.in(1).AsInts();
  if (c.spec().since >= 18 && c.Has(3)) {
    std::vector<int64_t> axes = c.in(3).AsInts(), all(2 * rank, 0);
    for (size_t i = 0; i < axes.size(); ++i) {
      size_t a = static_cast<size_t>(axes[i] < 0 ? axes[i] + x.rank() : axes[i]);
      all[a] = pads[i];
      all[a + rank] = pads[i + axes.size()];
    }
    pads = all;
  }
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  std::string mode = c.String("mode");
  if (mode == "constant") return PadWithConstant(c, pads, y);
  std::vector<std::vector<int64_t>> maps;
  for (size_t a = 0; a < rank; ++a) {
    maps.push_back(AxisMap(x.shape()[a], pads[a], y->shape()[a], pads[a + rank], mode));
  }
  return CopyMapped(x, maps, nullptr, *y);
}

bool DrawPad(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  size_t rank = shape.size();
  if (rank == 0) return false;
  std::string mode = choices.PickOf<const char*>({"constant", "constant", "reflect", "edge"});
  if (d.spec->since >= 19 && choices.Chance(0.2)) mode = "wrap";
  if (mode != "constant" || choices.Chance(0.3)) d.Set("mode", mode);
  std::vector<int64_t> pads(2 * rank, 0);
  int64_t elements = ElementsOfInput(d, 0);
  for (size_t a = 0; a < rank; ++a) {
    if (rank >= 3 && a < 2 && choices.Chance(0.7))
      continue;  // batch and channels are seldom padded
    int64_t most = mode == "reflect" ? std::min<int64_t>(3, shape[a] - 1) : 3;
    // Around the axis once: ONNX Runtime 1.30 reads beyond it where wrapping goes on.
    if (mode == "wrap") most = std::min(most, shape[a]);
    for (size_t side : {a, a + rank}) {
      if (choices.Chance(0.7))
        pads[side] = choices.Between(0, most);
      else if (choices.Chance(0.1) && shape[a] > 3)
        pads[side] = -1;
    }
    elements = elements / shape[a] * (shape[a] + pads[a] + pads[a + rank]);
    if (mode == "reflect" && (pads[a] < 0 || pads[a + rank] < 0)) pads[a] = pads[a + rank] = 0;
  }
  if (elements > d.max_elements) return false;
  if (d.spec->since < 11) {
    d.Set("pads", pads);
    if (mode == "constant" && choices.Chance(0.5))
      d.Set("value", choices.PickOf<float>({1.0f, -1.0f, 0.5f}));
    return true;
  }
  if (mode == "constant" && choices.Chance(0.5))
    d.SetConstant(2, RandomConstant(choices, d.inputs[0].dtype, {}));
  if (d.spec->since >= 18 && choices.Chance(0.25)) {  // the padded axes alone, in any order
    std::vector<int64_t> axes, begins, ends;
    for (size_t a : {size_t{0}, rank - 1}) axes.push_back(static_cast<int64_t>(a));
    for (size_t a = 1; a + 1 < rank; ++a) axes.push_back(static_cast<int64_t>(a));
    if (rank == 1) axes.pop_back();
    std::erase_if(
        axes, [&](int64_t a) { return pads[a] == 0 && pads[a + static_cast<int64_t>(rank)] == 0; });
    if (axes.empty()) return false;
    for (int64_t a : axes) {
      begins.push_back(pads[a]);
      ends.push_back(pads[a + static_cast<int64_t>(rank)]);
    }
    pads = begins;
    pads.insert(pads.end(), ends.begin(), ends.end());
    for (int64_t& a : axes) a = MaybeNegative(choices, d, a, static_cast<int>(rank));
    d.SetConstant(3, Tensor::Vector(axes));
  }
  d.SetConstant(1, Tensor::Vector(pads));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_pad() {
  std::vector<OpSpec> rows;
  OpSpec pad = Op("Pad", 2)
                   .In("data", "T", kFloats16)
                   .Out("output", "T", kFloats16)
                   .String("mode", "constant", {.strings = {"constant", "reflect", "edge"}})
                   .Rule(PadRule)
                   .Eval(PadKernel)
                   .Draw(DrawPad)
                   .Traits(kMovesData)
                   .Class(Accuracy::kExact);
  rows.push_back(pad.Since(2)
                     .Attr({"pads",
                            AttrType::kInts,
                            true,
                            std::nullopt,
                            {.lo = -2, .hi = 8, .len_rank = 2, .len_const = 0}})
                     .Float("value", 0, {.floats = {0, 1, -1, 0.5}}));
  pad.In("pads", "", Bit(DType::kInt64)).In("constant_value", "T", kFloats16, Arity::kOptional);
  rows.push_back(pad.Since(11).Types("T", kFloats16 | kInts));
  rows.push_back(pad.Since(13).Types("T", kAll13));
  pad.In("axes", "Tind", kIndexInts, Arity::kOptional).Types("T", kAll13);
  rows.push_back(pad.Since(18));
  pad.attrs[0].domain.strings.push_back("wrap");
  rows.push_back(pad.Since(19));
  PushAllTypes(rows, pad, "T", {21, 23, 24, 25});
  return rows;
}

}  // namespace assay
