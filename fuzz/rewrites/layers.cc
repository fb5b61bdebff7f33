// Rewrites of linear layers among themselves: Einsum (B37), bias halves of recurrent layers (B48),
// permuted hidden channels (B51), projections of one input merged (B54).
#include <algorithm>
#include <map>

#include "fuzz/fold.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

// ---- B37: "..ab,..bc->..ac" and its transposed right operand ----
// "": no MatMul; "matmul" or "transpose_b".
std::string EinsumAsMatMul(const View& v, int i) {
  if (!v.Is(i, "Einsum") || v.node(i).inputs.size() != 2) return "";
  std::string equation;
  for (char c : v.node(i).String("equation", "")) {
    if (c != ' ') equation += c;
  }
  size_t comma = equation.find(','), arrow = equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos ||
      equation.find('.') != std::string::npos)
    return "";
  std::string a = equation.substr(0, comma), b = equation.substr(comma + 1, arrow - comma - 1);
  std::string y = equation.substr(arrow + 2);
  size_t r = a.size();
  if (r < 2 || b.size() != r || y.size() != r) return "";
  for (const std::string* s : {&a, &b, &y}) {  // no label twice in an operand
    std::string sorted = *s;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) return "";
  }
  std::string batch = a.substr(0, r - 2);
  if (b.substr(0, r - 2) != batch || y.substr(0, r - 2) != batch) return "";
  char m = a[r - 2], k = a[r - 1];
  if (y[r - 2] != m || y[r - 1] == k || y[r - 1] == m) return "";
  char n = y[r - 1];
  if (b[r - 2] == k && b[r - 1] == n) return "matmul";
  return b[r - 2] == n && b[r - 1] == k ? "transpose_b" : "";
}
Strings EinsumArguments(const View& v, int i) {
  std::string how = EinsumAsMatMul(v, i);
  if (how.empty() || !Contains(kFloats16 | kInts32_64, v.ElementType(v.node(i).inputs[0])))
    return {};
  // Extents 1 broadcast in MatMul as in Einsum for batch axes only.
  const std::string &a = v.node(i).inputs[0], &b = v.node(i).inputs[1];
  int64_t k = v.Extent(a, v.Rank(a) - 1),
          other = v.Extent(b, v.Rank(b) - (how == "matmul" ? 2 : 1));
  return k > 0 && k == other ? Strings{how} : Strings{};
}
Status RewriteEinsum(Edit& e, int i, const std::string& argument) {
  const Node& n = e.view().node(i);
  e.Remove(i);
  std::string b = n.inputs[1];
  if (argument == "transpose_b") {
    std::vector<int64_t> perm;
    for (int a = 0; a < e.view().Rank(b); ++a) perm.push_back(a);
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    b = AddTranspose(e, "transposed", b, perm);
  }
  e.AddMaking("matmul", {n.outputs[0]}, "MatMul", {n.inputs[0], b});
  return {};
}

// ---- B48: B = [Wb, Rb] -> [Wb + Rb, 0] ----
Strings BiasHalvesArguments(const View& v, int i) {
  if (!v.IsAny(i, {"LSTM", "GRU", "RNN"})) return {};
  if (v.Is(i, "GRU") && v.node(i).Int("linear_before_reset", 0) != 0) return {};
  const Tensor* b = v.ConstantInput(i, 3);
  return IsFloatTensor(b) && b->rank() == 2 && b->dim(1) % 2 == 0 ? Strings{"merge"} : Strings{};
}
Status MergeHalves(Edit& e, int i, const std::string&) {
  const Tensor& old = *e.view().ConstantInput(i, 3);
  std::vector<double> values = Doubles(old);
  size_t half = static_cast<size_t>(old.dim(1) / 2);
  for (size_t row = 0; row < values.size(); row += 2 * half) {
    for (size_t j = row; j < row + half; ++j) {
      values[j] += values[j + half];
      values[j + half] = 0;
    }
  }
  std::optional<Tensor> t = Rounded(old.dtype(), old.shape(), values);
  if (!t) return DoesNotApply("a folded constant is not finite");
  e.PutConstant(i, 3, "bias", *t);
  return {};
}

