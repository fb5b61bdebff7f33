// The rounding bound: silent on what rounding does, loud on what it can't do.
#include "oracle/metric.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "interp/op_spec.h"
#include "interp/text.h"

namespace assay {
namespace {

Tensor Drawn(Choices& c, Shape shape, double scale = 1) {
  Tensor t = Tensor::Make(DType::kFloat, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, scale * c.Normal());
  return t;
}

Model Make(std::vector<NodePtr> nodes, std::vector<Initializer> constants, Shape input,
           std::vector<std::string> outputs = {"y"}) {
  Model m;
  m.opsets[""] = 13;
  m.graph.nodes = std::move(nodes);
  m.graph.initializers = std::move(constants);
  m.graph.inputs = {ValueInfo::Of("x", DType::kFloat, input)};
  for (std::string& o : outputs)
    m.graph.outputs.push_back({o, DType::kUndefined, std::nullopt, {}});
  return m;
}

Comparison ComparePair(const Model& source, const Model& target, uint64_t seed,
                       bool native = false) {
  Yardstick y = Yardstick::Of(source).value();
  std::vector<Tensor> inputs = RandomInputs(source, seed).value();
  MetricOptions options;
  options.seed = seed;
  options.native = native;
  Reference r = y.Measure(inputs, options).value();
  return CompareTarget(r, Program::Compile(target).value(), inputs, Limits{},
                       native ? Store::kNative : Store::kDouble);
}

// y = ((x * a) + b) * c + d, per channel, and the same with a*c and b*c + d folded and rounded to
// float.
struct Chain {
  Tensor a, b, c, d;
  Model source, folded;
  explicit Chain(uint64_t seed, double spoil = 0) {
    Choices choices(seed);
    a = Drawn(choices, {8}), b = Drawn(choices, {8}, 3), c = Drawn(choices, {8}),
    d = Drawn(choices, {8}, 0.1);
    // Cancellation: what is folded is far smaller than its parts.
    if (seed % 2) {
      for (int64_t i = 0; i < 8; ++i) d.Set(i, -b.AsDouble(i) * c.AsDouble(i) + 1e-6);
    }
    source = Make({MakeNode("Mul", {"x", "a"}, {"p"}), MakeNode("Add", {"p", "b"}, {"q"}),
                   MakeNode("Mul", {"q", "c"}, {"r"}), MakeNode("Add", {"r", "d"}, {"y"})},
                  {{"a", a, {}}, {"b", b, {}}, {"c", c, {}}, {"d", d, {}}}, {4, 8});
    Tensor w = a.Clone(), v = b.Clone();
    for (int64_t i = 0; i < 8; ++i) {
      w.Set(i, static_cast<float>(a.AsDouble(i)) * static_cast<float>(c.AsDouble(i)));
      v.Set(i,
            static_cast<float>(b.AsDouble(i) * c.AsDouble(i)) + static_cast<float>(d.AsDouble(i)));
    }
    w.Set(3, w.AsDouble(3) * (1 + spoil));
    folded = Make({MakeNode("Mul", {"x", "w"}, {"p"}), MakeNode("Add", {"p", "v"}, {"y"})},
                  {{"w", w, {}}, {"v", v, {}}}, {4, 8});
  }
};

TEST(Metric, FoldedConstantsAreWithinTheBoundAndOneSpoiledWeightIsNot) {
  int seen = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Chain clean(seed), spoiled(seed, 1e-4);
    Comparison c = ComparePair(clean.source, clean.folded, seed);
    EXPECT_FALSE(c.beyond()) << seed << " " << c.note;
    EXPECT_GT(c.elements, 0);
    if (seed % 2) continue;  // in the cancelling half the bound is that of the large parts
    seen += ComparePair(clean.source, spoiled.folded, seed).beyond();
  }
  EXPECT_GE(seen, 95);  // of 100; now and then the weight is small beside the bias
}

TEST(Metric, TheNativeRunOfTheSourceIsWithinTheNativeBound) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Chain chain(seed);
    EXPECT_FALSE(ComparePair(chain.source, chain.source, seed, true).beyond());
    Comparison c = ComparePair(chain.source, chain.folded, seed, true);
    EXPECT_FALSE(c.beyond()) << seed << " " << c.note;
  }
}

TEST(Metric, WhatOverflowsInItsOwnElementTypeIsMaskedThere) {
  Model source = Make({MakeNode("Mul", {"x", "big"}, {"z"}), MakeNode("Mul", {"z", "big"}, {"y"})},
                      {{"big", Tensor::Floats({2}, {1e30f, 1}), {}}}, {2});
  Comparison c = ComparePair(source, source, 1, true);
  EXPECT_FALSE(c.beyond()) << c.note;
  EXPECT_EQ(c.masked, 1);
}

