// Functions spelled out in elementary operators, which optimizers recognise and fuse.
#include "gen/motifs/layers.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);

// Some number near `v` that is not it.
std::vector<double> Near(double v) { return {v * 1.01, v * 2, 1}; }

int Square(Sketch& s, int x) {
  if (s.choices().Chance(0.4)) return s.Node("Mul", {x, x});
  // Even and odd powers are defined everywhere.
  return s.Sure("Pow", {x, s.Scalar(x, 2, {3, 1})});
}

int Mean(Sketch& s, int x, const std::vector<int64_t>& axes) {
  return s.Node("ReduceMean", {x}, {{"axes", axes}, {"keepdims", 1}});
}

int Epsilon(Sketch& s, int like) {
  return s.Scalar(like, s.choices().PickOf({1e-5, 1e-5, 1e-6, 1e-12}), {1e-3, 0.1});
}

// gamma * (x - mean) / sqrt(variance + epsilon) + beta over the last axes.
int Normalized(Sketch& s, int x, const std::vector<int64_t>& axes) {
  int centred = s.Node("Sub", {x, Mean(s, x, axes)});
  int variance = Mean(s, Square(s, centred), axes);
  int deviation = s.Sure("Sqrt", {s.Node("Add", {variance, Epsilon(s, variance)})});
  if (s.choices().Chance(0.8)) return s.Sure("Div", {centred, deviation});
  return s.Node("Mul", {centred, s.Sure("Reciprocal", {deviation})});
}

int LayerNorm(Sketch& s, int x) {
  Shape last = {s.shape(x).back()};
  int y = Normalized(s, x, {s.choices().Chance(0.7) ? -1 : s.rank(x) - 1});
  y = s.Node("Mul", {y, s.Weight(x, last, 1, {0.5, 1.5, true})});
  return s.Node("Add", {y, s.Weight(x, last, 0.3)});
}

int SkipLayerNorm(Sketch& s, int x) {
  int sum = s.Node("Add", {x, s.Node(s.choices().PickOf({"Tanh", "Relu", "Neg"}), {x})});
  if (s.choices().Chance(0.5)) sum = s.Node("Add", {sum, s.Weight(x, {s.shape(x).back()}, 0.3)});
  return sum < 0 ? sum : LayerNorm(s, sum);
}

int InstanceNorm(Sketch& s, int x) {
  std::vector<int64_t> axes;
  for (int i = 2; i < s.rank(x); ++i) axes.push_back(i);
  return Normalized(s, x, axes);
}

// x / sqrt(mean(x^2) + epsilon) * gamma.
int RmsNorm(Sketch& s, int x) {
  int mean = Mean(s, Square(s, x), {-1});
  int root = s.Sure("Sqrt", {s.Node("Add", {mean, Epsilon(s, mean)})});
  int y = s.choices().Chance(0.5) ? s.Sure("Div", {x, root})
                                  : s.Node("Mul", {x, s.Sure("Reciprocal", {root})});
  return s.Node("Mul", {s.Weight(x, {s.shape(x).back()}, 1, {0.5, 1.5, true}), y});
}

// x / max(|x|, epsilon).
int L2Norm(Sketch& s, int x) {
  int length = s.Node("ReduceL2", {x}, {{"axes", Shape{-1}}, {"keepdims", 1}});
  return s.Sure("Div", {x, s.Node("Max", {length, s.Scalar(x, 1e-3, {0.1, 1})})});
}

// Gaussian error linear unit (Hendrycks and Gimpel 2016), by erf; the half in one of three places.
int GeluErf(Sketch& s, int x) {
  int scaled = s.choices().Chance(0.6)
                   ? s.Node("Div", {x, s.Scalar(x, 1.4142135381698608, Near(1.414))})
                   : s.Node("Mul", {x, s.Scalar(x, 0.7071067690849304)});
  int one = s.Node("Add", {s.Node("Erf", {scaled}), s.Scalar(x, 1)});
  switch (s.choices().Below(3)) {
    case 0:
      return s.Node("Mul", {s.Node("Mul", {x, one}), s.Scalar(x, 0.5)});
    case 1:
      return s.Node("Mul", {s.Node("Mul", {x, s.Scalar(x, 0.5)}), one});
    default:
      return s.Node("Mul", {x, s.Node("Mul", {one, s.Scalar(x, 0.5)})});
  }
}

// The same by tanh.
int GeluTanh(Sketch& s, int x) {
  int cube = s.choices().Chance(0.5) ? s.Sure("Pow", {x, s.Scalar(x, 3, {2})})
                                     : s.Node("Mul", {x, s.Node("Mul", {x, x})});
  int inner = s.Node("Add", {x, s.Node("Mul", {cube, s.Scalar(x, 0.044714998453855515)})});
  int t = s.Node("Tanh", {s.Node("Mul", {inner, s.Scalar(x, 0.7978845834732056)})});
  int one = s.Node("Add", {t, s.Scalar(x, 1)});
  return s.Node("Mul", {s.Node("Mul", {x, one}), s.Scalar(x, 0.5)});
}

