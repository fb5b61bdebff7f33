// Slice (opset 1, 10, 11, 13): Y[.., j, ..] = X[.., start + j * step, ..] on each sliced axis.
// Starts and ends count from the back when negative and are clamped to the axis, so that INT64_MAX
// and INT64_MIN mean "to the end" in either direction.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

struct Range {
  int64_t start = 0, step = 1, count = 0;
};

// The places of an axis of extent n that a slice takes.
Range Resolve(int64_t n, int64_t start, int64_t end, int64_t step) {
  if (start < 0) start += n;
  if (end < 0) end += n;
  Range r;
  r.step = step;
  if (step > 0) {
    r.start = std::clamp<int64_t>(start, 0, n);
    end = std::clamp<int64_t>(end, 0, n);
    r.count = end > r.start ? (end - r.start - 1) / step + 1 : 0;
  } else {
    r.start = std::clamp<int64_t>(start, 0, std::max<int64_t>(n - 1, 0));
    end = std::clamp<int64_t>(end, -1, n - 1);
    // Divided as unsigned: INT64_MIN has no negative.
    uint64_t back = uint64_t{0} - static_cast<uint64_t>(step);
    r.count = n > 0 && end < r.start
                  ? static_cast<int64_t>(static_cast<uint64_t>(r.start - end - 1) / back) + 1
                  : 0;
  }
  return r;
}

// The operands, attributes in opset 1 and inputs since 10. `axes_known`: which axes are sliced is
// known; `known`: how, too.
struct Operands {
  std::vector<int64_t> starts, ends, axes, steps;
  bool known = false, axes_known = false;
};

Operands OperandsOf(RuleContext& c) {
  Operands o;
  if (c.spec().since < 10) {
    o.starts = c.node().Ints("starts");
    o.ends = c.node().Ints("ends");
    o.axes = c.node().Ints("axes");
    o.known = o.axes_known = true;
    if (!c.HasAttr("axes")) {
      for (size_t i = 0; i < o.starts.size() && i < kMaxRank; ++i)
        o.axes.push_back(static_cast<int64_t>(i));
    }
  } else {
    // Both are read, whether or not the first is known.
    bool starts = c.KnownInts(1, &o.starts), ends = c.KnownInts(2, &o.ends);
    o.known = starts && ends;
    o.axes_known = c.Has(3) ? c.KnownInts(3, &o.axes) : o.known;
    for (size_t i = 0; !c.Has(3) && i < o.starts.size() && i < kMaxRank; ++i)
      o.axes.push_back(static_cast<int64_t>(i));
    if (c.Has(4)) o.known = c.KnownInts(4, &o.steps) && o.known;
    o.known = o.known && o.axes_known;
    for (int i = 1; i < c.inputs(); ++i) {
      if (c.Has(i) && c.Ranked(i))
        c.Require(c.Rank(i) == 1, "starts, ends, axes and steps have one axis");
    }
  }
  if (o.known) {
    size_t n = o.starts.size();
    if (o.steps.empty() && !(c.spec().since >= 10 && c.Has(4))) o.steps.assign(n, 1);
    bool agree = o.ends.size() == n && o.axes.size() == n && o.steps.size() == n;
    c.Require(agree, "starts, ends, axes and steps are of equal length");
    o.known = o.known && agree;
  }
  return o;
}

void SliceRule(RuleContext& c) {
  Operands o = OperandsOf(c);
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  std::vector<Dim> out = c.Dims(0);
  if (!o.axes_known) {
    for (Dim& d : out) d = Dim(0, std::max<int64_t>(d.hi(), 0));
    return c.Out(0, c.dtype(0), out);
  }
  std::vector<int> axes = DistinctAxes(c, o.axes, c.Rank(0));
  for (int64_t step : o.steps) c.Require(step != 0, "no step is 0");
  if (c.failed()) return;
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim n = out[axes[i]];
    if (o.known && n.known()) {
      out[axes[i]] = Dim(Resolve(n.value(), o.starts[i], o.ends[i], o.steps[i]).count);
    } else {
      out[axes[i]] = Dim(0, std::max<int64_t>(n.hi(), 0));
    }
  }
  c.Out(0, c.dtype(0), out);
}