TEST(Metric, AReportedMarginNamesOutputIndexValuesAndBound) {
  Chain chain(2, 0.5);
  Comparison c = ComparePair(chain.source, chain.folded, 2);
  EXPECT_TRUE(c.beyond());
  EXPECT_NE(c.note.find("output 0 'y'["), std::string::npos) << c.note;
  EXPECT_NE(c.note.find(",3]: "), std::string::npos) << c.note;
  EXPECT_NE(c.note.find("bound"), std::string::npos) << c.note;
  EXPECT_GT(c.max_abs, 0);
  EXPECT_GT(c.mape(), 0);
}

TEST(Metric, IntegersOnABreakpointAreMaskedAndOthersMustBeEqual) {
  // Cast(x * a + b) to int64 where element 0 lies on an integer and element 1 does not.
  auto model = [](float b) {
    return Make(
        {MakeNode("Mul", {"x", "a"}, {"p"}), MakeNode("Sub", {"p", "p2"}, {"q"}),
         MakeNode("Add", {"q", "b"}, {"r"}),
         MakeNode("Cast", {"r"}, {"y"}, {{"to", int64_t{7}, {}}}),
         MakeNode("Mul", {"x", "a"}, {"p2"})},
        {{"a", Tensor::Floats({2}, {1.1f, 1.1f}), {}}, {"b", Tensor::Floats({2}, {3.0f, b}), {}}},
        {2});
  };
  Model source = model(2.5f), moved = model(2.5f), other = model(3.5f);
  moved.graph.SetInitializer("b", Tensor::Floats({2}, {2.9999998f, 2.5f}));
  Comparison same = ComparePair(source, moved, 3);
  EXPECT_FALSE(same.beyond()) << same.note;
  EXPECT_GE(same.masked, 1);
  Comparison c = ComparePair(source, other, 3);
  EXPECT_TRUE(c.beyond());
  EXPECT_EQ(c.margin, kBeyondMargin);
}

// alpha a little below 2 would be cut off to 1, and every element masked. Beside a jump no
// difference is settled before attributes have moved.
TEST(Metric, FactorsOfIntegersAreExact) {
  auto gemm = [](const char* alpha, const char* b) {
    return ParseText(
               "graph(int32[4,4] x, float[2] u) -> (y, z) { w = int32[4,4] random(1) "
               "v = int32[4,4] random(2) z = Floor(u) y = Gemm(x, " +
               std::string(b) + ") {alpha=" + alpha + "} }")
        .value();
  };
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const char* alpha : {"2.0", "0.5"}) {
      Comparison c = ComparePair(gemm(alpha, "w"), gemm(alpha, "v"), seed);
      EXPECT_TRUE(c.beyond()) << alpha;
      EXPECT_EQ(c.masked, 0) << alpha;
    }
  }
}

TEST(Metric, NanAgainstANumberIsAVerdictOfItsOwn) {
  Model source =
      Make({MakeNode("Mul", {"x", "one"}, {"y"})}, {{"one", Tensor::ScalarFloat(1), {}}}, {3});
  Model broken =
      Make({MakeNode("Sub", {"x", "x"}, {"z"}), MakeNode("Div", {"z", "z"}, {"y"})}, {}, {3});
  Comparison c = ComparePair(source, broken, 1);
  EXPECT_TRUE(c.finite_mismatch);
  EXPECT_TRUE(c.beyond());
  // NaN on both sides is agreement.
  Comparison self = ComparePair(broken, broken, 1);
  EXPECT_FALSE(self.finite_mismatch);
  EXPECT_FALSE(self.beyond());
}

TEST(Metric, CountAndTypeOfOutputsAreCompared) {
  Model source = Make({MakeNode("Add", {"x", "x"}, {"y"})}, {}, {3});
  Model cast = Make({MakeNode("Add", {"x", "x"}, {"z"}),
                     MakeNode("Cast", {"z"}, {"y"}, {{"to", int64_t{11}, {}}})},
                    {}, {3});
  EXPECT_TRUE(ComparePair(source, cast, 1).type_mismatch);
  Yardstick y = Yardstick::Of(source).value();
  Reference r = y.Measure(RandomInputs(source, 1).value()).value();
  Comparison c = r.Compare({});
  EXPECT_TRUE(c.type_mismatch);
  EXPECT_EQ(c.note, "1 outputs against 0");
}

TEST(Metric, MapeIsTheMeanOverElementsThatAreNotZero) {
  Model source = Make({MakeNode("Mul", {"x", "a"}, {"y"})},
                      {{"a", Tensor::Floats({4}, {1, 1, 1, 0}), {}}}, {4});
  Model target = Make({MakeNode("Mul", {"x", "a"}, {"y"})},
                      {{"a", Tensor::Floats({4}, {1.3f, 1, 1, 0}), {}}}, {4});
  Comparison c = ComparePair(source, target, 5);
  EXPECT_NEAR(c.mape(), 0.1, 1e-6);
  Comparison twice = c;
  twice.Merge(c);
  EXPECT_NEAR(twice.mape(), 0.1, 1e-6);
  EXPECT_EQ(twice.elements, 8);
}

