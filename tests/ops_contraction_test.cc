// Matrix products in every scalar domain, and the operators built on them, against naive formulas.
#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/kernels.h"
#include "interp/kernels_matmul.h"
#include "interp/text.h"
#include "oracle/verify.h"

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

Result<std::vector<Tensor>> Eval(const std::string& op, const std::vector<Tensor>& inputs,
                                 std::vector<Attribute> attrs = {}, Store store = Store::kNative,
                                 const Limits& limits = Limits{}) {
  std::vector<std::string> names;
  std::vector<const Tensor*> args;
  for (const Tensor& t : inputs) {
    names.push_back(t.defined() ? "x" + std::to_string(names.size()) : "");
    args.push_back(t.defined() ? &t : nullptr);
  }
  NodePtr node = MakeNode(op, names, {"y"}, std::move(attrs));
  return EvalNode(*FindOp("", op, 17), *node, args, store, limits, 17);
}

Tensor Random(Choices& choices, const Shape& shape, Store store = Store::kNative) {
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, choices.Normal());
  return t.To(store);
}

// A letters-only equation by enumeration of all values of all labels.
std::vector<Fp> NaiveEinsum(const std::vector<std::string>& terms, const std::string& output,
                            const std::vector<Tensor>& inputs) {
  std::string letters;
  Shape extents;
  for (size_t i = 0; i < terms.size(); ++i) {
    for (size_t d = 0; d < terms[i].size(); ++d) {
      size_t at = letters.find(terms[i][d]);
      int64_t extent = inputs[i].dim(static_cast<int>(d));
      if (at == std::string::npos) {
        letters += terms[i][d];
        extents.push_back(extent);
      } else {
        extents[at] = std::max(extents[at], extent);
      }
    }
  }
  auto flat = [&](const std::string& term, const Shape& shape, int64_t combination) {
    int64_t index = 0;
    for (size_t d = 0; d < term.size(); ++d) {
      size_t l = letters.find(term[d]);
      int64_t rest = combination;
      for (size_t k = 0; k < l; ++k) rest /= extents[k];
      index = index * shape[d] + (shape[d] == 1 ? 0 : rest % extents[l]);
    }
    return index;
  };
  Shape y;
  for (char ch : output) y.push_back(extents[letters.find(ch)]);
  std::vector<Fp> out(static_cast<size_t>(ElementCount(y)));
  for (int64_t c = 0; c < ElementCount(extents); ++c) {
    Fp product(1);
    for (size_t i = 0; i < terms.size(); ++i)
      product *= inputs[i].data<Fp>()[flat(terms[i], inputs[i].shape(), c)];
    out[flat(output, y, c)] += product;
  }
  return out;
}

TEST(Einsum, AgreesWithEnumeration) {
  FieldContext context(4, {});
  FieldScope scope(&context);
  struct {
    std::vector<std::string> terms;
    std::string output;
    std::vector<Shape> shapes;
  } cases[] = {
      {{"ij"}, "ji", {{3, 4}}},
      {{"ii"}, "i", {{3, 3}}},
      {{"iji"}, "j", {{3, 4, 3}}},
      {{"ijk"}, "", {{2, 3, 4}}},
      {{"ij", "jk"}, "ik", {{2, 3}, {3, 4}}},
      {{"bij", "bkj"}, "bik", {{2, 3, 4}, {2, 5, 4}}},
      {{"bhqd", "bhkd"}, "bhqk", {{2, 2, 3, 4}, {2, 2, 5, 4}}},
      {{"i", "j", "k"}, "kij", {{2}, {3}, {4}}},
      {{"ij", "jk", "kl"}, "li", {{2, 3}, {3, 4}, {4, 5}}},
      {{"ij", "ij"}, "", {{2, 3}, {2, 3}}},
      {{"ij", "kj"}, "i", {{2, 3}, {4, 3}}},
      {{"iij", "jj"}, "j", {{2, 2, 3}, {3, 3}}},
      {{"ij", "jk"}, "ik", {{2, 1}, {3, 4}}},
      {{"ij", "jk"}, "ki", {{2, 3}, {1, 4}}},
      {{"ab", "b", "cb"}, "ac", {{2, 1}, {1}, {3, 4}}},
  };
  for (const auto& k : cases) {
    Choices choices(2);
    std::string equation;
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < k.terms.size(); ++i) {
      equation += (i ? " , " : "") + k.terms[i];
      inputs.push_back(Random(choices, k.shapes[i], Store::kField));
    }
    equation += "->" + k.output;
    SCOPED_TRACE(equation);
    auto y = Eval("Einsum", inputs, {{"equation", equation, {}}}, Store::kField);
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    std::vector<Fp> want = NaiveEinsum(k.terms, k.output, inputs);
    ASSERT_EQ((*y)[0].size(), static_cast<int64_t>(want.size()));
    for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ((*y)[0].data<Fp>()[i].r, want[i].r);
  }
}

