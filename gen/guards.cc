#include "gen/guards.h"

#include <algorithm>

#include "gen/sketch.h"

namespace assay {
namespace {

constexpr double kHard =
    5;  // a bound this close to 0 is a domain, not a precaution against overflow

bool HardLo(const Range& r) { return r.lo > -kHard; }
bool HardHi(const Range& r) { return r.hi < kHard; }

int Clip(Sketch& s, int id, double lo, double hi) {
  return s.Node("Clip", {id}, {{"min", static_cast<float>(lo)}, {"max", static_cast<float>(hi)}});
}

// Into [lo, hi], both near 0.
int Squash(Sketch& s, int id, const Range& r) {
  double middle = (r.lo + r.hi) / 2, half = (r.hi - r.lo) / 2 * 0.9;
  bool unit = r.lo <= -1 && r.hi >= 1;
  switch (s.choices().Below(4)) {
    case 0:
      if (unit) return s.Node("Tanh", {id});
      break;
    case 1:
      if (unit) return s.Node("Sin", {id});
      break;
    case 2:
      if (r.lo <= 0 && r.hi >= 1) return s.Node("Sigmoid", {id});
      break;
    default:
      break;
  }
  return Clip(s, id, middle - half, middle + half);
}

// Above `lo`, or away from 0.
int Lift(Sketch& s, int id, double lo) {
  int positive = -1;
  switch (s.choices().Below(5)) {
    case 0:
      positive = s.Node("Softplus", {id});
      break;
    case 1:
      positive = s.Node("Sigmoid", {id});
      break;
    case 2:
      positive = s.Node("Relu", {id});
      break;
    default:
      break;
  }
  if (positive < 0) positive = s.Node("Abs", {id});
  if (positive < 0) return -1;
  double offset = std::max(lo, 0.0) + s.choices().PickOf({0.25, 0.5, 1.0});
  bool subtract = s.choices().Chance(0.4);
  return subtract ? s.Node("Sub", {positive, s.Scalar(positive, -offset)})
                  : s.Node("Add", {positive, s.Scalar(positive, offset)});
}

}  // namespace

bool Satisfies(const Range& range, const Demand& demand) {
  Range d = demand.range;
  if (!HardLo(d)) d.lo = -1e30;
  if (!HardHi(d)) d.hi = 1e30;
  return range.Within(d);
}

int Guard(Choices& choices, GraphBuilder& builder, int id, const Demand& demand) {
  if (Satisfies(builder.value(id).range, demand)) return id;
  if (!IsFloat(builder.value(id).dtype)) return -1;
  const Range& r = demand.range;
  GraphBuilder::Mark mark = builder.Here();
  Sketch sketch(choices, builder);
  int guarded = -1;
  if (HardLo(r) && HardHi(r))
    guarded = Squash(sketch, id, r);
  else if (HardHi(r))
    guarded = Clip(sketch, id, r.hi - 8, r.hi);
  else
    guarded = Lift(sketch, id, r.nonzero ? std::max(r.lo, kAwayFromZero) : r.lo);
  if (guarded >= 0 && Satisfies(builder.value(guarded).range, demand)) return guarded;
  builder.Rollback(mark);
  return -1;
}

}  // namespace assay
