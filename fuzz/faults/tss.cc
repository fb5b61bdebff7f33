// TSS: faults of tensor shape and structure that move data: transposes and reshapes inserted, lost,
// mixed up.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

std::vector<int64_t> SwapPerm(int rank, int64_t a, int64_t b) {
  std::vector<int64_t> perm(rank);
  for (int i = 0; i < rank; ++i) perm[i] = i;
  std::swap(perm[a], perm[b]);
  return perm;
}
// Pairs "a,b" of axes of equal known extent > 1.
std::vector<std::string> EqualPairs(const View& v, const std::string& value) {
  std::vector<std::string> pairs;
  int rank = v.Rank(value);
  for (int a = 0; a < rank; ++a) {
    for (int b = a + 1; b < rank; ++b) {
      if (v.Extent(value, a) > 1 && v.Extent(value, a) == v.Extent(value, b))
        pairs.push_back(Join({a, b}));
    }
  }
  return pairs;
}
// Do axes longer than 1 (or of unknown extent) change their order?
bool MovesElements(const View& v, const std::string& x, const std::vector<int64_t>& perm) {
  int64_t last = -1;
  for (int64_t p : perm) {
    if (v.Extent(x, static_cast<int>(p)) == 1) continue;
    if (p < last) return true;
    last = p;
  }
  return false;
}

// ---- TSS_WRONG_PERM_EQUAL_DIMS ----
std::vector<std::string> PermArguments(const View& v, int i) {
  if (!PermOf(v, i)) return {};
  return EqualPairs(v, v.node(i).outputs[0]);
}
Status SwapPermEntries(Edit& e, int i, const std::string& argument) {
  std::vector<int64_t> perm = *PermOf(e.view(), i), axes = *ParseInts(argument);
  std::swap(perm[axes[0]], perm[axes[1]]);
  Node n = e.Copy(i);
  n.Set("perm", perm);
  e.Put(i, std::move(n));
  return {};
}

// ---- TSS_EXTRA_TRANSPOSE, TSS_HW_SWAP ----
std::vector<std::string> ExtraArguments(const View& v, int i) {
  const Node& n = v.node(i);
  if (n.outputs.empty() || n.outputs[0].empty() || v.Constant(n.outputs[0])) return {};
  return EqualPairs(v, n.outputs[0]);
}
Status InsertTranspose(Edit& e, int i, const std::string& argument) {
  const std::string& y = e.view().node(i).outputs[0];
  std::vector<int64_t> axes = *ParseInts(argument);
  std::vector<int64_t> perm = SwapPerm(e.view().Rank(y), axes[0], axes[1]);
  e.Behind(y, "before", [&](const std::string& in, const std::string& out) {
    e.AddMaking("transpose", {out}, "Transpose", {in}, {Attr("perm", perm)});
  });
  return {};
}
// Branch k of a Concat or of an Add of two values whose last two extents are equal.
std::vector<std::string> BranchArguments(const View& v, int i) {
  const Node& n = v.node(i);
  bool joins = v.Is(i, "Concat") ||
               (v.IsAny(i, {"Add", "Sum"}) && n.inputs.size() == 2 && !ConstantOperand(v, i));
  if (!joins || n.inputs.size() < 2) return {};
  std::vector<std::string> branches;
  for (size_t k = 0; k < n.inputs.size(); ++k) {
    int rank = v.Rank(n.inputs[k]);
    if (rank < 3 || v.Constant(n.inputs[k])) continue;
    int64_t h = v.Extent(n.inputs[k], rank - 2);
    if (h > 1 && h == v.Extent(n.inputs[k], rank - 1)) branches.push_back(std::to_string(k));
  }
  return branches;
}
Status SwapBranch(Edit& e, int i, const std::string& argument) {
  size_t k = static_cast<size_t>(*ParseInt(argument));
  const std::string& x = e.view().node(i).inputs[k];
  int rank = e.view().Rank(x);
  e.Reroute(i, k, AddTranspose(e, "hw", x, SwapPerm(rank, rank - 2, rank - 1)));
  return {};
}

