// Normalizations against their formulas, spelled with other operators, in real numbers and exactly
// in the field.
#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/kernels.h"

namespace assay {
namespace {

using Attributes = std::vector<Attribute>;

Result<std::vector<Tensor>> Eval(const std::string& op, const std::vector<Tensor>& inputs,
                                 Attributes attrs = {}, Store store = Store::kNative,
                                 int outputs = 1, int opset = 17) {
  std::vector<std::string> names, made;
  std::vector<const Tensor*> args;
  for (const Tensor& t : inputs) {
    names.push_back("x" + std::to_string(names.size()));
    args.push_back(&t);
  }
  for (int i = 0; i < outputs; ++i) made.push_back("y" + std::to_string(i));
  return EvalNode(*FindOp("", op, opset), *MakeNode(op, names, made, std::move(attrs)), args, store,
                  Limits{}, opset);
}

Tensor Random(Choices& choices, const Shape& shape, double shift = 0) {
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, choices.Normal() + shift);
  return t;
}

// The same formula by elementary operators, for any store.
struct Formulas {
  Store store;
  Tensor Op(const std::string& op, const std::vector<Tensor>& in, Attributes attrs = {}) const {
    auto y = Eval(op, in, std::move(attrs), store);
    EXPECT_TRUE(y.ok()) << op << ": " << y.error().ToString();
    return y.ok() ? (*y)[0] : Tensor();
  }
  Tensor Constant(float v) const { return Tensor::ScalarFloat(v).To(store); }
  // (x - mean) / sqrt(var + epsilon) over axes.
  Tensor Standardized(const Tensor& x, std::vector<int64_t> axes, float epsilon) const {
    Tensor centred = Op("Sub", {x, Op("ReduceMean", {x}, {{"axes", axes, {}}})});
    Tensor var = Op("ReduceMean", {Op("Mul", {centred, centred})}, {{"axes", axes, {}}});
    return Op("Div", {centred, Op("Sqrt", {Op("Add", {var, Constant(epsilon)})})});
  }
};

void ExpectSame(const Tensor& got, const Tensor& want, Store store) {
  ASSERT_EQ(got.shape(), want.shape());
  if (store == Store::kField) {
    EXPECT_TRUE(got.Identical(want));
    return;
  }
  for (int64_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got.AsDouble(i), want.AsDouble(i), 1e-4);
}

template <class F>
void InEveryStore(F&& f) {
  FieldContext context(21, {});
  FieldScope scope(&context);
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) f(Formulas{store});
}

TEST(Normalization, AgreesWithElementaryOperators) {
  InEveryStore([](const Formulas& f) {
    Choices choices(3);
    Tensor x = Random(choices, {2, 3, 4, 5}).To(f.store), scale = Random(choices, {3}).To(f.store);
    Tensor bias = Random(choices, {3}).To(f.store), mean = Random(choices, {3}).To(f.store);
    Tensor var = Tensor::Floats({3}, {0.5f, 1, 2}).To(f.store);
    Tensor scale4 = scale.Reshaped({1, 3, 1, 1}), bias4 = bias.Reshaped({1, 3, 1, 1});

    Tensor spread = f.Op("Sqrt", {f.Op("Add", {var.Reshaped({1, 3, 1, 1}), f.Constant(1e-3f)})});
    Tensor want = f.Op("Div", {f.Op("Sub", {x, mean.Reshaped({1, 3, 1, 1})}), spread});
    want = f.Op("Add", {f.Op("Mul", {want, scale4}), bias4});
    ExpectSame(f.Op("BatchNormalization", {x, scale, bias, mean, var}, {{"epsilon", 1e-3f, {}}}),
               want, f.store);

    want = f.Op("Add", {f.Op("Mul", {f.Standardized(x, {2, 3}, 1e-5f), scale4}), bias4});
    ExpectSame(f.Op("InstanceNormalization", {x, scale, bias}), want, f.store);

    Tensor layer_scale = Random(choices, {4, 5}).To(f.store),
           layer_bias = Random(choices, {4, 5}).To(f.store);
    want = f.Op("Add", {f.Op("Mul", {f.Standardized(x, {2, 3}, 1e-5f), layer_scale}), layer_bias});
    ExpectSame(
        f.Op("LayerNormalization", {x, layer_scale, layer_bias}, {{"axis", int64_t{-2}, {}}}), want,
        f.store);

    std::vector<int64_t> axes = {0, 2, 3};
    Tensor centred = f.Op("Sub", {x, f.Op("ReduceMean", {x}, {{"axes", axes, {}}})});
    Tensor deviation =
        f.Op("Sqrt", {f.Op("ReduceMean", {f.Op("Mul", {centred, centred})}, {{"axes", axes, {}}})});
    want = f.Op("Div", {centred, f.Op("Add", {deviation, f.Constant(1e-9f)})});
    ExpectSame(f.Op("MeanVarianceNormalization", {x}), want, f.store);

    for (int64_t p : {1, 2}) {
      std::vector<int64_t> axis = {1};
      Tensor norm = f.Op(p == 1 ? "ReduceL1" : "ReduceL2", {x}, {{"axes", axis, {}}});
      ExpectSame(f.Op("LpNormalization", {x}, {{"axis", int64_t{1}, {}}, {"p", p, {}}}),
                 f.Op("Div", {x, norm}), f.store);
    }
  });
}

