// Transpose (opset 1, 13): Y[i(perm(0)), i(perm(1)), ..] = X[i0, i1, ..]; without perm the axes are
// reversed.
#include <numeric>

#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

std::vector<int64_t> Perm(const Node& node, size_t rank) {
  if (node.Find("perm")) return node.Ints("perm");
  std::vector<int64_t> reversed(rank);
  for (size_t i = 0; i < rank; ++i) reversed[i] = static_cast<int64_t>(rank - 1 - i);
  return reversed;
}

void TransposeRule(RuleContext& c) {
  if (!c.Ranked(0)) {
    if (!c.HasAttr("perm")) return c.OutUnranked(0, c.dtype(0));
    return c.Out(0, c.dtype(0), std::vector<Dim>(c.Ints("perm").size()));
  }
  size_t rank = static_cast<size_t>(c.Rank(0));
  std::vector<int64_t> perm = Perm(c.node(), rank);
  c.Require(perm.size() == rank, "perm has one entry an axis");
  std::vector<bool> seen(rank, false);
  std::vector<Dim> out;
  for (int64_t a : perm) {
    bool fits = a >= 0 && a < static_cast<int64_t>(rank) && !seen[a];
    c.Require(fits, "perm is a permutation of the axes");
    if (!fits) return;
    seen[a] = true;
    out.push_back(c.In(0, static_cast<int>(a)));
  }
  c.Out(0, c.dtype(0), out);
}

Status TransposeKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> perm = Perm(c.node(), x.shape().size());
  Shape strides = Strides(x.shape()), out = c.out_shape(0);
  Walk walk{out, {}, Strides(out)};
  // Axes of extent 1 don't count: where the others keep their order nothing moves.
  bool moves = false;
  int64_t before = -1;
  for (size_t k = 0; k < perm.size(); ++k) {
    walk.from_step.push_back(strides[perm[k]]);
    if (out[k] == 1) continue;
    moves = moves || perm[k] < before;
    before = perm[k];
  }
  if (!moves) {
    c.Set(0, x.Reshaped(out));
    return {};
  }
  Tensor* y = TRY(c.Out(0));
  return CopyWalk(x, std::move(walk), *y);
}

bool DrawTranspose(Choices& choices, Draft& d) {
  d.attrs.clear();
  size_t rank = d.inputs[0].dims.size();
  if (rank == 0 || choices.Chance(0.15)) return true;  // reversed
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  if (rank == 4 && choices.Chance(0.4)) {
    perm = choices.PickOf<std::vector<int64_t>>(
        {{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 2, 1, 3}, {0, 1, 3, 2}});
  } else if (rank >= 2 && choices.Chance(0.4)) {
    std::swap(perm[rank - 1], perm[rank - 2]);
  } else {
    choices.Shuffle(perm);
  }
  d.Set("perm", perm);
  return true;
}

}  // namespace

std::vector<OpSpec> ops_transpose() {
  OpSpec row = Op("Transpose", 1)
                   .In("data", "T", kAll7)
                   .Out("transposed", "T", kAll7)
                   .Ints("perm", {.lo = 0, .hi = 5, .len_rank = 1, .len_const = 0})
                   .Rule(TransposeRule)
                   .Eval(TransposeKernel)
                   .Draw(DrawTranspose)
                   .Traits(kMovesData | kLayoutOnly | kWithinInputs)
                   .Class(Accuracy::kExact);
  std::vector<OpSpec> rows = {row};
  PushAllTypes(rows, row, "T", {13, 21, 23, 24, 25});
  return rows;
}

}  // namespace assay
