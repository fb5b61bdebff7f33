// Elementwise operators, casts and linear quantization: values at the edges of their types, errors,
// and the identities that the field must keep.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "interp/exec.h"
#include "interp/field.h"

namespace assay {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();

// A tensor from numbers; scalars have shape {}.
Tensor Make(DType t, Shape shape, const std::vector<double>& v) {
  Tensor out = Tensor::Make(t, std::move(shape)).value();
  CHECK(out.size() == static_cast<int64_t>(v.size()));
  for (size_t i = 0; i < v.size(); ++i) out.Set(static_cast<int64_t>(i), v[i]);
  return out;
}
Tensor Row(DType t, const std::vector<double>& v) {
  return Make(t, {static_cast<int64_t>(v.size())}, v);
}

Result<std::vector<Tensor>> Eval(const std::string& op, int opset, const std::vector<Tensor>& in,
                                 std::vector<Attribute> attrs = {}, Store store = Store::kNative,
                                 int outputs = 1) {
  const OpSpec* spec = FindOp("", op, opset);
  for (const char* domain : {"com.microsoft", "ai.onnx.ml"}) {
    if (!spec) spec = FindOp(domain, op, opset);
  }
  if (!spec) return Unsupported("no row for " + op);
  std::vector<std::string> names, results;
  std::vector<const Tensor*> args;
  for (size_t i = 0; i < in.size(); ++i) {
    names.push_back(in[i].defined() ? "x" + std::to_string(i) : "");
    args.push_back(in[i].defined() ? &in[i] : nullptr);
  }
  for (int i = 0; i < std::max(outputs, spec->MinOutputs()); ++i)
    results.push_back("y" + std::to_string(i));
  NodePtr node = MakeNode(op, names, results, std::move(attrs), "", spec->domain);
  return EvalNode(*spec, *node, args, store, Limits{}, opset);
}

struct Case {
  const char* op;
  int opset;
  std::vector<Tensor> in;
  DType type;
  std::vector<double> want;
  std::vector<Attribute> attrs = {};
};

void Check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    std::string what = c.op + std::string("-") + std::to_string(c.opset);
    for (const Tensor& t : c.in) what += " " + (t.defined() ? t.TypeString() : "none");
    auto out = Eval(c.op, c.opset, c.in, c.attrs);
    ASSERT_TRUE(out.ok()) << what << ": " << out.error().ToString();
    const Tensor& y = (*out)[0];
    EXPECT_EQ(y.dtype(), c.type) << what;
    ASSERT_EQ(y.size(), static_cast<int64_t>(c.want.size())) << what;
    for (size_t i = 0; i < c.want.size(); ++i) {
      double got = y.AsDouble(static_cast<int64_t>(i));
      if (std::isnan(c.want[i]))
        EXPECT_TRUE(std::isnan(got)) << what << " [" << i << "] " << got;
      else if (std::isinf(c.want[i]) || !IsFloat(c.type))
        EXPECT_EQ(got, c.want[i]) << what << " [" << i << "]";
      else
        EXPECT_NEAR(got, c.want[i], 1e-6 * (1 + std::fabs(c.want[i]))) << what << " [" << i << "]";
    }
  }
}

constexpr DType F = DType::kFloat, D = DType::kDouble, H = DType::kFloat16, B = DType::kBool,
                U8 = DType::kUint8, I8 = DType::kInt8, I16 = DType::kInt16, I32 = DType::kInt32,
                U32 = DType::kUint32, I64 = DType::kInt64, U64 = DType::kUint64;
constexpr double kMin32 = -2147483648.0;

