// Operators on the element types that few runtimes serve and the specification allows.
#include <gtest/gtest.h>

#include "interp/exec.h"

namespace assay {
namespace {

Tensor Evaluated(const std::string& op, int opset, const std::vector<Tensor>& inputs,
                 std::vector<Attribute> attrs = {}) {
  Node node;
  node.op = op;
  node.outputs = {"y"};
  node.attrs = std::move(attrs);
  std::vector<const Tensor*> args;
  for (const Tensor& t : inputs) {
    node.inputs.push_back("x");
    args.push_back(&t);
  }
  auto y = EvalNode(*FindOp("", op, opset), node, args, Store::kNative, Limits{}, opset);
  EXPECT_TRUE(y.ok()) << y.error().ToString();
  return y.ok() ? (*y)[0] : Tensor();
}

TEST(ElementTypes, TheNearestElementIsTakenOfAnyType) {
  Tensor grid = Tensor::Floats({1, 1, 3, 2}, {-1, 0, 1, 0, 9, 0});  // the last one is outside: 0
  std::vector<Attribute> nearest = {{"mode", std::string("nearest"), ""},
                                    {"align_corners", int64_t{1}, ""}};
  Tensor ints = Tensor::Of<int32_t>(DType::kInt32, {1, 1, 1, 2}, {5, 7});
  Tensor texts = Tensor::Strings({1, 1, 1, 2}, {"a", "b"});
  for (int opset : {16, 20, 22}) {
    EXPECT_TRUE(Evaluated("GridSample", opset, {ints, grid}, nearest)
                    .Identical(Tensor::Of<int32_t>(DType::kInt32, {1, 1, 1, 3}, {5, 7, 0})));
    EXPECT_TRUE(Evaluated("GridSample", opset, {texts, grid}, nearest)
                    .Identical(Tensor::Strings({1, 1, 1, 3}, {"a", "b", ""})));
  }
}

TEST(ElementTypes, NothingLiesBetweenIntegers) {
  Tensor grid = Tensor::Floats({1, 1, 1, 2}, {0, 0});
  Tensor ints = Tensor::Of<int32_t>(DType::kInt32, {1, 1, 1, 2}, {5, 7});
  Node node;
  node.op = "GridSample";
  node.inputs = {"x", "g"};
  node.outputs = {"y"};
  auto y =
      EvalNode(*FindOp("", "GridSample", 20), node, {&ints, &grid}, Store::kNative, Limits{}, 20);
  ASSERT_FALSE(y.ok());
  EXPECT_EQ(y.error().code, Code::kUnsupported);
}

TEST(ElementTypes, BlocksOfBoolsAndComplexNumbersAddUp) {
  Tensor image = Tensor::Vector({3}), block = Tensor::Vector({2});  // two blocks that overlap
  Tensor bools = Tensor::Of<uint8_t>(DType::kBool, {1, 2, 2}, {1, 0, 0, 1});
  EXPECT_TRUE(Evaluated("Col2Im", 18, {bools, image, block})
                  .Identical(Tensor::Of<uint8_t>(DType::kBool, {1, 1, 3}, {1, 0, 1})));
  using C = std::complex<float>;
  Tensor numbers =
      Tensor::Of<C>(DType::kComplex64, {1, 2, 2}, {C(1, 1), C(2, 0), C(0, 3), C(4, 4)});
  EXPECT_TRUE(
      Evaluated("Col2Im", 18, {numbers, image, block})
          .Identical(Tensor::Of<C>(DType::kComplex64, {1, 1, 3}, {C(1, 1), C(2, 3), C(4, 4)})));
}

// 2 * 1 + 1 * 2 = 4, in float8e4m3fn and to it; and from it to an integer.
TEST(ElementTypes, ProductsOfSmallFloats) {
  constexpr uint8_t kOne = 0x38, kTwo = 0x40, kFour = 0x48;
  auto small = [](Shape shape, std::vector<uint8_t> bits) {
    return Tensor::Of<uint8_t>(DType::kFloat8E4M3FN, std::move(shape), bits);
  };
  Tensor a = small({1, 2}, {kTwo, kOne}), b = small({2, 1}, {kOne, kTwo}), zero = small({}, {0});
  Tensor one = Tensor::ScalarFloat(1), byte = Tensor::Of<int8_t>(DType::kInt8, {}, {10});
  EXPECT_TRUE(Evaluated("QLinearMatMul", 21, {a, one, zero, b, one, zero, one, zero})
                  .Identical(small({1, 1}, {kFour})));
  EXPECT_TRUE(Evaluated("QLinearMatMul", 21, {a, one, zero, b, one, zero, one, byte})
                  .Identical(Tensor::Of<int8_t>(DType::kInt8, {1, 1}, {14})));
}

}  // namespace
}  // namespace assay
