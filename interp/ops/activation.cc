// Activations of one operand: Relu, LeakyRelu, Elu, Selu, Celu, ThresholdedRelu, HardSigmoid,
// HardSwish, Sigmoid, Tanh, Softplus, Softsign, Gelu, Mish (ONNX opset 1 to 20). PRelu, Clip and
// Shrink are in clip.cc.
#include "interp/ops/gelu.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// Numbers of the functors below: T() is 0, One<T>() is 1 (made from an integer, which is cheap in
// the field).
template <class T>
T One() {
  return T(1);
}

struct ReluFn {  // max(0, x); NaN stays
  template <class T>
  T operator()(T x) const {
    return x < T() ? T() : x;
  }
};
struct SigmoidFn {
  template <class T>
  T operator()(T x) const {
    return ScalarSigmoid(x);
  }
};
struct TanhFn {
  template <class T>
  T operator()(T x) const {
    return ScalarTanh(x);
  }
};
struct SoftsignFn {  // x / (1 + |x|)
  template <class T>
  T operator()(T x) const {
    return x / (One<T>() + ScalarAbs(x));
  }
};

// ln(1 + e^x); for real numbers without overflow.
template <class T>
T Softplus(T x) {
  if constexpr (kIsFp<T>)
    return ScalarLog(One<T>() + ScalarExp(x));
  else
    return ScalarMax(x, T()) + std::log1p(std::exp(-std::fabs(x)));
}
struct SoftplusFn {
  template <class T>
  T operator()(T x) const {
    return Softplus(x);
  }
};
struct MishFn {  // x tanh(ln(1 + e^x))
  template <class T>
  T operator()(T x) const {
    return x * ScalarTanh(Softplus(x));
  }
};

template <class T>
struct LeakyReluFn {  // x < 0 ? alpha x : x
  T alpha;
  explicit LeakyReluFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x < T() ? alpha * x : x; }
};

template <class T>
struct EluFn {  // x < 0 ? alpha (e^x - 1) : x
  T alpha;
  explicit EluFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x < T() ? alpha * (ScalarExp(x) - One<T>()) : x; }
};

template <class T>
struct SeluFn {  // gamma (x <= 0 ? alpha (e^x - 1) : x)
  T alpha, gamma;
  explicit SeluFn(const KernelContext& c) : alpha(c.Float("alpha")), gamma(c.Float("gamma")) {}
  T operator()(T x) const { return gamma * (x <= T() ? alpha * (ScalarExp(x) - One<T>()) : x); }
};

template <class T>
struct CeluFn {  // max(0, x) + min(0, alpha (e^(x/alpha) - 1)), of which one term is 0
  T alpha;
  explicit CeluFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x < T() ? alpha * (ScalarExp(x / alpha) - One<T>()) : x; }
};

template <class T>
struct ThresholdedReluFn {  // x > alpha ? x : 0
  T alpha;
  explicit ThresholdedReluFn(const KernelContext& c) : alpha(c.Float("alpha")) {}
  T operator()(T x) const { return x > alpha ? x : T(); }
};

// max(0, min(1, alpha x + beta)). In the field, where a random order knows nothing of scale, as
// alpha max(0, min(1/alpha, x + beta/alpha)): the form in which converters spell it out (x + 3
// clipped at 6).
template <class T>
T HardSigmoid(T x, T alpha, T beta) {
  if constexpr (kIsFp<T>) {
    T top = One<T>() / alpha;
    return alpha * ScalarMax(T(), ScalarMin(top, x + beta * top));
  } else {
    return ScalarMax(T(), ScalarMin(One<T>(), alpha * x + beta));
  }
}

template <class T>
struct HardSigmoidFn {
  T alpha, beta;
  explicit HardSigmoidFn(const KernelContext& c) : alpha(c.Float("alpha")), beta(c.Float("beta")) {}
  T operator()(T x) const { return HardSigmoid(x, alpha, beta); }
};

template <class T>
struct HardSwishFn {  // x max(0, min(1, x / 6 + 1/2))
  T sixth, half;
  explicit HardSwishFn(const KernelContext&) : sixth(One<T>() / T(6)), half(T(0.5)) {}
  T operator()(T x) const { return x * HardSigmoid(x, sixth, half); }
};

Status EvalGelu(KernelContext& c) {
  return c.String("approximate") == "tanh" ? UnaryWith<GeluTanhFn>(c) : UnaryWith<GeluErfFn>(c);
}

void CeluRule(RuleContext& c) {
  c.Require(c.Float("alpha") != 0, "alpha is not 0");
  SameAsInput0(c);
}

