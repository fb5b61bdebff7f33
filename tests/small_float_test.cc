#include "interp/small_float.h"

#include <gtest/gtest.h>

#include <cmath>

namespace assay {
namespace {

constexpr DType kTypes[] = {DType::kFloat8E4M3FN,   DType::kFloat8E4M3FNUZ, DType::kFloat8E5M2,
                            DType::kFloat8E5M2FNUZ, DType::kFloat4E2M1,     DType::kFloat8E8M0};

int PatternsOf(DType t) { return t == DType::kFloat4E2M1 ? 16 : 256; }

TEST(SmallFloat, EveryPatternSurvives) {
  for (DType t : kTypes) {
    for (int b = 0; b < PatternsOf(t); ++b) {
      double v = SmallFloatValue(t, static_cast<uint8_t>(b));
      uint8_t again = SmallFloatBits(t, v, false);
      if (std::isnan(v)) {
        EXPECT_TRUE(std::isnan(SmallFloatValue(t, again))) << DTypeName(t) << " " << b;
      } else {
        EXPECT_EQ(again, b) << DTypeName(t);
      }
    }
  }
}

// Every number goes to the nearest pattern, at a tie to the one whose last bit is 0.
TEST(SmallFloat, RoundsToTheNearest) {
  for (DType t : kTypes) {
    if (t == DType::kFloat8E8M0) continue;
    for (double v = -7; v <= 7; v += 1.0 / 64) {
      double got = SmallFloatValue(t, SmallFloatBits(t, v));
      double limit = t == DType::kFloat4E2M1 ? 6 : 1e9;
      for (int b = 0; b < PatternsOf(t); ++b) {
        double other = SmallFloatValue(t, static_cast<uint8_t>(b));
        if (std::isnan(other) || std::isinf(other)) continue;
        double mine = std::fabs(got - v), theirs = std::fabs(other - v);
        EXPECT_LE(mine, theirs) << DTypeName(t) << " " << v;
        if (mine == theirs && other != got && std::fabs(v) < limit) {
          EXPECT_EQ(SmallFloatBits(t, v) & 1, 0) << DTypeName(t) << " " << v;
        }
      }
    }
  }
}

// The tables of the specification of Cast (opset 19) and of the page on float4.
TEST(SmallFloat, OutOfRange) {
  struct Case {
    DType type;
    double v;
    double saturated, otherwise;
  };
  const double inf = INFINITY, nan = NAN;
  for (const Case& c : std::initializer_list<Case>{{DType::kFloat8E4M3FN, 1e4, 448, nan},
                                                   {DType::kFloat8E4M3FN, 464, 448, 448},
                                                   {DType::kFloat8E4M3FN, -inf, -448, nan},
                                                   {DType::kFloat8E4M3FNUZ, 1e4, 240, nan},
                                                   {DType::kFloat8E5M2, 1e6, 57344, inf},
                                                   {DType::kFloat8E5M2, -inf, -57344, -inf},
                                                   {DType::kFloat8E5M2FNUZ, inf, 57344, nan},
                                                   {DType::kFloat8E5M2FNUZ, -0.0, 0, 0},
                                                   {DType::kFloat4E2M1, 9, 6, 6},
                                                   {DType::kFloat4E2M1, -inf, -6, -6},
                                                   {DType::kFloat4E2M1, nan, -0.0, -0.0}}) {
    for (bool saturate : {true, false}) {
      double want = saturate ? c.saturated : c.otherwise,
             got = SmallFloatValue(c.type, SmallFloatBits(c.type, c.v, saturate));
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got)) << DTypeName(c.type) << " " << c.v;
      } else {
        EXPECT_EQ(got, want) << DTypeName(c.type) << " " << c.v;
      }
      if (!std::isnan(want)) {
        EXPECT_EQ(std::signbit(got), std::signbit(want)) << DTypeName(c.type) << " " << c.v;
      }
    }
  }
}

TEST(SmallFloat, PowersOfTwo) {
  auto power = [](double v, PowerRounding r) {
    return SmallFloatValue(DType::kFloat8E8M0, SmallFloatBits(DType::kFloat8E8M0, v, true, r));
  };
  EXPECT_EQ(power(5, PowerRounding::kUp), 8);
  EXPECT_EQ(power(5, PowerRounding::kDown), 4);
  EXPECT_EQ(power(5, PowerRounding::kNearest), 4);
  EXPECT_EQ(power(6, PowerRounding::kNearest), 8);
  EXPECT_EQ(power(-4, PowerRounding::kUp), 4);
  EXPECT_EQ(power(INFINITY, PowerRounding::kUp), 0x1p127);
  EXPECT_TRUE(std::isnan(power(NAN, PowerRounding::kUp)));
}

}  // namespace
}  // namespace assay
