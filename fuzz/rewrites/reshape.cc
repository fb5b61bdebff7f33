// Rewrites of axes that hold no data or are merged: Flatten (B13), Squeeze and Unsqueeze (B14,
// B15), Concat and Slice chains (B15), reductions (B16, B17).
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

// ---- B13 ----
// The axis at which Flatten does what a Reshape to rank 2 does; -1: none.
int64_t FlattenAxis(const View& v, int i) {
  std::optional<Shape> x = v.Extents(v.node(i).inputs[0]), y = v.Extents(v.node(i).outputs[0]);
  if (!x || !y || y->size() != 2 || ElementCount(*x) < 1) return -1;
  int64_t rows = 1;
  for (size_t a = 0; a <= x->size(); ++a) {
    if (rows == (*y)[0]) return static_cast<int64_t>(a);
    if (a < x->size()) rows *= (*x)[a];
  }
  return -1;
}
Strings FlattenArguments(const View& v, int i) {
  if (v.Is(i, "Reshape") && FlattenAxis(v, i) >= 0) return {"flatten"};
  if (!v.Is(i, "Flatten")) return {};
  Strings arguments;
  if (ReshapeTarget(v, v.node(i).outputs[0])) arguments.push_back("reshape");
  // [0,-1] copies the batch; the rest is known not to be empty.
  const TypeInfo* t = v.Type(v.node(i).inputs[0]);
  bool copies = t && t->ranked && t->dims.size() >= 2 && v.node(i).Int("axis", 1) == 1;
  for (size_t a = 0; copies && a < t->dims.size(); ++a) copies = t->dims[a].lo() > 0;
  if (copies) arguments.push_back("copy");
  return arguments;
}
Status RewriteFlatten(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  if (argument == "flatten") {
    e.AddMaking("flatten", {n.outputs[0]}, "Flatten", {n.inputs[0]},
                {Attr("axis", FlattenAxis(e.view(), i))});
  } else if (argument == "copy") {
    AddReshape(e, "reshape", n.inputs[0], {0, -1}, {n.outputs[0]});
  } else {
    AddReshape(e, "reshape", n.inputs[0], *ReshapeTarget(e.view(), n.outputs[0]), {n.outputs[0]});
  }
  return {};
}

// ---- B14 ----
// Axes of extent 1 of `longer` whose removal gives `shorter`.
std::optional<std::vector<int64_t>> RemovedOnes(const Shape& longer, const Shape& shorter) {
  std::vector<int64_t> axes;
  size_t j = 0;
  for (size_t a = 0; a < longer.size(); ++a) {
    if (j < shorter.size() && longer[a] == shorter[j])
      ++j;
    else if (longer[a] == 1)
      axes.push_back(static_cast<int64_t>(a));
    else
      return std::nullopt;
  }
  if (j < shorter.size() || axes.empty()) return std::nullopt;
  return axes;
}
Strings SqueezeArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (v.IsAny(i, {"Squeeze", "Unsqueeze"})) {
    return ReshapeTarget(v, n.outputs[0]) ? Strings{"reshape"} : Strings{};
  }
  if (!v.Is(i, "Reshape")) return {};
  std::optional<Shape> x = v.Extents(n.inputs[0]), y = v.Extents(n.outputs[0]);
  if (!x || !y) return {};
  if (RemovedOnes(*x, *y)) return {"squeeze"};
  return RemovedOnes(*y, *x) ? Strings{"unsqueeze"} : Strings{};
}
Status RewriteSqueeze(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  e.Remove(i);
  if (argument == "reshape") {
    AddReshape(e, "reshape", n.inputs[0], *ReshapeTarget(v, n.outputs[0]), {n.outputs[0]});
    return {};
  }
  Shape x = *v.Extents(n.inputs[0]), y = *v.Extents(n.outputs[0]);
  if (argument == "squeeze")
    AddSqueeze(e, "squeeze", n.inputs[0], *RemovedOnes(x, y), {n.outputs[0]});
  else
    AddUnsqueeze(e, "unsqueeze", n.inputs[0], *RemovedOnes(y, x), {n.outputs[0]});
  return {};
}