TEST(Elementwise, IntegersWrapAroundAndNeverTrap) {
  double min64 = static_cast<double>(kMin64);
  Check({
      {"Add", 14, {Row(U8, {200}), Row(U8, {100})}, U8, {44}},
      {"Add", 14, {Row(I8, {127}), Row(I8, {1})}, I8, {-128}},
      {"Sub", 14, {Row(U32, {0}), Row(U32, {1})}, U32, {4294967295.0}},
      {"Mul", 14, {Row(I16, {300}), Row(I16, {300})}, I16, {24464}},
      {"Div", 14, {Row(I32, {kMin32, 7, -7}), Row(I32, {-1, 0, 2})}, I32, {kMin32, 0, -3}},
      {"Div", 14, {Row(I64, {min64}), Row(I64, {-1})}, I64, {min64}},
      {"Neg", 13, {Row(I8, {-128, 5})}, I8, {-128, -5}},
      {"Abs", 13, {Row(I32, {kMin32, -3})}, I32, {kMin32, 3}},
      {"Mod", 13, {Row(I32, {-7, 7, 7, kMin32}), Row(I32, {3, -3, 0, -1})}, I32, {2, -2, 0, 0}},
      {"Mod", 13, {Row(I32, {-7, 7}), Row(I32, {3, -3})}, I32, {-1, 1}, {{"fmod", int64_t{1}, {}}}},
      {"Mod", 13, {Row(F, {-7.5, 7}), Row(F, {2, 0})}, F, {-1.5, kNaN}, {{"fmod", int64_t{1}, {}}}},
      {"Pow",
       15,
       {Row(I32, {2, -1, -1, 3, 0}), Row(I64, {-1, -3, -4, 40, -1})},
       I32,
       {0, -1, 1, 689956897.0, 0}},
      {"Pow", 15, {Row(F, {2, 9}), Row(I8, {-2, 2})}, F, {0.25, 81}},
      {"Pow", 15, {Row(I32, {9, 2}), Row(F, {0.5, 40})}, I32, {3, kMin32}},
      {"BitShift",
       11,
       {Row(U8, {1, 255, 3}), Row(U8, {7, 8, 1})},
       U8,
       {128, 0, 6},
       {{"direction", std::string("LEFT"), {}}}},
      {"BitShift",
       11,
       {Row(U64, {8, 8}), Row(U64, {2, 64})},
       U64,
       {2, 0},
       {{"direction", std::string("RIGHT"), {}}}},
      {"Relu", 14, {Row(I8, {-5, 5})}, I8, {0, 5}},
      {"PRelu", 16, {Row(I32, {-4, 4}), Row(I32, {3})}, I32, {-12, 4}},
      {"Clip", 12, {Row(U8, {0, 9, 200}), Make(U8, {}, {3}), Make(U8, {}, {100})}, U8, {3, 9, 100}},
      {"Sign", 13, {Row(I32, {-4, 0, 4})}, I32, {-1, 0, 1}},
      {"Erf", 13, {Row(I32, {-100, 0, 1})}, I32, {-1, 0, 0}},
      {"Shrink", 9, {Row(I8, {-3, 0, 3})}, I8, {-1, 0, 1}, {{"bias", 1.5f, {}}}},
      {"Mean", 13, {Row(F, {1}), Row(F, {2}), Row(F, {6})}, F, {3}},
  });
}

TEST(Elementwise, NaNAndOrder) {
  Check({
      {"Max", 13, {Row(F, {kNaN, 1, 3}), Row(F, {1, kNaN, 2})}, F, {kNaN, kNaN, 3}},
      {"Min", 13, {Row(D, {kNaN, 1, 3}), Row(D, {1, kNaN, 2})}, D, {kNaN, kNaN, 2}},
      {"Relu", 14, {Row(F, {kNaN, -kInf, kInf})}, F, {kNaN, 0, kInf}},
      {"Equal", 13, {Row(F, {kNaN, 1, -0.0}), Row(F, {kNaN, 1, 0})}, B, {0, 1, 1}},
      {"Less", 13, {Row(F, {kNaN, 1}), Row(F, {1, 2})}, B, {0, 1}},
      {"GreaterOrEqual", 16, {Row(F, {kNaN, 2, 1}), Row(F, {1, 2, 2})}, B, {0, 1, 0}},
      {"LessOrEqual", 16, {Row(U64, {1, 5}), Row(U64, {1, 4})}, B, {1, 0}},
      {"IsNaN", 13, {Row(H, {kNaN, 1})}, B, {1, 0}},
      {"IsInf",
       10,
       {Row(F, {kInf, -kInf, 1})},
       B,
       {1, 0, 0},
       {{"detect_negative", int64_t{0}, {}}}},
      {"Sign", 13, {Row(F, {kNaN, -2})}, F, {0, -1}},
      {"Clip",
       13,
       {Row(F, {kNaN, -9, 9, 1}), Make(F, {}, {0}), Make(F, {}, {6})},
       F,
       {kNaN, 0, 6, 1}},
      {"Clip", 13, {Row(F, {5}), Make(F, {}, {3}), Make(F, {1}, {1})}, F, {1}},
      {"Clip", 13, {Row(F, {5, 0}), Tensor(), Make(F, {}, {1})}, F, {1, 0}},
      {"Clip", 6, {Row(F, {-9, 9})}, F, {-9, 1}, {{"max", 1.0f, {}}}},
      {"Round", 11, {Row(F, {0.5, 1.5, 2.5, -0.5, -1.5, 2.6})}, F, {0, 2, 2, 0, -2, 3}},
      {"Where", 16, {Row(B, {1, 0, 1}), Row(I64, {1, 2, 3}), Make(I64, {}, {9})}, I64, {1, 9, 3}},
      {"Where", 9, {Make(B, {2, 1}, {1, 0}), Row(H, {1, 2}), Row(H, {3, 4})}, H, {1, 2, 3, 4}},
      {"Xor", 7, {Row(B, {1, 1, 0}), Row(B, {1, 0, 0})}, B, {0, 1, 0}},
  });
}