int QuickGelu(Sketch& s, int x) {
  return s.Node("Mul", {x, s.Node("Sigmoid", {s.Node("Mul", {x, s.Scalar(x, 1.702)})})});
}
int Silu(Sketch& s, int x) { return s.Node("Mul", {x, s.Node("Sigmoid", {x})}); }
int Mish(Sketch& s, int x) { return s.Node("Mul", {x, s.Node("Tanh", {s.Node("Softplus", {x})})}); }

int ClippedPlusThree(Sketch& s, int x) {
  int y = s.Node("Add", {x, s.Scalar(x, 3)});
  if (s.choices().Chance(0.6)) return s.Node("Clip", {y}, {{"min", 0.0f}, {"max", 6.0f}});
  return s.Node("Min", {s.Node("Relu", {y}), s.Scalar(x, 6)});
}
int HardSwish(Sketch& s, int x) {
  int gate = ClippedPlusThree(s, x);
  if (s.choices().Chance(0.5))
    return s.Node("Mul", {x, s.Node("Div", {gate, s.Scalar(x, 6, Near(6))})});
  return s.Node("Div", {s.Node("Mul", {x, gate}), s.Scalar(x, 6, Near(6))});
}
int HardSigmoid(Sketch& s, int x) {
  return s.Node("Div", {ClippedPlusThree(s, x), s.Scalar(x, 6, Near(6))});
}
int HardSwishOfHardSigmoid(Sketch& s, int x) {
  float alpha = s.choices().PickOf({1.0f / 6, 1.0f / 6, 0.2f});
  return s.Node("Mul", {x, s.Node("HardSigmoid", {x}, {{"alpha", alpha}, {"beta", 0.5f}})});
}

// log(1 + exp(x)).
int Softplus(Sketch& s, int x) {
  return s.Node("Log", {s.Node("Add", {s.Node("Exp", {x}), s.Scalar(x, 1, {2, 1.5})})});
}
int Softsign(Sketch& s, int x) {
  return s.Node("Div", {x, s.Node("Add", {s.Node("Abs", {x}), s.Scalar(x, 1, {2, 1.01})})});
}

std::vector<Param> LastAxis() { return {{"axes", Shape{-1}}, {"keepdims", 1}}; }

// log(sum(exp(x - max))) + max.
int LogSumExp(Sketch& s, int x) {
  int largest = s.Node("ReduceMax", {x}, LastAxis());
  int sum = s.Node("ReduceSum", {s.Node("Exp", {s.Node("Sub", {x, largest})})}, LastAxis());
  return s.Node("Add", {s.Sure("Log", {sum}), largest});
}
int Softmax(Sketch& s, int x) {
  int e = s.Node("Exp", {s.Node("Sub", {x, s.Node("ReduceMax", {x}, LastAxis())})});
  return s.Sure("Div", {e, s.Node("ReduceSum", {e}, LastAxis())});
}

// Comparisons, and what negates them.
int NotLess(Sketch& s, int x) {
  int other = s.Weight(x, {s.shape(x).back()});
  return s.Node("Not", {s.Node(s.choices().PickOf({"Less", "Greater", "Equal"}), {x, other})});
}

// sqrt(x^2) is |x|.
int RootOfSquare(Sketch& s, int x) { return s.Sure("Sqrt", {s.Node("Mul", {x, x})}); }

}  // namespace

std::vector<Motif> motifs_fusion() {
  auto row = [](const char* name, const char* doc, int (*build)(Sketch&, int), int since = 7,
                int min_rank = 1) {
    return Motif{.name = name,
                 .kind = MotifKind::kBait,
                 .doc = doc,
                 .tags = kFusion,
                 .types = kReals,
                 .min_rank = min_rank,
                 .since = since,
                 .build = build};
  };
  // With a bound that nothing may reach.
  auto bounded = [&](const char* name, const char* doc, int (*build)(Sketch&, int)) {
    Motif m = row(name, doc, build);
    m.allow.dull = true;
    return m;
  };
  return {row("layer_norm", "LayerNormalization spelled out", LayerNorm),
          row("skip_layer_norm", "a sum, and its LayerNormalization spelled out", SkipLayerNorm),
          row("instance_norm", "InstanceNormalization spelled out", InstanceNorm, 7, 3),
          row("rms_norm", "RMSNormalization spelled out", RmsNorm),
          row("l2_norm", "a vector divided by its length", L2Norm),
          row("gelu_erf", "Gelu by erf", GeluErf, 9),
          row("gelu_tanh", "Gelu by tanh", GeluTanh),
          row("quick_gelu", "x sigmoid(1.702 x)", QuickGelu),
          row("silu", "x sigmoid(x)", Silu),
          row("mish", "x tanh(softplus(x))", Mish),
          bounded("hard_swish", "HardSwish by Add, Clip, Mul, Div", HardSwish),
          bounded("hard_sigmoid", "HardSigmoid by Add, Clip, Div", HardSigmoid),
          row("hard_swish_sigmoid", "HardSwish by HardSigmoid", HardSwishOfHardSigmoid),
          row("softplus", "log(1 + exp(x))", Softplus),
          row("softsign", "x / (1 + |x|)", Softsign),
          row("log_sum_exp", "ReduceLogSumExp spelled out", LogSumExp),
          row("softmax", "Softmax spelled out", Softmax),
          row("not_less", "Not of a comparison", NotLess, 9),
          row("root_of_square", "|x| as a root", RootOfSquare)};
}

}  // namespace assay
