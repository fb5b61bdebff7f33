// Verifier and repairer on pairs with a known fault (oracle/verify.h, oracle/repair.h).
#include "oracle/repair.h"

#include <gtest/gtest.h>

#include "interp/text.h"

namespace assay {
namespace {

struct Case {
  const char* name;
  const char* source;
  const char* target;
  const char* cls;      // of the first difference; "" for an equivalent pair
  int edits;            // at most
};

#define CONV_SOURCE                                                                                       \
  "graph(float[1,3,8,8] x) -> (y) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) " \
  "c = Conv(x, w, b) {pads=[1,1,1,1]} r = Relu(c) d = Conv(r, v) y = Tanh(d) }"

const Case kCases[] = {
    {"same", CONV_SOURCE, CONV_SOURCE, "", 0},
    {"pads", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w, b) {pads=[2,1,0,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "LH", 1},
    {"bias lost", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w) {pads=[1,1,1,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "WB", 1},
    {"weights of another layer", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(9) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w, b) {pads=[1,1,1,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "WB", 1},
    {"transpose too many", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w, b) {pads=[1,1,1,1]} t = Transpose(a) {perm=[0,1,3,2]} r = Relu(t) d = Conv(r, v) o = Tanh(d) }", "TSS", 1},
    {"node lost", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w, b) {pads=[1,1,1,1]} d = Conv(a, v) o = Tanh(d) }", "CG", 1},
    {"preprocessing twice", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "s = float[] {2} m = float[] {1} e = Mul(i, s) f = Sub(e, m) "
     "a = Conv(f, w, b) {pads=[1,1,1,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "PP", 1},
    {"preprocessing twice, of a subtracted constant and in two copies",
     "graph(float[1,2,4] x) -> (y, z) { a = Sin(x) y = Cos(a) z = Sinh(x) }",
     "graph(float[1,2,4] i) -> (o, p) { m = float[1,2,1] {0.485, 0.456} n = Neg(m) e = Add(i, n) f = Add(i, n) "
     "a = Sin(e) o = Cos(a) p = Sinh(f) }", "PP", 1},
    {"input declared otherwise", CONV_SOURCE,
     "graph(float[1,3,9,9] i) -> (o) { w = float[4,3,3,3] random(1) b = float[4] random(2) v = float[4,4,3,3] random(3) "
     "a = Conv(i, w, b) {pads=[1,1,1,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "ID", 1},
    {"three faults", CONV_SOURCE,
     "graph(float[1,3,8,8] i) -> (o) { w = float[4,3,3,3] random(1) v = float[4,4,3,3] random(4) "
     "a = Conv(i, w) {pads=[0,1,2,1]} r = Relu(a) d = Conv(r, v) o = Tanh(d) }", "WB", 4},
    {"block lost, and with it its weights",
     "graph(float[1,4,6,6] x) -> (y) { u = float[4,4,3,3] random(1) v = float[4,4,3,3] random(2) w = float[4,4,3,3] random(3) "
     "a = Conv(x, u) {pads=[1,1,1,1]} b = Relu(a) c = Sum(b, x) d = Conv(c, v) {pads=[1,1,1,1]} e = Relu(d) f = Sum(e, c) "
     "g = Conv(f, w) {pads=[1,1,1,1]} h = Relu(g) y = Sum(h, f) }",
     "graph(float[1,4,6,6] x) -> (y) { u = float[4,4,3,3] random(1) w = float[4,4,3,3] random(3) "
     "a = Conv(x, u) {pads=[1,1,1,1]} b = Relu(a) c = Sum(b, x) "
     "g = Conv(c, w) {pads=[1,1,1,1]} h = Relu(g) y = Sum(h, c) }", "CG", 3},
    {"outputs swapped", "graph(float[4] x) -> (a, b) { a = Sin(x) b = Cos(x) }",
     "graph(float[4] x) -> (b, a) { a = Sin(x) b = Cos(x) }", "IO", 1},
};

TEST(Repair, HealsEveryCase) {
  for (const Case& c : kCases) {
    Result<Model> source = ParseText(c.source), target = ParseText(c.target);
    ASSERT_TRUE(source.ok() && target.ok()) << c.name;
    RepairOptions options;
    Result<Repair> r = RepairTarget(*source, *target, options);
    ASSERT_TRUE(r.ok()) << c.name << ": " << r.error().ToString();
    if (std::string(c.cls).empty()) {
      EXPECT_EQ(r->before.verdict, Verdict::kEquivalent) << c.name;
      EXPECT_TRUE(r->edits.empty()) << c.name;
      continue;
    }
    EXPECT_EQ(r->before.verdict, Verdict::kDifferent) << c.name;
    ASSERT_FALSE(r->before.differences.empty()) << c.name;
    EXPECT_EQ(r->before.differences[0].cls, c.cls) << c.name << ": " << VerificationText(r->before);
    EXPECT_EQ(r->verdict, Verdict::kEquivalent) << c.name << ": " << RepairText(*r) << VerificationText(r->after);
    EXPECT_LE(static_cast<int>(r->edits.size()), c.edits) << c.name << ": " << RepairText(*r);
    EXPECT_TRUE(Validate(r->fixed).ok()) << c.name;
  }
}

TEST(Verify, SameOptionsSameBytes) {
  Model source = *ParseText(kCases[0].source), target = *ParseText(kCases[1].target);
  VerifyOptions options;
  options.measure_time = false;
  std::string first = VerificationJson(*Verify(source, target, options));
  options.jobs = 2;
  EXPECT_EQ(first, VerificationJson(*Verify(source, target, options)));
}

// Where the source leaves the domain of an operator, one spelling multiplies NaN by the 0 of a
// padding that another skips.
TEST(Verify, NanOutsideADomainAccusesNobody) {
  Model source = *ParseText(
      "graph(float[] s, float[1,1,1,1] x) -> (y) { r = Sqrt(s) w = Sub(r, x) b = float[1] {0.5} "
      "y = Conv(x, w, b) {pads=[2,0,0,0]} }");
  Model target = *ParseText(
      "graph(float[] s, float[1,1,1,1] x) -> (y) { r = Sqrt(s) w = Sub(r, x) b = float[1] {0.5} "
      "p = int64[8] {0, 0, 2, 0, 0, 0, 0, 0} q = Pad(x, p) y = Conv(q, w, b) }");
  for (uint64_t seed = 0; seed < 8; ++seed) {
    VerifyOptions options;
    options.seed = seed;
    options.measure_time = false;
    Result<Verification> v = Verify(source, target, options);
    ASSERT_TRUE(v.ok()) << v.error().ToString();
    EXPECT_EQ(v->verdict, Verdict::kEquivalent) << v->error.note;
  }
}

// The bias of a recurrent layer is the sum of two halves; which of them holds it is another
// constant, and no difference.
TEST(Verify, AConstantThatChangesNothingInPlaceIsNotLatent) {
  const char* model =
      "graph(float[1,1,3] x) -> (y) { w = float[1,2,3] random(1) r = float[1,2,2] random(2) "
      "b = float[1,4] {%s} h = RNN(x, w, r, b) z = float[] {0} y = Mul(h, z) }";
  auto with = [&](const char* bias) {
    std::string text = model;
    return *ParseText(text.replace(text.find("%s"), 2, bias));
  };
  Model source = with("0.73945165, 0.05598962, -0.9049724, 0.81216717");
  VerifyOptions options;
  options.measure_time = false;
  Verification same = *Verify(source, with("-0.16552073, 0.8681568, 0, 0"), options);
  EXPECT_EQ(same.verdict, Verdict::kEquivalent) << VerificationText(same);
}

// An index that large integers leave: the corners take small ones too.
TEST(Verify, TriesSmallIndicesWhereLargeOnesFallOutside) {
  Model source =
      *ParseText("graph(float[2,3] x, int64[40] i) -> (y) { y = Gather(x, i) {axis=0} }");
  Model target = *ParseText(
      "graph(float[2,3] x, int64[40] i) -> (y) { a = Gather(x, i) {axis=0} y = Neg(a) }");
  VerifyOptions options;
  options.measure_time = false;
  Verification v = *Verify(source, target, options);
  EXPECT_EQ(v.verdict, Verdict::kDifferent);
  EXPECT_GT(v.error.samples, 0) << VerificationText(v);
}

// Constant indices that ask for longer axes than the probes have by themselves.
TEST(Verify, TriesLongAxesWhereShortOnesDoNotRun) {
  Model source =
      *ParseText("graph(float[N,2] x) -> (y) { i = int64[2] {6, 0} y = Gather(x, i) {axis=0} }");
  Model target = *ParseText(
      "graph(float[N,2] x) -> (y) { i = int64[2] {6, 0} a = Gather(x, i) {axis=0} y = Transpose(a) "
      "}");
  VerifyOptions options;
  options.measure_time = false;
  EXPECT_EQ(Verify(source, target, options)->verdict, Verdict::kDifferent);
}

TEST(Verify, TargetThatDoesNotParseIsAnError) {
  Model source = *ParseText(kCases[0].source);
  Model target = source;
  target.graph.nodes.clear();
  Result<Verification> v = Verify(source, target);
  ASSERT_FALSE(v.ok());
  EXPECT_EQ(v.error().code, Code::kInvalid);
}

}  // namespace
}  // namespace assay
