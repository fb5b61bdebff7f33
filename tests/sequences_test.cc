// Operator-sequence coverage: what counts as a sequence, and that sets merge, print and stay
// bounded.
#include "corpus/sequences.h"

#include <gtest/gtest.h>

#include "corpus/sequence_list.h"

namespace assay {
namespace {

Attribute Body(const std::string& name, Graph g) {
  return {name, std::make_shared<const Graph>(std::move(g)), ""};
}

// x -> Relu -> a; Constant -> k; Neg(k) -> n; Add(a, n) -> y
Graph Small() {
  Graph g;
  g.inputs = {ValueInfo::Of("x", DType::kFloat, {2})};
  g.initializers.push_back({"w", Tensor::Floats({2}, {1, 2}), ""});
  g.nodes = {MakeNode("Add", {"a", "n"}, {"y"}), MakeNode("Constant", {}, {"k"}),
             MakeNode("Mul", {"k", "w"}, {"n"}), MakeNode("Relu", {"x"}, {"a"})};
  g.outputs = {ValueInfo::Of("y", DType::kFloat, {2})};
  return g;
}

TEST(Sequences, FollowDataEdgesAndSkipConstants) {
  SequenceSet set;
  EXPECT_EQ(set.Insert(Small()).value(), 5);
  EXPECT_EQ(set.Names(1), (std::vector<std::string>{"Add", "Mul", "Relu"}));
  EXPECT_EQ(set.Names(2), (std::vector<std::string>{"Mul>Add", "Relu>Add"}));
  EXPECT_EQ(set.Count(3), 0);
  EXPECT_EQ(set.Insert(Small()).value(), 0);
}

TEST(Sequences, EnterBodiesThroughCapturesAndBodyInputs) {
  Graph body;
  body.inputs = {ValueInfo::Of("i", DType::kInt64, {}), ValueInfo::Of("c", DType::kBool, {}),
                 ValueInfo::Of("v", DType::kFloat, {2})};
  body.nodes = {MakeNode("Exp", {"v"}, {"e"}), MakeNode("Sub", {"e", "captured"}, {"s"})};
  body.outputs = {ValueInfo::Of("c", DType::kBool, {}), ValueInfo::Of("s", DType::kFloat, {2})};
  Graph g;
  g.inputs = {ValueInfo::Of("x", DType::kFloat, {2})};
  g.nodes = {MakeNode("Abs", {"x"}, {"captured"}), MakeNode("Relu", {"x"}, {"start"}),
             MakeNode("Loop", {"", "", "start"}, {"y"}, {Body("body", body)}),
             MakeNode("Gelu", {"y"}, {"z"}, {}, "", "com.microsoft")};
  SequenceSet set;
  ASSERT_TRUE(set.Insert(g).ok());
  for (std::string wanted : {"Relu>Exp>Sub", "Abs>Sub", "Relu>Loop>com.microsoft.Gelu"}) {
    EXPECT_TRUE(set.Contains(SplitSequence(wanted))) << wanted;
  }
  EXPECT_FALSE(set.Contains({"Abs", "Exp"}));
}

TEST(Sequences, ACycleIsAnError) {
  Graph g;
  g.nodes = {MakeNode("Abs", {"b"}, {"a"}), MakeNode("Abs", {"a"}, {"b"})};
  EXPECT_EQ(SequenceSet().Insert(g).error().code, Code::kInvalid);
}

TEST(Sequences, LengthIsCappedAndParts) {
  SequenceSet set(3);
  set.Insert(SplitSequence("A > B>C>D"));
  EXPECT_EQ(set.Count(1), 4);
  EXPECT_EQ(set.Names(3), (std::vector<std::string>{"A>B>C", "B>C>D"}));
  EXPECT_EQ(set.Count(4), 0);
  EXPECT_FALSE(set.Contains({"A", "B", "C", "D"}));
}

TEST(Sequences, MergeIsCommutativeAndTextRoundTrips) {
  SequenceSet a, b;
  a.Insert(SplitSequence("A>B>C>D>E>F"));
  b.Insert(SplitSequence("E>F>A"));
  b.Insert(SplitSequence("Z"));
  SequenceSet ab = a, ba = b;
  ab.Merge(b);
  ba.Merge(a);
  ba.Merge(a);
  EXPECT_EQ(ab.ToText(), ba.ToText());
  EXPECT_EQ(ab.Count(2), 6);
  EXPECT_EQ(SequenceSet::Parse(ab.ToText()).ToText(), ab.ToText());
  for (int k = 1; k <= 5; ++k) EXPECT_EQ(SequenceSet::Parse(ab.ToText()).Names(k), ab.Names(k));
  EXPECT_EQ(SequenceSet::Parse("A>B # why\n\n>x\n").ToText(), "A>B\n");
}

// Layers of 40 operators of distinct types, each fed by the whole layer before: 40^5 sequences
// exist.
TEST(Sequences, DenseGraphsStayBounded) {
  Graph g;
  std::vector<std::string> before;
  for (int layer = 0; layer < 5; ++layer) {
    std::vector<std::string> now;
    for (int i = 0; i < 40; ++i) {
      std::string out = "v" + std::to_string(layer) + "_" + std::to_string(i);
      g.nodes.push_back(MakeNode("Op" + std::to_string(i), before, {out}));
      now.push_back(out);
    }
    before = now;
  }
  SequenceSet set, again;
  again.Insert(SplitSequence("Op7"));  // what was there before must not change what is kept
  ASSERT_TRUE(set.Insert(g).ok());
  ASSERT_TRUE(again.Insert(g).ok());
  EXPECT_EQ(set.Count(2), 1600);
  EXPECT_EQ(set.ToText(), again.ToText());
  EXPECT_LE(set.Count(5), int64_t{40} * SequenceSet::kSuffixesKept * 5);
}

TEST(Sequences, FeasibleOnesAreTheWalksOverPairs) {
  // A>B>C, A>C>C>C..: walks by hand.
  OperatorPairs pairs = {{"A", "B"}, {"B", "C"}, {"A", "C"}, {"C", "C"}};
  EXPECT_EQ(FeasibleSequences(pairs, 4), (std::vector<uint64_t>{3, 4, 4, 4}));
  OperatorPairs all;
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) all.push_back({std::string(1, a), std::string(1, b)});
  }
  std::vector<uint64_t> many = FeasibleSequences(all, 15);
  EXPECT_EQ(many[2], 26u * 26 * 26);
  EXPECT_EQ(many[14], UINT64_MAX);
}