// ---- B15 ----
// Axes of a Squeeze or Unsqueeze counted in the longer of both shapes.
std::optional<std::vector<int64_t>> LongAxes(const View& v, int i) {
  bool squeeze = v.Is(i, "Squeeze");
  if (!squeeze && !v.Is(i, "Unsqueeze")) return std::nullopt;
  std::optional<std::vector<int64_t>> axes = RawAxes(v, i);
  int rank = v.Rank(squeeze ? v.node(i).inputs[0] : v.node(i).outputs[0]);
  if (!axes || axes->empty() || rank < 0) return std::nullopt;
  return NormalizedAxes(*axes, rank);
}
// `inner` counts the axes that stay when `outer` go; all of them together, counted with `outer`.
std::vector<int64_t> Together(const std::vector<int64_t>& outer, const std::vector<int64_t>& inner,
                              int rank) {
  std::vector<int64_t> rest, all = outer;
  for (int a = 0; a < rank; ++a) {
    if (std::find(outer.begin(), outer.end(), a) == outer.end()) rest.push_back(a);
  }
  for (int64_t a : inner) all.push_back(rest[a]);
  std::sort(all.begin(), all.end());
  return all;
}
bool Disjoint(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  return std::none_of(a.begin(), a.end(),
                      [&](int64_t x) { return std::find(b.begin(), b.end(), x) != b.end(); });
}
// The node of the same operator that makes input k of node i.
int SameBefore(const View& v, int i, size_t k) {
  int j = v.node(i).HasInput(k) ? v.Maker(v.node(i).inputs[k]) : -1;
  return j >= 0 && v.node(j).op == v.node(i).op && v.node(j).domain == v.node(i).domain ? j : -1;
}
int64_t ConcatAxis(const View& v, int i) {
  return NormalizedAxis(v.node(i).Int("axis", 1), std::max(v.Rank(v.node(i).outputs[0]), 0));
}
Strings ChainArguments(const View& v, int i) {
  const Node& n = v.node(i);
  int j = n.inputs.empty() ? -1 : SameBefore(v, i, 0);
  if (LongAxes(v, i)) return j >= 0 && LongAxes(v, j) ? Strings{"merge"} : Strings{};
  Strings arguments;
  if (std::optional<SliceOperands> s = SliceOf(v, i)) {
    std::optional<SliceOperands> before = j < 0 ? std::nullopt : SliceOf(v, j);
    if (before && Disjoint(s->axes, before->axes)) arguments.push_back("merge");
    if (s->axes.size() >= 2) arguments.push_back("split");
  }
  if (v.Is(i, "Concat") && v.Rank(n.outputs[0]) > 0) {
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      int inner = SameBefore(v, i, k);
      if (inner >= 0 && ConcatAxis(v, inner) == ConcatAxis(v, i))
        arguments.push_back("merge" + std::to_string(k));
    }
    if (n.inputs.size() >= 3) arguments.push_back("split");
  }
  return arguments;
}
void Append(SliceOperands* to, const SliceOperands& s, size_t begin, size_t end) {
  auto add = [&](std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    a.insert(a.end(), b.begin() + static_cast<std::ptrdiff_t>(begin),
             b.begin() + static_cast<std::ptrdiff_t>(end));
  };
  add(to->starts, s.starts);
  add(to->ends, s.ends);
  add(to->axes, s.axes);
  add(to->steps, s.steps);
}
void RewriteConcat(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument == "split") {
    std::string two = e.Add("first", "Concat", {n.inputs[0], n.inputs[1]}, n.attrs);
    n.inputs.erase(n.inputs.begin());
    n.inputs[0] = two;
  } else {
    size_t k = static_cast<size_t>(*ParseInt(argument.substr(5)));
    std::vector<std::string> inner = e.view().node(SameBefore(e.view(), i, k)).inputs;
    n.inputs.erase(n.inputs.begin() + static_cast<std::ptrdiff_t>(k));
    n.inputs.insert(n.inputs.begin() + static_cast<std::ptrdiff_t>(k), inner.begin(), inner.end());
  }
  e.Put(i, std::move(n));
}
Status RewriteChain(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  if (v.Is(i, "Concat")) {
    RewriteConcat(e, i, argument);
    return {};
  }
  e.Remove(i);
  int j = SameBefore(v, i, 0);
  if (v.Is(i, "Slice")) {
    SliceOperands s = *SliceOf(v, i), one, rest;
    if (argument == "merge") {
      one = *SliceOf(v, j);
      Append(&one, s, 0, s.axes.size());
      AddSlice(e, "slice", v.node(j).inputs[0], one, {n.outputs[0]});
      return {};
    }
    Append(&one, s, 0, 1);
    Append(&rest, s, 1, s.axes.size());
    AddSlice(e, "second", AddSlice(e, "first", n.inputs[0], one), rest, {n.outputs[0]});
    return {};
  }
  bool squeeze = v.Is(i, "Squeeze");
  std::vector<int64_t> here = *LongAxes(v, i), before = *LongAxes(v, j);
  const std::string& x = v.node(j).inputs[0];
  if (squeeze)
    AddSqueeze(e, "squeeze", x, Together(before, here, v.Rank(x)), {n.outputs[0]});
  else
    AddUnsqueeze(e, "unsqueeze", x, Together(here, before, v.Rank(n.outputs[0])), {n.outputs[0]});
  return {};
}

