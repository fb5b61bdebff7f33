#include "gen/fresh_weights.h"

#include <algorithm>
#include <cmath>

#include "interp/choices.h"
#include "interp/infer.h"

namespace assay {
namespace {

// How the elements of one weight are drawn.
struct Law {
  enum Kind : uint8_t { kKeep, kNormal, kUniform } kind = kKeep;
  double a = 0, b = 0;  // kNormal: mean, deviation; kUniform: lo, hi
};
Law Normal(double deviation) { return {Law::kNormal, 0, deviation}; }
Law Uniform(double lo, double hi) { return {Law::kUniform, lo, hi}; }

constexpr double kBias = 0.05;  // deviation of biases
const Law kScale = Uniform(0.8, 1.2);
constexpr double kScaleSquare = 1.0133;  // mean square of scales

// What is estimated of an activation's elements, taken as normal. Without libm: the weights that
// follow from it have to be the same on every machine.
struct Moments {
  double mean = 0, variance = 1;
  double Square() const { return mean * mean + variance; }
};

// Of max(0, x). The normal density and distribution function to a few percent.
Moments Rectified(const Moments& m) {
  double deviation = std::sqrt(std::max(m.variance, 1e-12)), a = m.mean / deviation, q = a * a;
  double density = 0.3989 / (1 + q * (0.5 + q * (0.125 + q * 0.021)));
  double below = 0.5 + 0.5 * a / std::sqrt(q + 1.57);
  double mean = m.mean * below + deviation * density;
  double square = m.Square() * below + m.mean * deviation * density;
  return {mean, std::max(0.05 * square, square - mean * mean)};
}
// Of the highest of about six.
Moments Highest(const Moments& m) {
  return {m.mean + 1.2 * std::sqrt(std::max(0.0, m.variance)), 0.45 * m.variance};
}

struct Weight {
  DType dtype;
  Shape shape;
  bool made = false;  // by a ConstantOfShape node; else an initializer
  Law law;
};

bool IsLayout(const std::string& op) {
  for (const char* n :
       {"Reshape", "Unsqueeze", "Squeeze", "Transpose", "Flatten", "Identity", "Expand"}) {
    if (op == n) return true;
  }
  return false;
}

uint64_t HashOf(const std::string& s) {
  uint64_t h = 0;
  for (char c : s) h = Mix(h ^ static_cast<uint8_t>(c));
  return h;
}

// Sum of four 16-bit uniforms out of one draw: bell-shaped, mean 0, variance 1, cut off at 3.5.
inline double QuickNormal(uint64_t bits) {
  int64_t sum = static_cast<int64_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                     ((bits >> 32) & 0xffff) + (bits >> 48));
  return (static_cast<double>(sum) / 65536.0 - 2.0) * 1.7320508075688772;
}

template <class Store>
void Fill(uint64_t seed, const Law& law, int64_t n, Store&& store) {
  Choices choices(seed);
  for (int64_t i = 0; i < n; ++i) {
    if (law.kind == Law::kNormal)
      store(i, law.a + law.b * QuickNormal(choices.Bits()));
    else
      store(i, choices.Uniform(law.a, law.b));
  }
}

Result<Tensor> Draw(uint64_t seed, const Weight& w) {
  Tensor t = TRY(Tensor::Make(w.dtype, w.shape));
  if (w.dtype == DType::kFloat) {
    float* data = t.mutable_data<float>();
    Fill(seed, w.law, t.size(), [data](int64_t i, double v) { data[i] = static_cast<float>(v); });
  } else {
    Fill(seed, w.law, t.size(), [&t](int64_t i, double v) { t.Set(i, v); });
  }
  return t;
}

class Redraw {
 public:
  explicit Redraw(const Model& model) : model_(model) {
    // Before IR 4 every initializer was listed as an input too, as a default that may be
    // overridden. A network with weights of its own has none of these.
    Graph& g = model_.graph;
    std::erase_if(g.inputs,
                  [&](const ValueInfo& v) { return g.FindInitializer(v.name) != nullptr; });
    model_.ir_version = std::max<int64_t>(model_.ir_version, 4);
  }

  Result<Model> Run(uint64_t seed) {
    known_ = TRY(Infer(model_));
    order_ = TRY(Sorted(model_.graph));
    CollectWeights();
    for (const NodePtr& n : order_) Visit(*n);
    return Rewrite(seed);
  }

 private:
  void CollectWeights() {
    for (const Initializer& i : model_.graph.initializers) {
      if (IsFloat(i.value.dtype()))
        weights_[i.name] = {i.value.dtype(), i.value.shape(), false, {}};
    }
    for (const NodePtr& n : order_) {
      auto type =
          n->op == "ConstantOfShape" ? known_.types.find(n->outputs[0]) : known_.types.end();
      if (type != known_.types.end() && IsFloat(type->second.dtype) && type->second.Static()) {
        // Whatever its role: such a constant stands for a weight.
        weights_[n->outputs[0]] = {type->second.dtype, type->second.StaticShape(), true,
                                   Normal(kBias)};
      }
    }
    for (const auto& [name, w] : weights_) root_[name] = name;
  }

