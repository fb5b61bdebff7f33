#include "interp/testcase.h"

#include <gtest/gtest.h>

#include <cmath>

#include "interp/npy.h"

namespace assay {
namespace {

TEST(Npy, EveryTypeSurvives) {
  int held = 0;
  for (int d = 1; d < kDTypeCount; ++d) {
    DType dtype = static_cast<DType>(d);
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 3}, Shape{0, 4}}) {
      Tensor t = Tensor::Make(dtype, shape).value();
      for (int64_t i = 0; i < t.bytes(); ++i) t.mutable_raw()[i] = std::byte(i & 1);
      Result<std::string> bytes = SerializeNpy(t);
      if (!bytes.ok()) {
        EXPECT_EQ(bytes.error().code, Code::kUnsupported);
        continue;
      }
      ++held;
      Result<Tensor> again = ParseNpy(*bytes, "t");
      ASSERT_TRUE(again.ok()) << again.error().ToString();
      EXPECT_TRUE(again->Identical(t)) << t.TypeString();
    }
  }
  EXPECT_EQ(held, 14 * 4);
}

std::string WithHeader(const std::string& dict, const std::string& data) {
  std::string length(1, static_cast<char>(dict.size()));
  return std::string("\x93NUMPY\x01\x00", 8) + length + std::string(1, '\0') + dict + data;
}

TEST(Npy, ColumnMajorIsReordered) {
  Tensor t = ParseNpy(WithHeader("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }",
                                 std::string("\1\2\3\4\5\6")),
                      "t")
                 .value();
  EXPECT_EQ(t.AsInts(), (std::vector<int64_t>{1, 3, 5, 2, 4, 6}));
}

TEST(Npy, BadFilesAreRefused) {
  std::string good = WithHeader("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "ab");
  ASSERT_TRUE(ParseNpy(good, "t").ok());
  for (size_t n = 0; n < good.size(); ++n) EXPECT_FALSE(ParseNpy(good.substr(0, n), "t").ok()) << n;
  auto code = [](const std::string& dict) {
    return ParseNpy(WithHeader(dict, "ab"), "t").error().code;
  };
  EXPECT_EQ(code("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }"), Code::kUnsupported);
  EXPECT_EQ(code("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"), Code::kUnsupported);
  EXPECT_EQ(code("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"), Code::kInvalid);
  EXPECT_EQ(code("{'descr': '|u1', 'fortran_order': False, 'shape': (-2,), }"), Code::kInvalid);
  EXPECT_EQ(code("{'descr': '|u1', 'shape': (99999999999999999999,), }"), Code::kInvalid);
  EXPECT_EQ(code("{'descr': '|u1', 'shape': (4294967296, 4294967296), }"), Code::kInvalid);
  EXPECT_EQ(code("{'descr': '|u1"), Code::kInvalid);
  EXPECT_EQ(code("{}"), Code::kInvalid);
}

TEST(Npy, NamesBecomeFileNames) {
  EXPECT_EQ(NpyName("x"), "x.npy");
  EXPECT_EQ(NpyName("../a/b c"), "_.._a_b_c.npy");
  EXPECT_EQ(NpyName(""), "_.npy");
}

TEST(Mismatch, FloatsWithinToleranceRestExactly) {
  auto floats = [](std::vector<float> v) {
    return Tensor::Floats({static_cast<int64_t>(v.size())}, v);
  };
  auto same = [&](float got, float want) {
    return Mismatch(floats({got}), floats({want}), 1e-3, 1e-5).empty();
  };
  EXPECT_TRUE(same(1000.9f, 1000));
  EXPECT_FALSE(same(1001.1f, 1000));
  EXPECT_TRUE(same(NAN, NAN));
  EXPECT_FALSE(same(NAN, 0));
  EXPECT_FALSE(same(0, NAN));
  EXPECT_TRUE(same(INFINITY, INFINITY));
  EXPECT_FALSE(same(INFINITY, -INFINITY));
  EXPECT_FALSE(same(3e38f, INFINITY));
  EXPECT_EQ(Mismatch(Tensor::Vector({1, 2}), Tensor::Vector({1, 3}), 1, 1),
            "1 of 2 elements differ; element 1: got 2, want 3");
  EXPECT_EQ(Mismatch(Tensor::Strings({1}, {"a"}), Tensor::Strings({1}, {"b"}), 1, 1),
            "1 of 1 elements differ; element 0: got 'a', want 'b'");
  EXPECT_EQ(Mismatch(floats({1}), Tensor::Floats({}, {1}), 1, 1), "got float[1], want float[]");
  Tensor a = Tensor::Of<std::complex<float>>(DType::kComplex64, {1}, {{1, 2}});
  Tensor b = Tensor::Of<std::complex<float>>(DType::kComplex64, {1}, {{1, 3}});
  EXPECT_EQ(Mismatch(a, a, 0, 0), "");
  EXPECT_NE(Mismatch(a, b, 1e-3, 0), "");
}

}  // namespace
}  // namespace assay
