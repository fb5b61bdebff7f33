// Tile (opset 6, 13): X repeated repeats[a] times along each axis a. Expand (8, 13): X broadcast
// with a shape.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// ---- Tile

void TileRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "repeats has one axis");
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  size_t rank = static_cast<size_t>(c.Rank(0));
  if (c.Ranked(1) && c.Rank(1) == 1) {
    c.Require(c.In(1, 0) == Dim(static_cast<int64_t>(rank)), "repeats has one entry an axis");
  }
  std::vector<int64_t> repeats;
  std::vector<Dim> out(rank);
  if (c.KnownInts(1, &repeats) && !c.failed()) {
    for (size_t a = 0; a < rank; ++a) {
      c.Require(repeats[a] >= 0, "no axis repeats a negative number of times");
      out[a] = c.Dims(0)[a] * Dim(repeats[a]);
    }
  }
  c.Out(0, c.dtype(0), out);
}

Status TileKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  std::vector<int64_t> repeats = c.in(1).AsInts();
  Shape from = Strides(x.shape()), to = Strides(y->shape());
  // Each axis a of Y is walked as (repeats[a], extent of X).
  Walk walk;
  for (int a = 0; a < x.rank(); ++a) {
    walk.extent.insert(walk.extent.end(), {repeats[a], x.dim(a)});
    walk.from_step.insert(walk.from_step.end(), {0, from[a]});
    walk.to_step.insert(walk.to_step.end(), {WrapMul(to[a], x.dim(a)), to[a]});
  }
  return CopyWalk(x, std::move(walk), *y);
}

bool DrawTile(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty()) return false;
  int64_t elements = std::max<int64_t>(1, ElementsOfInput(d, 0));
  std::vector<int64_t> repeats;
  for (size_t a = 0; a < d.inputs[0].dims.size(); ++a) {
    int64_t n = choices.Chance(0.5) ? 1 : choices.Between(1, 3);
    if (elements * n > d.max_elements) n = 1;
    elements *= n;
    repeats.push_back(n);
  }
  d.SetConstant(1, Tensor::Vector(repeats));
  return true;
}

// ---- Expand

void ExpandRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "shape has one axis");
  std::vector<int64_t> want;
  std::vector<Dim> target;
  if (c.KnownInts(1, &want)) {
    c.Require(static_cast<int64_t>(want.size()) <= kMaxRank, "shape asks for at most 64 axes");
    for (int64_t v : want) c.Require(v >= 0, "extents in shape are at least 0");
    if (c.failed()) return;
    target.assign(want.begin(), want.end());
  } else {
    Dim rank = c.Ranked(1) && c.Rank(1) == 1 ? c.In(1, 0) : Dim::Unknown();
    c.Require(rank <= Dim(kMaxRank), "shape asks for at most 64 axes");
    if (!rank.known() || rank.value() > kMaxRank) return c.OutUnranked(0, c.dtype(0));
    target.resize(static_cast<size_t>(rank.value()));
  }
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  c.Out(0, c.dtype(0), BroadcastDims(c, c.Dims(0), target));
}

Status ExpandKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  Shape out = c.out_shape(0);
  if (x.size() > 0 && ElementCount(out) == x.size()) {
    c.Set(0, x.Reshaped(out));
    return {};
  }
  Tensor* y = TRY(c.Out(0));
  return CopyWalk(x, {out, BroadcastStrides(x.shape(), out), Strides(out)}, *y);
}

bool DrawExpand(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0)) return false;
  Shape shape = d.shape(0);
  std::vector<int64_t> want;
  int64_t elements = std::max<int64_t>(1, ElementsOfInput(d, 0));
  auto grow = [&] {
    int64_t n = choices.Between(1, 4);
    if (elements * n > d.max_elements) n = 1;
    elements *= n;
    return n;
  };
  for (int64_t e : shape) want.push_back(e != 1 ? (choices.Chance(0.4) ? 1 : e) : grow());
  if (shape.size() < 5 && choices.Chance(0.3)) want.insert(want.begin(), grow());
  if (want.size() > 1 && want.size() == shape.size() && choices.Chance(0.2))
    want.erase(want.begin());
  if (want.empty()) want.push_back(grow());
  d.SetConstant(1, Tensor::Vector(want));
  return true;
}

OpSpec Row(const char* name, int since, RuleFn rule, EvalFn eval, DrawFn draw) {
  return Op(name, since)
      .In("input", "T", kAll7)
      .Out("output", "T", kAll7)
      .Rule(rule)
      .Eval(eval)
      .Draw(draw)
      .Traits(kMovesData | kWithinInputs)
      .Class(Accuracy::kExact);
}

}  // namespace

std::vector<OpSpec> ops_tile_expand() {
  OpSpec tile =
      Row("Tile", 6, TileRule, TileKernel, DrawTile).In("repeats", "T1", Bit(DType::kInt64));
  OpSpec expand =
      Row("Expand", 8, ExpandRule, ExpandKernel, DrawExpand).In("shape", "", Bit(DType::kInt64));
  return {tile, tile.Since(13).Types("T", kAll13), expand, expand.Since(13).Types("T", kAll13)};
}

}  // namespace assay
