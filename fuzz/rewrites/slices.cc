// Rewrites of parts and blocks: grouped Conv (B34), Split, Slice and Gather (B35), space and depth
// (B43), Resize (B45, B46), open-ended Slices (B50).
#include <algorithm>
#include <climits>
#include <cmath>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

// Rows [begin, end) of a tensor.
Tensor Rows(const Tensor& t, int64_t begin, int64_t end) {
  Shape shape = t.shape();
  int64_t row = t.size() / t.dim(0) * t.element_bytes();
  shape[0] = end - begin;
  Tensor part = Tensor::Make(t.dtype(), shape).value();
  std::copy_n(t.raw() + begin * row, (end - begin) * row, part.mutable_raw());
  return part;
}

// ---- B34 ----
Strings GroupArguments(const View& v, int i) {
  constexpr int64_t kMostGroups = 8;
  if (!v.Is(i, "Conv")) return {};
  int64_t group = v.node(i).Int("group", 1), channels = v.Extent(v.node(i).inputs[0], 1);
  const Tensor *w = v.ConstantInput(i, 1), *b = v.ConstantInput(i, 2);
  if (group < 2 || group > kMostGroups || !IsFloatTensor(w) || channels < group ||
      w->dim(0) < group || w->dim(0) % group != 0)
    return {};
  if (v.node(i).HasInput(2) && (!b || b->size() != w->dim(0))) return {};
  return {"split"};
}
Status SplitGroups(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  const Node& n = v.node(i);
  int64_t group = n.Int("group", 1), channels = v.Extent(n.inputs[0], 1) / group;
  const Tensor *w = v.ConstantInput(i, 1), *b = v.ConstantInput(i, 2);
  int64_t rows = w->dim(0) / group;
  e.Remove(i);
  Strings parts = AddSplit(e, "in", n.inputs[0], 1,
                           std::vector<int64_t>(static_cast<size_t>(group), channels)),
          made;
  Node one = n;
  one.Erase("group");
  for (int64_t g = 0; g < group; ++g) {
    std::string k = std::to_string(g);
    Strings inputs = {parts[g], e.Constant("weight" + k, Rows(*w, g * rows, (g + 1) * rows))};
    if (b) inputs.push_back(e.Constant("bias" + k, Rows(*b, g * rows, (g + 1) * rows)));
    made.push_back(e.Add("conv" + k, "Conv", inputs, one.attrs));
  }
  e.AddMaking("concat", {n.outputs[0]}, "Concat", made, {Attr("axis", 1)});
  return {};
}