TEST(Metric, KnowsWhatANormalizationRoundsInside) {
  // Nearly equal elements: the deviation is what rounding left of them.
  Model source = *ParseText(
      "graph(double[1,1,4,4] x) -> (y) { s = double[1] {1.5} b = double[1] {0.25} y = "
      "InstanceNormalization(x, s, b) }");
  Model target = *ParseText(
      "graph(double[1,1,4,4] x) -> (y) { s = double[] {1.5} b = double[] {0.25} e = double[] "
      "{9.999999747378752e-06} "
      "m = ReduceMean(x) {axes=[2,3]} d = Sub(x, m) q = Mul(d, d) v = ReduceMean(q) {axes=[2,3]} a "
      "= Add(v, e) "
      "r = Sqrt(a) n = Div(d, r) k = Mul(n, s) y = Add(k, b) }");
  Tensor x = Tensor::Make(DType::kDouble, {1, 1, 4, 4}).value();
  for (int64_t i = 0; i < x.size(); ++i) x.Set(i, 1000.1 + 1e-5 * static_cast<double>(i * i % 7));
  Yardstick yardstick = *Yardstick::Of(source);
  Reference reference = *yardstick.Measure({x});
  Comparison c = CompareTarget(reference, *Program::Compile(target), {x});
  EXPECT_FALSE(c.beyond()) << c.note;
}

// Terms that cancel leave what rounding makes of them, and another order of the same terms leaves
// other rest.
TEST(Metric, KnowsWhatAReductionRoundsInside) {
  const struct {
    const char *source, *target;
  } kCases[] = {
      // A matrix without an inverse.
      {"graph(double[3,4,4] x) -> (y) { y = Det(x) }",
       "graph(double[3,4,4] x) -> (y) { i = int64[4] {3, 2, 1, 0} r = Gather(x, i) {axis=2} y = "
       "Det(r) }"},
      // A trace of 0.
      {"graph(double[3,4,4] x) -> (y) { y = Einsum(x) {equation=\"bii->b\"} }",
       "graph(double[3,4,4] x) -> (y) { i = int64[4] {2, 0, 3, 1} r = Gather(x, i) {axis=1} "
       "s = Gather(r, i) {axis=2} y = Einsum(s) {equation=\"bii->b\"} }"},
  };
  Tensor x = Tensor::Make(DType::kDouble, {3, 4, 4}).value();
  for (int64_t i = 0; i < x.size(); ++i) x.Set(i, 0.1 * static_cast<double>(i % 16 + i / 16 + 1));
  for (int64_t b = 0; b < 3; ++b)
    x.Set(b * 16 + 15, -(x.AsDouble(b * 16) + x.AsDouble(b * 16 + 5) + x.AsDouble(b * 16 + 10)));
  for (const auto& k : kCases) {
    Model source = *ParseText(k.source), target = *ParseText(k.target);
    Yardstick yardstick = *Yardstick::Of(source);
    Reference reference = *yardstick.Measure({x});
    Comparison c = CompareTarget(reference, *Program::Compile(target), {x});
    EXPECT_GT(c.max_abs, 0);
    EXPECT_FALSE(c.beyond()) << k.source << " " << c.note;
  }
}

// The function bodies that ONNX gives for windows compute in float: no double is nearer to them
// than a float.
TEST(Metric, KnowsThatWindowsComputeInFloat) {
  std::set<std::string> windows;
  for (const OpSpec& row : AllOps()) {
    if (IsWindow(row)) windows.insert(row.name);
  }
  EXPECT_EQ(windows, (std::set<std::string>{"BlackmanWindow", "HammingWindow", "HannWindow"}));
  Model source = *ParseText(
      "opset 17 graph(float[1] x) -> (double[8] y) { n = int32[] {8} y = HammingWindow(n) "
      "{periodic=0, output_datatype=11} }");
  auto folded = [&](double shift) {
    Tensor w =
        assay::Run(source, {Tensor::Floats({1}, {0})}, {.store = Store::kDouble})->outputs[0];
    for (int64_t i = 0; i < w.size(); ++i) w.Set(i, w.AsDouble(i) + shift);
    return w;
  };
  Yardstick yardstick = *Yardstick::Of(source);
  Reference reference = *yardstick.Measure({Tensor::Floats({1}, {0})});
  EXPECT_FALSE(reference.Compare({folded(2e-8)}).beyond());
  EXPECT_TRUE(reference.Compare({folded(2e-5)}).beyond());
}

}  // namespace
}  // namespace assay