TEST(Einsum, EllipsisIsMatMulsBroadcasting) {
  Choices choices(3);
  Tensor a = Random(choices, {3, 1, 2, 4}), b = Random(choices, {5, 4, 3});
  auto want = Eval("MatMul", {a, b});
  ASSERT_TRUE(want.ok()) << want.error().ToString();
  for (std::string equation : {"...ij,...jk->...ik", "...ij , ...jk"}) {
    auto y = Eval("Einsum", {a, b}, {{"equation", equation, {}}});
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    ASSERT_EQ((*y)[0].shape(), (Shape{3, 5, 2, 3}));
    for (int64_t i = 0; i < (*y)[0].size(); ++i)
      EXPECT_NEAR((*y)[0].AsDouble(i), (*want)[0].AsDouble(i), 1e-5);
  }
}

TEST(Einsum, RefusesBadEquations) {
  Choices choices(3);
  Tensor a = Random(choices, {2, 3});
  for (std::string bad : {"", "i", "ijk->i", "ij->ii", "ij->k", "i..j->i", "ij,jk->ik", "ij->i->j",
                          "i1->i", "......->", "ii->i", "->", "-", "ij->i,"}) {
    auto y = Eval("Einsum", {a}, {{"equation", bad, {}}});
    ASSERT_FALSE(y.ok()) << bad;
    EXPECT_EQ(y.error().code, Code::kInvalid) << bad;
  }
}

TEST(MatMul, FollowsNumpy) {
  FieldContext context(4, {});
  FieldScope scope(&context);
  struct {
    Shape a, b, y;
    const char* equation;
  } cases[] = {
      {{3}, {3}, {}, "j,j->"},
      {{3}, {3, 2}, {2}, "j,jk->k"},
      {{2, 3}, {3}, {2}, "ij,j->i"},
      {{3}, {4, 3, 2}, {4, 2}, "j,bjk->bk"},
      {{4, 2, 3}, {3, 2}, {4, 2, 2}, "bij,jk->bik"},
      {{2, 3}, {4, 3, 2}, {4, 2, 2}, "ij,bjk->bik"},
      {{2, 1, 2, 3}, {4, 3, 2}, {2, 4, 2, 2}, "abij,bjk->abik"},
      {{2, 0}, {0, 3}, {2, 3}, "ij,jk->ik"},
  };
  for (const auto& k : cases) {
    SCOPED_TRACE(k.equation);
    Choices choices(2);
    Tensor a = Random(choices, k.a, Store::kField), b = Random(choices, k.b, Store::kField);
    auto y = Eval("MatMul", {a, b}, {}, Store::kField);
    auto want = Eval("Einsum", {a, b}, {{"equation", std::string(k.equation), {}}}, Store::kField);
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    ASSERT_TRUE(want.ok()) << want.error().ToString();
    EXPECT_EQ((*y)[0].shape(), k.y);
    EXPECT_TRUE((*y)[0].Identical((*want)[0]));
  }
  Choices choices(2);
  EXPECT_FALSE(Eval("MatMul", {Random(choices, {}), Random(choices, {3})}).ok());
  EXPECT_FALSE(Eval("MatMul", {Random(choices, {2, 3}), Random(choices, {2, 3})}).ok());
  EXPECT_FALSE(Eval("MatMul", {Random(choices, {2, 2, 3}), Random(choices, {3, 3, 3})}).ok());
}

TEST(MatMul, ChargesForWork) {
  Choices choices(2);
  Limits limits;
  limits.flops = 100;
  auto y = Eval("MatMul", {Random(choices, {5, 5}), Random(choices, {5, 5})}, {}, Store::kNative,
                limits);
  ASSERT_FALSE(y.ok());
  EXPECT_EQ(y.error().code, Code::kLimit);
}

TEST(Gemm, ScalesAndBroadcasts) {
  Tensor a = Tensor::Floats({2, 2}, {1, 2, 3, 4}), b = Tensor::Floats({1, 2}, {5, 6}),
         c = Tensor::Floats({1}, {10});
  std::vector<Attribute> attrs = {{"transA", int64_t{1}, {}},
                                  {"transB", int64_t{1}, {}},
                                  {"alpha", 2.0f, {}},
                                  {"beta", 0.5f, {}}};
  auto y = Eval("Gemm", {a, b, c}, attrs);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[0].Identical(Tensor::Floats({2, 1}, {2 * 23 + 5, 2 * 34 + 5})));
  EXPECT_FALSE(Eval("Gemm", {a, b, Tensor::Floats({3}, {1, 2, 3})}, attrs).ok());
  EXPECT_FALSE(Eval("Gemm", {a, Tensor::Floats({2, 1, 1}, {1, 2})}).ok());
}