// ---- B35 ----
// Axis and sizes of a Split whose parts are known.
struct SplitParts {
  int64_t axis = 0;
  std::vector<int64_t> sizes;
};
std::optional<SplitParts> SplitOf(const View& v, int i) {
  if (!v.Is(i, "Split")) return std::nullopt;
  SplitParts s;
  s.axis = NormalizedAxis(v.node(i).Int("axis", 0), std::max(v.Rank(v.node(i).inputs[0]), 0));
  if (s.axis < 0) return std::nullopt;
  for (const std::string& o : v.node(i).outputs) {
    int64_t size = o.empty() ? -1 : v.Extent(o, static_cast<int>(s.axis));
    if (size < 1) return std::nullopt;
    s.sizes.push_back(size);
  }
  return s;
}
// Begin and end of a Slice of one axis by step 1 that leaves something on either side.
std::optional<std::pair<int64_t, int64_t>> InnerSlice(const View& v, int i) {
  std::optional<SliceOperands> s = SliceOf(v, i);
  if (!s || s->axes.size() != 1 || s->steps[0] != 1) return std::nullopt;
  int64_t extent = v.Extent(v.node(i).inputs[0], static_cast<int>(s->axes[0]));
  if (extent < 2) return std::nullopt;
  auto clamp = [&](int64_t x) {
    return std::clamp<int64_t>(x < 0 ? std::max<int64_t>(x, -extent) + extent : x, 0, extent);
  };
  int64_t begin = clamp(s->starts[0]), end = clamp(s->ends[0]);
  if (end <= begin || (begin == 0 && end == extent)) return std::nullopt;
  return std::pair(begin, end);
}
Strings PartArguments(const View& v, int i) {
  if (SplitOf(v, i)) return {"slices"};
  if (InnerSlice(v, i)) return {"split"};
  if (!v.Is(i, "Gather")) return {};
  const Tensor* index = v.ConstantInput(i, 1);
  bool one = index && index->rank() == 0 && v.Rank(v.node(i).inputs[0]) > 0 &&
             index->AsInt(0) != INT64_MAX;
  return one && v.ElementType(v.node(i).inputs[0]) != DType::kBfloat16 ? Strings{"slice"}
                                                                       : Strings{};
}
Status RewriteParts(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  e.Remove(i);
  if (argument == "slices") {
    SplitParts s = *SplitOf(v, i);
    int64_t at = 0;
    for (size_t k = 0; k < s.sizes.size(); at += s.sizes[k], ++k) {
      AddSlice(e, "slice" + std::to_string(k), n.inputs[0],
               {{at}, {at + s.sizes[k]}, {s.axis}, {1}}, {n.outputs[k]});
    }
  } else if (argument == "split") {
    auto [begin, end] = *InnerSlice(v, i);
    int64_t axis = SliceOf(v, i)->axes[0], extent = v.Extent(n.inputs[0], static_cast<int>(axis));
    std::vector<int64_t> sizes;
    if (begin > 0) sizes.push_back(begin);
    Strings outputs(sizes.size() + 1);
    outputs.back() = n.outputs[0];
    sizes.push_back(end - begin);
    if (end < extent) sizes.push_back(extent - end);
    AddSplit(e, "split", n.inputs[0], axis, sizes, outputs);
  } else {
    int64_t index = v.ConstantInput(i, 1)->AsInt(0),
            axis = NormalizedAxis(n.Int("axis", 0), v.Rank(n.inputs[0]));
    // One past -1 would be 0, the front.
    int64_t end = index == -1 ? INT64_MAX : index + 1;
    std::string part = AddSlice(e, "slice", n.inputs[0], {{index}, {end}, {axis}, {1}});
    AddSqueeze(e, "squeeze", part, {axis}, {n.outputs[0]});
  }
  return {};
}

// ---- B43 ----
Strings BlockArguments(const View& v, int i) {
  if (!v.IsAny(i, {"DepthToSpace", "SpaceToDepth"})) return {};
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]);
  int64_t b = v.node(i).Int("blocksize", 0);
  return x && x->size() == 4 && ElementCount(*x) > 0 && b > 0 && b < 4096 ? Strings{"split"}
                                                                          : Strings{};
}
Status SplitBlocks(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  const Node& n = v.node(i);
  Shape x = *v.Extents(n.inputs[0]);
  int64_t b = n.Int("blocksize", 1), c = x[1] / (b * b);
  e.Remove(i);
  std::vector<int64_t> blocks, perm = {0, 1, 4, 2, 5, 3};
  if (v.Is(i, "SpaceToDepth")) {
    blocks = {x[0], x[1], x[2] / b, b, x[3] / b, b};
    perm = {0, 3, 5, 1, 2, 4};
  } else if (n.String("mode", "DCR") == "DCR") {
    blocks = {x[0], b, b, c, x[2], x[3]};
    perm = {0, 3, 4, 1, 5, 2};
  } else {
    blocks = {x[0], c, b, b, x[2], x[3]};
  }
  std::string moved = AddTranspose(e, "moved", AddReshape(e, "blocks", n.inputs[0], blocks), perm);
  AddReshape(e, "joined", moved, *v.Extents(n.outputs[0]), {n.outputs[0]});
  return {};
}

// ---- B45 ----
Strings HalfPixelArguments(const View& v, int i) {
  if (!v.Is(i, "Resize") || v.opset() < 11) return {};
  std::string mode = v.node(i).String("coordinate_transformation_mode", "half_pixel");
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]), y = v.Extents(v.node(i).outputs[0]);
  if (!x || !y || (mode != "half_pixel" && mode != "pytorch_half_pixel")) return {};
  for (size_t a = 0; a < y->size(); ++a) {
    if ((*y)[a] == 1 && (*x)[a] != 1) return {};
  }
  return {mode == "half_pixel" ? "pytorch_half_pixel" : "half_pixel"};
}
Status ChangeHalfPixel(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("coordinate_transformation_mode", argument);
  e.Put(i, std::move(n));
  return {};
}

