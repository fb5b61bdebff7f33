// The judge against planted lies: what a repairer might hand in to look good.
#include "oracle/judge.h"

#include <gtest/gtest.h>

#include "interp/text.h"
#include "oracle/probes.h"

namespace assay {
namespace {

Tensor Drawn(uint64_t seed, Shape shape) {
  Choices c(seed);
  Tensor t = Tensor::Make(DType::kFloat, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, c.Normal());
  return t;
}

ValueInfo Output(const std::string& name) { return {name, DType::kFloat, std::nullopt, {}}; }

// x[N,6] -> five nodes -> y[N,6].
Model Source() {
  Model m;
  m.opsets[""] = 13;
  m.graph.inputs = {{"x", DType::kFloat, std::vector<DimDecl>{{-1, "N"}, {6, ""}}, {}}};
  m.graph.outputs = {Output("y")};
  m.graph.nodes = {MakeNode("Mul", {"x", "scale"}, {"a"}, {}, "n0"),
                   MakeNode("Add", {"a", "shift"}, {"b"}, {}, "n1"),
                   MakeNode("Relu", {"b"}, {"c"}, {}, "n2"),
                   MakeNode("Mul", {"c", "x"}, {"d"}, {}, "n3"),
                   MakeNode("Add", {"d", "bias"}, {"y"}, {}, "n4")};
  m.graph.initializers = {
      {"scale", Drawn(1, {6}), {}}, {"shift", Drawn(2, {6}), {}}, {"bias", Drawn(3, {6}), {}}};
  return m;
}

// Every value and node under another name, interface included.
Model Renamed(const Model& m, const std::string& prefix) {
  Model out = m;
  auto name = [&](std::string& s) {
    if (!s.empty()) s = prefix + s;
  };
  for (NodePtr& n : out.graph.nodes) {
    auto copy = std::make_shared<Node>(*n);
    name(copy->name);
    for (std::string& i : copy->inputs) name(i);
    for (std::string& o : copy->outputs) name(o);
    n = copy;
  }
  for (Initializer& i : out.graph.initializers) name(i.name);
  for (ValueInfo& v : out.graph.inputs) name(v.name);
  for (ValueInfo& v : out.graph.outputs) name(v.name);
  return out;
}

void ReplaceNode(Model* m, size_t i, std::string op, std::vector<std::string> inputs) {
  const Node& old = *m->graph.nodes[i];
  m->graph.nodes[i] = MakeNode(std::move(op), std::move(inputs), old.outputs, old.attrs, old.name);
}

// The target as a converter writes it: renamed, Mul + Add spelled differently, and with a fault:
// Add for Mul in n3.
Model Target(bool faulty, bool rewritten = true) {
  Model m = Renamed(Source(), "t_");
  if (rewritten) {  // x*scale + shift = (x + shift/scale) * scale is not exact; negate twice
                    // instead
    m.graph.nodes[1] = MakeNode("Neg", {"t_a"}, {"t_na"});
    m.graph.nodes.push_back(MakeNode("Sub", {"t_na", "t_shift"}, {"t_nb"}));
    m.graph.nodes.push_back(MakeNode("Neg", {"t_nb"}, {"t_b"}));
  }
  if (faulty) ReplaceNode(&m, 3, "Add", {"t_c", "t_x"});
  return m;
}

TEST(Judge, APairIsEqualToItselfAndToItsRewriting) {
  Judgement self = JudgePair(Source(), Source()).value();
  EXPECT_TRUE(self.comparable);
  EXPECT_FALSE(self.differs) << self.why;
  Judgement j = JudgePair(Source(), Target(false)).value();
  EXPECT_FALSE(j.differs) << j.why;
  EXPECT_LE(j.margin, 1);
}

TEST(Judge, AFaultDiffersAndTheReasonNamesTheOutput) {
  Judgement j = JudgePair(Source(), Target(true)).value();
  EXPECT_TRUE(j.differs);
  EXPECT_NE(j.why.find("output 0 'y'"), std::string::npos) << j.why;
}

TEST(Judge, SmallFaultsDifferToo) {
  Model m = Target(false);
  Tensor bias = m.graph.FindInitializer("t_bias")->value.Clone();
  for (int64_t i = 0; i < 6; ++i) bias.Set(i, bias.AsDouble(i) * 1.0001);
  m.graph.SetInitializer("t_bias", bias);
  EXPECT_TRUE(JudgePair(Source(), m).value().differs);
}

// The mean is taken away again; what the subtraction rounds off a small operand is beyond what the source rounds.
TEST(Judge, ATargetThatRoundsMoreThanItsSourceIsNotDifferent) {
  Model source = ParseText("graph(double[2,32] x) -> (y) { s = double[32] fill(1) y = LayerNormalization(x, s) }").value();
  Model target = ParseText(
      "graph(double[2,32] x) -> (y) { s = double[32] fill(1) m = double[] {0.449} c = Sub(x, m) "
      "y = LayerNormalization(c, s) }").value();
  Judgement j = JudgePair(source, target).value();
  EXPECT_FALSE(j.differs) << j.why;
  // What is not taken away differs.
  Model faulty = ParseText(
      "graph(double[2,32] x) -> (y) { s = double[32] fill(1) m = double[32] random(1) c = Sub(x, m) "
      "y = LayerNormalization(c, s) }").value();
  EXPECT_TRUE(JudgePair(source, faulty).value().differs);
}

TEST(Judge, TheInterfaceIsComparedByPosition) {
  struct Row {
    const char* what;
    void (*change)(Model*);
    bool differs;
  } rows[] = {
      {"a fixed extent",
       [](Model* m) {
         (*m->graph.inputs[0].shape)[0] = {2, ""};
       },
       true},
      {"another symbol",
       [](Model* m) {
         (*m->graph.inputs[0].shape)[0] = {-1, "batch"};
       },
       false},
      {"an open extent",
       [](Model* m) {
         (*m->graph.inputs[0].shape)[1] = {-1, ""};
       },
       false},
      {"another element type", [](Model* m) { m->graph.inputs[0].dtype = DType::kDouble; }, true},
      {"another output type", [](Model* m) { m->graph.outputs[0].dtype = DType::kFloat16; }, true},
      {"one output more", [](Model* m) { m->graph.outputs.push_back(Output("a")); }, true},
      {"one input more",
       [](Model* m) { m->graph.inputs.push_back(ValueInfo::Of("z", DType::kFloat, {1})); }, true},
      {"a default for a weight",
       [](Model* m) { m->graph.inputs.push_back(ValueInfo::Of("bias", DType::kFloat, {6})); },
       false},
  };
  for (const Row& row : rows) {
    Model m = Source();
    row.change(&m);
    EXPECT_EQ(JudgePair(Source(), m).value().differs, row.differs) << row.what;
  }
}

TEST(Judge, ATargetThatDoesNotRunDiffersAndASourceThatDoesNotIsNotJudged) {
  Model broken = Source();
  ReplaceNode(&broken, 3, "Mul", {"c", "nowhere"});
  EXPECT_TRUE(JudgePair(Source(), broken).value().differs);
  Judgement j = JudgePair(broken, Source()).value();
  EXPECT_FALSE(j.comparable);
  EXPECT_FALSE(j.differs);
}

TEST(Judge, ACastToHalfShowsInTheElementTypes) {
  Model m = Source();
  ReplaceNode(&m, 3, "Mul", {"c32", "x"});
  m.graph.nodes.push_back(MakeNode("Cast", {"c"}, {"c16"}, {{"to", int64_t{10}, {}}}));
  m.graph.nodes.push_back(MakeNode("Cast", {"c16"}, {"c32"}, {{"to", int64_t{1}, {}}}));
  Judgement j = JudgePair(Source(), m).value();
  EXPECT_TRUE(j.differs);
  EXPECT_EQ(j.why.find("in their own element types"), 0u) << j.why;
}

TEST(Probes, AreTheSameForTheSameArgumentsAndCoverTheCorners) {
  Model m = Source();
  m.graph.inputs.push_back(ValueInfo::Of("i", DType::kInt64, {5}));
  bool zeros = false, positive = false, large = false, extents = false;
  for (int k = 0; k < 2 * kProbeKinds; ++k) {
    Probe a = MakeProbe(m, k, 3).value(), b = MakeProbe(m, k, 3).value();
    double low = 1e300, high = -1e300;
    for (size_t t = 0; t < a.inputs.size(); ++t) EXPECT_TRUE(a.inputs[t].Identical(b.inputs[t]));
    for (int64_t i = 0; i < a.inputs[0].size(); ++i) {
      low = std::min(low, a.inputs[0].AsDouble(i));
      high = std::max(high, a.inputs[0].AsDouble(i));
    }
    zeros |= low == 0 && high == 0;
    positive |= low > 0;
    large |= high > 1000 && !a.moderate;
    extents |= a.inputs[0].dim(0) != MakeProbe(m, 0, 3)->inputs[0].dim(0);
    Probe small = MakeProbe(m, k, 3, {.integers_below = 2}).value();
    for (int64_t i = 0; i < 5; ++i) EXPECT_LT(small.inputs[1].AsInt(i), 2);
  }
  EXPECT_TRUE(zeros && positive && large && extents);
  EXPECT_FALSE(MakeProbe(m, 0, 4)->inputs[0].Identical(MakeProbe(m, 0, 3)->inputs[0]));
}

TEST(JudgeRepair, TheSmallEditIsARepair) {
  for (bool rewritten : {false, true}) {
    RepairJudgement r = JudgeRepair(Source(), Target(true, rewritten), Target(false, rewritten));
    EXPECT_TRUE(r.healed) << r.why;
    EXPECT_TRUE(r.edited_target);
  }
}

TEST(JudgeRepair, TheSourceInTheTargetsPlaceIsRefused) {
  Model dressed = Renamed(Source(), "copy_");  // renamed, with the target's interface
  dressed.graph.inputs[0].name = "t_x";
  for (NodePtr& n : dressed.graph.nodes) {
    auto copy = std::make_shared<Node>(*n);
    for (std::string& i : copy->inputs) i = i == "copy_x" ? "t_x" : i;
    for (std::string& o : copy->outputs) o = o == "copy_y" ? "t_y" : o;
    n = copy;
  }
  dressed.graph.outputs[0].name = "t_y";
  for (bool rewritten : {false, true}) {
    for (const Model& lie : {Source(), Renamed(Source(), "q_"), dressed}) {
      RepairJudgement r = JudgeRepair(Source(), Target(true, rewritten), lie);
      EXPECT_FALSE(r.healed) << rewritten;
      EXPECT_FALSE(r.edited_target) << rewritten;
    }
  }
}

TEST(JudgeRepair, TheSourceBesideATargetThatNoLongerCountsIsRefused) {
  Model lie = Target(true, false), source = Renamed(Source(), "s_");
  for (NodePtr n : source.graph.nodes) {
    auto copy = std::make_shared<Node>(*n);
    for (std::string& i : copy->inputs) i = i == "s_x" ? "t_x" : i;
    lie.graph.nodes.push_back(copy);
  }
  for (Initializer& i : source.graph.initializers) lie.graph.initializers.push_back(i);
  lie.graph.initializers.push_back({"zero", Tensor::ScalarFloat(0), {}});
  lie.graph.nodes.push_back(MakeNode("Mul", {"t_y", "zero"}, {"nothing"}));
  lie.graph.nodes.push_back(MakeNode("Add", {"nothing", "s_y"}, {"answer"}));
  lie.graph.outputs[0].name = "answer";
  EXPECT_FALSE(JudgePair(Source(), lie).value().differs);
  RepairJudgement r = JudgeRepair(Source(), Target(true, false), lie);
  EXPECT_FALSE(r.healed);
  EXPECT_FALSE(r.edited_target) << r.why;
}

TEST(JudgeRepair, AConstantOutputIsRefused) {
  Model lie = Target(true);
  lie.graph.nodes.push_back(MakeNode("Add", {"t_scale", "t_bias"}, {"answer"}));
  lie.graph.outputs[0].name = "answer";
  RepairJudgement r = JudgeRepair(Source(), Target(true), lie);
  EXPECT_FALSE(r.healed);
  EXPECT_FALSE(r.edited_target);
  EXPECT_EQ(r.why, "output 0 depends on no input");
}

TEST(JudgeRepair, ARepairThatFitsTheProbeInputsAloneIsNotHealed) {
  // Adds to the faulty target what was missing on one probe input.
  std::vector<Tensor> probe = RandomInputs(Source(), 4, 1).value();
  Tensor want = assay::Run(Source(), probe)->outputs[0],
         got = assay::Run(Target(true), probe)->outputs[0];
  Tensor patch = want.Clone();
  for (int64_t i = 0; i < patch.size(); ++i) patch.Set(i, want.AsDouble(i) - got.AsDouble(i));
  Model lie = Target(true);
  lie.graph.initializers.push_back({"patch", patch, {}});
  lie.graph.nodes.push_back(MakeNode("Add", {"t_y", "patch"}, {"answer"}));
  lie.graph.outputs[0].name = "answer";
  RepairJudgement r = JudgeRepair(Source(), Target(true), lie);
  EXPECT_FALSE(r.healed);
  EXPECT_TRUE(r.edited_target);
}

TEST(JudgeRepair, OneNodeTargetsMayBeReplacedAndTheUnhealedTargetIsNotHealed) {
  Model source, target;
  source.opsets[""] = 13;
  source.graph.inputs = {ValueInfo::Of("x", DType::kFloat, {3})};
  source.graph.outputs = {Output("y")};
  source.graph.nodes = {MakeNode("Neg", {"x"}, {"y"})};
  target = Renamed(source, "t_");
  Model fixed = target;
  target.graph.nodes = {MakeNode("Abs", {"t_x"}, {"t_y"})};
  EXPECT_TRUE(JudgeRepair(source, target, fixed).healed);
  EXPECT_FALSE(JudgeRepair(source, target, target).healed);
}

TEST(JudgeRepair, TheFusedNodeInThePlaceOfWhatSpelledItOutIsAnEdit) {
  // The target spells a Sigmoid out in four nodes, one of them wrong; the repair takes the source's Sigmoid.
  Model source, target;
  source.opsets[""] = target.opsets[""] = 13;
  source.graph.inputs = {ValueInfo::Of("x", DType::kFloat, {3})};
  source.graph.outputs = {Output("y")};
  source.graph.nodes = {MakeNode("Abs", {"x"}, {"a"}), MakeNode("Sigmoid", {"a"}, {"b"}), MakeNode("Tanh", {"b"}, {"y"})};
  target = source;
  target.graph.nodes = {MakeNode("Abs", {"x"}, {"p"}),       MakeNode("Neg", {"p"}, {"q"}),
                        MakeNode("Exp", {"q"}, {"r"}),       MakeNode("Add", {"r", "two"}, {"s"}),
                        MakeNode("Div", {"one", "s"}, {"t"}), MakeNode("Tanh", {"t"}, {"y"})};
  target.graph.initializers = {{"one", Tensor::ScalarFloat(1), {}}, {"two", Tensor::ScalarFloat(2), {}}};
  Model fixed = target;
  fixed.graph.nodes = {MakeNode("Abs", {"x"}, {"p"}), MakeNode("Sigmoid", {"p"}, {"t_healed"}),
                       MakeNode("Tanh", {"t_healed"}, {"y"})};
  fixed.graph.initializers.clear();
  RepairJudgement r = JudgeRepair(source, target, fixed);
  EXPECT_TRUE(r.healed) << r.why;
  fixed.graph.nodes[0] = MakeNode("Abs", {"x"}, {"fresh"});
  fixed.graph.nodes[1] = MakeNode("Sigmoid", {"fresh"}, {"t_healed"});
  EXPECT_FALSE(JudgeRepair(source, target, fixed).edited_target);  // one of three is left: the source
}

TEST(JudgeRepair, WhatTheTargetHadLostMayBeCopied) {
  // A converter froze all but the last node; those that it dropped have to come from the source.
  Model target = Renamed(Source(), "t_");
  target.graph.nodes.erase(target.graph.nodes.begin(), target.graph.nodes.begin() + 3);
  target.graph.initializers.push_back({"t_c", Drawn(7, {6}), {}});
  Model fixed = target, source = Renamed(Source(), "s_");
  std::erase_if(fixed.graph.initializers, [](const Initializer& i) { return i.name == "t_c"; });
  for (size_t k = 0; k < 3; ++k) {
    auto copy = std::make_shared<Node>(*source.graph.nodes[k]);
    for (std::string& i : copy->inputs) i = i == "s_x" ? "t_x" : i;
    for (std::string& o : copy->outputs) o = o == "s_c" ? "t_c" : o;
    fixed.graph.nodes.push_back(copy);
  }
  for (Initializer& i : source.graph.initializers) fixed.graph.initializers.push_back(i);
  RepairJudgement r = JudgeRepair(Source(), target, fixed);
  EXPECT_TRUE(r.healed) << r.why;
}

}  // namespace
}  // namespace assay
