// The lab: odd models, and results that depend neither on how much it remembers nor on threads.
#include "oracle/lab.h"

#include <gtest/gtest.h>

#include "fuzz/convert.h"
#include "gen/graph_gen.h"
#include "interp/text.h"

namespace assay {
namespace {

Model Parse(const std::string& text) {
  Result<Model> m = ParseText(text);
  EXPECT_TRUE(m.ok()) << text << "\n" << m.error().ToString();
  return *m;
}

struct Odd {
  const char* name;
  const char* source;
  const char* target;
  bool equal;
};

const Odd kOdd[] = {
    {"no elements", "graph(float[0,3] x) -> (y) { y = Relu(x) }",
     "graph(float[0,3] x) -> (y) { a = Relu(x) y = Identity(a) }", true},
    {"no elements of another shape", "graph(float[0,3] x) -> (y) { y = Transpose(x) }",
     "graph(float[0,3] x) -> (y) { y = Relu(x) }", false},
    {"a sum over no elements",
     "graph(float[2,0] x) -> (y) { a = int64[1] {1} y = ReduceSum(x, a) }",
     "graph(float[2,0] x) -> (y) { y = float[2,1] fill(0) }", true},
    {"strings", "graph(string[3] x) -> (y) { y = Identity(x) }",
     "graph(string[3] x) -> (y) { s = int64[1] {3} y = Reshape(x, s) }", true},
    {"strings in another order", "graph(string[3] x) -> (y) { y = Identity(x) }",
     "graph(string[3] x) -> (y) { i = int64[3] {2, 1, 0} y = Gather(x, i) }", false},
    {"no inputs", "graph() -> (y) { c = float[2] {1, -2} y = Neg(c) }",
     "graph() -> (y) { y = float[2] {-1, 2} }", true},
    {"no inputs, other constants", "graph() -> (y) { c = float[2] {1, -2} y = Neg(c) }",
     "graph() -> (y) { y = float[2] {-1, 3} }", false},
    {"an output that is an initializer",
     "graph(float[2] x) -> (c, y) { c = float[2] {3, 4} y = Add(x, c) }",
     "graph(float[2] x) -> (c, y) { c = float[2] {3, 4} y = Add(c, x) }", true},
    {"another initializer as output",
     "graph(float[2] x) -> (c, y) { c = float[2] {3, 4} y = Add(x, c) }",
     "graph(float[2] x) -> (d, y) { c = float[2] {3, 4} d = float[2] {3, 5} y = Add(x, c) }",
     false},
    {"an output that is an input", "graph(float[2] x) -> (x) { }", "graph(float[2] x) -> (x) { }",
     true},
    {"an output twice", "graph(float[2] x) -> (y, y) { y = Neg(x) }",
     "graph(float[2] x) -> (y, z) { y = Neg(x) z = Neg(x) }", true},
    {"an output twice, once wrong", "graph(float[2] x) -> (y, y) { y = Neg(x) }",
     "graph(float[2] x) -> (y, z) { y = Neg(x) z = Abs(x) }", false},
    {"symbolic extents", "graph(float[N,M] x) -> (y) { y = Transpose(x) }",
     "graph(float[N,M] x) -> (y) { y = Transpose(x) {perm=[1,0]} }", true},
    {"a symbolic extent frozen",
     "graph(float[N,2] x) -> (y) { s = int64[1] {-1} y = Reshape(x, s) }",
     "graph(float[N,2] x) -> (y) { s = int64[1] {4} y = Reshape(x, s) }", false},
    {"a node read twice by one node", "graph(float[3] x) -> (y) { a = Neg(x) y = Mul(a, a) }",
     "graph(float[3] x) -> (y) { y = Mul(x, x) }", true},
    {"the same node twice", "graph(float[3] x) -> (y) { a = Exp(x) y = Mul(a, a) }",
     "graph(float[3] x) -> (y) { a = Exp(x) b = Exp(x) y = Mul(a, b) }", true},
    {"dead nodes", "graph(float[3] x) -> (y) { y = Neg(x) }",
     "graph(float[3] x) -> (y) { a = Exp(x) b = Log(a) y = Neg(x) }", true},
    {"integers that constants decide, folded",
     "graph(int64[1] x) -> (y) { w = float[3] {-1.5, 0.4, 1.1} e = Exp(w) c = Cast(e) {to=7} y = "
     "Add(c, x) }",
     "graph(int64[1] x) -> (y) { c = int64[3] {0, 1, 3} y = Add(c, x) }", true},
    {"and folded wrong",
     "graph(int64[1] x) -> (y) { w = float[3] {-1.5, 0.4, 1.1} e = Exp(w) c = Cast(e) {to=7} y = "
     "Add(c, x) }",
     "graph(int64[1] x) -> (y) { c = int64[3] {0, 1, 4} y = Add(c, x) }", false},
    {"a fold held by a Constant node",
     "graph(float[2] x) -> (y) { w = float[2] {1, 2} e = Exp(w) y = Add(x, e) }",
     "graph(float[2] x) -> (y) { e = Constant() {\"value\"=float[2] {2.7182817, 7.3890562}} y = "
     "Add(x, "
     "e) }",
     true},
    {"a fold that cancels, an ulp off on the way",
     "graph(float[1] x) -> (y) { w = float[1] {1.1930314} c = float[1] {-0.7917335} t = Tanh(w) b "
     "= Add(t, c) y = Add(x, b) }",
     "graph(float[1] x) -> (y) { b = float[1] {0.03978324} y = Add(x, b) }", true},
    {"and far off",
     "graph(float[1] x) -> (y) { w = float[1] {1.1930314} c = float[1] {-0.7917335} t = Tanh(w) b "
     "= Add(t, c) y = Add(x, b) }",
     "graph(float[1] x) -> (y) { b = float[1] {0.0397842} y = Add(x, b) }", false},
    {"an index into a long symbolic axis",
     "graph(float[N,2] x) -> (y) { i = int64[2] {11, 0} y = Gather(x, i) {axis=0} }",
     "graph(float[N,2] x) -> (y) { i = int64[2] {11, 0} n = Neg(x) g = Gather(n, i) {axis=0} y = "
     "Neg(g) }",
     true},
    {"a scalar against one element", "graph(float[] x) -> (y) { y = Neg(x) }",
     "graph(float[] x) -> (y) { s = int64[1] {1} a = Neg(x) y = Reshape(a, s) }", false},
};

TEST(Lab, ProvesOddModels) {
  for (const Odd& c : kOdd) {
    Model source = Parse(c.source), target = Parse(c.target);
    Result<std::unique_ptr<Lab>> lab = Lab::Make(source, target, {});
    ASSERT_TRUE(lab.ok()) << c.name << ": " << lab.error().ToString();
    std::string reason;
    Result<bool> proved = (*lab)->Prove(target, &reason);
    ASSERT_TRUE(proved.ok()) << c.name << ": " << proved.error().ToString();
    EXPECT_EQ(*proved, c.equal) << c.name << ": " << reason;
  }
}

TEST(Lab, SaysWhereATargetDoesNotRun) {
  Model source = Parse("graph(float[2,3] x) -> (y, z) { a = Neg(x) y = Relu(a) z = Exp(x) }");
  Model target =
      Parse("graph(float[2,3] x) -> (y, z) { s = int64[1] {7} a = Reshape(x, s) @bad b = Neg(a) y = Relu(b) z = Exp(x) }");
  std::unique_ptr<Lab> lab = Lab::Make(source, target, {}).value();
  std::string reason;
  EXPECT_FALSE(lab->Prove(target, &reason).value());
  EXPECT_NE(reason.find("bad"), std::string::npos) << reason;
  // What does not depend on the failure has run.
  Trace t = lab->Run(target, 5).value();
  EXPECT_EQ(t.failed_node, 0);
  std::vector<uint64_t> want = lab->source().OutputKeys(), got = t.OutputKeys();
  EXPECT_EQ(got[0], 0u);
  EXPECT_EQ(got[1], want[1]);
  // The same again: a failure is not remembered as a result.
  EXPECT_EQ(lab->Run(target, 5).value().failed_node, 0);
}

TEST(Lab, RefusesInputsWithoutRank) {
  Model m = Parse("graph(float x) -> (y) { y = Neg(x) }");
  Result<std::unique_ptr<Lab>> lab = Lab::Make(m, m, {});
  ASSERT_FALSE(lab.ok());
  EXPECT_EQ(lab.error().code, Code::kUnsupported);
}

TEST(Lab, StopsWhenAFewContextsSayEnough) {
  Model m = Parse("graph(float[4] x) -> (y) { a = Exp(x) y = Neg(a) }");
  std::unique_ptr<Lab> lab = Lab::Make(m, m, {}).value();
  std::vector<size_t> asked;
  Trace all = lab->Run(m, 5, false, [&](const Trace& t) {
                   asked.push_back(t.values.size());
                   EXPECT_EQ(t.OutputKeys(), lab->source().OutputKeys());
                   return false;
                 }).value();
  EXPECT_EQ(asked, (std::vector<size_t>{1, 4}));
  EXPECT_EQ(all.values.size(), 5u);
  Trace one = lab->Run(m, 5, false, [](const Trace&) { return true; }).value();
  EXPECT_EQ(one.values.size(), 1u);
  EXPECT_EQ(one.OutputKeys(), lab->source().OutputKeys());
  EXPECT_NE(one.OutputKeys(), all.OutputKeys());
  EXPECT_EQ(lab->Run(m, 5).value().OutputKeys(), all.OutputKeys());
}

std::vector<uint64_t> Ordered(const Trace& t) {
  std::vector<uint64_t> s;
  for (const Signature& g : t.signature) s.push_back(g.ordered);
  return s;
}

// Random pairs, damaged and rewritten: what is not remembered is computed again, to the same bits.
TEST(Lab, ResultsDependNeitherOnMemoryNorOnThreads) {
  for (uint64_t seed = 0; seed < 25; ++seed) {
    Choices choices(seed);
    Result<Generated> g = GenerateCase(choices, GenOptions::Profile("default").value());
    ASSERT_TRUE(g.ok()) << g.error().ToString();
    std::vector<Model> targets{g->model};
    for (int faults : {0, 1, 2}) {
      Result<Conversion> c = Convert(g->model, {.faults = faults, .rewrites = 3}, choices);
      if (c.ok()) targets.push_back(c->target);
    }
    std::vector<std::vector<std::vector<uint64_t>>> results;
    for (LabOptions options : {LabOptions{}, LabOptions{.memo_bytes = 0}, LabOptions{.memo_bytes = 600},
                               LabOptions{.jobs = 3, .memo_bytes = 5000}}) {
      Result<std::unique_ptr<Lab>> lab = Lab::Make(g->model, targets.back(), options);
      ASSERT_TRUE(lab.ok()) << lab.error().ToString();
      results.emplace_back();
      for (bool remember : {false, true, false}) {
        for (const Model& target : targets) {
          Result<Trace> t = (*lab)->Run(target, 5, remember);
          if (t.ok()) results.back().push_back(Ordered(*t));
        }
      }
      EXPECT_EQ(results.back(), results.front()) << "seed " << seed << ", memo_bytes " << options.memo_bytes;
    }
  }
}

}  // namespace
}  // namespace assay