// ---- B46 ----
// Integer factors of a nearest upsampling that repeats elements.
std::optional<std::vector<int64_t>> RepeatFactors(const View& v, int i) {
  bool upsample = v.Is(i, "Upsample");
  if ((!upsample && !v.Is(i, "Resize")) || v.node(i).String("mode", "nearest") != "nearest")
    return std::nullopt;
  bool attrs = v.Is(i, "Resize") && v.opset() >= 11;
  if (attrs && (v.node(i).String("coordinate_transformation_mode", "half_pixel") != "asymmetric" ||
                v.node(i).String("nearest_mode", "round_prefer_floor") != "floor")) {
    return std::nullopt;
  }
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]), y = v.Extents(v.node(i).outputs[0]);
  if (!x || !y || x->size() != y->size() || ElementCount(*x) < 1 || x->size() > 4)
    return std::nullopt;
  std::vector<int64_t> factors;
  for (size_t a = 0; a < x->size(); ++a) {
    if ((*y)[a] % (*x)[a] != 0 || (*y)[a] == 0) return std::nullopt;
    factors.push_back((*y)[a] / (*x)[a]);
  }
  // The factors of the extents are those that the operator uses.
  const Tensor* scales = v.ConstantInput(i, attrs ? 2 : 1);
  bool given = attrs ? v.node(i).HasInput(2) : v.node(i).HasInput(1) || v.node(i).Find("scales");
  if (given && (!scales || scales->size() != static_cast<int64_t>(factors.size()))) {
    if (!scales || scales->size() != 0) return std::nullopt;
    given = false;  // empty scales: sizes count
  }
  for (size_t a = 0; given && a < factors.size(); ++a) {
    if (scales->AsDouble(static_cast<int64_t>(a)) != static_cast<double>(factors[a]))
      return std::nullopt;
  }
  bool policy = attrs && (v.node(i).Find("axes") || v.node(i).Find("keep_aspect_ratio_policy"));
  return policy ? std::nullopt : std::optional(factors);
}
Strings RepeatArguments(const View& v, int i) {
  return RepeatFactors(v, i) && v.opset() >= 8 ? Strings{"expand"} : Strings{};
}
Status RepeatByExpand(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  const Node& n = v.node(i);
  std::vector<int64_t> factors = *RepeatFactors(v, i), apart, wide;
  Shape x = *v.Extents(n.inputs[0]), y = *v.Extents(n.outputs[0]);
  for (size_t a = 0; a < x.size(); ++a) {
    apart.insert(apart.end(), {x[a], 1});
    wide.insert(wide.end(), {x[a], factors[a]});
  }
  e.Remove(i);
  std::string r = AddReshape(e, "apart", n.inputs[0], apart);
  r = e.Add("expand", "Expand", {r, e.Ints("wide", wide)});
  AddReshape(e, "joined", r, y, {n.outputs[0]});
  return {};
}

// ---- B50 ----
Strings OpenEndArguments(const View& v, int i) {
  std::optional<SliceOperands> s = SliceOf(v, i);
  if (!s || (v.opset() >= 10 && v.ElementType(v.node(i).inputs[1]) != DType::kInt64)) return {};
  Strings arguments;
  for (size_t k = 0; k < s->ends.size(); ++k) {
    int64_t extent = v.Extent(v.node(i).inputs[0], static_cast<int>(s->axes[k]));
    if (extent < 0 || extent > INT32_MAX || s->steps[k] < 0 || s->ends[k] < extent) continue;
    if (s->ends[k] != INT32_MAX) arguments.push_back("int32max" + std::to_string(k));
    if (s->ends[k] != INT64_MAX) arguments.push_back("int64max" + std::to_string(k));
  }
  return arguments;
}
Status ChangeEnd(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  SliceOperands s = *SliceOf(e.view(), i);
  s.ends[static_cast<size_t>(*ParseInt(argument.substr(8)))] =
      argument[3] == '3' ? INT32_MAX : INT64_MAX;
  e.Remove(i);
  AddSlice(e, "slice", n.inputs[0], s, {n.outputs[0]});
  return {};
}

}  // namespace

