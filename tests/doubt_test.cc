// Equalities that the field shows by chance (oracle/doubt.h): the verifier must not take them for proofs.
#include "oracle/doubt.h"

#include <gtest/gtest.h>

#include "interp/text.h"
#include "oracle/verify.h"

namespace assay {
namespace {

struct Pair {
  const char* name;
  const char* source;
  const char* target;
};

// Each of these is equal in a good part of all plain contexts.
const Pair kUnequal[] = {
    {"abs of one element lost", "graph(float[] x) -> (y) { y = Abs(x) }", "graph(float[] x) -> (y) { y = Identity(x) }"},
    {"what is zero moved", "graph(float[3] x) -> (bool[3] y) { y = Cast(x) {to=9} }",
     "graph(float[3] x) -> (bool[3] y) { h = float[] {0.5} d = Sub(x, h) y = Cast(d) {to=9} }"},
    {"shift lost before a sign",
     "graph(uint8[12] x) -> (uint8[12] y) { k = uint8[] {2} s = BitShift(x, k) {direction=\"LEFT\"} y = Sign(s) }",
     "graph(uint8[12] x) -> (uint8[12] y) { y = Sign(x) }"},
    {"slope behind a wide maximum",
     "graph(float[1,1,12,12] x) -> (y) { m = GlobalMaxPool(x) y = LeakyRelu(m) {alpha=0.01} }",
     "graph(float[1,1,12,12] x) -> (y) { m = GlobalMaxPool(x) y = LeakyRelu(m) {alpha=0.3} }"},
    {"index outside an axis", "graph(float[3,2] x) -> (float[2] y) { i = int64[] {-3} y = Gather(x, i) {axis=0} }",
     "graph(float[3,2] x) -> (float[2] y) { i = int64[] {3} y = Gather(x, i) {axis=0} }"},
};

class DoubtTest : public testing::TestWithParam<Pair> {};

TEST_P(DoubtTest, IsSeenAtEverySeed) {
  Result<Model> source = ParseText(GetParam().source), target = ParseText(GetParam().target);
  ASSERT_TRUE(source.ok() && target.ok()) << (source.ok() ? target : source).error().ToString();
  for (uint64_t seed = 0; seed < 40; ++seed) {
    VerifyOptions options;
    options.seed = seed;
    options.measure_time = false;
    Result<Verification> v = Verify(*source, *target, options);
    ASSERT_TRUE(v.ok()) << v.error().ToString();
    EXPECT_EQ(v->verdict, Verdict::kDifferent) << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DoubtTest, testing::ValuesIn(kUnequal));

TEST(Doubt, IsNotCastOnTheSameOperatorsOverEqualOperands) {
  Model source = *ParseText("graph(float[2,3] x) -> (y) { r = Relu(x) y = Tanh(r) }");
  Model moved = *ParseText(
      "graph(float[2,3] x) -> (y) { t = Transpose(x) {perm=[1,0]} r = Relu(t) s = Tanh(r) y = Transpose(s) {perm=[1,0]} }");
  Model other = *ParseText("graph(float[2,3] x) -> (y) { z = float[] {0} r = Max(x, z) y = Tanh(r) }");
  std::unique_ptr<Lab> lab = std::move(Lab::Make(source, source, {})).value();
  Trace same = *lab->Run(moved, 5);
  EXPECT_FALSE(Doubtful(lab->source(), same));
  Trace spelled = *lab->Run(other, 5);
  EXPECT_TRUE(Doubtful(lab->source(), spelled));
  EXPECT_EQ(*SecondLook(source, other, {}), -1);  // and rightly equal at a second look
}

}  // namespace
}  // namespace assay