// ---- TSS_FLATTEN_NO_TRANSPOSE, TSS_FLATTEN_EXTRA_TRANSPOSE ----
bool Flattens(const View& v, int i) {
  if (v.Is(i, "Flatten")) return true;
  const Tensor* shape = v.Is(i, "Reshape") ? v.ConstantInput(i, 1) : nullptr;
  return shape && std::none_of(shape->span<int64_t>().begin(), shape->span<int64_t>().end(),
                               [](int64_t d) { return d == 0; });
}
std::vector<std::string> LostTransposeArguments(const View& v, int i) {
  std::optional<std::vector<int64_t>> perm = PermOf(v, i);
  if (!perm || !MovesElements(v, v.node(i).inputs[0], *perm)) return {};
  int reader = v.OnlyReader(v.node(i).outputs[0]);
  if (reader < 0 || !Flattens(v, reader)) return {};
  return {"drop"};
}
Status DropTranspose(Edit& e, int i, const std::string&) {
  e.Bypass(i, e.view().node(i).inputs[0]);
  return {};
}
std::vector<std::string> FlattenArguments(const View& v, int i) {
  if (!Flattens(v, i)) return {};
  const std::string& x = v.node(i).inputs[0];
  int rank = v.Rank(x);
  if (rank < 2 || v.Constant(x)) return {};
  // Channels last; the same axes before the cut of Flatten, so that its two extents stay.
  int cut =
      v.Is(i, "Flatten") ? static_cast<int>(NormalizedAxis(v.node(i).Int("axis", 1), rank + 1)) : 1;
  std::vector<int64_t> perm;
  for (int a = 0; a < cut; ++a) perm.push_back(a);
  for (int a = cut + 1; a < rank; ++a) perm.push_back(a);
  if (cut < rank) perm.push_back(cut);
  if (cut < 0 || !MovesElements(v, x, perm)) return {};
  return {Join(perm)};
}
Status TransposeFirst(Edit& e, int i, const std::string& argument) {
  e.Reroute(i, 0, AddTranspose(e, "extra", e.view().node(i).inputs[0], *ParseInts(argument)));
  return {};
}

// ---- TSS_TRANSPOSE_AS_RESHAPE ----
std::vector<std::string> AsReshapeArguments(const View& v, int i) {
  std::optional<std::vector<int64_t>> perm = PermOf(v, i);
  if (!perm || !MovesElements(v, v.node(i).inputs[0], *perm)) return {};
  if (!ReshapeTarget(v, v.node(i).outputs[0])) return {};
  return {"reshape"};
}
Status ReshapeInstead(Edit& e, int i, const std::string&) {
  const Node& n = e.view().node(i);
  std::vector<int64_t> shape = *ReshapeTarget(e.view(), n.outputs[0]);
  e.Remove(i);
  AddReshape(e, "reshape", n.inputs[0], shape, {n.outputs[0]});
  return {};
}

// ---- TSS_PERM_COMPOSE_ORDER: q after p is p[q]; composed as q[p] ----
std::vector<std::string> ComposeArguments(const View& v, int i) {
  std::optional<std::vector<int64_t>> q = PermOf(v, i);
  int j = q ? v.Maker(v.node(i).inputs[0]) : -1;
  std::optional<std::vector<int64_t>> p = j < 0 ? std::nullopt : PermOf(v, j);
  if (!p) return {};
  for (size_t a = 0; a < p->size(); ++a) {
    if ((*p)[(*q)[a]] != (*q)[(*p)[a]]) return {"compose"};
  }
  return {};
}
Status ComposeWrongly(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  int j = v.Maker(v.node(i).inputs[0]);
  std::vector<int64_t> q = *PermOf(v, i), p = *PermOf(v, j), wrong(p.size());
  for (size_t a = 0; a < p.size(); ++a) wrong[a] = q[p[a]];
  Node n = e.Copy(i);
  n.Set("perm", wrong);
  n.inputs[0] = v.node(j).inputs[0];
  e.Put(i, std::move(n));
  return {};
}

// ---- TSS_RESHAPE_FLATTENED ----
std::vector<std::string> CollapseArguments(const View& v, int i) {
  if (!v.Is(i, "Reshape") || v.Constant(v.node(i).inputs[0])) return {};
  std::optional<Shape> shape = v.Extents(v.node(i).outputs[0]);
  if (!shape || shape->size() < 2) return {};
  for (size_t a = 0; a + 1 < shape->size(); ++a) {
    if ((*shape)[a] > 1) return {"collapse"};
  }
  return {};
}
Status Collapse(Edit& e, int i, const std::string&) {
  std::vector<int64_t> shape(e.view().Rank(e.view().node(i).outputs[0]), 1);
  shape.back() = -1;
  e.Reroute(i, 1, e.Ints("shape", shape));
  return {};
}

}  // namespace