TEST(Elementwise, ActivationsStayFinite) {
  Check({
      {"Sigmoid", 13, {Row(F, {-1000, 0, 1000})}, F, {0, 0.5, 1}},
      {"Softplus", 1, {Row(F, {-1000, 0, 1000})}, F, {0, std::log(2.0), 1000}},
      {"Mish", 18, {Row(F, {-1000, 0, 1000})}, F, {0, 0, 1000}},
      {"Gelu", 20, {Row(D, {-1000, 1, 1000})}, D, {0, 0.8413447460685429, 1000}},
      {"Gelu",
       20,
       {Row(D, {1})},
       D,
       {0.8411919906082768},
       {{"approximate", std::string("tanh"), {}}}},
      {"Elu", 6, {Row(F, {-1000, -1, 2})}, F, {-2, 2 * std::expm1(-1.0), 2}, {{"alpha", 2.0f, {}}}},
      {"Celu", 12, {Row(F, {-1, 1000})}, F, {2 * std::expm1(-0.5), 1000}, {{"alpha", 2.0f, {}}}},
      {"Selu", 6, {Row(F, {-1, 1})}, F, {-1.111330737812, 1.0507010221481}},
      {"HardSwish", 14, {Row(F, {-4, -1, 1, 4})}, F, {0, -1.0 / 3, 2.0 / 3, 4}},
      {"HardSigmoid", 6, {Row(F, {-9, 0.5, 9})}, F, {0, 0.6, 1}},
      {"ThresholdedRelu", 10, {Row(F, {1, 1.5})}, F, {0, 1.5}},
      {"Softsign", 1, {Row(F, {-1, 3})}, F, {-0.5, 0.75}},
      {"Add", 14, {Row(H, {1, 60000}), Row(H, {0x1p-11, 60000})}, H, {1, kInf}},
      {"PRelu",
       9,
       {Make(F, {2, 2}, {-1, -2, 3, -4}), Make(F, {2, 1}, {0.5, 0.25})},
       F,
       {-0.5, -1, 3, -1}},
  });
}

Case CastCase(Tensor in, DType to, std::vector<double> want) {
  return {"Cast", 13, {std::move(in)}, to, std::move(want), {{"to", static_cast<int64_t>(to), {}}}};
}

TEST(Cast, BetweenNumbers) {
  Check({
      CastCase(Row(F, {1.9, -1.9, kNaN, 3e9}), I32, {1, -1, kMin32, kMin32}),
      CastCase(Row(F, {300, -1, kNaN}), I8, {44, -1, 0}),
      CastCase(Row(F, {300, -1}), U8, {44, 255}),
      CastCase(Row(D, {3e9, 1e30}), U32, {3e9, 0}),
      CastCase(Row(D, {1e19, kInf}), U64, {1e19, 0}),
      CastCase(Row(D, {-1e30, 0x1p62}), I64, {static_cast<double>(kMin64), 0x1p62}),
      CastCase(Row(F, {0, -0.0, kNaN, 0.1}), B, {0, 0, 1, 1}),
      CastCase(Row(B, {0, 1}), F, {0, 1}),
      CastCase(Row(I64, {256, 257, -1}), U8, {0, 1, 255}),
      CastCase(Row(I32, {0, 7}), B, {0, 1}),
      CastCase(Row(F, {65504, 65520, 1e-9}), H, {65504, kInf, 0}),
      CastCase(Row(F, {1.00390625, 3.4e38}), DType::kBfloat16, {1, kInf}),
      CastCase(Row(U64, {1e19}), F, {1e19f}),
      {"CastLike", 15, {Row(F, {2.5}), Row(I32, {0, 0, 0})}, I32, {2}},
  });
}

