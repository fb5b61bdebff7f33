// Freshly drawn weights: what is redrawn, what is kept, and that activations stay sane through many
// layers.
#include "gen/fresh_weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "interp/exec.h"

namespace assay {
namespace {

// y = Relu(BatchNormalization(Conv(x))) `depth` times with residual sums, weights as
// ConstantOfShape nodes.
Model Tower(int depth) {
  Model m;
  m.opsets[""] = 11;
  m.ir_version = 3;
  Graph& g = m.graph;
  g.inputs.push_back(ValueInfo::Of("x", DType::kFloat, {1, 8, 9, 9}));
  auto weight = [&](const std::string& name, const Shape& shape) {
    Tensor t = Tensor::Vector(shape);
    g.initializers.push_back({name + "_shape", t, {}});
    g.inputs.push_back(ValueInfo::Of(name + "_shape", DType::kInt64, t.shape()));
    g.nodes.push_back(MakeNode("ConstantOfShape", {name + "_shape"}, {name},
                               {{"value", Tensor::Floats({1}, {0.02f}), {}}}));
    return name;
  };
  std::string at = "x";
  for (int i = 0; i < depth; ++i) {
    std::string n = std::to_string(i);
    std::vector<std::string> norm = {"c" + n};
    for (const char* p : {"s", "b", "m", "v"}) norm.push_back(weight(p + n, {8}));
    g.nodes.push_back(MakeNode("Conv", {at, weight("w" + n, {8, 8, 3, 3})}, {"c" + n},
                               {{"pads", std::vector<int64_t>{1, 1, 1, 1}, {}}}));
    g.nodes.push_back(MakeNode("BatchNormalization", norm, {"n" + n}));
    g.nodes.push_back(MakeNode("Add", {at, "n" + n}, {"a" + n}));
    g.nodes.push_back(MakeNode("Relu", {"a" + n}, {"r" + n}));
    at = "r" + n;
  }
  g.outputs.push_back(ValueInfo::Of(at, DType::kFloat, {1, 8, 9, 9}));
  return m;
}

double Deviation(const Tensor& t) {
  double sum = 0, square = 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    sum += t.AsDouble(i);
    square += t.AsDouble(i) * t.AsDouble(i);
  }
  double n = static_cast<double>(t.size());
  return std::sqrt(square / n - sum / n * (sum / n));
}

TEST(FreshWeights, ActivationsStaySaneThroughManyLayers) {
  Result<Model> m = FreshWeights(Tower(60), 5);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  EXPECT_TRUE(Validate(*m).ok());
  ExecOptions options;
  options.keep_all = true;
  Result<Execution> run = assay::Run(*m, RandomInputs(*m, 1).value(), options);
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  for (int i = 0; i < 60; ++i) {
    double deviation = Deviation(run->values.at("r" + std::to_string(i)));
    EXPECT_GT(deviation, 0.2) << i;
    EXPECT_LT(deviation, 40) << i;  // a residual sum grows with the root of its depth
  }
}

TEST(FreshWeights, ConstantOfShapeBecomesInitializersInTheirRoles) {
  Model m = FreshWeights(Tower(2), 5).value();
  EXPECT_EQ(m.graph.nodes.size(), 8u);
  EXPECT_EQ(m.graph.inputs.size(), 1u);
  EXPECT_EQ(m.graph.initializers.size(), 10u);
  for (const Initializer& i : m.graph.initializers) {
    for (int64_t k = 0; k < i.value.size(); ++k) {
      double v = i.value.AsDouble(k);
      bool fits = i.name[0] == 'v'   ? v > 0.1
                  : i.name[0] == 's' ? std::fabs(v - 1) < 0.21
                                     : std::fabs(v) < 1;
      EXPECT_TRUE(fits) << i.name << " " << v;
    }
    EXPECT_GT(Deviation(i.value), 0) << i.name;
  }
}

TEST(FreshWeights, SameSeedSameWeights) {
  Model a = FreshWeights(Tower(2), 5).value(), b = FreshWeights(Tower(2), 5).value(),
        c = FreshWeights(Tower(2), 6).value();
  const Tensor& w = a.graph.FindInitializer("w0")->value;
  EXPECT_TRUE(w.Identical(b.graph.FindInitializer("w0")->value));
  EXPECT_FALSE(w.Identical(c.graph.FindInitializer("w0")->value));
}

TEST(FreshWeights, KeepsIntegersAndScalars) {
  Model m;
  m.opsets[""] = 13;
  m.graph.inputs.push_back(ValueInfo::Of("x", DType::kFloat, {2, 3}));
  m.graph.initializers.push_back({"half", Tensor::ScalarFloat(0.5f), {}});
  m.graph.initializers.push_back({"shape", Tensor::Vector({3, 2}), {}});
  m.graph.initializers.push_back({"w", Tensor::Floats({2, 2}, {1, 0, 0, 1}), {}});
  m.graph.nodes = {MakeNode("Mul", {"x", "half"}, {"a"}),
                   MakeNode("Reshape", {"a", "shape"}, {"b"}),
                   MakeNode("MatMul", {"b", "w"}, {"y"})};
  m.graph.outputs.push_back(ValueInfo::Of("y", DType::kFloat, {3, 2}));
  Model fresh = FreshWeights(m, 1).value();
  EXPECT_EQ(fresh.graph.FindInitializer("half")->value.AsDouble(0), 0.5);
  EXPECT_EQ(fresh.graph.FindInitializer("shape")->value.AsInts(), (std::vector<int64_t>{3, 2}));
  EXPECT_FALSE(
      fresh.graph.FindInitializer("w")->value.Identical(m.graph.FindInitializer("w")->value));
}

TEST(FreshWeights, SaysWhenThereIsNothingToDraw) {
  Model m;
  m.opsets[""] = 13;
  m.graph.inputs.push_back(ValueInfo::Of("x", DType::kFloat, {2}));
  m.graph.nodes = {MakeNode("Relu", {"x"}, {"y"})};
  m.graph.outputs.push_back(ValueInfo::Of("y", DType::kFloat, {2}));
  Result<Model> none = FreshWeights(m, 1);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace assay