// ---- B51 ----
// The layer whose channels, passed on one by one, are the inputs of layer i.
struct Hidden {
  Linear first;
  std::vector<int> norms;  // BatchNormalizations between
};
std::optional<Hidden> HiddenBefore(const View& v, int i) {
  constexpr int kMostBetween = 4;
  bool conv = v.Is(i, "Conv") && v.node(i).Int("group", 1) == 1;
  if ((!conv && !v.IsAny(i, {"Gemm", "MatMul"})) || !IsFloatTensor(v.ConstantInput(i, 1)))
    return std::nullopt;
  int rank = v.ConstantInput(i, 1)->rank();
  if (v.node(i).Int("transA", 0) != 0 || (conv ? rank < 3 : rank != 2)) return std::nullopt;
  Hidden h;
  std::string x = v.node(i).inputs[0];
  int reader = i;
  for (int step = 0; step <= kMostBetween; ++step) {
    int j = v.Maker(x);
    if (j < 0 || v.OnlyReader(x) != reader) return std::nullopt;
    std::optional<Linear> l = LinearAt(v, j);
    if (l) {
      bool same = conv ? l->op == LinearOp::kConv && l->group == 1
                       : l->op == LinearOp::kGemm || l->op == LinearOp::kMatMul;
      if (!same || l->channels < 2) return std::nullopt;
      // A bias that is one number serves every order.
      h.first = *l;
      return h;
    }
    bool pools = conv && v.IsAny(j, {"MaxPool", "AveragePool"}) && v.node(j).outputs.size() == 1;
    std::optional<BatchNorm> norm = BatchNormOf(v, j);
    if (norm && (conv || v.Rank(x) == 2))
      h.norms.push_back(j);
    else if (!IsPointwise(v, j) && !pools)
      return std::nullopt;
    x = v.node(j).inputs[0];
    reader = j;
  }
  return std::nullopt;
}
// The tensor with the entries of an axis in reverse order.
Tensor ReversedAxis(const Tensor& t, int axis) {
  int64_t inner = t.element_bytes(), extent = t.dim(axis);
  for (int a = axis + 1; a < t.rank(); ++a) inner *= t.dim(a);
  Tensor out = Tensor::Make(t.dtype(), t.shape()).value();
  for (int64_t at = 0; at * inner < t.bytes(); ++at) {
    int64_t block = at / extent * extent;
    std::copy_n(t.raw() + (block + extent - 1 - at % extent) * inner, inner,
                out.mutable_raw() + at * inner);
  }
  return out;
}
int InputAxis(const View& v, int i) {
  if (v.Is(i, "Conv")) return 1;
  return v.Is(i, "Gemm") && v.node(i).Int("transB", 0) != 0 ? 1 : 0;
}
Strings PermuteArguments(const View& v, int i) {
  std::optional<Hidden> h = HiddenBefore(v, i);
  bool fits = h && v.ConstantInput(i, 1)->dim(InputAxis(v, i)) == h->first.channels;
  return fits ? Strings{"reverse"} : Strings{};
}
Status PermuteHidden(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  Hidden h = *HiddenBefore(v, i);
  int first = h.first.node;
  e.PutConstant(first, 1, "weight1", ReversedAxis(*h.first.weights, h.first.column_axis));
  if (h.first.has_bias) {
    const Tensor& bias = *v.ConstantInput(first, 2);
    if (bias.size() > 1) e.PutConstant(first, 2, "bias1", ReversedAxis(bias, bias.rank() - 1));
  }
  for (size_t k = 0; k < h.norms.size(); ++k) {
    for (size_t slot = 1; slot <= 4; ++slot) {
      std::string what = "norm" + std::to_string(k) + "_" + std::to_string(slot);
      e.PutConstant(h.norms[k], slot, what, ReversedAxis(*v.ConstantInput(h.norms[k], slot), 0));
    }
  }
  e.PutConstant(i, 1, "weight2", ReversedAxis(*v.ConstantInput(i, 1), InputAxis(v, i)));
  return {};
}