std::vector<Transform> faults_tss() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "TSS_WRONG_PERM_EQUAL_DIMS",
               .doc = "Two entries of a Transpose's perm are swapped where the extents are equal.",
               .cite = "onnx/onnxmltools#719",
               .precondition = "equal extents > 1: no shape check sees it",
               .ops = "Transpose",
               .example = R"(
graph(float[1,3,3,2] x) -> (float[1,2,3,3] y) {
  y = Transpose(x) {perm=[0,3,1,2]}
})"},
              PermArguments, SwapPermEntries));
  rows.push_back(
      OnNodes({.name = "TSS_EXTRA_TRANSPOSE",
               .doc = "A Transpose of two axes of equal extent stands behind a node.",
               .cite = "MPolaris/onnx2tflite#98; onnx/tensorflow-onnx#1024; PINTO0309/onnx2tf#205",
               .precondition = "equal extents > 1",
               .ops = "Transpose",
               .example = R"(
graph(float[1,3,3] x) -> (float[1,3,3] y) {
  y = Softmax(x) {axis=2}
})"},
              ExtraArguments, InsertTranspose));
  rows.push_back(
      OnNodes({.name = "TSS_HW_SWAP",
               .doc = "Height and width are swapped on one branch before a Concat or Add.",
               .cite = "PINTO0309/onnx2tf#180",
               .precondition = "height = width > 1",
               .ops = "Transpose,Concat,Add",
               .example = R"(
graph(float[1,2,3,3] x) -> (float[1,4,3,3] y) {
  a = Relu(x)
  y = Concat(x, a) {axis=1}
})"},
              BranchArguments, SwapBranch));
  rows.push_back(OnNodes({.name = "TSS_FLATTEN_NO_TRANSPOSE",
                          .doc = "The Transpose before a Flatten or Reshape is lost.",
                          .cite = "microsoft/MMdnn#595; onnx/tensorflow-onnx#218",
                          .precondition = "it moves elements, and the flat extents stay",
                          .ops = "Transpose,Flatten,Reshape",
                          .example = R"(
graph(float[1,2,3,4] x) -> (float[1,24] y) {
  t = Transpose(x) {perm=[0,2,3,1]}
  y = Flatten(t) {axis=1}
})"},
                         LostTransposeArguments, DropTranspose));
  rows.push_back(OnNodes(
      {.name = "TSS_FLATTEN_EXTRA_TRANSPOSE",
       .doc = "A Transpose stands before a Flatten or Reshape that took its operand as it was.",
       .cite = "gmalivenko/onnx2keras#113",
       .precondition = "it moves elements; Reshape copies no extent",
       .ops = "Flatten,Transpose",
       .example = R"(
graph(float[1,2,3,4] x) -> (float[1,24] y) {
  y = Flatten(x) {axis=1}
})"},
      FlattenArguments, TransposeFirst));
  rows.push_back(OnNodes({.name = "TSS_TRANSPOSE_AS_RESHAPE",
                          .doc = "A Transpose is replaced by a Reshape to the same extents.",
                          .cite = "onnx/tensorflow-onnx#1749; onnx/tensorflow-onnx#226",
                          .precondition = "axes longer than 1 change their order",
                          .ops = "Transpose,Reshape",
                          .example = R"(
graph(float[2,3] x) -> (float[3,2] y) {
  y = Transpose(x) {perm=[1,0]}
})"},
                         AsReshapeArguments, ReshapeInstead));
  rows.push_back(OnNodes({.name = "TSS_PERM_COMPOSE_ORDER",
                          .doc = "Two Transposes are composed in the wrong order.",
                          .cite = "onnx/onnx#2446",
                          .precondition = "the permutations do not commute",
                          .ops = "Transpose",
                          .example = R"(
graph(float[2,2,2] x) -> (float[2,2,2] y) {
  t = Transpose(x) {perm=[1,0,2]}
  y = Transpose(t) {perm=[0,2,1]}
})"},
                         ComposeArguments, ComposeWrongly));
  rows.push_back(OnNodes({.name = "TSS_RESHAPE_FLATTENED",
                          .doc = "The target of a Reshape collapses to one long axis.",
                          .cite = "Tencent/ncnn#4342",
                          .precondition = "more than one axis is longer than 1",
                          .ops = "Reshape",
                          .example = R"(
graph(float[2,6] x) -> (float[4,3] y) {
  s = int64[2] {4, 3}
  y = Reshape(x, s)
})"},
                         CollapseArguments, Collapse));
  return rows;
}

}  // namespace assay
