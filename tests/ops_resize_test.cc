// Resize and Upsample: coordinates, weights and rounding of every mode, and that all scalar domains
// agree.
#include <gtest/gtest.h>

#include <cmath>

#include "interp/exec.h"
#include "interp/field.h"
#include "interp/interpolate.h"

namespace assay {
namespace {

Attribute A(const char* name, AttrValue v) { return {name, std::move(v), {}}; }
Tensor F(Shape shape, const std::vector<float>& v) { return Tensor::Floats(std::move(shape), v); }

Result<std::vector<Tensor>> Eval(const char* op, int opset, const std::vector<Tensor>& in,
                                 std::vector<Attribute> attrs, Store store = Store::kNative) {
  const OpSpec* spec = FindOp("", op, opset);
  std::vector<std::string> names;
  std::vector<const Tensor*> args;
  for (const Tensor& t : in) {
    names.push_back(t.defined() ? "x" + std::to_string(names.size()) : "");
    args.push_back(t.defined() ? &t : nullptr);
  }
  return EvalNode(*spec, *MakeNode(op, names, {"y"}, std::move(attrs)), args, store, Limits{},
                  opset);
}

TEST(OpsResize, SimplestFractions) {
  struct Case {
    float v;
    int64_t num, den;
  };
  for (const Case& c : {Case{0.6f, 3, 5},
                        {2, 2, 1},
                        {1.5f, 3, 2},
                        {1.0f / 3, 1, 3},
                        {0.8f, 4, 5},
                        {1e6f, 1000000, 1}}) {
    Fraction f = SimplestFraction(c.v);
    EXPECT_EQ(static_cast<int64_t>(f.num), c.num) << c.v;
    EXPECT_EQ(static_cast<int64_t>(f.den), c.den) << c.v;
  }
  Fraction odd = SimplestFraction(1.2345678f);
  EXPECT_EQ(static_cast<float>(static_cast<double>(odd.num) / static_cast<double>(odd.den)),
            1.2345678f);
}

// One axis of 4 places resized to 8 or from 8 to 4 or to 3, by mode; expected values from the
// formulas by hand.
TEST(OpsResize, OneAxis) {
  struct Case {
    const char *mode, *coordinates, *nearest;
    std::vector<float> x;
    int64_t out;
    std::vector<double> want;
  };
  const std::vector<float> x4 = {0, 1, 2, 3}, x2 = {0, 8};
  const std::vector<Case> cases = {
      {"nearest", "half_pixel", "round_prefer_floor", x4, 8, {0, 0, 1, 1, 2, 2, 3, 3}},
      {"nearest", "asymmetric", "floor", x4, 8, {0, 0, 1, 1, 2, 2, 3, 3}},
      {"nearest", "asymmetric", "ceil", x4, 8, {0, 1, 1, 2, 2, 3, 3, 3}},
      {"nearest", "asymmetric", "round_prefer_ceil", x4, 8, {0, 1, 1, 2, 2, 3, 3, 3}},
      {"nearest", "asymmetric", "round_prefer_floor", x4, 8, {0, 0, 1, 1, 2, 2, 3, 3}},
      {"nearest", "half_pixel", "round_prefer_floor", x4, 2, {0, 2}},
      {"nearest", "half_pixel", "round_prefer_ceil", x4, 2, {1, 3}},
      {"nearest", "tf_half_pixel_for_nn", "floor", x4, 2, {1, 3}},
      {"nearest", "align_corners", "floor", x4, 2, {0, 3}},
      {"nearest", "pytorch_half_pixel", "floor", x4, 1, {0}},
      {"linear", "half_pixel", "floor", x2, 4, {0, 2, 6, 8}},
      {"linear", "align_corners", "floor", x2, 3, {0, 4, 8}},
      {"linear", "asymmetric", "floor", x2, 4, {0, 4, 8, 8}},
      {"linear", "pytorch_half_pixel", "floor", x2, 1, {0}},
      {"linear", "half_pixel", "floor", x2, 1, {4}},
      {"linear", "align_corners", "floor", x2, 1, {0}},
  };
  for (const Case& c : cases) {
    int64_t n = static_cast<int64_t>(c.x.size());
    auto out = Eval("Resize", 13, {F({n}, c.x), {}, {}, Tensor::Vector({c.out})},
                    {A("mode", std::string(c.mode)),
                     A("coordinate_transformation_mode", std::string(c.coordinates)),
                     A("nearest_mode", std::string(c.nearest))});
    ASSERT_TRUE(out.ok()) << out.error().ToString();
    ASSERT_EQ((*out)[0].size(), c.out);
    for (int64_t i = 0; i < c.out; ++i) {
      EXPECT_NEAR((*out)[0].AsDouble(i), c.want[i], 1e-6)
          << c.mode << " " << c.coordinates << " " << c.nearest << " " << i;
    }
  }
}

TEST(OpsResize, OlderVersionsAndOtherTypes) {
  Tensor x = F({2}, {1, 2}), twice = F({1}, {2});
  for (const char* mode : {"nearest", "linear"}) {
    std::vector<Attribute> m = {A("mode", std::string(mode))};
    auto v7 = m;
    v7.push_back(A("scales", std::vector<float>{2}));
    auto a = Eval("Upsample", 7, {x}, v7), b = Eval("Upsample", 9, {x, twice}, m),
         c = Eval("Resize", 10, {x, twice}, m);
    ASSERT_TRUE(a.ok() && b.ok() && c.ok());
    EXPECT_TRUE((*a)[0].Identical((*b)[0]));
    EXPECT_TRUE((*a)[0].Identical((*c)[0]));
    EXPECT_EQ((*a)[0].AsDouble(1), std::string(mode) == "linear" ? 1.5 : 1);
  }
  Tensor bytes = Tensor::Of<uint8_t>(DType::kUint8, {2}, {10, 255});
  auto u8 = Eval("Resize", 13, {bytes, {}, F({1}, {2})}, {A("mode", std::string("linear"))});
  ASSERT_TRUE(u8.ok());
  EXPECT_EQ((*u8)[0].AsInts(), (std::vector<int64_t>{10, 71, 193, 255}));
  auto text = Eval("Resize", 13, {Tensor::Strings({2}, {"a", "b"}), {}, F({1}, {2})}, {});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ((*text)[0].strings(), (std::vector<std::string>{"a", "a", "b", "b"}));
  auto kept =
      Eval("Resize", 18, {F({2, 4}, {0, 1, 2, 3, 4, 5, 6, 7}), {}, {}, Tensor::Vector({1, 3})},
           {A("keep_aspect_ratio_policy", std::string("not_larger"))});
  ASSERT_TRUE(kept.ok()) << kept.error().ToString();
  EXPECT_EQ((*kept)[0].shape(), (Shape{1, 2}));
}

TEST(OpsResize, CropAndExtrapolate) {
  auto out = Eval("Resize", 13, {F({3}, {0, 1, 2}), F({2}, {0.5f, 1.5f}), {}, Tensor::Vector({3})},
                  {A("mode", std::string("linear")),
                   A("coordinate_transformation_mode", std::string("tf_crop_and_resize")),
                   A("extrapolation_value", -7.0f)});
  ASSERT_TRUE(out.ok()) << out.error().ToString();
  EXPECT_EQ((*out)[0].AsDouble(0), 1);
  EXPECT_EQ((*out)[0].AsDouble(1), 2);
  EXPECT_EQ((*out)[0].AsDouble(2), -7);
}

// The weights of the field are those of the reals: an interpolation of residues that stand for
// fractions gives the residues of the fractions.
TEST(OpsResize, FieldAgreesWithReals) {
  FieldContext context(11, {});
  FieldScope scope(&context);
  Tensor x = F({1, 1, 3, 5}, {0, 1, 2, 3, 4, 5, 7, 9, 11, 13, 8, 6, 4, 2, 0});
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinates :
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"}) {
      for (int64_t out : {1, 2, 4, 6, 7}) {
        std::vector<Attribute> attrs = {
            A("mode", std::string(mode)),
            A("coordinate_transformation_mode", std::string(coordinates)),
            A("exclude_outside", int64_t{1})};
        Tensor sizes = Tensor::Vector({1, 1, 3, out});
        auto reals =
            Eval("Resize", 13, {x.To(Store::kDouble), {}, {}, sizes}, attrs, Store::kDouble);
        auto field = Eval("Resize", 13, {x.To(Store::kField), {}, {}, sizes}, attrs, Store::kField);
        ASSERT_TRUE(reals.ok() && field.ok());
        // All values are fractions over a common small denominator; multiplied by it they are
        // whole.
        int64_t whole = 1;
        for (int64_t k : {1, 2, 4, 6, 7}) whole *= k * k * k;
        whole *= 64;
        Fp sum = Fp(0);
        double real_sum = 0;
        for (int64_t i = 0; i < (*reals)[0].size(); ++i) {
          sum += (*field)[0].data<Fp>()[i];
          real_sum += (*reals)[0].AsDouble(i);
        }
        if (std::string(mode) == "cubic") continue;  // its denominators grow beyond exact doubles
        double scaled = real_sum * static_cast<double>(whole);
        ASSERT_NEAR(scaled, std::nearbyint(scaled), 1e-2)
            << mode << " " << coordinates << " " << out;
        EXPECT_TRUE(sum * Fp(whole) == Fp(static_cast<int64_t>(std::nearbyint(scaled))))
            << mode << " " << coordinates << " " << out;
      }
    }
  }
}

