// Tensor: who shares elements with whom.
#include "interp/tensor.h"

#include <gtest/gtest.h>

namespace assay {
namespace {

// Small ones keep their elements with their description, large ones apart.
class Sharing : public testing::TestWithParam<int64_t> {
 protected:
  Tensor Make() const { return Tensor::Make(DType::kFloat, {GetParam()}).value(); }
};

TEST_P(Sharing, OneHolderMayWrite) { EXPECT_TRUE(Make().Unshared()); }

TEST_P(Sharing, ACopyShares) {
  Tensor t = Make();
  {
    Tensor copy = t;  // NOLINT: the copy is the point
    EXPECT_FALSE(t.Unshared());
    EXPECT_FALSE(copy.Unshared());
  }
  EXPECT_TRUE(t.Unshared());
}

TEST_P(Sharing, AViewShares) {
  Tensor t = Make();
  Tensor view = t.Reshaped({1, GetParam()});
  EXPECT_FALSE(t.Unshared());
  EXPECT_FALSE(view.Unshared());
  t = Tensor();
  EXPECT_TRUE(view.Unshared());
}

TEST_P(Sharing, ACloneDoesNot) {
  Tensor t = Make();
  Tensor clone = t.Clone();
  EXPECT_TRUE(t.Unshared());
  EXPECT_TRUE(clone.Unshared());
}

INSTANTIATE_TEST_SUITE_P(, Sharing, testing::Values(3, 100'000));

TEST(Tensor, OnlyNumbersAreWrittenOver) {
  EXPECT_FALSE(Tensor().Unshared());
  EXPECT_FALSE(Tensor::Strings({1}, {"a"}).Unshared());
  EXPECT_FALSE(Tensor::List(kSequence, {DType::kFloat}, {Tensor::ScalarFloat(1)}).Unshared());
}

}  // namespace
}  // namespace assay
