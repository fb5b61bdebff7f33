// Matrix products in every scalar domain, and the operators built on them, against naive formulas.
#include <gtest/gtest.h>

#include "interp/kernels.h"
#include "interp/kernels_matmul.h"

namespace assay {
namespace {

template <class T>
std::vector<T> Drawn(Choices& choices, int64_t n) {
  std::vector<T> v(static_cast<size_t>(n));
  for (T& x : v) {
    if constexpr (std::is_same_v<T, Fp>)
      x = Fp(static_cast<int64_t>(choices.Bits() >> 1));
    else if constexpr (std::is_integral_v<T>)
      x = static_cast<T>(choices.Bits());
    else
      x = static_cast<T>(choices.Normal());
  }
  return v;
}

template <class T>
T Element(const std::vector<T>& m, bool transposed, int64_t rows, int64_t cols, int64_t i,
          int64_t j) {
  return transposed ? m[j * rows + i] : m[i * cols + j];
}

// c = a*b for every combination of transposes, against sums in an exact or wider type.
template <class T, class Wide>
void CheckProducts(double tolerance) {
  Choices choices(7);
  constexpr int64_t kM = 5, kK = 37, kN = 19;
  std::vector<T> a = Drawn<T>(choices, kM * kK), b = Drawn<T>(choices, kK * kN), c(kM * kN);
  for (int flags = 0; flags < 4; ++flags) {
    bool ta = flags & 1, tb = flags & 2;
    MatrixProduct(a.data(), b.data(), c.data(), kM, kK, kN, ta, tb);
    for (int64_t i = 0; i < kM; ++i) {
      for (int64_t j = 0; j < kN; ++j) {
        Wide sum = Wide(0);
        for (int64_t p = 0; p < kK; ++p) {
          sum = sum + static_cast<Wide>(Element(a, ta, kM, kK, i, p)) *
                          static_cast<Wide>(Element(b, tb, kK, kN, p, j));
        }
        if constexpr (std::is_floating_point_v<T>)
          EXPECT_NEAR(c[i * kN + j], sum, tolerance) << flags;
        else
          EXPECT_TRUE(c[i * kN + j] == static_cast<T>(sum)) << flags;
      }
    }
  }
}

TEST(MatrixProduct, AgreesWithTheFormulaInEveryDomain) {
  CheckProducts<float, double>(1e-4);
  CheckProducts<double, double>(1e-12);
  CheckProducts<int32_t, uint32_t>(0);
  CheckProducts<uint32_t, uint32_t>(0);
  CheckProducts<int64_t, uint64_t>(0);
  CheckProducts<uint64_t, uint64_t>(0);
  FieldContext context(3, {});
  FieldScope scope(&context);
  CheckProducts<Fp, Fp>(0);
}

TEST(MatrixProduct, FieldIsExactBeyondOneChunk) {
  FieldContext context(11, {});
  FieldScope scope(&context);
  constexpr int64_t kM = 3, kK = 20000, kN = 4;
  auto p = static_cast<int64_t>(context.p());
  // The largest residues: any lost bit would show.
  std::vector<Fp> a(kM * kK, Fp::Raw(context.p() - 1)), b(kK * kN, Fp::Raw(context.p() - 1));
  Choices choices(1);
  for (int64_t i = 0; i < kK; ++i) a[i] = Fp(static_cast<int64_t>(choices.Bits() >> 1));
  std::vector<Fp> c(kM * kN);
  MatrixProduct(a.data(), b.data(), c.data(), kM, kK, kN);
  for (int64_t i = 0; i < kM; ++i) {
    __int128 sum = 0;
    for (int64_t j = 0; j < kK; ++j)
      sum += static_cast<__int128>(a[i * kK + j].r) * static_cast<int64_t>(b[j * kN].r);
    for (int64_t j = 0; j < kN; ++j)
      EXPECT_EQ(static_cast<int64_t>(c[i * kN + j].r), static_cast<int64_t>(sum % p));
  }
}

TEST(MatrixProduct, EmptySumsAreZero) {
  std::vector<float> c(6, 5.0f);
  MatrixProduct<float>(nullptr, nullptr, c.data(), 2, 0, 3);
  EXPECT_EQ(c, std::vector<float>(6, 0.0f));
  MatrixProduct<float>(nullptr, nullptr, nullptr, 0, 4, 3);
}

TEST(MatrixProduct, ViewsAccumulateIntoPartOfAMatrix) {
  // [[1,2],[3,4]] * [[5],[6]] added to the middle column of a 2x3 matrix.
  std::vector<double> a = {1, 2, 3, 4}, b = {5, 6}, c = {0, 100, 0, 0, 200, 0};
  MultiplyViews<double>({a.data(), 2}, {b.data(), 1}, c.data() + 1, 3, 2, 2, 1, true);
  EXPECT_EQ(c, (std::vector<double>{0, 117, 0, 0, 239, 0}));
}

}  // namespace
}  // namespace assay