TEST(Cast, Text) {
  Tensor text = Tensor::Strings({6}, {"3.7", " -12 ", "+1e2", "NaN", "-INF", "9007199254740993"});
  auto real = Eval("Cast", 13, {text}, {{"to", int64_t{1}, {}}});
  ASSERT_TRUE(real.ok()) << real.error().ToString();
  EXPECT_FLOAT_EQ((*real)[0].data<float>()[0], 3.7f);
  EXPECT_EQ((*real)[0].data<float>()[2], 100);
  EXPECT_TRUE(std::isnan((*real)[0].data<float>()[3]));
  EXPECT_EQ((*real)[0].data<float>()[4], -kInf);
  auto whole = Eval("Cast", 13, {text}, {{"to", int64_t{7}, {}}});
  ASSERT_TRUE(whole.ok()) << whole.error().ToString();
  EXPECT_EQ((*whole)[0].AsInts(),
            (std::vector<int64_t>{3, -12, 100, kMin64, kMin64, 9007199254740993}));
  for (const char* bad : {"", " ", "abc", "1x", "1e", "--1"}) {
    auto out = Eval("Cast", 13, {Tensor::Strings({1}, {bad})}, {{"to", int64_t{1}, {}}});
    ASSERT_FALSE(out.ok()) << bad;
    EXPECT_EQ(out.error().code, Code::kInvalid);
  }
  auto printed = Eval("Cast", 13, {Row(F, {0.1, 3, kNaN, -kInf, 1e-5})}, {{"to", int64_t{8}, {}}});
  ASSERT_TRUE(printed.ok());
  EXPECT_EQ((*printed)[0].strings(),
            (std::vector<std::string>{"0.1", "3", "NaN", "-INF", "1e-05"}));
}

TEST(Quantize, RoundsHalfToEvenAndSaturates) {
  Tensor half = Make(F, {}, {0.5}), per_axis = Row(F, {1, 0.5});
  Attribute axis0{"axis", int64_t{0}, {}};
  Check({
      {"QuantizeLinear",
       13,
       {Row(F, {0.25, 0.75, 1.25, 1000, -1000, kNaN}), half, Make(U8, {}, {10})},
       U8,
       {10, 12, 12, 255, 0, 10}},
      {"QuantizeLinear", 13, {Row(F, {1, -1}), half}, U8, {2, 0}},
      {"QuantizeLinear", 10, {Row(I32, {7, -300}), half, Make(I8, {}, {-1})}, I8, {13, -128}},
      {"QuantizeLinear",
       13,
       {Make(F, {2, 2}, {1, 2, 1, 2}), per_axis, Row(I8, {0, 1})},
       I8,
       {1, 2, 3, 5},
       {axis0}},
      {"QuantizeLinear", 13, {Row(F, {1}), Make(F, {}, {0})}, U8, {255}},
      {"DequantizeLinear",
       13,
       {Make(U8, {2, 2}, {1, 2, 3, 4}), per_axis, Row(U8, {1, 0})},
       F,
       {0, 1, 2, 2}},
      {"DequantizeLinear", 10, {Row(I32, {-2147483648.0, 4}), half}, F, {-1073741824.0, 2}},
      {"DynamicQuantizeLinear",
       11,
       {Row(F, {0, 2, -3, -2.5, 1.34, 0.5})},
       U8,
       {153, 255, 0, 26, 221, 179}},
      {"DynamicQuantizeLinear", 11, {Row(F, {0, 0})}, U8, {0, 0}},
  });
}

