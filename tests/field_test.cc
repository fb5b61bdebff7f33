// The field: exact embedding, identities, order (interp/field.h).
#include "interp/field.h"

#include <gtest/gtest.h>

#include "interp/kernels.h"

namespace assay {
namespace {

class FieldTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  FieldTest() : context_(GetParam(), {6.0, -1.5, 3.4028234663852886e38, -3.4028234663852886e38}), scope_(&context_) {}
  FieldContext context_;
  FieldScope scope_;
};

TEST_P(FieldTest, FloatsAddAsRationals) {
  float a = 0.37f, b = 0.21f;
  // Both are multiples of 2^-27 below 1, so their sum in double is exact.
  EXPECT_EQ(Fp(a) + Fp(b), Fp(static_cast<double>(a) + static_cast<double>(b)));
  EXPECT_NE(Fp(a) + Fp(b), Fp(a + b));
}

TEST_P(FieldTest, ArithmeticIsExact) {
  EXPECT_EQ(Fp(1e10) * Fp(-3.0), Fp(-3e10));
  EXPECT_EQ(Fp(7) / Fp(7), Fp(1));
  EXPECT_EQ(Fp(5) / Fp(2), Fp(2.5));
  EXPECT_EQ(-Fp(0), Fp(0));
  EXPECT_EQ(Fp(3) - Fp(10), Fp(-7));
  EXPECT_EQ(Fp(int64_t{-9223372036854775807}) + Fp(int64_t{9223372036854775807}), Fp(0));
}

TEST_P(FieldTest, EveryExponentIsExact) {
  for (double mantissa : {1.0, 3.0, 5.0 / 3, 12345.0f / 7.0, 0x1.123456789abcdp0}) {
    Fp down = Fp(mantissa * 0x1p60), up = down;
    for (int e = 59; e > -1022; --e) {
      down = down * Fp(0.5);
      if (e < 2 && e > -22) continue;  // what is near a simple fraction there means the fraction
      EXPECT_EQ(Fp(std::ldexp(mantissa, e)), down) << mantissa << " 2^" << e;
    }
    for (int e = 61; e < 1000; ++e) {
      up = up + up;
      EXPECT_EQ(Fp(std::ldexp(mantissa, e)), up) << mantissa << " 2^" << e;
    }
  }
  // Without all bits of a normal number.
  EXPECT_EQ(Fp(0x1.8p-1072) * Fp(0x1p72), Fp(0x1.8p-1000));
}

TEST_P(FieldTest, RoundedFractionsAreTheFraction) {
  EXPECT_EQ(Fp(1.0f / 3.0f), Fp(1) / Fp(3));
  EXPECT_EQ(Fp(1.0f / 49.0f), Fp(1) / Fp(49));
  EXPECT_EQ(Fp(0.70710677f) * Fp(0.70710677f), Fp(0.5));
  EXPECT_EQ(Fp(1.4142135f) * Fp(0.70710677f), Fp(1));
  EXPECT_NE(Fp(0.3333f), Fp(1) / Fp(3));
}

TEST_P(FieldTest, UninterpretedFunctionsKeepTheirSymmetry) {
  Fp x = Fp::Raw(12345);
  EXPECT_EQ(ScalarExp(-x) * ScalarExp(x), Fp(1));
  EXPECT_EQ(ScalarExp(Fp(0)), Fp(1));
  EXPECT_EQ(ScalarTanh(-x), -ScalarTanh(x));
  EXPECT_EQ(ScalarCos(-x), ScalarCos(x));
  EXPECT_NE(ScalarSin(x), ScalarTan(x));
  EXPECT_EQ(ScalarPow(x, Fp(2)), x * x);
  EXPECT_EQ(ScalarPow(x, Fp(0.5)), ScalarSqrt(x));
}

TEST_P(FieldTest, KnownConstantsKeepTheirOrder) {
  EXPECT_LT(Fp(-1.5), Fp(0));
  EXPECT_LT(Fp(0), Fp(1));
  EXPECT_LT(Fp(1), Fp(6));
  Fp x = Fp::Raw(4242);
  // The largest finite float bounds nothing.
  EXPECT_LT(x, Fp(3.4028234663852886e38));
  EXPECT_LT(Fp(-3.4028234663852886e38), x);
  EXPECT_NE(x < Fp(0), Fp(0) < x);
  EXPECT_EQ(ScalarMax(x, Fp(0)), ScalarMax(Fp(0), x));
}

INSTANTIATE_TEST_SUITE_P(Seeds, FieldTest, ::testing::Range<uint64_t>(0, 20));

}  // namespace
}  // namespace assay
