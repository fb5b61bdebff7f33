// Outputs of generated models depend on every input and every weight.
#include <gtest/gtest.h>

#include "gen/recipe.h"
#include "interp/text.h"
#include "tests/dependence.h"

namespace assay {
namespace {

std::vector<std::string> IdleOf(const char* text) {
  Model m = ParseText(text, "model").value();
  return IdleLeaves(m, RandomInputs(m, 1).value());
}

TEST(Dependence, SeesWhatIsIdle) {
  EXPECT_EQ(IdleOf("graph(float[4] x) -> (y) { w = float[4] {1,2,3,4} y = Add(x, w) }"),
            std::vector<std::string>());
  // Below what is added everywhere, the maximum does not see x.
  EXPECT_EQ(IdleOf("graph(float[2] x) -> (y) { w = float[2] {90,90} y = Max(x, w) }"),
            std::vector<std::string>{"x"});
}

TEST(Dependence, HoldsInNearlyAllModels) {
  constexpr int kModels = 600;
  for (const char* profile : {"default", "everything"}) {
    Recipe recipe;
    recipe.profile = profile;
    recipe.nodes = 15;
    recipe.seed = 5;
    GenOptions options = OptionsOf(recipe).value();
    int whole = 0;
    for (recipe.index = 0; recipe.index < kModels; ++recipe.index) {
      Generated g = Make(recipe, options).value();
      whole += IdleLeaves(g.model, g.inputs).empty();
    }
    EXPECT_GE(whole, kModels * 92 / 100) << profile;
  }
}

}  // namespace
}  // namespace assay