// A scale that no residue gives back: as an initializer it stays a number.
TEST(OpsResize, ScalesStayNumbersInTheField) {
  Model m;
  m.opsets[""] = 13;
  m.graph.inputs = {ValueInfo::Of("x", DType::kFloat, {1, 1, 7, 7})};
  m.graph.outputs = {ValueInfo::Of("y", DType::kFloat, {1, 1, 12, 8})};
  m.graph.SetInitializer("scales", F({4}, {1, 1, 1.7320508f, 1.2f}));
  m.graph.nodes = {
      MakeNode("Resize", {"x", "", "scales"}, {"y"}, {A("mode", std::string("linear"))})};
  auto inputs = RandomInputs(m, 1);
  ASSERT_TRUE(inputs.ok());
  auto reals = assay::Run(m, *inputs, {});
  ASSERT_TRUE(reals.ok()) << reals.error().ToString();
  FieldContext context(3, {});
  FieldScope scope(&context);
  auto field = assay::Run(m, *inputs, {.store = Store::kField});
  ASSERT_TRUE(field.ok()) << field.error().ToString();
  EXPECT_EQ(field->outputs[0].shape(), reals->outputs[0].shape());
}

TEST(OpsResize, Errors) {
  Tensor x = F({2}, {1, 2}), none = Tensor();
  struct Case {
    int opset;
    std::vector<Tensor> in;
    const char* message;
  };
  for (const Case& c : {
           Case{13, {x}, "either scales or sizes"},
           {13, {x, none, F({1}, {2}), Tensor::Vector({4})}, "either scales or sizes"},
           {13, {x, none, F({2}, {2, 2})}, "one entry an axis"},
           {13, {x, none, F({1}, {0})}, "positive"},
           {13, {x, none, F({1}, {-1})}, "positive"},
           {13, {x, none, F({1}, {NAN})}, "positive"},
           {13, {x, none, F({1}, {INFINITY})}, "positive"},
           {13, {x, none, F({1}, {3e38f})}, "output extent"},
           {13, {x, none, none, Tensor::Vector({-4})}, "at least 0"},
           {13, {F({0}, {}), none, none, Tensor::Vector({4})}, "does not grow"},
           {10, {x, F({1, 1}, {2})}, "one axis"},
       }) {
    auto out = Eval("Resize", c.opset, c.in, {});
    ASSERT_FALSE(out.ok()) << c.message;
    EXPECT_EQ(out.error().code, Code::kInvalid);
    EXPECT_NE(out.error().ToString().find(c.message), std::string::npos) << out.error().ToString();
  }
  auto gone = Eval("Upsample", 10, {x, F({1}, {2})}, {});
  ASSERT_FALSE(gone.ok());
  EXPECT_NE(gone.error().ToString().find("deprecated"), std::string::npos);
  auto shrink = Eval("Upsample", 9, {x, F({1}, {0.5f})}, {});
  ASSERT_FALSE(shrink.ok());
  auto crop = Eval("Resize", 13, {x, none, none, Tensor::Vector({4})},
                   {A("coordinate_transformation_mode", std::string("tf_crop_and_resize"))});
  ASSERT_FALSE(crop.ok());
  EXPECT_NE(crop.error().ToString().find("needs roi"), std::string::npos);
}

}  // namespace
}  // namespace assay