TEST(Elementwise, Refuses) {
  struct Bad {
    const char* op;
    int opset;
    std::vector<Tensor> in;
    std::vector<Attribute> attrs;
    Code code;
    const char* says;
  };
  Tensor x = Make(F, {2, 3}, {1, 2, 3, 4, 5, 6}), two = Row(F, {1, 2}), one = Make(F, {}, {1});
  const std::vector<Bad> cases = {
      {"Add", 14, {x, two}, {}, Code::kInvalid, "broadcast"},
      {"Add", 14, {x, Row(D, {1})}, {}, Code::kInvalid, "element type double"},
      {"Add", 13, {Row(U8, {1}), Row(U8, {1})}, {}, Code::kInvalid, "not allowed by Add-13"},
      {"Sum", 7, {x, one}, {}, Code::kInvalid, "equal shapes"},
      {"Max", 13, {}, {}, Code::kInvalid, "missing"},
      {"PRelu", 9, {two, Make(F, {2, 2}, {1, 2, 3, 4})}, {}, Code::kInvalid, "slope broadcasts"},
      {"PRelu", 9, {x, two}, {}, Code::kInvalid, "slope broadcasts"},
      {"Mod", 13, {one, one}, {}, Code::kInvalid, "fmod is 1"},
      {"Mod", 13, {one, one}, {{"fmod", int64_t{2}, {}}}, Code::kInvalid, "fmod is 0 or 1"},
      {"BitShift", 11, {Row(U8, {1}), Row(U8, {1})}, {}, Code::kInvalid, "direction"},
      {"BitShift",
       11,
       {Row(U8, {1}), Row(U8, {1})},
       {{"direction", std::string("UP"), {}}},
       Code::kInvalid,
       "UP"},
      {"Cast", 13, {x}, {{"to", int64_t{99}, {}}}, Code::kInvalid, "'to'"},
      {"Cast", 13, {x}, {{"to", int64_t{-1}, {}}}, Code::kInvalid, "'to'"},
      {"Cast", 6, {x}, {{"to", int64_t{8}, {}}}, Code::kInvalid, "'to'"},
      {"Clip", 13, {x, two}, {}, Code::kInvalid, "one element"},
      {"Celu", 12, {x}, {{"alpha", 0.0f, {}}}, Code::kInvalid, "alpha"},
      {"QuantizeLinear", 13, {x, two}, {}, Code::kInvalid, "scale and zero point"},
      {"QuantizeLinear", 10, {x, Row(F, {1, 2, 3})}, {}, Code::kInvalid, "one element"},
      {"QuantizeLinear", 13, {x, one, Row(U8, {1, 2, 3})}, {}, Code::kInvalid, "equal shapes"},
      {"QuantizeLinear",
       13,
       {x, Row(F, {1, 2, 3})},
       {{"axis", int64_t{2}, {}}},
       Code::kInvalid,
       "axis"},
      {"Dropout", 13, {x, one, Make(B, {}, {1})}, {}, Code::kInvalid, "ratio is in [0, 1)"},
      {"Where", 16, {Row(B, {1, 0, 1}), two, one}, {}, Code::kInvalid, "broadcast"},
  };
  for (const Bad& b : cases) {
    auto out = Eval(b.op, b.opset, b.in, b.attrs);
    ASSERT_FALSE(out.ok()) << b.op << " " << b.says;
    EXPECT_EQ(out.error().code, b.code) << out.error().ToString();
    EXPECT_NE(out.error().ToString().find(b.says), std::string::npos) << out.error().ToString();
  }
}

TEST(Dropout, PassesDataAndKeepsAll) {
  Tensor x = Make(F, {2}, {1, 2}), ratio = Make(F, {}, {0.0}), training = Make(B, {}, {1});
  for (int opset : {7, 10, 12, 13}) {
    auto out = Eval("Dropout", opset, {x}, {}, Store::kNative, 2);
    ASSERT_TRUE(out.ok()) << out.error().ToString();
    EXPECT_TRUE((*out)[0].Identical(x));
    EXPECT_EQ((*out)[1].dtype(), opset < 10 ? F : B);
    EXPECT_EQ((*out)[1].AsDouble(1), 1);
  }
  EXPECT_TRUE(Eval("Dropout", 13, {x, ratio, training}).ok());
}

TEST(Dropout, DropsInTrainingWithTheProbabilityAsked) {
  const int64_t n = 4000;
  Tensor x = Tensor::Make(F, {n}).value(), ratio = Make(F, {}, {0.25}), training = Make(B, {}, {1});
  for (int64_t i = 0; i < n; ++i) x.Set(i, 3);
  auto out =
      Eval("Dropout", 13, {x, ratio, training}, {{"seed", int64_t{5}, {}}}, Store::kNative, 2);
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  int64_t kept = 0;
  for (int64_t i = 0; i < n; ++i) {
    bool keeps = (*out)[1].AsInt(i) != 0;
    kept += keeps;
    EXPECT_EQ((*out)[0].AsDouble(i), keeps ? 4 : 0);
  }
  EXPECT_NEAR(static_cast<double>(kept) / n, 0.75, 0.04);
}