// ---- B16 ----
Strings KeepdimsArguments(const View& v, int i) {
  std::optional<ReducedAxes> r = ReductionOf(v, i);
  if (r && r->keepdims && !r->noop && !r->axes.empty()) return {"split"};
  std::optional<std::vector<int64_t>> axes = v.Is(i, "Unsqueeze") ? LongAxes(v, i) : std::nullopt;
  int j = axes ? v.Maker(v.node(i).inputs[0]) : -1;
  r = j < 0 ? std::nullopt : ReductionOf(v, j);
  return r && !r->keepdims && !r->noop && r->axes == *axes ? Strings{"keep"} : Strings{};
}
Status RewriteKeepdims(Edit& e, int i, const std::string& argument) {
  const View& v = e.view();
  const Node& n = v.node(i);
  e.Remove(i);
  if (argument == "keep") {
    const Node& reduce = v.node(v.Maker(n.inputs[0]));
    AddReduce(e, "reduce", reduce.op, reduce.inputs[0], *LongAxes(v, i), true, {n.outputs[0]});
    return {};
  }
  std::vector<int64_t> axes = ReductionOf(v, i)->axes;
  AddUnsqueeze(e, "unsqueeze", AddReduce(e, "reduce", n.op, n.inputs[0], axes, false), axes,
               {n.outputs[0]});
  return {};
}

// ---- B17 ----
std::vector<int64_t> SpatialAxes(int rank) {
  std::vector<int64_t> axes;
  for (int a = 2; a < rank; ++a) axes.push_back(a);
  return axes;
}
Strings GlobalPoolArguments(const View& v, int i) {
  const Node& n = v.node(i);
  int rank = n.inputs.empty() ? -1 : v.Rank(n.inputs[0]);
  if (rank < 3 || !IsFloat(v.ElementType(n.inputs[0]))) return {};
  if (v.IsAny(i, {"GlobalAveragePool", "GlobalMaxPool"})) return {"reduce"};
  std::optional<ReducedAxes> r =
      v.IsAny(i, {"ReduceMean", "ReduceMax"}) ? ReductionOf(v, i) : std::nullopt;
  bool pools = r && r->keepdims && !r->noop && r->axes == SpatialAxes(rank) &&
               v.ElementType(n.inputs[0]) != DType::kBfloat16;
  return pools ? Strings{"pool"} : Strings{};
}
Status RewriteGlobalPool(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  if (argument == "pool") {
    const char* op = n.op == "ReduceMean" ? "GlobalAveragePool" : "GlobalMaxPool";
    e.AddMaking("pool", {n.outputs[0]}, op, {n.inputs[0]});
  } else {
    const char* op = n.op == "GlobalAveragePool" ? "ReduceMean" : "ReduceMax";
    AddReduce(e, "reduce", op, n.inputs[0], SpatialAxes(e.view().Rank(n.inputs[0])), true,
              {n.outputs[0]});
  }
  return {};
}

}  // namespace