// A row from X to Y.
OpSpec Activation(const char* name, int since, EvalFn eval, DTypeSet types = kFloats16) {
  return Op(name, since)
      .In("X", "T", types)
      .Out("Y", "T", types)
      .Rule(SameAsInput0)
      .Eval(eval)
      .Traits(kElementwise);
}

std::optional<Bounds> ReluBounds(const Node&, const std::vector<const Tensor*>&) {
  return Bounds{0, std::numeric_limits<double>::infinity()};
}

void RampRows(std::vector<OpSpec>& rows) {
  PushVersions(rows,
               Activation("Relu", 6, UnaryNumeric<ReluFn>)
                   .BoundedBy(ReluBounds)
                   .Gives(0, 1e30)
                   .Class(Accuracy::kExact),
               "T", {{13, kFloatsBf16}, {14, kFloatsBf16 | kSignedInts}});
  // 0.01 in ONNX and PyTorch; 0.2 in TensorFlow, 0.3 in Keras, 0.1 in Darknet.
  PushVersions(rows,
               Activation("LeakyRelu", 6, UnaryWith<LeakyReluFn>)
                   .Float("alpha", 0.01f, {.floats = {0.01f, 0.2f, 0.3f, 0.1f, 0.0f, 1.0f}}),
               "T", {{16, kFloatsBf16}});
  rows.push_back(Activation("ThresholdedRelu", 10, UnaryWith<ThresholdedReluFn>)
                     .Float("alpha", 1.0f, {.floats = {1.0f, 0.0f, 0.5f, 2.0f}})
                     .Traits(kDiscontinuous)
                     .Class(Accuracy::kExact));
}

void ExponentialRows(std::vector<OpSpec>& rows) {
  rows.push_back(Activation("Elu", 6, UnaryWith<EluFn>)
                     .Float("alpha", 1.0f, {.floats = {1.0f, 0.5f, 1.5f, 0.1f}}));
  // The constants of the paper, and shorter ones that converters have written.
  rows.push_back(
      Activation("Selu", 6, UnaryWith<SeluFn>)
          .Float("alpha", 1.67326319217681884765625f, {.floats = {1.67326319f, 1.6732f, 1.0f}})
          .Float("gamma", 1.05070102214813232421875f, {.floats = {1.05070102f, 1.0507f, 1.0f}}));
  rows.push_back(Activation("Celu", 12, UnaryWith<CeluFn>, Bit(DType::kFloat))
                     .Rule(CeluRule)
                     .Float("alpha", 1.0f, {.floats = {1.0f, 0.5f, 2.0f, 1.5f}}));
}

void SigmoidRows(std::vector<OpSpec>& rows) {
  PushVersions(rows, Activation("Sigmoid", 6, Unary<SigmoidFn>).Gives(0, 1), "T",
               {{13, kFloatsBf16}});
  // Keras: 0.2 x + 0.5; PyTorch and MobileNetV3: x / 6 + 0.5.
  rows.push_back(Activation("HardSigmoid", 6, UnaryWith<HardSigmoidFn>)
                     .Gives(0, 1)
                     .Float("alpha", 0.2f, {.floats = {0.2f, 1.0f / 6, 0.25f}})
                     .Float("beta", 0.5f, {.floats = {0.5f, 0.0f, 1.0f}}));
  rows.push_back(Activation("HardSwish", 14, UnaryWith<HardSwishFn>));
  rows.push_back(Activation("Mish", 18, Unary<MishFn>));
  rows.push_back(Activation("Gelu", 20, EvalGelu, kFloatsBf16)
                     .String("approximate", "none", {.strings = {"none", "tanh"}}));
}

}  // namespace

std::vector<OpSpec> ops_activation() {
  std::vector<OpSpec> rows;
  RampRows(rows);
  ExponentialRows(rows);
  SigmoidRows(rows);
  OpSpec tanh = Op("Tanh", 6)
                    .In("input", "T", kFloats16)
                    .Out("output", "T", kFloats16)
                    .Rule(SameAsInput0)
                    .Eval(Unary<TanhFn>)
                    .Gives(-1, 1)
                    .Traits(kElementwise);
  PushVersions(rows, tanh, "T", {{13, kFloatsBf16}});
  rows.push_back(Activation("Softplus", 1, Unary<SoftplusFn>).Gives(0, 1e30));
  rows.push_back(Op("Softsign", 1)
                     .In("input", "T", kFloats16)
                     .Out("output", "T", kFloats16)
                     .Rule(SameAsInput0)
                     .Eval(Unary<SoftsignFn>)
                     .Gives(-1, 1)
                     .Traits(kElementwise));
  PushBfloat16(rows, "T");
  return rows;
}

}  // namespace assay
