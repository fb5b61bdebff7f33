// GraphBuilder: what it takes as a node and what it refuses.
#include "gen/builder.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

Node NodeOf(const char* op) {
  Node n;
  n.op = op;
  n.outputs = {"y"};
  return n;
}

const OpSpec& Row(const char* op) { return *FindOp("", op, 17); }

// A node is run half a dozen times: what takes long is refused before it runs.
TEST(GraphBuilder, BoundsTheProductsOfANode) {
  Choices choices(1);
  GraphBuilder builder(17, {});
  auto multiply = [&](int64_t n) {
    int a = builder.AddInput(choices, DType::kFloat, {n, n});
    int b = builder.AddInput(choices, DType::kFloat, {n, n});
    return builder.AddNode(Row("MatMul"), NodeOf("MatMul"), {a, b});
  };
  EXPECT_GE(multiply(64), 0);
  EXPECT_EQ(multiply(128), -1);
}

// The planner has run the rule already. Types that no rule would give show that it does not run
// again.
TEST(GraphBuilder, TakesTheTypesItIsGiven) {
  Choices choices(1);
  GraphBuilder builder(17, {});
  int x = builder.AddInput(choices, DType::kFloat, {2, 3});
  std::vector<TypeInfo> types = {TypeInfo::Of(DType::kFloat, Shape{6})};
  int y = builder.AddNode(Row("Sigmoid"), NodeOf("Sigmoid"), {x}, {}, &types);
  ASSERT_GE(y, 0);
  EXPECT_EQ(builder.value(y).samples[0].native.shape(), (Shape{6}));
}

}  // namespace
}  // namespace assay