std::vector<Transform> rewrites_reshape() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "B13",
                          .doc = "Flatten as Reshape (to known extents, or to [0,-1]), and back.",
                          .cite = "luludak/DiTOX passes.txt: eliminate_nop_flatten",
                          .precondition = "known extents; the Reshape cuts between two axes",
                          .ops = "Flatten,Reshape",
                          .example = R"(
graph(float[2,3,4] x) -> (float[6,4] y) {
  f = Flatten(x)
  s = int64[3] {2, 3, 4}
  b = Reshape(f, s)
  t = int64[2] {6, -1}
  y = Reshape(b, t)
})"},
                         FlattenArguments, RewriteFlatten));
  rows.push_back(OnNodes({.name = "B14",
                          .doc = "Squeeze and Unsqueeze as Reshape, and back.",
                          .cite = "uncited",
                          .precondition = "known extents (one may be open)",
                          .ops = "Squeeze,Unsqueeze,Reshape",
                          .example = R"(
graph(float[1,3,1] x) -> (float[3,1] y) {
  a = int64[1] {2}
  q = Squeeze(x, a)
  s = int64[2] {3, 1}
  y = Reshape(q, s)
})"},
                         SqueezeArguments, RewriteSqueeze));
  rows.push_back(OnNodes(
      {.name = "B15",
       .doc =
           "Consecutive Squeezes, Unsqueezes, Slices or Concats merged; Slices and Concats split.",
       .cite = "luludak/DiTOX passes.txt: fuse_consecutive_*",
       .precondition = "axes counted anew; Slices of different axes, Concats of the same",
       .ops = "Squeeze,Unsqueeze,Slice,Concat",
       .example = R"(
graph(float[2,3] x) -> (float[1,2,1,9] y) {
  a = int64[1] {0}
  b = int64[1] {2}
  c = Concat(x, x) {axis=1}
  d = Concat(x, c) {axis=1}
  u = Unsqueeze(d, a)
  y = Unsqueeze(u, b)
})"},
      ChainArguments, RewriteChain));
  rows.push_back(OnNodes({.name = "B16",
                          .doc = "Reduce without keepdims and Unsqueeze as Reduce with keepdims "
                                 "(keep), and back (split).",
                          .cite = "luludak/DiTOX passes.txt: fuse_consecutive_reduce_unsqueeze",
                          .precondition = "the axes are the same",
                          .ops = "Reduce*,Unsqueeze",
                          .example = R"(
graph(float[2,3] x) -> (float[2,1] y) {
  a = int64[1] {1}
  r = ReduceSum(x, a) {keepdims=0}
  u = Unsqueeze(r, a)
  y = ReduceMax(u) {axes=[1], keepdims=1}
})"},
                         KeepdimsArguments, RewriteKeepdims));
  rows.push_back(
      OnNodes({.name = "B17",
               .doc = "ReduceMean or ReduceMax over all spatial axes as a global pool, and back.",
               .cite = "uncited",
               .precondition = "axes 2 and up, kept",
               .ops = "ReduceMean,ReduceMax,GlobalAveragePool,GlobalMaxPool",
               .example = R"(
graph(float[1,2,3,4] x) -> (float[1,2,1,1] y) {
  m = ReduceMean(x) {axes=[2,3]}
  g = GlobalMaxPool(x)
  y = Add(m, g)
})"},
              GlobalPoolArguments, RewriteGlobalPool));
  return rows;
}

}  // namespace assay