TEST(LayerNormalization, GivesMeanAndInverseDeviation) {
  Tensor x = Tensor::Floats({2, 2}, {1, 3, 5, 5}), scale = Tensor::Floats({2}, {1, 1});
  auto y = Eval("LayerNormalization", {x, scale}, {{"epsilon", 0.0f, {}}, {"axis", int64_t{1}, {}}},
                Store::kNative, 3);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[1].Identical(Tensor::Floats({2, 1}, {2, 5})));
  EXPECT_EQ((*y)[2].AsDouble(0), 1);
  EXPECT_TRUE(std::isinf((*y)[2].AsDouble(1)));
}

TEST(BatchNormalization, TrainsOnTheBatch) {
  Tensor x = Tensor::Floats({2, 1, 2}, {1, 2, 3, 6}), one = Tensor::Floats({1}, {1}),
         zero = Tensor::Floats({1}, {0});
  Attributes attrs = {
      {"training_mode", int64_t{1}, {}}, {"momentum", 0.5f, {}}, {"epsilon", 0.0f, {}}};
  auto y = Eval("BatchNormalization", {x, one, zero, one, one}, attrs, Store::kNative, 3);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_EQ((*y)[1].AsDouble(0), 0.5 * 1 + 0.5 * 3);    // mean 3
  EXPECT_EQ((*y)[2].AsDouble(0), 0.5 * 1 + 0.5 * 3.5);  // population variance 3.5
  EXPECT_NEAR((*y)[0].AsDouble(0), -2 / std::sqrt(3.5), 1e-6);
  // Without training there is one output, with training before opset 14 what they hold is not
  // specified.
  EXPECT_FALSE(Eval("BatchNormalization", {x, one, zero, one, one}, {}, Store::kNative, 3).ok());
  auto old = Eval("BatchNormalization", {x, one, zero, one, one}, {}, Store::kNative, 5, 9);
  ASSERT_FALSE(old.ok());
  EXPECT_EQ(old.error().code, Code::kUnsupported);
}

TEST(Lrn, TakesTheLongerHalfAfterTheChannel) {
  Tensor x = Tensor::Floats({1, 3, 1}, {1, 2, 3});
  Attributes attrs = {
      {"size", int64_t{2}, {}}, {"alpha", 2.0f, {}}, {"beta", 1.0f, {}}, {"bias", 0.0f, {}}};
  auto y = Eval("LRN", {x}, attrs);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  // Channel c sees c and c + 1.
  EXPECT_NEAR((*y)[0].AsDouble(0), 1.0 / 5, 1e-6);
  EXPECT_NEAR((*y)[0].AsDouble(1), 2.0 / 13, 1e-6);
  EXPECT_NEAR((*y)[0].AsDouble(2), 3.0 / 9, 1e-6);
}

TEST(Normalization, RefusesWhatItsRulesForbid) {
  Choices choices(1);
  Tensor x = Random(choices, {2, 3, 4}), c3 = Random(choices, {3}), c4 = Random(choices, {4});
  const int64_t big = std::numeric_limits<int64_t>::max();
  auto refused = [](const Result<std::vector<Tensor>>& y) {
    return !y.ok() && y.error().code == Code::kInvalid;
  };
  EXPECT_TRUE(refused(Eval("BatchNormalization", {x, c3, c3, c4, c3})));
  EXPECT_TRUE(refused(Eval("InstanceNormalization", {x, c3, c4})));
  EXPECT_TRUE(refused(Eval("InstanceNormalization", {Random(choices, {2, 3}), c3, c3})));
  EXPECT_TRUE(refused(Eval("LayerNormalization", {x, c3})));
  EXPECT_TRUE(refused(Eval("LayerNormalization", {x, c4}, {{"axis", int64_t{3}, {}}})));
  EXPECT_TRUE(refused(Eval("LayerNormalization", {x, c4}, {{"stash_type", int64_t{7}, {}}})));
  EXPECT_TRUE(refused(Eval("LpNormalization", {x}, {{"axis", big, {}}})));
  EXPECT_TRUE(refused(Eval("LpNormalization", {x}, {{"p", int64_t{0}, {}}})));
  for (int64_t size : {int64_t{0}, int64_t{-3}, std::numeric_limits<int64_t>::min()}) {
    EXPECT_TRUE(refused(Eval("LRN", {x}, {{"size", size, {}}})));
  }
  EXPECT_TRUE(Eval("LRN", {x}, {{"size", big, {}}}).ok());
  for (std::vector<int64_t> axes : {std::vector<int64_t>{3}, {-4}, {1, 1}, {1, -2}, {big}}) {
    EXPECT_TRUE(refused(Eval("MeanVarianceNormalization", {x}, {{"axes", axes, {}}})));
  }
}

}  // namespace
}  // namespace assay
