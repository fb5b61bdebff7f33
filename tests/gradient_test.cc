// The Gradient operator (interp/gradient.h).
#include "interp/gradient.h"

#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/text.h"

namespace assay {
namespace {

Result<Execution> RunText(const std::string& body, const std::vector<double>& x, const std::vector<double>& w) {
  Result<Model> m = ParseText("opset 13 opset \"ai.onnx.preview.training\" 1 " + body);
  if (!m.ok()) return m.error();
  int64_t n = static_cast<int64_t>(x.size());
  return assay::Run(*m, {Tensor::Of<double>(DType::kDouble, {n}, x), Tensor::Of<double>(DType::kDouble, {n}, w)});
}

// dy/dx of every operator in the table, against a difference quotient.
TEST(Gradient, AgreesWithDifferenceQuotients) {
  const char* kFunctions[] = {
      "y = Add(x, w)",     "y = Sub(w, x)",   "y = Mul(x, w)",     "y = Div(x, w)",
      "y = Div(w, x)",     "y = Neg(x)",      "y = Exp(x)",        "y = Log(x)",
      "y = Sqrt(x)",       "y = Sin(x)",      "y = Cos(x)",        "y = Tanh(x)",
      "y = Sigmoid(x)",    "y = Identity(x)", "y = Reciprocal(x)", "a = Mul(x, x) b = Sin(a) c = Exp(x) y = Mul(b, c)",
  };
  const std::vector<double> x{0.7, 1.3}, w{2, -0.4};
  constexpr double kStep = 1e-6;
  for (const char* f : kFunctions) {
    std::string plain = std::string("graph(double[2] x, double[2] w) -> (y) { ") + f + " }";
    std::string graph = std::string("graph(double[2] x, double[2] w) -> (dx) { ") + f +
                        " dx = ai.onnx.preview.training::Gradient(x, w) {xs=[\"x\"], zs=[\"w\"], y=\"y\"} }";
    Result<Execution> d = RunText(graph, x, w);
    ASSERT_TRUE(d.ok()) << f << ": " << d.error().ToString();
    for (size_t i = 0; i < x.size(); ++i) {
      std::vector<double> more = x, less = x;
      more[i] += kStep;
      less[i] -= kStep;
      double quotient = (RunText(plain, more, w)->outputs[0].AsDouble(static_cast<int64_t>(i)) -
                         RunText(plain, less, w)->outputs[0].AsDouble(static_cast<int64_t>(i))) / (2 * kStep);
      EXPECT_NEAR(d->outputs[0].AsDouble(static_cast<int64_t>(i)), quotient, 1e-7) << f;
    }
  }
}

TEST(Gradient, IsTakenWhereItsInputsSay) {
  Result<Execution> run = RunText(
      "graph(double[1] x, double[1] w) -> (y, dx) { y = Mul(x, x) "
      "dx = ai.onnx.preview.training::Gradient(w) {xs=[\"x\"], y=\"y\"} }", {3}, {5});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_EQ(run->outputs[0].AsDouble(0), 9);
  EXPECT_EQ(run->outputs[1].AsDouble(0), 10);
}

TEST(Gradient, WhatItCannotDoIsAnError) {
  auto error = [](const std::string& f, const std::string& attrs) {
    Result<Execution> run = RunText("graph(double[1] x, double[1] w) -> (dx) { " + f +
                                    " dx = ai.onnx.preview.training::Gradient(x) {" + attrs + "} }", {1}, {1});
    return run.ok() ? "" : run.error().ToString();
  };
  EXPECT_NE(error("y = Floor(x)", "xs=[\"x\"], y=\"y\"").find("no derivative of Floor"), std::string::npos);
  EXPECT_NE(error("y = Neg(x)", "xs=[\"x\", \"w\"], y=\"y\"").find("another number"), std::string::npos);
  EXPECT_NE(error("y = Neg(x)", "xs=[\"x\"], y=\"z\"").find("nothing leads"), std::string::npos);
  // A repeated operand would need a sum over what was repeated.
  EXPECT_NE(error("t = float[2] {1, 2} u = Cast(t) {to=11} y = Mul(x, u)", "xs=[\"x\"], y=\"y\""), "");
}

}  // namespace
}  // namespace assay