// ---- the field ---------------------------------------------------------------------------------

class FieldIdentities : public ::testing::Test {
 protected:
  Tensor In(const Tensor& t) { return t.To(Store::kField); }
  Tensor Constant(double v) { return In(Make(F, {}, {v})); }
  Tensor Apply(const std::string& op, const std::vector<Tensor>& in,
               std::vector<Attribute> attrs = {}) {
    auto out = Eval(op, 20, in, std::move(attrs), Store::kField);
    CHECK(out.ok());
    return (*out)[0];
  }
  // 64 random residues, and numbers that the context does not know as constants.
  Tensor Random(uint64_t seed) {
    Choices choices(seed);
    Tensor t = Tensor::Make(F, {64}, Store::kField).value();
    for (int i = 0; i < 64; ++i) {
      t.mutable_data<Fp>()[i] =
          Fp::Raw(static_cast<double>(choices.Below(static_cast<uint64_t>(context_.p()))));
    }
    return t;
  }
  FieldContext context_{17, {0.5, 6, 1, 0.01, 3}};
  FieldScope scope_{&context_};
};

TEST_F(FieldIdentities, Order) {
  Tensor x = Random(1), zero = Constant(0), alpha = Constant(0.01f);
  Tensor relu = Apply("Relu", {x});
  EXPECT_TRUE(relu.Identical(Apply("Relu", {relu})));
  EXPECT_TRUE(relu.Identical(Apply("Max", {x, zero})));
  EXPECT_FALSE(relu.Identical(x));
  Tensor leaky = Apply("Add", {relu, Apply("Mul", {alpha, Apply("Min", {x, zero})})});
  EXPECT_TRUE(leaky.Identical(Apply("LeakyRelu", {x})));
  EXPECT_TRUE(leaky.Identical(Apply("PRelu", {x, alpha})));
  Tensor relu6 = Apply("Clip", {x, zero, Constant(6)});
  EXPECT_TRUE(relu6.Identical(Apply("Min", {relu, Constant(6)})));
  EXPECT_TRUE(relu6.Identical(Apply("Clip", {relu6, zero, Constant(6)})));
  EXPECT_TRUE(relu.Identical(Apply("Where", {Apply("Greater", {x, zero}), x, zero})));
  EXPECT_TRUE(Apply("Abs", {x}).Identical(Apply("Abs", {Apply("Neg", {x})})));
}

TEST_F(FieldIdentities, Formulas) {
  Tensor x = Random(2), one = Constant(1), half = Constant(0.5);
  Tensor exp = Apply("Exp", {x});
  EXPECT_TRUE(
      Apply("Sigmoid", {x})
          .Identical(Apply("Div", {one, Apply("Add", {one, Apply("Exp", {Apply("Neg", {x})})})})));
  EXPECT_TRUE(Apply("Softplus", {x}).Identical(Apply("Log", {Apply("Add", {exp, one})})));
  EXPECT_TRUE(
      Apply("Mish", {x}).Identical(Apply("Mul", {x, Apply("Tanh", {Apply("Softplus", {x})})})));
  EXPECT_TRUE(
      Apply("HardSwish", {x})
          .Identical(Apply("Mul", {x, Apply("HardSigmoid", {x}, {{"alpha", 1.0f / 6, {}}})})));
  EXPECT_TRUE(Apply("Pow", {x, Constant(2)}).Identical(Apply("Mul", {x, x})));
  EXPECT_TRUE(Apply("Pow", {x, Make(I64, {}, {2})}).Identical(Apply("Mul", {x, x})));
  EXPECT_TRUE(Apply("Pow", {x, half}).Identical(Apply("Sqrt", {x})));
  Tensor erf = Apply("Erf", {Apply("Div", {x, Constant(std::sqrt(2.0f))})});
  EXPECT_TRUE(Apply("Gelu", {x})
                  .Identical(Apply("Mul", {Apply("Mul", {x, half}), Apply("Add", {erf, one})})));
  Tensor cube = Apply("Mul", {Constant(0.044715f), Apply("Pow", {x, Constant(3)})});
  Tensor tanh = Apply("Tanh", {Apply("Mul", {Constant(0.7978845608f), Apply("Add", {x, cube})})});
  EXPECT_TRUE(Apply("Gelu", {x}, {{"approximate", std::string("tanh"), {}}})
                  .Identical(Apply("Mul", {Apply("Mul", {x, half}), Apply("Add", {one, tanh})})));
  Tensor mean = Apply("Mean", {x, exp});
  EXPECT_TRUE(mean.Identical(Apply("Mul", {half, Apply("Sum", {x, exp})})));
}

