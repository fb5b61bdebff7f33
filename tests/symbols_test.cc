// Shape inference with symbols: the expressions are those a person would write, and hold for
// extents that were not tried.
#include "interp/symbols.h"

#include <gtest/gtest.h>

#include "gen/recipe.h"
#include "interp/exec.h"
#include "interp/infer.h"
#include "interp/text.h"

namespace assay {
namespace {

std::string Extents(const ValueInfo& v) {
  std::string text;
  if (!v.shape) return "*";
  for (const DimDecl& d : *v.shape) {
    text += text.empty() ? "" : ",";
    text += d.value >= 0 ? std::to_string(d.value) : d.symbol.empty() ? "?" : d.symbol;
  }
  return text;
}

struct Case {
  const char* graph;
  const char* y;  // the extents of its output
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.y; }

class Extent : public testing::TestWithParam<Case> {};

TEST_P(Extent, IsWrittenOverTheSymbols) {
  Result<Model> m = ParseText(GetParam().graph);
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  Result<Model> typed = DeclareTypes(*m);
  ASSERT_TRUE(typed.ok()) << typed.error().ToString();
  EXPECT_EQ(Extents(typed->graph.outputs[0]), GetParam().y) << GetParam().graph;
}

INSTANTIATE_TEST_SUITE_P(
    , Extent,
    testing::Values(
        Case{"graph(float[N,3] x) -> (y) { y = Relu(x) }", "N,3"},
        Case{"graph(float[N,3] x, float[N,1] b) -> (y) { s = Add(x, b) y = Transpose(s) }", "3,N"},
        Case{"graph(float[N,3] x, float[M,3] z) -> (y) { y = Concat(x, z) {axis=0} }", "N + M,3"},
        Case{"graph(float[N,3] x) -> (y) { y = Concat(x, x) {axis=0} }", "2*N,3"},
        Case{"graph(float[1,3,H,W] x) -> (y) { w = float[8,3,3,3] fill(1) c = Conv(x, w) "
             "{pads=[1,1,1,1], "
             "strides=[2,2]} d = MaxPool(c) {kernel_shape=[2,2], strides=[2,2]} y = Relu(d) }",
             "1,8,floor((H + 1)/4),floor((W + 1)/4)"},
        Case{"graph(float[1,1,L] x) -> (y) { w = float[1,1,5] fill(1) y = Conv(x, w) }",
             "1,1,L - 4"},
        Case{
            "graph(float[N,S,12] x) -> (y) { s = Shape(x) i = int64[1] {0} j = int64[1] {1} n = "
            "Gather(s, i) "
            "l = Gather(s, j) h = int64[2] {3, 4} t = Concat(n, l, h) {axis=0} y = Reshape(x, t) }",
            "N,S,3,4"},
        Case{"graph(float[N,S,4] x) -> (y) { y = Flatten(x) {axis=2} }", "N*S,4"},
        Case{"graph(float[N,S,4] x) -> (y) { t = int64[2] {-1, 8} y = Reshape(x, t) }", "N*S/2,8"},
        Case{"graph(float[N] x) -> (y) { t = int64[2] {-1, 8} y = Reshape(x, t) }", "N/8,8"},
        Case{"graph(float[\"batch size\",3] x) -> (y) { y = Concat(x, x) {axis=0} }",
             "2*(batch size),3"},
        Case{"graph(float[N,3] x, float[?,3] z) -> (y) { y = Concat(x, z) {axis=0} }", "?,3"},
        Case{"graph(float[N] x) -> (y) { y = NonZero(x) }", "1,?"},
        // Clipped at 100, which no line fits.
        Case{"graph(float[N] x) -> (y) { s = int64[1] {0} e = int64[1] {100} y = Slice(x, s, e) }",
             "?"},
        // The fixed extent leaves no choice.
        Case{"graph(float[N,2] x) -> (y) { t = int64[1] {6} y = Reshape(x, t) }", "6"}));

TEST(Symbols, InnerValuesAreDeclared) {
  Model m =
      ParseText("graph(float[N,3] x) -> (y) { h = Relu(x) s = Shape(h) y = Size(s) }").value();
  Model typed = DeclareTypes(m).value();
  ASSERT_EQ(typed.graph.value_info.size(), 2u);
  EXPECT_EQ(typed.graph.value_info[0].name, "h");
  EXPECT_EQ(Extents(typed.graph.value_info[0]), "N,3");
  EXPECT_EQ(typed.graph.value_info[1].dtype, DType::kInt64);
  EXPECT_EQ(Extents(typed.graph.value_info[1]), "2");
}

TEST(Symbols, WhatIsDeclaredStays) {
  Model m = ParseText("graph(float[N,3] x) -> (float[out,?] y) { y = Relu(x) }").value();
  EXPECT_EQ(Extents(DeclareTypes(m)->graph.outputs[0]), "out,3");
}

TEST(Symbols, BrokenModelsAreRefused) {
  Model m = ParseText("graph(float[N,3] x, float[N,4] z) -> (y) { y = Add(x, z) }").value();
  EXPECT_FALSE(DeclareTypes(m).ok());
}

bool IsSymbolOfAnInput(const Model& m, const DimDecl& d) {
  auto has = [&](const ValueInfo& in) {
    return std::count(in.shape->begin(), in.shape->end(), d) > 0;
  };
  return d.value < 0 && !d.symbol.empty() &&
         std::any_of(m.graph.inputs.begin(), m.graph.inputs.end(), has);
}

// Runs with every symbol bound to `extent`, and compares what has a number or a symbol alone: how
// many symbols.
int CheckExtents(const Model& m, const Model& typed, int64_t extent) {
  ExecOptions keep;
  keep.keep_all = true;
  Result<Execution> run = assay::Run(m, RandomInputs(m, 1, extent).value(), keep);
  int named = 0;
  if (!run.ok()) return named;  // no such extent is allowed
  for (const ValueInfo& v : typed.graph.value_info) {
    auto it = run->values.find(v.name);
    if (it == run->values.end() || !v.shape) continue;
    const Shape& is = it->second.shape();
    EXPECT_EQ(is.size(), v.shape->size()) << v.name;
    for (size_t a = 0; a < std::min(is.size(), v.shape->size()); ++a) {
      const DimDecl& d = (*v.shape)[a];
      bool symbol = IsSymbolOfAnInput(m, d);
      named += symbol;
      if (symbol || d.value >= 0) {
        EXPECT_EQ(is[a], symbol ? extent : d.value) << v.name;
      }
    }
  }
  return named;
}

TEST(Symbols, HoldInGeneratedModelsForOtherExtents) {
  int named = 0;
  Recipe recipe;
  recipe.seed = 3;
  recipe.nodes = 8;
  recipe.profile = "dynamic";
  for (recipe.index = 0; recipe.index < 60; ++recipe.index) {
    SCOPED_TRACE(recipe.index);
    Model m = Make(recipe, OptionsOf(recipe).value())->model;
    Result<Model> typed = DeclareTypes(m);
    ASSERT_TRUE(typed.ok()) << typed.error().ToString();
    for (int64_t extent : {7, 36}) named += CheckExtents(m, *typed, extent);
  }
  EXPECT_GT(named, 100);
}

}  // namespace
}  // namespace assay