TEST(SequenceList, ReadsJsonAndTextAndCoversAtFullLength) {
  SequenceList json =
      SequenceList::Parse(
          R"({"a": [["Relu","Add"], ["Mul","Relu"]], "b": ["Relu>Add", "X>Y"], "_note": {"k": 1}, "n": [3]})",
          "t")
          .value();
  EXPECT_EQ(json.All().total, 3);
  json.Cover(FlowOf(Small()).value());
  EXPECT_EQ(json.All().covered, 1);
  EXPECT_EQ(json.ByList().at("a").covered, 1);
  EXPECT_EQ(json.ByList().at("b").total, 2);
  EXPECT_EQ(json.Missing(), (std::vector<std::string>{"Mul>Relu", "X>Y"}));

  SequenceList text = SequenceList::Parse("# wanted\nA>B>C>D>E>F>G\nA > B\n", "t").value();
  Graph chain;
  for (char c = 'A'; c <= 'G'; ++c) {
    chain.nodes.push_back(
        MakeNode(std::string(1, c), {std::string("v") + c}, {std::string("v") + char(c + 1)}));
  }
  SequenceSet set;
  ASSERT_TRUE(set.Insert(chain).ok());
  text.Cover(set);
  EXPECT_EQ(text.All().covered, 1);  // the set knows five operators only
  text.Cover(FlowOf(chain).value());
  EXPECT_EQ(text.All().covered, 2);
}

TEST(SequenceList, TakesNamedLists) {
  std::string text = R"({"a": ["A>B"], "b": ["C>D", "E"]})";
  EXPECT_EQ(SequenceList::Parse(text, "t", {"b"}).value().All().total, 2);
  EXPECT_EQ(SequenceList::Parse(text, "t", {"b", "c"}).error().code, Code::kUsage);
}

TEST(SequenceList, RefusesGarbage) {
  for (std::string bad : {"", "{", "[1,2]", "{}", "# nothing\n", "[[[]]]"}) {
    EXPECT_EQ(SequenceList::Parse(bad, "file").error().code, Code::kInvalid) << bad;
  }
}

}  // namespace
}  // namespace assay