std::vector<Transform> rewrites_slices() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "B34",
                          .doc = "A grouped Conv as Split, one Conv a group, Concat.",
                          .cite = "uncited",
                          .precondition = "constant weights, at most 8 groups",
                          .ops = "Conv,Split,Concat",
                          .example = R"(
graph(float[1,4,2,2] x) -> (float[1,4,2,2] y) {
  w = float[4,2,1,1] {1, 2, 3, 4, 5, 6, 7, 8}
  b = float[4] {1, 2, 3, 4}
  y = Conv(x, w, b) {group=2}
})"},
                         GroupArguments, SplitGroups));
  rows.push_back(OnNodes(
      {.name = "B35",
       .doc = "Split as Slices, Slice as Split, Gather of a scalar index as Slice and Squeeze.",
       .cite = "microsoft/onnxruntime#17689: GatherToSplitFusion, GatherToSliceFusion",
       .precondition = "known extents; Slice of one axis by step 1",
       .ops = "Split,Slice,Gather",
       .example = R"(
graph(float[2,5] x) -> (float[2] y) {
  n = int64[2] {2, 3}
  a, b = Split(x, n) {axis=1}
  s = int64[1] {1}
  t = int64[1] {9}
  q = int64[1] {1}
  c = Slice(b, s, t, q)
  d = Add(a, c)
  i = int64[] {-1}
  y = Gather(d, i) {axis=1}
})"},
      PartArguments, RewriteParts));
  rows.push_back(OnNodes({.name = "B43",
                          .doc = "DepthToSpace or SpaceToDepth as Reshape, Transpose, Reshape.",
                          .cite = "apache/tvm#4566; PINTO0309/onnx2tf#92",
                          .precondition = "known extents",
                          .ops = "DepthToSpace,SpaceToDepth",
                          .example = R"(
graph(float[1,8,2,4] x) -> (float[1,8,2,4] y) {
  d = DepthToSpace(x) {blocksize=2}
  y = SpaceToDepth(d) {blocksize=2}
})"},
                         BlockArguments, SplitBlocks));
  rows.push_back(OnNodes({.name = "B45",
                          .doc = "half_pixel of Resize as pytorch_half_pixel or back.",
                          .cite = "pytorch/pytorch#183523",
                          .precondition = "no axis shrinks to extent 1",
                          .ops = "Resize",
                          .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,6,6] y) {
  s = float[4] {1, 1, 2, 2}
  y = Resize(x, _, s) {mode="linear"}
})"},
                         HalfPixelArguments, ChangeHalfPixel));
  rows.push_back(OnNodes({.name = "B46",
                          .doc = "A nearest upsampling by integers as Reshape, Expand, Reshape.",
                          .cite = "sonos/tract#2554",
                          .precondition = "asymmetric coordinates rounded down; known extents",
                          .ops = "Resize,Upsample",
                          .example = R"(
graph(float[1,2,3,3] x) -> (float[1,2,6,9] y) {
  s = float[4] {1, 1, 2, 3}
  y = Resize(x, _, s) {mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"}
})"},
                         RepeatArguments, RepeatByExpand));
  rows.push_back(
      OnNodes({.name = "B50",
               .doc = "An end of Slice beyond the extent becomes INT32_MAX or INT64_MAX.",
               .cite = "NVIDIA/TensorRT#1415; microsoft/onnxruntime#3821",
               .precondition = "a positive step; the extent is below INT32_MAX",
               .ops = "Slice",
               .example = R"(
graph(float[5] x) -> (float[4] y) {
  s = int64[1] {1}
  t = int64[1] {5}
  y = Slice(x, s, t)
})"},
              OpenEndArguments, ChangeEnd));
  return rows;
}

}  // namespace assay
