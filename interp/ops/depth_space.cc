// DepthToSpace (opset 1, 11, 13) and SpaceToDepth (1, 13) on [N,C,H,W] with block size b:
//   DepthToSpace DCR: Y[n, c, h*b + i, w*b + j] = X[n, (i*b + j)*C' + c, h, w],  C' = C / b^2
//   DepthToSpace CRD: Y[n, c, h*b + i, w*b + j] = X[n, (c*b + i)*b + j, h, w]
//   SpaceToDepth:     Y[n, (i*b + j)*C + c, h, w] = X[n, c, h*b + i, w*b + j]
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

void DepthToSpaceRule(RuleContext& c) {
  Dim b = c.Int("blocksize");
  c.Require(b >= Dim(1), "blocksize is at least 1");
  if (!c.Ranked(0)) return c.Out(0, c.dtype(0), std::vector<Dim>(4));
  c.Require(c.Rank(0) == 4, "input is [N,C,H,W]");
  if (c.failed()) return;
  Dim area = b * b;
  c.Require(area.defined() ? Divides(area, c.In(0, 1)) : Truth::kFalse,
            "the channels are a multiple of blocksize^2");
  if (c.failed()) return;
  c.Out(0, c.dtype(0), {c.In(0, 0), FloorDiv(c.In(0, 1), area), c.In(0, 2) * b, c.In(0, 3) * b});
}

void SpaceToDepthRule(RuleContext& c) {
  Dim b = c.Int("blocksize");
  c.Require(b >= Dim(1), "blocksize is at least 1");
  if (!c.Ranked(0)) return c.Out(0, c.dtype(0), std::vector<Dim>(4));
  c.Require(c.Rank(0) == 4, "input is [N,C,H,W]");
  if (c.failed()) return;
  c.Require(Divides(b, c.In(0, 2)) && Divides(b, c.In(0, 3)),
            "height and width are multiples of blocksize");
  if (c.failed()) return;
  c.Out(0, c.dtype(0),
        {c.In(0, 0), c.In(0, 1) * b * b, FloorDiv(c.In(0, 2), b), FloorDiv(c.In(0, 3), b)});
}

// Walks both as [N, i, j, c, h, w]; `depth` is the tensor with the blocks in its channels.
Walk BlockWalk(const Shape& space, int64_t b, bool channel_first) {
  int64_t n = space[0], c = space[1], h = space[2] / b, w = space[3] / b, plane = h * w,
          width = w * b;
  Walk walk;
  walk.extent = {n, b, b, c, h, w};
  Shape in_space = {c * plane * b * b, width, 1, plane * b * b, width * b, b};
  Shape in_depth = {c * plane * b * b, b * c * plane, c * plane, plane, w, 1};
  if (channel_first) in_depth = {c * plane * b * b, b * plane, plane, b * b * plane, w, 1};
  walk.from_step = in_depth;
  walk.to_step = in_space;
  return walk;
}

Status DepthToSpaceKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  bool crd = c.spec().since >= 11 && c.String("mode") == "CRD";
  return CopyWalk(c.in(0), BlockWalk(y->shape(), c.Int("blocksize"), crd), *y);
}

Status SpaceToDepthKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Walk walk = BlockWalk(c.in(0).shape(), c.Int("blocksize"), false);
  std::swap(walk.from_step, walk.to_step);
  return CopyWalk(c.in(0), std::move(walk), *y);
}

// Block sizes that serve both extents.
bool DrawBlock(Choices& choices, Draft& d, bool (*fits)(const Shape&, int64_t)) {
  if (!d.concrete(0)) {  // a whole number of blocks whatever the direction
    int64_t b = choices.Between(2, 3);
    Ask(d, 0, d.inputs[0].dtype,
        {DrawExtent(choices, 3), b * b * choices.Between(1, 2), b * choices.Between(1, 3),
         b * choices.Between(1, 3)});
  }
  if (d.inputs[0].dims.size() != 4) return false;
  Shape shape = d.shape(0);
  std::vector<int64_t> sizes;
  for (int64_t b = 2; b <= 4; ++b) {
    if (fits(shape, b)) sizes.push_back(b);
  }
  // Blocks of one place fit all extents, and change nothing.
  if (sizes.empty() && d.anything && choices.Chance(0.1)) sizes.push_back(1);
  if (sizes.empty()) return false;
  d.Set("blocksize", choices.Pick(sizes));
  return true;
}

bool DrawDepthToSpace(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!DrawBlock(choices, d,
                 [](const Shape& s, int64_t b) { return s[1] > 0 && s[1] % (b * b) == 0; }))
    return false;
  if (d.spec->since >= 11 && choices.Chance(0.6))
    d.Set("mode", std::string(choices.PickOf<const char*>({"CRD", "DCR"})));
  return true;
}

bool DrawSpaceToDepth(Choices& choices, Draft& d) {
  d.attrs.clear();
  return DrawBlock(choices, d, [](const Shape& s, int64_t b) {
    return s[2] > 0 && s[3] > 0 && s[2] % b == 0 && s[3] % b == 0;
  });
}

OpSpec Row(const char* name, RuleFn rule, EvalFn eval, DrawFn draw) {
  return Op(name, 1)
      .In("input", "T", kAll7)
      .Out("output", "T", kAll7)
      .Attr({"blocksize", AttrType::kInt, true, std::nullopt, {.lo = 1, .hi = 4}})
      .Rule(rule)
      .Eval(eval)
      .Draw(draw)
      .Traits(kMovesData | kWithinInputs)
      .Class(Accuracy::kExact);
}

}  // namespace

std::vector<OpSpec> ops_depth_space() {
  std::vector<OpSpec> rows;
  OpSpec depth = Row("DepthToSpace", DepthToSpaceRule, DepthToSpaceKernel, DrawDepthToSpace);
  rows.push_back(depth);
  depth.String("mode", "DCR", {.strings = {"DCR", "CRD"}});
  rows.push_back(depth.Since(11));
  rows.push_back(depth.Since(13).Types("T", kAll13));
  OpSpec space = Row("SpaceToDepth", SpaceToDepthRule, SpaceToDepthKernel, DrawSpaceToDepth);
  rows.push_back(space);
  rows.push_back(space.Since(13).Types("T", kAll13));
  return rows;
}

}  // namespace assay
