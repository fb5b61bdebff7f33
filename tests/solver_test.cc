// The interval solver: it solves what the rules allow, with different answers, and never what they
// forbid.
#include "gen/solver.h"

#include <gtest/gtest.h>

#include <set>

#include "gen/catalog.h"
#include "gen/domain.h"
#include "interp/infer.h"

namespace assay {
namespace {

// A problem: input 0 has a drawn shape, all other inputs' extents and the named attributes are
// unknown.
struct Setting {
  const char* op;
  std::vector<int> ranks;
  std::vector<const char*> unknown;
};

Node NodeFor(const Problem& p, const Setting& s) {
  Node n = BareNode(*p.spec, 1);
  n.inputs.assign(s.ranks.size(), "x");
  return n;
}

Problem Pose(Choices& choices, const Setting& s, const OpSpec& spec, Node* node) {
  Problem p;
  p.spec = &spec;
  *node = NodeFor(p, s);
  p.node = node;
  p.max_elements = 4096;
  for (size_t i = 0; i < s.ranks.size(); ++i) {
    Shape shape = DrawShape(choices, s.ranks[i], 512);
    if (i == 0)
      p.inputs.push_back(TypeInfo::Of(DType::kFloat, shape));
    else
      p.inputs.push_back({DType::kFloat, true, std::vector<Dim>(s.ranks[i], Dim(1, 64))});
    p.values.push_back(nullptr);
  }
  for (const char* name : s.unknown) {
    std::vector<Dim> unknown = UnknownAttribute(*spec.FindAttr(name), s.ranks[0]);
    EXPECT_FALSE(unknown.empty()) << s.op << "." << name;
    p.attributes[name] = std::move(unknown);
  }
  return p;
}

std::string TextOf(const Problem& p) {
  std::string text = p.spec->name;
  for (const TypeInfo& t : p.inputs) text += " " + t.ToString();
  for (const auto& [name, list] : p.attributes) {
    text += " " + name;
    for (const Dim& d : list) text += "," + d.ToString();
  }
  return text;
}

// The answer, checked by InferNode as a concrete node.
bool Holds(const Problem& p) {
  Node n = *p.node;
  std::vector<const TypeInfo*> types;
  for (const TypeInfo& t : p.inputs) {
    if (!t.Static()) return false;
    types.push_back(&t);
  }
  for (const auto& [name, list] : p.attributes) {
    std::vector<int64_t> ints;
    for (const Dim& d : list) {
      if (!d.known() || !Holds(p.spec->FindAttr(name)->domain, d.value())) return false;
      ints.push_back(d.value());
    }
    if (p.spec->FindAttr(name)->type == AttrType::kInt)
      n.Set(name, ints[0]);
    else
      n.Set(name, ints);
  }
  Result<std::vector<TypeInfo>> out = InferNode(*p.spec, n, types, p.values);
  return out.ok() && (*out)[0].Static() && ElementCount((*out)[0].StaticShape()) >= 1 &&
         ElementCount((*out)[0].StaticShape()) <= p.max_elements;
}

const Setting kSettings[] = {
    {"Conv", {4, 4}, {"group", "strides", "pads", "dilations"}},
    {"Conv", {3, 3, 1}, {"strides", "pads", "dilations"}},
    {"Conv", {5, 5}, {"strides", "pads"}},
    {"ConvTranspose", {4, 4}, {"group", "strides", "pads"}},
    {"MaxPool", {4}, {"kernel_shape", "strides", "pads"}},
    {"AveragePool", {4}, {"kernel_shape", "strides", "pads"}},
    {"Gemm", {2, 2, 2}, {}},
    {"MatMul", {3, 3}, {}},
    {"MatMul", {2, 4}, {}},
    {"Add", {4, 4}, {}},
};

TEST(Solver, SolvesWithDifferentAnswers) {
  constexpr int kEach = 200;  // 2,000 problems in all
  int solved = 0, distinct = 0, asked = 0;
  for (const Setting& s : kSettings) {
    const OpSpec* spec = FindOp("", s.op, 17);
    ASSERT_NE(spec, nullptr) << s.op;
    std::set<std::string> answers;
    int here = 0;
    for (uint64_t seed = 0; seed < kEach; ++seed, ++asked) {
      Choices choices(MixSeeds(11, seed));
      Node node;
      Problem p = Pose(choices, s, *spec, &node);
      if (!Solve(choices, p)) continue;
      ++here;
      EXPECT_TRUE(Holds(p)) << TextOf(p);
      answers.insert(TextOf(p));
    }
    EXPECT_GE(here, kEach * 97 / 100) << s.op << " of rank " << s.ranks[0];
    solved += here;
    distinct += static_cast<int>(answers.size());
  }
  EXPECT_GE(solved, asked * 99 / 100);
  EXPECT_GE(distinct, solved * 9 / 10);
}

TEST(Solver, HitsAWantedType) {
  const OpSpec* spec = FindOp("", "Conv", 17);
  ASSERT_NE(spec, nullptr);
  int solved = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Choices choices(seed);
    Node node = BareNode(*spec, 1);
    node.inputs = {"x", "w"};
    TypeInfo want = TypeInfo::Of(DType::kFloat, Shape{2, 6, 5, 7});
    Problem p;
    p.spec = spec;
    p.node = &node;
    p.want = &want;
    for (int i = 0; i < 2; ++i)
      p.inputs.push_back({DType::kFloat, true, std::vector<Dim>(4, Dim(1, 64))});
    p.values.assign(2, nullptr);
    p.attributes["pads"] = UnknownAttribute(*spec->FindAttr("pads"), 4);
    Solution out;
    if (!Solve(choices, p, &out)) continue;
    ++solved;
    EXPECT_EQ(out.outputs[0].StaticShape(), (Shape{2, 6, 5, 7}));
    EXPECT_TRUE(Holds(p));
  }
  EXPECT_GE(solved, 90);
}

TEST(Solver, LeavesAnUnsolvableProblemAsItWas) {
  const OpSpec* spec = FindOp("", "Add", 17);
  Node node = BareNode(*spec, 1);
  node.inputs = {"a", "b"};
  TypeInfo want = TypeInfo::Of(DType::kFloat, Shape{3, 4});
  Problem p;
  p.spec = spec;
  p.node = &node;
  p.want = &want;
  p.inputs = {TypeInfo::Of(DType::kFloat, Shape{3, 5}),
              {DType::kFloat, true, {Dim(1, 64), Dim(1, 64)}}};
  p.values.assign(2, nullptr);
  Choices choices(1);
  EXPECT_FALSE(Solve(choices, p));
  EXPECT_TRUE(Same(p.inputs[1].dims[0], Dim(1, 64)));
}

TEST(Solver, KeepsSizes) {
  const OpSpec* spec = FindOp("", "MatMul", 17);
  Node node = BareNode(*spec, 1);
  node.inputs = {"a", "b"};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Choices choices(seed);
    Problem p;
    p.spec = spec;
    p.node = &node;
    p.max_elements = 64;
    p.inputs.assign(2, {DType::kFloat, true, {Dim(1, 64), Dim(1, 64)}});
    p.values.assign(2, nullptr);
    Solution out;
    ASSERT_TRUE(Solve(choices, p, &out));
    for (const TypeInfo& t : p.inputs) EXPECT_LE(ElementCount(t.StaticShape()), 64);
    EXPECT_LE(ElementCount(out.outputs[0].StaticShape()), 64);
  }
}

TEST(Catalog, RanksAreThoseTheRulesAllow) {
  bool conv = false, norm = false;
  for (const Row& row : Catalog::Of(17).rows()) {
    if (row.spec->name == "Conv") {
      conv = true;
      EXPECT_FALSE(row.TakesRank(2));
      ASSERT_TRUE(row.TakesRank(4));
      EXPECT_EQ(row.ranks[4], (std::vector<std::vector<int8_t>>{{4, 4}}));
    }
    if (row.spec->name == "BatchNormalization" && row.TakesRank(4)) {
      norm = true;
      EXPECT_EQ(row.ranks[4], (std::vector<std::vector<int8_t>>{{4, 1, 1, 1, 1}}));
    }
  }
  EXPECT_TRUE(conv);
  EXPECT_TRUE(norm || FindOp("", "BatchNormalization", 17) == nullptr);
}

}  // namespace
}  // namespace assay