// ---- B54 ----
// An earlier MatMul of the same left operand with a constant right one of rank 2; -1: none.
int SiblingOf(const View& v, int i) {
  auto projects = [&](int j) {
    const Tensor* w = v.Is(j, "MatMul") ? v.ConstantInput(j, 1) : nullptr;
    return IsFloatTensor(w) && w->rank() == 2 && w->size() > 0 && v.Rank(v.node(j).inputs[0]) >= 2;
  };
  if (!projects(i) || v.Constant(v.node(i).inputs[0])) return -1;
  for (int j : v.Readers(v.node(i).inputs[0])) {
    if (j >= i) break;
    if (projects(j) && v.node(j).inputs[0] == v.node(i).inputs[0]) return j;
  }
  return -1;
}
Strings MergeArguments(const View& v, int i) {
  return SiblingOf(v, i) >= 0 ? Strings{"merge"} : Strings{};
}
Status MergeProjections(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  int j = SiblingOf(v, i);
  const Tensor &a = *v.ConstantInput(j, 1), &b = *v.ConstantInput(i, 1);
  int64_t k = a.dim(0), m = a.dim(1), n = b.dim(1), bytes = a.element_bytes();
  Tensor both = Tensor::Make(a.dtype(), {k, m + n}).value();
  for (int64_t row = 0; row < k; ++row) {
    std::copy_n(a.raw() + row * m * bytes, m * bytes, both.mutable_raw() + row * (m + n) * bytes);
    std::copy_n(b.raw() + row * n * bytes, n * bytes,
                both.mutable_raw() + (row * (m + n) + m) * bytes);
  }
  e.Remove(i);
  e.Remove(j);
  e.At(j);
  std::string product =
      e.Add("matmul", "MatMul", {v.node(i).inputs[0], e.Constant("weights", std::move(both))});
  int64_t axis = v.Rank(v.node(i).outputs[0]) - 1;
  AddSplit(e, "parts", product, axis, {m, n}, {v.node(j).outputs[0], v.node(i).outputs[0]});
  return {};
}

}  // namespace

std::vector<Transform> rewrites_layers() {
  std::vector<Transform> rows;
  rows.push_back(OnNodes({.name = "B37",
                          .doc = "Einsum that is a matrix product as MatMul, with a Transpose "
                                 "where the right operand needs it.",
                          .cite = "luludak/DiTOX passes.txt: replace_einsum_with_matmul",
                          .precondition = "\"..ab,..bc->..ac\" or \"..ab,..cb->..ac\"",
                          .ops = "Einsum,MatMul",
                          .example = R"(
graph(float[2,3,4] x, float[2,5,4] z) -> (float[2,3,5] y) {
  y = Einsum(x, z) {equation="bij,bkj->bik"}
})"},
                         EinsumArguments, RewriteEinsum));
  rows.push_back(
      OnNodes({.name = "B48",
               .doc = "Both halves of the bias of a recurrent layer added up in the first.",
               .cite = "onnx/keras-onnx#98; onnx/keras-onnx#33",
               .precondition = "not GRU with linear_before_reset",
               .ops = "LSTM,GRU,RNN",
               .example = R"(
graph(float[2,1,2] x) -> (float[2,1,1,1] y) {
  w = float[1,1,2] {0.5, -0.4}
  r = float[1,1,1] {0.3}
  b = float[1,2] {0.25, 0.125}
  y = RNN(x, w, r, b) {hidden_size=1}
})"},
              BiasHalvesArguments, MergeHalves));
  rows.push_back(
      OnNodes({.name = "B51",
               .doc = "The hidden channels between two layers in reverse order.",
               .cite = "uncited",
               .precondition = "only channel-wise operators between, each read once; group 1",
               .ops = "Conv,Gemm,MatMul,Relu,BatchNormalization",
               .example = R"(
graph(float[2,2] x) -> (float[2,2] y) {
  a = float[2,3] {1, 2, 3, 4, 5, 6}
  c = float[3] {0.1, -0.2, 0.3}
  b = float[3,2] {1, -2, 3, -4, 5, -6}
  h = Gemm(x, a, c)
  r = Relu(h)
  y = MatMul(r, b)
})"},
              PermuteArguments, PermuteHidden));
  rows.push_back(OnNodes({.name = "B54",
                          .doc = "Two projections of one value merged in one MatMul and a Split.",
                          .cite = "luludak/DiTOX passes.txt: fuse_qkv",
                          .precondition = "constant weights of rank 2",
                          .ops = "MatMul",
                          .example = R"(
graph(float[2,2] x) -> (float[2,5] y) {
  a = float[2,3] {1, 2, 3, 4, 5, 6}
  b = float[2,2] {1, -2, 3, -4}
  p = MatMul(x, a)
  q = MatMul(x, b)
  y = Concat(p, q) {axis=1}
})"},
                         MergeArguments, MergeProjections));
  return rows;
}

}  // namespace assay