// The quantized product is the product of dequantized operands, quantized: in float and in the
// field.
TEST(QLinearMatMul, IsDequantizeMatMulQuantize) {
  Choices choices(12);
  Tensor a = Tensor::Make(DType::kUint8, {4, 9}).value(),
         b = Tensor::Make(DType::kInt8, {9, 5}).value();
  for (int64_t i = 0; i < a.size(); ++i) a.Set(i, static_cast<double>(choices.Below(256)));
  for (int64_t i = 0; i < b.size(); ++i) b.Set(i, static_cast<double>(choices.Between(-128, 127)));
  Tensor a_scale = Tensor::ScalarFloat(0.5f), b_scale = Tensor::ScalarFloat(0.25f),
         y_scale = Tensor::ScalarFloat(64);
  Tensor a_zero = Tensor::Of<uint8_t>(DType::kUint8, {}, {120}),
         b_zero = Tensor::Of<int8_t>(DType::kInt8, {}, {-3});
  Tensor y_zero = Tensor::Of<uint8_t>(DType::kUint8, {}, {100});
  FieldContext context(4, {0.5, 0.25, 64});
  FieldScope scope(&context);
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
    Tensor sa = a_scale.To(store), sb = b_scale.To(store), sy = y_scale.To(store);
    auto got = Eval("QLinearMatMul", {a, sa, a_zero, b, sb, b_zero, sy, y_zero}, {}, store);
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    Tensor left = Eval("DequantizeLinear", {a, sa, a_zero}, {}, store).value()[0];
    Tensor right = Eval("DequantizeLinear", {b, sb, b_zero}, {}, store).value()[0];
    Tensor product = Eval("MatMul", {left, right}, {}, store).value()[0];
    Tensor want = Eval("QuantizeLinear", {product, sy, y_zero}, {}, store).value()[0];
    EXPECT_TRUE((*got)[0].Identical(want));
  }
}

TEST(QLinearMatMul, KeepsRowParametersWithAVectorOnTheRight) {
  Tensor a = Tensor::Of<uint8_t>(DType::kUint8, {2, 2}, {1, 2, 3, 4}),
         b = Tensor::Of<uint8_t>(DType::kUint8, {2}, {5, 6});
  Tensor a_scale = Tensor::Floats({2}, {1, 2}), one = Tensor::ScalarFloat(1);
  Tensor a_zero = Tensor::Of<uint8_t>(DType::kUint8, {2}, {0, 1}),
         zero = Tensor::Of<uint8_t>(DType::kUint8, {}, {0});
  auto y = Eval("QLinearMatMul", {a, a_scale, a_zero, b, one, zero, one, zero});
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[0].Identical(Tensor::Of<uint8_t>(DType::kUint8, {2}, {17, 56})));
}

TEST(QLinearConv, IsDequantizeConvQuantize) {
  Choices choices(13);
  Tensor x = Tensor::Make(DType::kUint8, {1, 2, 5, 5}).value(),
         w = Tensor::Make(DType::kInt8, {3, 2, 3, 3}).value();
  for (int64_t i = 0; i < x.size(); ++i) x.Set(i, static_cast<double>(choices.Below(256)));
  for (int64_t i = 0; i < w.size(); ++i) w.Set(i, static_cast<double>(choices.Between(-128, 127)));
  Tensor x_scale = Tensor::ScalarFloat(0.5f), w_scale = Tensor::Floats({3}, {0.25f, 0.5f, 1}),
         y_scale = Tensor::ScalarFloat(128);
  Tensor x_zero = Tensor::Of<uint8_t>(DType::kUint8, {}, {120}),
         w_zero = Tensor::Of<int8_t>(DType::kInt8, {3}, {-3, 0, 5});
  Tensor y_zero = Tensor::Of<int8_t>(DType::kInt8, {}, {10});
  std::vector<int64_t> pads = {1, 0, 2, 1};
  FieldContext context(4, {0.5, 0.25, 128});
  FieldScope scope(&context);
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
    Tensor sx = x_scale.To(store), sw = w_scale.To(store), sy = y_scale.To(store);
    auto got = Eval("QLinearConv", {x, sx, x_zero, w, sw, w_zero, sy, y_zero}, {{"pads", pads, {}}},
                    store);
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    Tensor left = Eval("DequantizeLinear", {x, sx, x_zero}, {}, store).value()[0];
    Tensor right =
        Eval("DequantizeLinear", {w, sw, w_zero}, {{"axis", int64_t{0}, {}}}, store).value()[0];
    Tensor sum = Eval("Conv", {left, right}, {{"pads", pads, {}}}, store).value()[0];
    Tensor want = Eval("QuantizeLinear", {sum, sy, y_zero}, {}, store).value()[0];
    EXPECT_TRUE((*got)[0].Identical(want));
  }
}

