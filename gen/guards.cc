#include "gen/guards.h"

#include <algorithm>

namespace assay {
namespace {

constexpr double kHard =
    5;  // a bound this close to 0 is a domain, not a precaution against overflow

bool HardLo(const Range& r) { return r.lo > -kHard; }
bool HardHi(const Range& r) { return r.hi < kHard; }

Tensor Scalar(DType dtype, double v) {
  Tensor t = Tensor::Make(dtype, {}).value();
  t.Set(0, v);
  return t;
}

int Unary(GraphBuilder& b, const char* op, int id) {
  const OpSpec* spec = FindOp("", op, b.opset());
  if (!spec || !Contains(spec->inputs[0].types, b.value(id).dtype)) return -1;
  Node n;
  n.outputs = {"y"};
  return b.AddNode(*spec, std::move(n), {id});
}

int Binary(GraphBuilder& b, const char* op, int id, double constant) {
  const OpSpec* spec = FindOp("", op, b.opset());
  if (id < 0 || !spec || !Contains(spec->inputs[0].types, b.value(id).dtype)) return -1;
  Node n;
  n.outputs = {"y"};
  return b.AddNode(*spec, std::move(n), {id, b.AddConstant(Scalar(b.value(id).dtype, constant))});
}

int Clip(GraphBuilder& b, int id, double lo, double hi) {
  const OpSpec* spec = FindOp("", "Clip", b.opset());
  DType t = b.value(id).dtype;
  if (!spec || !Contains(spec->inputs[0].types, t)) return -1;
  Node n;
  n.outputs = {"y"};
  if (spec->since < 11) {
    n.Set("min", static_cast<float>(lo));
    n.Set("max", static_cast<float>(hi));
    return b.AddNode(*spec, std::move(n), {id});
  }
  int low = b.AddConstant(Scalar(t, lo)), high = b.AddConstant(Scalar(t, hi));
  return b.AddNode(*spec, std::move(n), {id, low, high});
}

// Into [lo, hi], both near 0.
int Squash(Choices& choices, GraphBuilder& b, int id, const Range& r) {
  double middle = (r.lo + r.hi) / 2, half = (r.hi - r.lo) / 2 * 0.9;
  bool unit = r.lo <= -1 && r.hi >= 1;
  switch (choices.Below(4)) {
    case 0:
      if (unit) return Unary(b, "Tanh", id);
      break;
    case 1:
      if (unit) return Unary(b, "Sin", id);
      break;
    case 2:
      if (r.lo <= 0 && r.hi >= 1) return Unary(b, "Sigmoid", id);
      break;
    default:
      break;
  }
  return Clip(b, id, middle - half, middle + half);
}

// Above `lo`, or away from 0.
int Lift(Choices& choices, GraphBuilder& b, int id, double lo) {
  int positive = -1;
  switch (choices.Below(5)) {
    case 0:
      positive = Unary(b, "Softplus", id);
      break;
    case 1:
      positive = Unary(b, "Sigmoid", id);
      break;
    case 2:
      positive = Unary(b, "Relu", id);
      break;
    default:
      break;
  }
  if (positive < 0) positive = Unary(b, "Abs", id);
  if (positive < 0) return -1;
  double offset = std::max(lo, 0.0) + choices.PickOf({0.25, 0.5, 1.0});
  bool subtract = choices.Chance(0.4);
  return subtract ? Binary(b, "Sub", positive, -offset) : Binary(b, "Add", positive, offset);
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
  int guarded = -1;
  if (HardLo(r) && HardHi(r))
    guarded = Squash(choices, builder, id, r);
  else if (HardHi(r))
    guarded = Clip(builder, id, r.hi - 8, r.hi);
  else
    guarded = Lift(choices, builder, id, r.nonzero ? std::max(r.lo, kAwayFromZero) : r.lo);
  if (guarded >= 0 && Satisfies(builder.value(guarded).range, demand)) return guarded;
  builder.Rollback(mark);
  return -1;
}

}  // namespace assay
