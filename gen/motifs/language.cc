// Blocks of transformers, on [N,T,D].
#include "gen/motifs/layers.h"

namespace assay {
namespace {

int Linear(Sketch& s, int x, int64_t to) {
  if (x < 0) return Sketch::kRefused;
  int64_t k = s.shape(x).back();
  int y = s.Node("MatMul", {x, s.Weight(x, {k, to}, 1 / std::sqrt(static_cast<double>(k)))});
  return s.choices().Chance(0.6) ? s.Node("Add", {y, s.Weight(x, {to}, 0.3)}) : y;
}

// softmax(q k^T / sqrt(d)) v (Vaswani et al. 2017), the factor before or behind the product, with a
// mask now and then. `perm` swaps the last two axes.
int Attend(Sketch& s, int q, int k_transposed, int v, double d) {
  bool late = s.choices().Chance(0.6);
  if (!late) q = s.Node("Mul", {q, s.Scalar(q, 1 / std::sqrt(d))});
  int scores = s.Node("MatMul", {q, k_transposed});
  if (late) {
    scores = s.choices().Chance(0.5)
                 ? s.Node("Div", {scores, s.Scalar(scores, std::sqrt(d), {1, 2})})
                 : s.Node("Mul", {scores, s.Scalar(scores, 1 / std::sqrt(d))});
  }
  if (scores >= 0 && s.choices().Chance(0.3)) {
    Shape mask = {s.shape(scores)[s.shape(scores).size() - 2], s.shape(scores).back()};
    scores = s.Node("Add", {scores, s.Weight(scores, mask, 1, {-3, 0, false})});
  }
  int weights = s.Node("Softmax", {scores},
                       {{"axis", s.opset() < 13 ? (scores < 0 ? 1 : s.rank(scores) - 1) : -1}});
  return s.Node("MatMul", {weights, v});
}

int Attention(Sketch& s, int x) {
  int64_t d = s.choices().PickOf<int64_t>({2, 4, s.shape(x).back()});
  int q = Linear(s, x, d), k = Linear(s, x, d), v = Linear(s, x, d);
  int y =
      Attend(s, q, s.Node("Transpose", {k}, {{"perm", Shape{0, 2, 1}}}), v, static_cast<double>(d));
  return Linear(s, y, s.shape(x).back());
}

// [N,T,H*D] as [N,H,T,D] or, for keys, [N,H,D,T].
int Heads(Sketch& s, int x, int64_t heads, bool key) {
  if (x < 0) return x;
  Shape shape = s.shape(x);
  Shape split =
      s.choices().PickOf<Shape>({{0, 0, heads, -1}, {shape[0], shape[1], heads, shape[2] / heads}});
  return s.Node("Transpose", {s.Node("Reshape", {x, s.Vector(split)})},
                {{"perm", key ? Shape{0, 2, 3, 1} : Shape{0, 2, 1, 3}}});
}

int MultiHead(Sketch& s, int x) {
  int64_t heads = 2, d = s.choices().PickOf<int64_t>({1, 2, 3});
  int q = Heads(s, Linear(s, x, heads * d), heads, false),
      k = Heads(s, Linear(s, x, heads * d), heads, true);
  int v = Heads(s, Linear(s, x, heads * d), heads, false);
  int y = s.Node("Transpose", {Attend(s, q, k, v, static_cast<double>(d))},
                 {{"perm", Shape{0, 2, 1, 3}}});
  y = s.Node("Reshape", {y, s.Vector({0, 0, heads * d})});
  y = Linear(s, y, s.shape(x).back());
  return s.choices().Chance(0.6) ? s.Node("Add", {x, y}) : y;
}

int Norm(Sketch& s, int x) {
  if (x < 0) return x;
  Shape last = {s.shape(x).back()};
  int gamma = s.Weight(x, last, 1, {0.5, 1.5, true}), beta = s.Weight(x, last, 0.3);
  if (s.opset() >= 17 && s.choices().Chance(0.5))
    return s.Node("LayerNormalization", {x, gamma, beta}, {{"axis", -1}});
  int mean = s.Node("ReduceMean", {x}, {{"axes", Shape{-1}}, {"keepdims", 1}});
  int centred = s.Node("Sub", {x, mean});
  int variance = s.Node("ReduceMean", {s.Node("Mul", {centred, centred})},
                        {{"axes", Shape{-1}}, {"keepdims", 1}});
  int y = s.Sure("Div",
                 {centred, s.Sure("Sqrt", {s.Node("Add", {variance, s.Scalar(x, 1e-5, {1e-3})})})});
  return s.Node("Add", {s.Node("Mul", {y, gamma}), beta});
}

// x + W2 f(W1 norm(x)).
int NormMlp(Sketch& s, int x) {
  int64_t d = s.shape(x).back();
  int y = Linear(s, Norm(s, x), 2 * d);
  y = s.choices().Chance(0.5) ? s.Node("Relu", {y}) : s.Node("Mul", {y, s.Node("Sigmoid", {y})});
  return s.Node("Add", {x, Linear(s, y, d)});
}

// Half of the channels gates the other half (Shazeer 2020).
int Gated(Sketch& s, int x) {
  int64_t d = s.choices().Between(1, 5);
  int both = Linear(s, x, 2 * d);
  if (both < 0) return both;
  int first = s.Node("Split", {both}, {{"axis", s.rank(both) - 1}, {"split", Shape{d, d}}}, 2);
  if (first < 0) return first;
  int gate = s.Node("Sigmoid", {first});
  if (s.choices().Chance(0.5)) gate = s.Node("Mul", {gate, first});
  return s.Node("Mul", {gate, first + 1});
}

// Rows of a table by constant places, added to x.
int Positions(Sketch& s, int x) {
  Shape shape = s.shape(x);
  Tensor places = Tensor::Make(DType::kInt64, {shape[1]}).value();
  for (int64_t i = 0; i < shape[1]; ++i) places.Set(i, static_cast<double>(s.choices().Below(8)));
  int table = s.Weight(x, {8, shape[2]}, 0.5);
  return s.Node("Add", {x, s.Node("Gather", {table, s.Constant(places)}, {{"axis", 0}})});
}

}  // namespace

std::vector<Motif> motifs_language() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int min_rank = 3,
                int max_rank = 3) {
    return Motif{.name = name,
                 .doc = doc,
                 .tags = kLanguage,
                 .min_rank = min_rank,
                 .max_rank = max_rank,
                 .build = build};
  };
  Motif bait = row("attention_bait", "attention of one head, exact or nearly", Attention);
  bait.kind = MotifKind::kBait;
  bait.tags = kFusion;
  return {row("attention", "attention of one head", Attention),
          bait,
          row("multi_head_attention", "attention of two heads by Reshape and Transpose", MultiHead),
          row("norm_mlp", "normalisation, two layers, a skip connection", NormMlp, 2),
          row("gated_unit", "half of the channels gates the other half", Gated, 2, 4),
          row("positions", "rows of a table added", Positions)};
}

}  // namespace assay
