// Steps of optimizers (ai.onnx.preview.training version 1): Adagrad, Adam and Momentum. Inputs are
// the learning rate R, the update count T and then n tensors X to optimize, their n gradients and n
// of each kind of state; outputs are the new X and states. G below is the gradient plus
// norm_coefficient * X.
#include "interp/ops/normalization.h"

namespace assay {
namespace {

constexpr DTypeSet kReals = Bit(DType::kFloat) | Bit(DType::kDouble);
constexpr char kDomain[] = "ai.onnx.preview.training";

// `kinds` tensors a variable come in (X, G, states), one less goes out.
template <int kKinds>
void StepRule(RuleContext& c) {
  int given = c.inputs() - 2, n = given / kKinds;
  c.Require(given > 0 && given % kKinds == 0, "every X has a gradient and its states");
  for (int i : {0, 1}) {
    if (c.Ranked(i)) c.Require(Product(c.Dims(i)) == Dim(1), "R and T are scalars");
  }
  c.Require(c.failed() || c.outputs() == n * (kKinds - 1), "every X and state has an output");
  if (c.failed()) return;
  for (int i = n; i < given; ++i) {
    int like = i % n;
    c.Require(c.dtype(2 + i) == c.dtype(2 + like), "gradients and states have the type of their X");
    if (!c.Ranked(2 + i) || !c.Ranked(2 + like)) continue;
    bool fits = c.Rank(2 + i) == c.Rank(2 + like);
    c.Require(fits, "gradients and states have the shape of their X");
    for (int d = 0; fits && d < c.Rank(2 + i); ++d)
      c.Require(c.In(2 + i, d) == c.In(2 + like, d),
                "gradients and states have the shape of their X");
  }
  for (int i = 0; i < c.outputs(); ++i) OutLike(c, i, c.dtype(2 + i % n), 2 + i % n);
}

template <class W>
W Coefficient(const KernelContext& c, const char* name) {
  return W(static_cast<double>(c.Float(name)));
}

// The scalars R and T; T is at least 0.
template <class W>
struct Schedule {
  W rate;
  int64_t count;
  static Result<Schedule> Of(const KernelContext& c) {
    std::vector<W> rate = TRY(LoadAs<W>(c.in(0)));
    return Schedule{rate.at(0), c.in(1).AsInt(0)};
  }
};

// Runs step(x, g, states) over each element of each variable, which replaces x and the states.
template <int kKinds, class W, class Step>
Status ForVariables(KernelContext& c, Step&& step) {
  int n = (c.inputs() - 2) / kKinds;
  W decay = Coefficient<W>(c, "norm_coefficient");
  for (int i = 0; i < n; ++i) {
    std::vector<W> parts[kKinds];
    for (int k = 0; k < kKinds; ++k) parts[k] = TRY(LoadAs<W>(c.in(2 + k * n + i)));
    for (size_t j = 0; j < parts[0].size(); ++j) {
      W states[kKinds - 1];
      for (int k = 2; k < kKinds; ++k) states[k - 2] = parts[k][j];
      step(parts[0][j], parts[1][j] + decay * parts[0][j], states);
      for (int k = 2; k < kKinds; ++k) parts[k][j] = states[k - 2];
    }
    TRY(StoreOutput(c, i, parts[0]));
    for (int k = 2; k < kKinds; ++k) TRY(StoreOutput(c, (k - 1) * n + i, parts[k]));
  }
  return {};
}

template <class F>
Status VisitReals(const KernelContext& c, F&& f) {
  return VisitFloat(c.in(2), [&](auto zero) -> Status { return f(Wide<decltype(zero)>()); });
}

// H' = H + G^2, X' = X - R / (1 + T decay_factor) G / (sqrt(H') + epsilon)
Status EvalAdagrad(KernelContext& c) {
  return VisitReals(c, [&](auto zero) -> Status {
    using W = decltype(zero);
    Schedule<W> s = TRY(Schedule<W>::Of(c));
    W rate = s.rate / (W(1) + FromInteger<W>(s.count) * Coefficient<W>(c, "decay_factor"));
    W epsilon = Coefficient<W>(c, "epsilon");
    return ForVariables<3, W>(c, [&](W& x, W g, W* h) {
      h[0] += g * g;
      x -= rate * g / (ScalarSqrt(h[0]) + epsilon);
    });
  });
}

// V' = alpha V + (1 - alpha) G, H' = beta H + (1 - beta) G^2, X' = (1 - norm_coefficient_post) (X -
// R' V' / (sqrt(H')
// + epsilon)) with R' = R sqrt(1 - beta^T) / (1 - alpha^T), R at T = 0
//
// Without epsilon the specification takes 1e-6 and the data of ONNX release 1.12 takes 1e-2:
// refused, not guessed.
Status EvalAdam(KernelContext& c) {
  if (!c.HasAttr("epsilon")) return Unsupported("Adam without epsilon");
  return VisitReals(c, [&](auto zero) -> Status {
    using W = decltype(zero);
    Schedule<W> s = TRY(Schedule<W>::Of(c));
    W alpha = Coefficient<W>(c, "alpha"), beta = Coefficient<W>(c, "beta"),
      epsilon = Coefficient<W>(c, "epsilon");
    W keep = W(1) - Coefficient<W>(c, "norm_coefficient_post"), rate = s.rate,
      count = FromInteger<W>(s.count);
    if (s.count > 0)
      rate = rate * ScalarSqrt(W(1) - ScalarPow(beta, count)) / (W(1) - ScalarPow(alpha, count));
    return ForVariables<4, W>(c, [&](W& x, W g, W* state) {
      state[0] = alpha * state[0] + (W(1) - alpha) * g;
      state[1] = beta * state[1] + (W(1) - beta) * g * g;
      x = keep * (x - rate * state[0] / (ScalarSqrt(state[1]) + epsilon));
    });
  });
}

// V' = alpha V + (T > 0 ? beta : 1) G, X' = X - R V', with Nesterov's correction X - R (G + alpha
// V')
Status EvalMomentum(KernelContext& c) {
  return VisitReals(c, [&](auto zero) -> Status {
    using W = decltype(zero);
    Schedule<W> s = TRY(Schedule<W>::Of(c));
    W alpha = Coefficient<W>(c, "alpha"), beta = s.count > 0 ? Coefficient<W>(c, "beta") : W(1);
    bool nesterov = c.String("mode") == "nesterov";
    return ForVariables<3, W>(c, [&](W& x, W g, W* v) {
      v[0] = alpha * v[0] + beta * g;
      x -= s.rate * (nesterov ? g + alpha * v[0] : v[0]);
    });
  });
}

OpSpec Row(const char* name, RuleFn rule, EvalFn eval) {
  return Op(name, 1, kDomain)
      .In("R", "T1", kReals)
      .In("T", "T2", Bit(DType::kInt64))
      .In("inputs", "", kReals, Arity::kVariadic, false)
      .Out("outputs", "", kReals, Arity::kVariadic)
      .Rule(rule)
      .Eval(eval)
      .LeftOut("ai.onnx.preview.training: steps of training");
}

AttrSpec Needed(const char* name, std::vector<double> values) {
  return {name, AttrType::kFloat, true, std::nullopt, {.floats = std::move(values)}};
}

}  // namespace

std::vector<OpSpec> ops_training() {
  const AttrDomain small{.floats = {0.0, 1e-3}}, rates{.floats = {0.9, 0.999, 0.1}};
  return {Row("Adagrad", StepRule<3>, EvalAdagrad)
              .Float("decay_factor", 0, small)
              .Float("epsilon", 1e-6f, small)
              .Float("norm_coefficient", 0, small),
          Row("Adam", StepRule<4>, EvalAdam)
              .Float("alpha", 0.9f, rates)
              .Float("beta", 0.999f, rates)
              .Float("epsilon", 1e-6f, small)
              .Float("norm_coefficient", 0, small)
              .Float("norm_coefficient_post", 0, small),
          Row("Momentum", StepRule<3>, EvalMomentum)
              .Attr(Needed("alpha", {0.9, 0.5}))
              .Attr(Needed("beta", {1.0, 0.1}))
              .Attr(Needed("norm_coefficient", {0.0, 1e-3}))
              .Attr({"mode",
                     AttrType::kString,
                     true,
                     std::nullopt,
                     {.strings = {"standard", "nesterov"}}})};
}

}  // namespace assay