  // ---- laws ----

  Weight* WeightAt(const Node& n, size_t input) {
    if (!n.HasInput(input)) return nullptr;
    auto it = root_.find(n.inputs[input]);
    return it == root_.end() ? nullptr : &weights_[it->second];
  }
  void Give(const Node& n, size_t input, Law law) {
    Weight* w = WeightAt(n, input);
    if (w) w->law = law;
  }
  Shape ShapeOf(const Node& n, size_t input) const {
    auto it = n.HasInput(input) ? known_.types.find(n.inputs[input]) : known_.types.end();
    return it != known_.types.end() && it->second.Static() ? it->second.StaticShape() : Shape{};
  }
  Moments MomentsOf(const Node& n, size_t input) const {
    auto it = n.HasInput(input) ? moments_.find(n.inputs[input]) : moments_.end();
    return it == moments_.end() ? Moments{} : it->second;
  }
  // Estimated mean square of an input's elements.
  double Square(const Node& n, size_t input) const {
    return std::clamp(MomentsOf(n, input).Square(), 1e-6, 1e6);
  }

  // Weights so that the output has variance 1.
  Moments Product(const Node& n, size_t x, size_t w, double fan_in, int bias) {
    if (bias > 0) Give(n, static_cast<size_t>(bias), Normal(kBias));
    fan_in = std::max(1.0, fan_in);
    if (!WeightAt(n, w)) return {0, fan_in * Square(n, x) * Square(n, w)};
    Give(n, w, Normal(std::sqrt(1.0 / (fan_in * Square(n, x)))));
    return {0, 1 + kBias * kBias};
  }
  Moments VisitConv(const Node& n) {
    Shape w = ShapeOf(n, 1);
    if (w.size() < 3) return {};
    double taps = static_cast<double>(ElementCount(w)) /
                  static_cast<double>(std::max<int64_t>(1, w[0] * w[1]));
    double channels = static_cast<double>(w[1]);
    if (n.op == "ConvTranspose") {
      channels =
          static_cast<double>(w[0]) / static_cast<double>(std::max<int64_t>(1, n.Int("group", 1)));
      for (int64_t s : n.Ints("strides")) taps /= static_cast<double>(std::max<int64_t>(1, s));
    }
    return Product(n, 0, 1, std::max(1.0, taps) * channels, 2);
  }
  Moments VisitMatMul(const Node& n) {
    bool gemm = n.op == "Gemm", left = WeightAt(n, 0) && !WeightAt(n, 1);
    Shape w = ShapeOf(n, left ? 0 : 1);
    if (w.empty()) return {};
    bool last = gemm ? (left ? !n.Int("transA", 0) : n.Int("transB", 0) != 0) : left;
    int64_t inner = last || w.size() < 2 ? w.back() : w[w.size() - 2];
    return Product(n, left ? 1 : 0, left ? 0 : 1, static_cast<double>(inner), gemm ? 2 : -1);
  }
  Moments VisitNorm(const Node& n) {
    Give(n, 1, kScale);
    Give(n, 2, Normal(kBias));
    if (n.op != "BatchNormalization") return {0, kScaleSquare + kBias * kBias};
    Moments m = MomentsOf(n, 0);
    double square = Square(n, 0);
    Give(n, 3, Normal(kBias * std::sqrt(square)));
    Give(n, 4, Uniform(0.5 * square, 1.5 * square));
    // The mean of 1/x over [0.5, 1.5] is log 3.
    constexpr double kInverse = 1.0986122886681098;
    return {m.mean / std::sqrt(square),
            kInverse * kScaleSquare * (m.variance / square + kBias * kBias) + kBias * kBias};
  }
  Moments VisitRecurrent(const Node& n) {
    Shape w = ShapeOf(n, 1);
    double bound =
        w.size() == 3 ? 1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, w[2]))) : 0.1;
    for (size_t i : {1, 2}) Give(n, i, Uniform(-bound, bound));
    Give(n, 3, Normal(kBias));
    return {0, 0.2};
  }
  // Parameters that are added or multiplied (the scale layers of Caffe); scalars are the formula's
  // own.
  Moments VisitArithmetic(const Node& n) {
    bool multiplies = n.op == "Mul";
    Moments sum{0, 0}, product{1, 0};
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      Weight* w = WeightAt(n, i);
      if (w && (w->made || ElementCount(w->shape) > 1))
        w->law = multiplies ? kScale : Normal(kBias);
      if (w) continue;
      Moments m = MomentsOf(n, i);
      sum = {sum.mean + m.mean, sum.variance + m.variance};
      double square = product.Square() * m.Square();
      product.mean *= m.mean;
      product.variance = std::max(0.0, square - product.mean * product.mean);
    }
    return multiplies ? product : sum;
  }
  Moments VisitConcat(const Node& n) {
    double square = 0, mean = 0, elements = 0;
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      double e = static_cast<double>(std::max<int64_t>(1, ElementCount(ShapeOf(n, i))));
      mean += e * MomentsOf(n, i).mean;
      square += e * Square(n, i);
      elements += e;
    }
    if (elements == 0) return {};
    mean /= elements;
    return {mean, std::max(0.0, square / elements - mean * mean)};
  }

  // Gives laws to the weights that a node reads and estimates the moments of its output.
  Moments Estimate(const Node& n) {
    const std::string& op = n.op;
    if (op == "Conv" || op == "ConvTranspose") return VisitConv(n);
    if (op == "Gemm" || op == "MatMul") return VisitMatMul(n);
    if (op == "BatchNormalization" || op == "InstanceNormalization" || op == "LayerNormalization" ||
        op == "GroupNormalization") {
      return VisitNorm(n);
    }
    if (op == "LSTM" || op == "GRU" || op == "RNN") return VisitRecurrent(n);
    if (op == "Add" || op == "Sum" || op == "Sub" || op == "Mul") return VisitArithmetic(n);
    if (op == "Concat") return VisitConcat(n);
    if (op == "Gather" && WeightAt(n, 0)) {
      if (ElementCount(WeightAt(n, 0)->shape) > 1) Give(n, 0, Normal(1));
      return {};
    }
    if (op == "PRelu") Give(n, 1, Uniform(0.05, 0.3));
    Moments in = MomentsOf(n, 0);
    if (op == "Relu" || op == "PRelu" || op == "LeakyRelu" || op == "Elu") return Rectified(in);
    if (op == "MaxPool") return Highest(in);
    if (op == "AveragePool" || op == "GlobalAveragePool") {
      // Neighbours are alike: small windows keep half of the variance.
      std::vector<int64_t> kernel = n.Ints("kernel_shape");
      return {in.mean, in.variance / (kernel.empty() || kernel[0] > 4 ? 8 : 2)};
    }
    if (op == "Sigmoid" || op == "HardSigmoid") return {0.5, 0.05};
    if (op == "Tanh" || op == "Erf") return {0, 0.4};
    if (op == "Softmax") return {1e-2, 1e-3};
    return in;
  }
  void Visit(const Node& n) {
    auto root = IsLayout(n.op) && n.HasInput(0) ? root_.find(n.inputs[0]) : root_.end();
    if (root != root_.end()) {
      std::string name = root->second;
      root_[n.outputs[0]] = name;
      return;
    }
    Moments m = Estimate(n);
    for (const std::string& o : n.outputs) moments_[o] = m;
  }

  // ---- the new model ----

  Result<Model> Rewrite(uint64_t seed) {
    Model out = model_;
    Graph& g = out.graph;
    bool any = false;
    for (Initializer& i : g.initializers) {
      auto it = weights_.find(i.name);
      if (it == weights_.end() || it->second.law.kind == Law::kKeep) continue;
      i.value = TRY(Draw(MixSeeds(seed, HashOf(i.name)), it->second));
      i.extra.clear();
      any = true;
    }
    for (const NodePtr& n : order_) {
      auto it = n->outputs.empty() ? weights_.end() : weights_.find(n->outputs[0]);
      if (it == weights_.end() || !it->second.made) continue;
      Tensor drawn = TRY(Draw(MixSeeds(seed, HashOf(it->first)), it->second));
      g.initializers.push_back({it->first, std::move(drawn), {}});
      any = true;
    }
    if (!any) return Invalid("the model has no weights to draw");
    std::erase_if(g.nodes, [&](const NodePtr& n) {
      auto it = n->outputs.empty() ? weights_.end() : weights_.find(n->outputs[0]);
      return it != weights_.end() && it->second.made;
    });
    DropUnread(&out);
    return out;
  }
  // The shapes that only the dropped nodes read; and initializers need not be graph inputs from IR
  // 4 on.
  static void DropUnread(Model* m) {
    Graph& g = m->graph;
    std::set<std::string> read, initialised;
    for (const NodePtr& n : g.nodes) {
      for (const std::string& v : ReadBy(*n)) read.insert(v);
    }
    for (const ValueInfo& v : g.outputs) read.insert(v.name);
    for (const Initializer& i : g.initializers) initialised.insert(i.name);
    m->ir_version = std::max<int64_t>(m->ir_version, 4);
    std::erase_if(g.inputs, [&](const ValueInfo& v) { return initialised.count(v.name) > 0; });
    std::erase_if(g.initializers, [&](const Initializer& i) { return !read.count(i.name); });
  }

  Model model_;
  Inference known_;
  std::vector<NodePtr> order_;
  std::map<std::string, Weight> weights_;
  std::map<std::string, std::string> root_;  // value -> the weight it is another layout of
  std::map<std::string, Moments> moments_;
};

}  // namespace

Result<Model> FreshWeights(const Model& model, uint64_t seed) { return Redraw(model).Run(seed); }

}  // namespace assay