// A vector has no axes to swap, and is a row or a column as in MatMul.
TEST(FusedMatMul, TakesVectorsAndTransposes) {
  struct Case {
    const char *shapes, *attrs;
    Shape y;
  };
  const Case cases[] = {
      {"float[3] a, float[3] b", "transA=1, transB=1", {}},
      {"float[3] a, float[2,3,4] b", "transA=1", {2, 4}},
      {"float[2,3,4] a, float[3] b", "transA=1", {2, 4}},
      {"float[5,3] a, float[2,4,3] b", "transB=1", {2, 5, 4}},
  };
  auto run = [](const Case& c, const std::string& nodes) {
    Result<Model> m = ParseText(std::string("opset 13 opset \"com.microsoft\" 1 graph(") +
                                c.shapes + ") -> (y) { " + nodes + " }");
    EXPECT_TRUE(m.ok()) << m.error().ToString();
    return assay::Run(*m, RandomInputs(*m, 1).value());
  };
  for (const Case& c : cases) {
    auto fused =
        run(c, std::string("y = com.microsoft::FusedMatMul(a, b) {alpha=1.0, ") + c.attrs + "}");
    ASSERT_TRUE(fused.ok()) << c.shapes << ": " << fused.error().ToString();
    EXPECT_EQ(fused->outputs[0].shape(), c.y) << c.shapes;
    const std::string attrs = c.attrs;
    std::string plain, a = "a", b = "b";
    if (attrs.find("transA") != std::string::npos && c.shapes[7] != ']')
      plain += "at = Transpose(a) {perm=[0,2,1]} ", a = "at";
    if (attrs.find("transB") != std::string::npos && c.y.size() == 3)
      plain += "bt = Transpose(b) {perm=[0,2,1]} ", b = "bt";
    auto want = run(c, plain + "y = MatMul(" + a + ", " + b + ")");
    ASSERT_TRUE(want.ok()) << want.error().ToString();
    for (int64_t i = 0; i < fused->outputs[0].size(); ++i)
      EXPECT_NEAR(fused->outputs[0].AsDouble(i), want->outputs[0].AsDouble(i), 1e-6) << c.shapes;
  }
  auto bad = run({"float[3] a, float[4] b", "", {}}, "y = com.microsoft::FusedMatMul(a, b)");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().ToString().find("the inner extents agree"), std::string::npos);
}

// A fused activation is the operator of that name.
TEST(FusedConv, ActivatesAsTheOperatorsDo) {
  struct Case {
    const char *fused, *plain;
  };
  const Case cases[] = {
      {"activation=\"Relu\"", "y = Relu(c)"},
      {"activation=\"Tanh\"", "y = Tanh(c)"},
      {"activation=\"Sigmoid\"", "y = Sigmoid(c)"},
      {"activation=\"LeakyRelu\", activation_params=[0.25]", "y = LeakyRelu(c) {alpha=0.25}"},
      {"activation=\"HardSigmoid\", activation_params=[0.25, 0.5]",
       "y = HardSigmoid(c) {alpha=0.25, beta=0.5}"},
      {"activation=\"Clip\", activation_params=[-0.25, 0.5]",
       "l = float[] {-0.25} h = float[] {0.5} y = Clip(c, l, h)"},
  };
  for (const Case& c : cases) {
    auto model = [](const std::string& nodes) {
      return ParseText(
                 "opset 13 opset \"com.microsoft\" 1 graph(float[1,2,3,3] x) -> (y) { w = "
                 "float[2,2,2,2] random(1) " +
                 nodes + " }")
          .value();
    };
    const Model fused = model(std::string("y = com.microsoft::FusedConv(x, w) {") + c.fused + "}"),
                plain = model(std::string("c = Conv(x, w) ") + c.plain);
    const std::vector<Tensor> x = RandomInputs(plain, 1).value();
    EXPECT_TRUE(assay::Run(fused, x)->outputs[0].Identical(assay::Run(plain, x)->outputs[0]))
        << c.fused;
    EXPECT_TRUE(Verify(plain, fused)->architecture.proved) << c.fused;
  }
}

}  // namespace
}  // namespace assay