Status SliceKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  bool attributes = c.spec().since < 10;
  std::vector<int64_t> starts = attributes ? c.Ints("starts") : c.in(1).AsInts();
  std::vector<int64_t> ends = attributes ? c.Ints("ends") : c.in(2).AsInts();
  std::vector<int64_t> axes, steps(starts.size(), 1);
  if (attributes ? c.HasAttr("axes") : c.Has(3)) {
    axes = attributes ? c.Ints("axes") : c.in(3).AsInts();
  } else {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (!attributes && c.Has(4)) steps = c.in(4).AsInts();
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Walk walk{y->shape(), Strides(x.shape()), Strides(y->shape())};
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t a = axes[i] < 0 ? axes[i] + x.rank() : axes[i];
    Range r = Resolve(x.dim(static_cast<int>(a)), starts[i], ends[i], steps[i]);
    walk.from += r.start * walk.from_step[a];
    // A single place has no step, and a hostile one could overflow.
    walk.from_step[a] = r.count > 1 ? walk.from_step[a] * r.step : 0;
  }
  return CopyWalk(x, std::move(walk), *y);
}

// One axis: start, end and step that take at least one place of n.
void DrawRange(Choices& choices, int64_t n, bool steps_allowed, int64_t* start, int64_t* end,
               int64_t* step) {
  *step = steps_allowed && choices.Chance(0.4) ? choices.PickOf<int64_t>({2, 3, -1, -2}) : 1;
  int64_t a = choices.Between(0, n - 1), b = choices.Between(0, n - 1);
  *start = *step > 0 ? std::min(a, b) : std::max(a, b);
  *end = *step > 0 ? std::max(a, b) + 1 : std::min(a, b) - 1;
  if (*step < 0 && *end < 0) *end = -n - 1;  // -1 would mean the last place
  if (*step > 0 && *end == n && choices.Chance(0.3))
    *end = INT64_MAX;
  else if (*step < 0 && *end == -n - 1 && choices.Chance(0.5))
    *end = INT64_MIN;
  else if (*end > 0 && *end < n && choices.Chance(0.3))
    *end -= n;
  if (choices.Chance(0.25)) *start -= n;
}

bool DrawSlice(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  int rank = static_cast<int>(shape.size());
  bool since10 = d.spec->since >= 10;
  std::vector<int64_t> axes = DrawAxes(choices, rank), starts, ends, steps;
  bool stepped = false;
  for (int64_t a : axes) {
    int64_t start, end, step;
    DrawRange(choices, shape[a], since10, &start, &end, &step);
    starts.push_back(start), ends.push_back(end), steps.push_back(step);
    stepped = stepped || step != 1;
  }
  bool leading = axes.back() == static_cast<int64_t>(axes.size()) - 1;  // 0, 1, .. : the default
  bool with_axes = !leading || stepped || choices.Chance(0.5);
  for (int64_t& a : axes) a = since10 ? MaybeNegative(choices, d, a, rank) : a;
  if (!since10) {
    d.Set("starts", starts);
    d.Set("ends", ends);
    if (with_axes) d.Set("axes", axes);
    return true;
  }
  d.SetConstant(1, Tensor::Vector(starts));
  d.SetConstant(2, Tensor::Vector(ends));
  if (with_axes) d.SetConstant(3, Tensor::Vector(axes));
  if (stepped) d.SetConstant(4, Tensor::Vector(steps));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_slice() {
  std::vector<OpSpec> rows;
  OpSpec slice = Op("Slice", 1)
                     .In("data", "T", kAll7)
                     .Out("output", "T", kAll7)
                     .Rule(SliceRule)
                     .Eval(SliceKernel)
                     .Draw(DrawSlice)
                     .Traits(kMovesData | kWithinInputs)
                     .Class(Accuracy::kExact);
  rows.push_back(slice.Since(1)
                     .Ints("axes", {.lo = 0, .hi = 4})
                     .Attr({"ends", AttrType::kInts, true, std::nullopt, {.lo = -16, .hi = 64}})
                     .Attr({"starts", AttrType::kInts, true, std::nullopt, {.lo = -16, .hi = 64}}));
  slice.In("starts", "Tind", kIndexInts)
      .In("ends", "Tind", kIndexInts)
      .In("axes", "Tind", kIndexInts, Arity::kOptional)
      .In("steps", "Tind", kIndexInts, Arity::kOptional);
  rows.push_back(slice.Since(10));
  rows.push_back(slice.Since(11));
  rows.push_back(slice.Since(13).Types("T", kAll13));
  return rows;
}

}  // namespace assay