TEST_F(FieldIdentities, Rounding) {
  Tensor x = Random(3);
  Attribute to_int{"to", int64_t{7}, {}}, to_float{"to", int64_t{1}, {}},
      to_half{"to", int64_t{10}, {}};
  for (const char* op : {"Floor", "Ceil", "Round", "Sign"}) {
    Tensor once = Apply(op, {x});
    EXPECT_TRUE(once.Identical(Apply(op, {once}))) << op;
    EXPECT_FALSE(once.Identical(x)) << op;
    EXPECT_TRUE(once.Identical(Apply("Cast", {Apply("Cast", {once}, {to_int})}, {to_float}))) << op;
  }
  EXPECT_TRUE(Apply("Ceil", {x}).Identical(Apply("Neg", {Apply("Floor", {Apply("Neg", {x})})})));
  Tensor whole = Apply("Cast", {x}, {to_int});
  EXPECT_TRUE(whole.Identical(Apply("Cast", {Apply("Cast", {whole}, {to_float})}, {to_int})));
  for (int64_t v : whole.AsInts()) EXPECT_LE(std::abs(v), 4096);
  Tensor half = Apply("Cast", {x}, {to_half});
  EXPECT_TRUE(x.Identical(Apply("Cast", {half}, {to_float})));
  // Numbers keep their values.
  Tensor known = In(Row(F, {2.5, -1.5, 7, 0}));
  EXPECT_EQ(Apply("Cast", {known}, {to_int}).AsInts(), (std::vector<int64_t>{2, -1, 7, 0}));
  EXPECT_TRUE(Apply("Floor", {known}).Identical(In(Row(F, {2, -2, 7, 0}))));
  EXPECT_TRUE(Apply("Round", {known}).Identical(In(Row(F, {2, -2, 7, 0}))));
  EXPECT_EQ(Apply("IsNaN", {x}).AsInts(), std::vector<int64_t>(64, 0));
}

TEST_F(FieldIdentities, Quantization) {
  Tensor x = Random(4), scale = Constant(0.037f);
  Tensor u = Apply("QuantizeLinear", {x, scale, Make(U8, {}, {128})});
  Tensor s = Apply("QuantizeLinear", {x, scale, Make(I8, {}, {0})});
  for (int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(u.AsInt(i) - 128, s.AsInt(i));
  Tensor back = Apply("DequantizeLinear", {u, scale, Make(U8, {}, {128})});
  EXPECT_TRUE(back.Identical(Apply("DequantizeLinear", {s, scale, Make(I8, {}, {0})})));
  // What has been quantized is quantized to itself.
  EXPECT_TRUE(u.Identical(Apply("QuantizeLinear", {back, scale, Make(U8, {}, {128})})));
}

// ---- every row, every element type, every domain, hostile values --------------------------------

// Extremes of a type, repeated into shape [2,3].
Tensor Hostile(DType t) {
  if (t == DType::kString) return Tensor::Strings({2, 3}, {"1", "-2", "3.5", "0", "NaN", "1e400"});
  std::vector<double> v = {0, 1, -1, 1e300, -1e300, IsFloat(t) ? kNaN : 7};
  if (IsFloat(t)) v[3] = kInf;
  return Make(t, {2, 3}, v);
}

void CheckHostile(const OpSpec& spec, const std::vector<DType>& types,
                  std::vector<Attribute> attrs) {
  static const FieldContext context(5, {0.5});
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
    FieldScope scope(store == Store::kField ? &context : nullptr);
    std::vector<Tensor> in;
    for (DType t : types) {
      bool infinite = store == Store::kField && IsFloat(t);
      in.push_back(infinite ? Make(t, {2, 3}, {0, 1, -1, 3e4, -3e4, 0.3}) : Hostile(t));
      if (store != Store::kNative) in.back() = in.back().To(store);
    }
    auto out = Eval(spec.name, spec.since, in, attrs, store);
    std::string what = spec.name + "-" + std::to_string(spec.since);
    for (DType t : types) what += std::string(" ") + DTypeName(t);
    ASSERT_TRUE(out.ok()) << what << ": " << out.error().ToString();
    EXPECT_EQ((*out)[0].shape(), (Shape{2, 3})) << what;
    EXPECT_TRUE(Contains(spec.outputs[0].types, (*out)[0].dtype())) << what;
  }
}

