// The promise of a reduction, over the whole table: wherever it lists a site, the result is a valid
// model and strictly smaller; elsewhere it refuses. Names that stay are kept.
#include <gtest/gtest.h>

#include <algorithm>

#include "fuzz/reduce.h"

namespace assay {
namespace {

Model With(std::vector<ValueInfo> inputs, std::vector<Initializer> constants,
           std::vector<NodePtr> nodes, std::vector<std::string> outputs) {
  Model m;
  m.opsets[""] = 17;
  m.graph.name = "g";
  m.graph.inputs = std::move(inputs);
  m.graph.initializers = std::move(constants);
  m.graph.nodes = std::move(nodes);
  for (const std::string& o : outputs)
    m.graph.outputs.push_back({o, DType::kFloat, std::nullopt, ""});
  Result<Subject> s = Subject::Of(m);
  if (!s.ok()) ADD_FAILURE() << s.error().ToString();
  for (ValueInfo& o : m.graph.outputs) o = Declared(o.name, s->Type(o.name));
  return m;
}

ValueInfo F(const std::string& name, Shape shape) {
  return ValueInfo::Of(name, DType::kFloat, shape);
}
Initializer Weights(const std::string& name, Shape shape) {
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, 0.37 * static_cast<double>(i) - 1.1);
  return {name, t, ""};
}

bool Known(std::initializer_list<const char*> ops) {
  return std::all_of(ops.begin(), ops.end(), [](const char* op) { return KnownOp("", op); });
}

// A perceptron, a branching graph with several outputs and an unread input, and a small
// convolutional net.
std::vector<Model> Subjects() {
  std::vector<Model> models;
  if (Known({"MatMul", "Relu"}))
    models.push_back(
        With({F("x", {4, 6})}, {Weights("w", {6, 5}), Weights("b", {5})},
             {MakeNode("MatMul", {"x", "w"}, {"m"}, {}, "mm"),
              MakeNode("Add", {"m", "b"}, {"a"}, {}, "add"),
              MakeNode("Relu", {"a"}, {"r"}, {}, "relu"), MakeNode("Neg", {"r"}, {"y"}, {}, "neg")},
             {"y"}));
  models.push_back(With({F("x", {2, 3}), F("unread", {7})}, {Weights("c", {3})},
                        {MakeNode("Abs", {"x"}, {"a"}), MakeNode("Mul", {"a", "c"}, {"b"}),
                         MakeNode("Sub", {"b", "x"}, {"d"}), MakeNode("Exp", {"a"}, {"e"})},
                        {"d", "e", "b"}));
  if (Known({"Conv", "Reshape", "Gemm", "BatchNormalization"})) {
    models.push_back(
        With({F("x", {2, 4, 8, 8})},
             {Weights("w", {6, 4, 3, 3}),
              Weights("wb", {6}),
              Weights("s", {6}),
              Weights("o", {6}),
              Weights("mean", {6}),
              {"var", Tensor::Floats({6}, {1, 2, 3, 4, 5, 6}), ""},
              {"to", Tensor::Vector({2, 96}), ""},
              Weights("g", {96, 3}),
              Weights("gb", {3})},
             {MakeNode("Conv", {"x", "w", "wb"}, {"c"},
                       {{"strides", std::vector<int64_t>{2, 2}, ""},
                        {"pads", std::vector<int64_t>{1, 1, 1, 1}, ""}},
                       "conv"),
              MakeNode("BatchNormalization", {"c", "s", "o", "mean", "var"}, {"n"}, {}, "bn"),
              MakeNode("Reshape", {"n", "to"}, {"flat"}, {}, "reshape"),
              MakeNode("Gemm", {"flat", "g", "gb"}, {"y"}, {{"alpha", 0.5f, ""}}, "gemm")},
             {"y"}));
  }
  return models;
}

TEST(Reductions, EveryRowKeepsItsPromise) {
  std::map<std::string, int> seen;
  for (const Model& model : Subjects()) {
    Subject s = Subject::Of(model).value();
    for (const Transform& row : AllReductions()) {
      std::vector<Site> sites = row.sites(s);
      EXPECT_EQ(sites, row.sites(s)) << row.name;
      for (const Site& site : sites) {
        SCOPED_TRACE((Step{row.name, site}.ToString()));
        Result<Subject> after = row.Apply(s, site);
        if (!after.ok()) {
          // A cut may turn out not to fit; that is an answer, but it must be an orderly one.
          EXPECT_NE(after.error().code, Code::kInternal);
          continue;
        }
        ++seen[row.name];
        EXPECT_LT(SizeOf(after->model), SizeOf(s.model));
        EXPECT_TRUE(Validate(after->model).ok());
        for (const NodePtr& n : after->model.graph.nodes)
          EXPECT_GE(FindNode(s.model.graph, SiteName(*n)), 0);
      }
      for (Site wrong :
           {Site{"", ""}, Site{"nothing", "1"}, Site{"x", "0=9"}, Site{"w", "-1=1"},
            Site{"w", "9=1"}, Site{"relu", "7"}, Site{"w", "fives"}, Site{"x", "0=0"}}) {
        EXPECT_FALSE(row.Apply(s, wrong).ok()) << row.name << " " << wrong.ToString();
      }
    }
  }
  for (const Transform& row : AllReductions()) {
    if (Subjects().size() < 3) break;
    EXPECT_GT(seen[row.name], 0) << row.name;
  }
}

TEST(Reductions, ShrinkDimTakesTheConstantsAlong) {
  std::vector<Model> models = Subjects();
  ASSERT_GE(models.size(), 3u);
  Subject s = Subject::Of(models[0]).value();
  Model m = FindReduction("shrink_dim")->Apply(s, {"x", "1=2"}).value().model;
  EXPECT_EQ(m.graph.FindInitializer("w")->value.shape(), (Shape{2, 5}));
  m = FindReduction("shrink_dim")->Apply(s, {"w", "1=3"}).value().model;
  EXPECT_EQ(m.graph.FindInitializer("b")->value.shape(), (Shape{3}));
  s = Subject::Of(models[2]).value();
  m = FindReduction("shrink_dim")->Apply(s, {"x", "1=2"}).value().model;
  EXPECT_EQ(m.graph.FindInitializer("w")->value.shape(), (Shape{6, 2, 3, 3}));
  m = FindReduction("shrink_dim")->Apply(s, {"w", "0=3"}).value().model;
  EXPECT_EQ(m.graph.FindInitializer("var")->value.shape(), (Shape{3}));
  EXPECT_EQ(m.graph.FindInitializer("g")->value.shape(), (Shape{48, 3}));
  m = FindReduction("shrink_dim")->Apply(s, {"x", "2=4"}).value().model;
  EXPECT_EQ(m.graph.FindInitializer("to")->value.AsInts(), (std::vector<int64_t>{2, 48}));
}

TEST(Reductions, PrefixCutsAnyAxis) {
  Tensor t = Tensor::Ints({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_TRUE(Prefix(t, 0, 1).Identical(Tensor::Ints({1, 3, 2}, {0, 1, 2, 3, 4, 5})));
  EXPECT_TRUE(Prefix(t, 1, 2).Identical(Tensor::Ints({2, 2, 2}, {0, 1, 2, 3, 6, 7, 8, 9})));
  EXPECT_TRUE(Prefix(t, 2, 1).Identical(Tensor::Ints({2, 3, 1}, {0, 2, 4, 6, 8, 10})));
  Tensor words = Tensor::Strings({2, 2}, {"a", "b", "c", "d"});
  EXPECT_EQ(Prefix(words, 1, 1).strings(), (std::vector<std::string>{"a", "c"}));
}

}  // namespace
}  // namespace assay
