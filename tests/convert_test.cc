// The converter: counts, names, determinism, replay, errors.
#include "fuzz/convert.h"

#include <gtest/gtest.h>

#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

Model Source() {
  return ParseText(R"(
graph(float[1,3,8,8] x) -> (float[1,4] y) {
  mean = float[3,1,1] {0.4, 0.5, 0.6}
  w = float[4,3,3,3] random(7)
  b = float[4] {0.1, 0.2, -0.3, 0.4}
  w2 = float[4,4] random(9)
  c = Sub(x, mean)
  h = Conv(c, w, b) {pads=[1,1,1,1]} @conv
  r = Relu(h)
  p = GlobalAveragePool(r)
  f = Flatten(p)
  y = MatMul(f, w2)
})")
      .value();
}

std::string Bytes(const Model& m) { return SerializeModel(m).value(); }

TEST(Convert, AppliesAsManyAsAsked) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    ConvertOptions options{.faults = 2, .rewrites = 4};
    Choices choices(seed);
    Result<Conversion> c = Convert(Source(), options, choices);
    ASSERT_TRUE(c.ok()) << c.error().ToString();
    // A fault may leave nothing that another one could damage.
    EXPECT_EQ(c->faults + c->rewrites + c->without_site.size(), 6u);
    EXPECT_GE(c->faults, 1);
    EXPECT_EQ(c->steps.size(), static_cast<size_t>(c->faults + c->rewrites) + 2);  // the scramble
    EXPECT_TRUE(Validate(c->target).ok());
  }
}

TEST(Convert, IsDeterministicAndReplaysByteForByte) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    ConvertOptions options{.faults = 1, .rewrites = 6};
    Choices one(seed), two(seed);
    Result<Conversion> a = Convert(Source(), options, one), b = Convert(Source(), options, two);
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(Bytes(a->target), Bytes(b->target));
    Result<std::vector<Step>> steps = StepsFromText("# a comment\n\n" + StepsToText(a->steps));
    ASSERT_TRUE(steps.ok());
    EXPECT_EQ(*steps, a->steps);
    Result<Model> replayed = Replay(Source(), *steps);
    ASSERT_TRUE(replayed.ok()) << replayed.error().ToString();
    EXPECT_EQ(Bytes(*replayed), Bytes(a->target));
  }
}

TEST(Convert, KeepsTheOrderOfInputsAndOutputs) {
  Model source = ParseText(R"(
graph(float[2] a, float[3] b) -> (float[2] p, float[3] q) {
  p = Relu(a)
  q = Neg(b)
})")
                     .value();
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Choices choices(seed);
    Conversion c = Convert(source, {.rewrites = 3}, choices).value();
    ASSERT_EQ(c.target.graph.inputs.size(), 2u);
    EXPECT_EQ(c.target.graph.inputs[0].StaticShape(), Shape{2});
    EXPECT_EQ(c.target.graph.outputs[1].StaticShape(), Shape{3});
  }
}

TEST(Convert, NamedTransformsAndTheirErrors) {
  Choices choices(1);
  Result<Conversion> c =
      Convert(Source(), {.fault_names = {"CG_NODE_DROPPED"}, .scramble = false}, choices);
  ASSERT_TRUE(c.ok());
  ASSERT_EQ(c->steps.size(), 1u);
  EXPECT_EQ(c->steps[0].transform, "CG_NODE_DROPPED");
  EXPECT_EQ(Convert(Source(), {.fault_names = {"NOPE"}}, choices).error().code, Code::kUsage);
  EXPECT_EQ(Convert(Source(), {.fault_names = {"B27"}}, choices).error().code, Code::kUsage);
  EXPECT_EQ(Convert(Source(), {.rewrite_names = {"WB_DRIFT"}}, choices).error().code, Code::kUsage);
  c = Convert(Source(), {.fault_names = {"TSS_D2S_MODE"}}, choices);
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(c->without_site, std::vector<std::string>{"TSS_D2S_MODE"});
}

TEST(Convert, ReplayNamesTheStepThatFails) {
  Result<Model> m = Replay(Source(), {{"CG_NODE_DROPPED", {"nowhere", "0"}}});
  ASSERT_FALSE(m.ok());
  EXPECT_NE(m.error().ToString().find("CG_NODE_DROPPED@nowhere:0"), std::string::npos);
  EXPECT_EQ(Replay(Source(), {{"NOPE", {}}}).error().code, Code::kUsage);
  EXPECT_FALSE(StepsFromText("no step here").ok());
}

}  // namespace
}  // namespace assay
