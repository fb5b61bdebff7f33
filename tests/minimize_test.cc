// The minimizer: ends at the smallest case that a predicate keeps, with and without steps, within
// its budget.
#include "fuzz/minimize.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "fuzz/convert.h"
#include "fuzz/minimize_pair.h"
#include "fuzz/tables.h"
#include "interp/text.h"

namespace assay {
namespace {

constexpr char kChain[] = R"(graph(float[2,6] x, float[2,6] z) -> (y, k) {
  c = float[6] random(3)
  a = Relu(x) @relu
  b = Abs(a) @abs
  d = Mul(b, c) @mul
  e = Exp(d) @exp
  f = Add(e, z) @add
  y = Tanh(f) @tanh
  k = Neg(b) @neg
})";

bool Holds(const Model& m, const std::string& op) {
  return std::any_of(m.graph.nodes.begin(), m.graph.nodes.end(),
                     [&](const NodePtr& n) { return n->op == op; });
}

// A case of rewrites (the scramble applies to every model), so that it replays.
Entry Converted(const std::string& text) {
  Entry e;
  e.source = ParseText(text).value();
  ConvertOptions options;
  options.rewrites = 3;
  Choices choices(5);
  Conversion c = Convert(e.source, options, choices).value();
  e.target = c.target;
  e.steps = c.steps;
  return e;
}

TEST(Minimize, ShrinksSourceAndTargetTogetherByReplay) {
  Entry e = Converted(kChain);
  ASSERT_GE(e.steps.size(), 2u);
  auto keeps_exp = [](const Entry& c) { return Holds(c.source, "Exp") && Holds(c.target, "Exp"); };
  Minimized m = Minimize(e, keeps_exp).value();
  EXPECT_TRUE(m.minimal);
  EXPECT_TRUE(m.replayed);
  EXPECT_EQ(m.entry.steps.size(), 0u);
  EXPECT_EQ(m.entry.source.graph.nodes.size(), 1u);
  EXPECT_EQ(m.entry.target.graph.nodes.size(), 1u);
  EXPECT_EQ(m.entry.source.graph.inputs.size(), 1u);
  EXPECT_EQ(SizeOf(m.entry.source).elements, 1);
  EXPECT_TRUE(Validate(m.entry.source).ok());
}

TEST(Minimize, KeepsTheStepsThatMatter) {
  Entry e = Converted(kChain);
  std::string wanted = e.steps.back().transform;
  auto keeps_step = [&](const Entry& c) {
    return std::any_of(c.steps.begin(), c.steps.end(),
                       [&](const Step& s) { return s.transform == wanted; });
  };
  Minimized m = Minimize(e, keeps_step).value();
  ASSERT_EQ(m.entry.steps.size(), 1u);
  EXPECT_EQ(m.entry.steps[0].transform, wanted);
  EXPECT_LT(SizeOf(m.entry.source), SizeOf(e.source));
}

TEST(Minimize, PairsWithoutStepsShrinkAlike) {
  Entry e;
  e.source = ParseText(kChain).value();
  std::string text = kChain;
  for (auto [from, to] :
       {std::pair("Tanh(f)", "Sin(f)"), {"e = Exp(d)", "q = Exp(d)"}, {"Add(e, z)", "Add(z, q)"}}) {
    text.replace(text.find(from), std::string(from).size(), to);
  }
  e.target = ParseText(text).value();
  auto differ_in_tanh = [](const Entry& c) {
    return Holds(c.source, "Tanh") && Holds(c.target, "Sin");
  };
  Minimized m = Minimize(e, differ_in_tanh).value();
  EXPECT_FALSE(m.replayed);
  EXPECT_LE(m.entry.source.graph.nodes.size(), 2u) << ToText(m.entry.source);
  EXPECT_LE(m.entry.target.graph.nodes.size(), 2u) << ToText(m.entry.target);
  EXPECT_TRUE(SamePorts(m.entry.source, m.entry.target));
  EXPECT_TRUE(Validate(m.entry.target).ok());
}

TEST(Minimize, StopsAtItsBudgetAndWhenCancelled) {
  Entry e = Converted(kChain);
  auto always = [](const Entry&) { return true; };
  MinimizeOptions options;
  options.max_tries = 3;
  Minimized m = Minimize(e, always, options).value();
  EXPECT_EQ(m.tries, 3);
  EXPECT_FALSE(m.minimal);
  options = {};
  int asked = 0;
  options.cancelled = [&] { return asked >= 2; };
  options.progress = [&](const MinimizeProgress& p) { asked = static_cast<int>(p.tries); };
  EXPECT_FALSE(Minimize(e, always, options).value().minimal);
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(Minimize(e, [](const Entry&) { return false; }).error().code, Code::kUsage);
}

TEST(Minimize, IsDeterministic) {
  Entry e = Converted(kChain);
  auto keeps = [](const Entry& c) { return Holds(c.source, "Mul"); };
  EXPECT_EQ(ToText(Minimize(e, keeps).value().entry.source),
            ToText(Minimize(e, keeps).value().entry.source));
}

TEST(Minimize, InputsFollowTheModel) {
  Entry e;
  e.source = ParseText("graph(float[2,3] x) -> (y) {\n a = Relu(x)\n y = Neg(a)\n}").value();
  e.inputs = {{Tensor::Floats({2, 3}, {-1, 2, 3, 4, 5, 6})}};
  Model cut = ParseText("graph(float[2,3] a) -> (y) {\n y = Neg(a)\n}").value();
  Model small = ParseText("graph(float[1,3] x, int64[2] n) -> (y) {\n y = Neg(x)\n}").value();
  EXPECT_TRUE(
      InputsFor(cut, e, 0, Limits{})[0][0].Identical(Tensor::Floats({2, 3}, {0, 2, 3, 4, 5, 6})));
  std::vector<std::vector<Tensor>> inputs = InputsFor(small, e, 0, Limits{});
  EXPECT_TRUE(inputs[0][0].Identical(Tensor::Floats({1, 3}, {-1, 2, 3})));
  EXPECT_EQ(inputs[0][1].shape(), Shape{2});
}

}  // namespace
}  // namespace assay