// All assignments of element types to the row's required inputs.
std::vector<std::vector<DType>> Assignments(const OpSpec& spec) {
  std::vector<std::vector<DType>> all = {{}};
  int count = spec.MinInputs() + (spec.inputs.back().arity == Arity::kVariadic ? 1 : 0);
  for (int i = 0; i < count; ++i) {
    std::vector<std::vector<DType>> next;
    for (const std::vector<DType>& head : all) {
      for (int t = 1; t < kDTypeCount; ++t) {
        DType dtype = static_cast<DType>(t);
        bool fits = Contains(spec.InputAt(i).types & ~kComplexes, dtype);
        for (int j = 0; j < i; ++j) {
          fits = fits && (spec.InputAt(j).type != spec.InputAt(i).type || head[j] == dtype);
        }
        if (!fits) continue;
        next.push_back(head);
        next.back().push_back(dtype);
      }
    }
    all = std::move(next);
  }
  return all;
}

TEST(Elementwise, EveryRowTakesEveryTypeInEveryDomain) {
  int rows = 0;
  for (const OpSpec& spec : AllOps()) {
    bool quantizes = spec.name.find("Linear") != std::string::npos;  // scales are not [2,3]
    if (!spec.Has(kElementwise) || quantizes) continue;
    ++rows;
    for (const std::vector<DType>& types : Assignments(spec)) {
      std::vector<std::vector<Attribute>> attrs = {{}};
      if (spec.name == "BitShift") attrs = {{{"direction", std::string("LEFT"), {}}}};
      if (spec.name == "RegexFullMatch") attrs = {{{"pattern", std::string("a*"), {}}}};
      if (spec.name == "Mod") attrs = {{{"fmod", int64_t{IsFloat(types[0])}, {}}}};
      if (spec.name == "Cast") {
        attrs.clear();
        for (int64_t to : spec.FindAttr("to")->domain.ints) attrs.push_back({{"to", to, {}}});
      }
      for (const std::vector<Attribute>& a : attrs) CheckHostile(spec, types, a);
    }
  }
  EXPECT_GE(rows, 120);
}

// Drafts of rows with a draw callback satisfy the row's rule.
TEST(Elementwise, DrawsSatisfyTheRule) {
  Choices choices(9);
  for (const OpSpec& spec : AllOps()) {
    if (!spec.draw || !spec.Has(kElementwise)) continue;
    for (int round = 0; round < 50; ++round) {
      const std::vector<std::vector<DType>> types = Assignments(spec);
      Draft d;
      d.spec = &spec;
      Shape shape = {2, 3, 4, 5};
      for (DType t : choices.Pick(types)) d.inputs.push_back(TypeInfo::Of(t, shape));
      d.constants.resize(d.inputs.size());
      if (!spec.draw(choices, d)) continue;
      std::vector<std::string> names;
      std::vector<const TypeInfo*> infos;
      std::vector<const Tensor*> values;
      for (size_t i = 0; i < d.inputs.size(); ++i) {
        bool present = d.inputs[i].dtype != DType::kUndefined;
        names.push_back(present ? "x" + std::to_string(i) : "");
        infos.push_back(present ? &d.inputs[i] : nullptr);
        values.push_back(i < d.constants.size() && d.constants[i] ? &*d.constants[i] : nullptr);
      }
      NodePtr node = MakeNode(spec.name, names, {"y"}, d.attrs);
      auto out = InferNode(spec, *node, infos, values);
      EXPECT_TRUE(out.ok()) << spec.name << "-" << spec.since << ": " << out.error().ToString();
    }
  }
}

}  // namespace
}  // namespace assay
