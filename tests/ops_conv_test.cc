// Conv, ConvTranspose and poolings against loops written straight from the formulas, and what their
// rules refuse.
#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/kernels.h"
#include "interp/kernels_parallel.h"
#include "interp/text.h"

namespace assay {
namespace {

using Attributes = std::vector<Attribute>;

Result<std::vector<Tensor>> Eval(const std::string& op, const std::vector<Tensor>& inputs,
                                 const Attributes& attrs, int opset = 17,
                                 Store store = Store::kNative, const Limits& limits = Limits{}) {
  std::vector<std::string> names;
  std::vector<const Tensor*> args;
  for (const Tensor& t : inputs) {
    names.push_back(t.defined() ? "x" + std::to_string(names.size()) : "");
    args.push_back(t.defined() ? &t : nullptr);
  }
  const OpSpec* spec = FindOp("", op, opset);
  return EvalNode(*spec, *MakeNode(op, names, {"y"}, attrs), args, store, limits, opset);
}

Tensor Drawn(Choices& choices, const Shape& shape, Store store = Store::kNative) {
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, choices.Normal());
  return t.To(store);
}

struct Case {
  const char* what;
  Shape x, w;
  int64_t group;
  std::vector<int64_t> strides, dilations, pads;
  bool bias;
};

const Case kCases[] = {
    {"1-d", {2, 3, 9}, {4, 3, 3}, 1, {2}, {1}, {1, 0}, true},
    {"2-d, asymmetric pads", {1, 2, 6, 7}, {3, 2, 3, 2}, 1, {1, 1}, {1, 1}, {2, 0, 1, 3}, true},
    {"dilated, strided", {1, 3, 11, 9}, {2, 3, 3, 3}, 1, {2, 3}, {2, 1}, {1, 2, 3, 0}, false},
    {"groups", {2, 4, 5, 5}, {6, 2, 3, 3}, 2, {1, 2}, {1, 1}, {1, 1, 1, 1}, true},
    {"depthwise", {2, 3, 6, 5}, {3, 1, 3, 3}, 3, {2, 1}, {1, 2}, {1, 2, 0, 2}, true},
    {"depthwise, two maps a channel",
     {1, 3, 6, 5},
     {6, 1, 3, 3},
     3,
     {1, 1},
     {1, 1},
     {1, 1, 1, 1},
     false},
    {"pointwise", {2, 5, 4, 3}, {7, 5, 1, 1}, 1, {1, 1}, {1, 1}, {0, 0, 0, 0}, true},
    {"pointwise with stride", {1, 5, 4, 3}, {7, 5, 1, 1}, 1, {2, 1}, {1, 1}, {0, 0, 0, 0}, false},
    {"3-d", {1, 2, 4, 5, 3}, {2, 2, 2, 3, 2}, 1, {1, 2, 1}, {1, 1, 2}, {0, 1, 1, 1, 0, 2}, true},
    {"pads beyond the kernel", {1, 1, 2, 2}, {1, 1, 2, 2}, 1, {1, 1}, {1, 1}, {3, 3, 3, 3}, true},
};

Attributes AttributesOf(const Case& k) {
  return {{"group", k.group, {}},
          {"strides", k.strides, {}},
          {"dilations", k.dilations, {}},
          {"pads", k.pads, {}}};
}

// All index tuples below `shape`, row-major.
std::vector<Shape> Indices(const Shape& shape) {
  std::vector<Shape> all = {{}};
  for (int64_t d : shape) {
    std::vector<Shape> longer;
    for (const Shape& s : all) {
      for (int64_t i = 0; i < d; ++i) {
        longer.push_back(s);
        longer.back().push_back(i);
      }
    }
    all = std::move(longer);
  }
  return all;
}
int64_t Flat(const Shape& at, const Shape& shape) {
  int64_t flat = 0;
  for (size_t i = 0; i < at.size(); ++i) flat = flat * shape[i] + at[i];
  return flat;
}

// Calls f(y index, x index or -1 in the padding, w index) for every product of the convolution.
template <class F>
void ForEachProduct(const Case& k, const Shape& y, F&& f) {
  size_t axes = k.x.size() - 2;
  int64_t maps = k.w[0] / k.group, channels = k.w[1];
  for (const Shape& out : Indices(y)) {
    for (const Shape& tap : Indices(Shape(k.w.begin() + 1, k.w.end()))) {
      Shape in = {out[0], out[1] / maps * channels + tap[0]}, weight = {out[1]};
      weight.insert(weight.end(), tap.begin(), tap.end());
      bool inside = true;
      for (size_t i = 0; i < axes; ++i) {
        in.push_back(out[i + 2] * k.strides[i] - k.pads[i] + tap[i + 1] * k.dilations[i]);
        inside &= in.back() >= 0 && in.back() < k.x[i + 2];
      }
      f(Flat(out, y), inside ? Flat(in, k.x) : -1, Flat(weight, k.w));
    }
  }
}

TEST(Conv, AgreesWithTheFormula) {
  for (const Case& k : kCases) {
    SCOPED_TRACE(k.what);
    Choices choices(5);
    Tensor x = Drawn(choices, k.x), w = Drawn(choices, k.w), b = Drawn(choices, {k.w[0]});
    auto y = Eval("Conv", k.bias ? std::vector{x, w, b} : std::vector{x, w}, AttributesOf(k));
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    const Tensor& got = (*y)[0];
    std::vector<double> want(static_cast<size_t>(got.size()));
    int64_t plane = got.size() / got.dim(0) / got.dim(1);
    for (int64_t i = 0; i < got.size(); ++i) want[i] = k.bias ? b.AsDouble(i / plane % k.w[0]) : 0;
    ForEachProduct(k, got.shape(), [&](int64_t i, int64_t ix, int64_t iw) {
      if (ix >= 0) want[i] += x.AsDouble(ix) * w.AsDouble(iw);
    });
    for (int64_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got.AsDouble(i), want[i], 1e-4);
  }
}

// A convolution of one to three axes that is large enough for panels: of several tiles, several blocks of depth, or both.
struct LargeConv {
  Shape x, w;
  Attributes attrs;
  std::vector<int64_t> strides, dilations, pads;
  int64_t group;
};

LargeConv DrawLarge(Choices& choices) {
  LargeConv k;
  int64_t axes = choices.Between(1, 3), most = axes == 1 ? 600 : axes == 2 ? 24 : 8;
  bool depthwise = choices.Chance(0.25);
  k.group = depthwise ? choices.Between(8, 40) : choices.Chance(0.25) ? 2 : 1;
  k.x = {choices.Between(1, 2), k.group * (depthwise ? 1 : choices.Between(1, 24))};
  k.w = {k.group * (depthwise ? choices.Between(1, 2) : choices.Between(1, 56)), k.x[1] / k.group};
  std::vector<int64_t> end;
  for (int64_t i = 0; i < axes; ++i) {
    k.x.push_back(choices.Between(1, most));
    k.w.push_back(choices.Between(1, axes == 1 ? 30 : 5));
    k.strides.push_back(choices.Between(1, 3));
    k.dilations.push_back(choices.Chance(0.3) ? choices.Between(2, 30) : 1);
    int64_t missing = (k.w.back() - 1) * k.dilations.back() + 1 - k.x.back();
    k.pads.push_back(std::max<int64_t>(choices.Between(0, 3), (missing + 1) / 2));
    end.push_back(std::max<int64_t>(choices.Between(0, 3), (missing + 1) / 2));
  }
  k.pads.insert(k.pads.end(), end.begin(), end.end());
  k.attrs = {{"group", k.group, {}}, {"strides", k.strides, {}}, {"dilations", k.dilations, {}}, {"pads", k.pads, {}}};
  return k;
}

Tensor DrawnIntegers(Choices& choices, const Shape& shape) {
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, static_cast<double>(choices.Between(-4, 4)));
  return t;
}

// The formula, three axes deep.
std::vector<double> Formula(const LargeConv& k, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& y) {
  size_t axes = k.strides.size();
  auto three = [&](const std::vector<int64_t>& list, size_t from, int64_t otherwise) {
    std::vector<int64_t> all(3 - axes, otherwise);
    all.insert(all.end(), list.begin() + static_cast<int64_t>(from), list.begin() + static_cast<int64_t>(from + axes));
    return all;
  };
  std::vector<int64_t> in = three(k.x, 2, 1), kernel = three(k.w, 2, 1), out = three(y.shape(), 2, 1), s = three(k.strides, 0, 1),
                       d = three(k.dilations, 0, 1), p = three(k.pads, 0, 0);
  int64_t planes = k.x[0] * k.w[0], depth = k.w[1] * kernel[0] * kernel[1] * kernel[2], spread = k.w[0] / k.group;
  std::vector<double> want;
  std::vector<float> ws(w.data<float>(), w.data<float>() + w.size());
  for (int64_t i = 0; i < planes; ++i) {
    int64_t m = i % k.w[0], first = i / k.w[0] * k.x[1] + m / spread * k.w[1];
    for (int64_t o = 0; o < out[0] * out[1] * out[2]; ++o) {
      int64_t at[3] = {o / out[2] / out[1], o / out[2] % out[1], o % out[2]};
      double sum = b.AsDouble(m);
      for (int64_t t = 0; t < depth; ++t) {
        int64_t tap[3] = {t / kernel[2] / kernel[1] % kernel[0], t / kernel[2] % kernel[1], t % kernel[2]};
        int64_t place = first + t / (kernel[0] * kernel[1] * kernel[2]);
        bool inside = true;
        for (int a = 0; a < 3; ++a) {
          int64_t v = at[a] * s[a] - p[a] + tap[a] * d[a];
          inside &= v >= 0 && v < in[a];
          place = place * in[a] + v;
        }
        if (inside) sum += static_cast<double>(x.data<float>()[place]) * ws[static_cast<size_t>(m * depth + t)];
      }
      want.push_back(sum);
    }
  }
  return want;
}

// Sums of small integers are exact in every store: each tap must read what it should, whatever the panels and threads.
TEST(Conv, IsExactOnIntegersOfEveryGeometry) {
  FieldContext context(9, {});
  FieldScope scope(&context);
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Choices choices(seed);
    LargeConv k = DrawLarge(choices);
    SCOPED_TRACE(seed);
    Tensor x = DrawnIntegers(choices, k.x), w = DrawnIntegers(choices, k.w), b = DrawnIntegers(choices, {k.w[0]});
    std::vector<double> want;
    for (int threads : {1, 3}) {
      ThreadScope team(threads);
      for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
        auto y = Eval("Conv", {x.To(store), w.To(store), b.To(store)}, k.attrs, 17, store);
        ASSERT_TRUE(y.ok()) << y.error().ToString();
        if (want.empty()) want = Formula(k, x, w, b, (*y)[0]);
        for (int64_t i = 0; i < (*y)[0].size(); ++i) {
          if (store == Store::kField)
            ASSERT_EQ((*y)[0].data<Fp>()[i].r, Fp(want[static_cast<size_t>(i)]).r) << i;
          else
            ASSERT_EQ((*y)[0].AsDouble(i), want[static_cast<size_t>(i)]) << i;
        }
      }
    }
  }
}

TEST(Conv, IsExactInTheField) {
  FieldContext context(9, {});
  FieldScope scope(&context);
  for (const Case& k : kCases) {
    SCOPED_TRACE(k.what);
    Choices choices(6);
    Tensor x = Drawn(choices, k.x, Store::kField), w = Drawn(choices, k.w, Store::kField);
    auto y = Eval("Conv", {x, w}, AttributesOf(k), 17, Store::kField);
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    std::vector<Fp> want(static_cast<size_t>((*y)[0].size()));
    ForEachProduct(k, (*y)[0].shape(), [&](int64_t i, int64_t ix, int64_t iw) {
      if (ix >= 0) want[i] += x.data<Fp>()[ix] * w.data<Fp>()[iw];
    });
    for (int64_t i = 0; i < (*y)[0].size(); ++i) ASSERT_EQ((*y)[0].data<Fp>()[i].r, want[i].r);
  }
}

// ConvTranspose with the weights of a convolution is the convolution's adjoint: <Conv(x), y> = <x,
// ConvT(y)>.
TEST(ConvTranspose, IsTheAdjointOfConv) {
  FieldContext context(10, {});
  FieldScope scope(&context);
  for (const Case& k : kCases) {
    SCOPED_TRACE(k.what);
    Choices choices(7);
    Tensor x = Drawn(choices, k.x, Store::kField), w = Drawn(choices, k.w, Store::kField);
    auto y = Eval("Conv", {x, w}, AttributesOf(k), 17, Store::kField);
    ASSERT_TRUE(y.ok()) << y.error().ToString();
    Tensor z = Drawn(choices, (*y)[0].shape(), Store::kField);
    // What the strides skip at the end of x is missing in the plain transposed output.
    std::vector<int64_t> output_padding;
    for (size_t i = 2; i < k.x.size(); ++i) {
      int64_t reach = (k.w[i] - 1) * k.dilations[i - 2] + 1;
      output_padding.push_back(k.x[i] - ((z.dim(i) - 1) * k.strides[i - 2] + reach - k.pads[i - 2] -
                                         k.pads[k.x.size() - 4 + i]));
    }
    Attributes attrs = AttributesOf(k);
    attrs.push_back({"output_padding", output_padding, {}});
    auto back = Eval("ConvTranspose", {z, w}, attrs, 17, Store::kField);
    ASSERT_TRUE(back.ok()) << back.error().ToString();
    ASSERT_EQ((*back)[0].shape(), k.x);
    Fp left, right;
    for (int64_t i = 0; i < z.size(); ++i) left += (*y)[0].data<Fp>()[i] * z.data<Fp>()[i];
    for (int64_t i = 0; i < x.size(); ++i) right += (*back)[0].data<Fp>()[i] * x.data<Fp>()[i];
    EXPECT_EQ(left.r, right.r);
  }
}

TEST(Conv, RefusesWhatItsRuleForbids) {
  Choices choices(8);
  Tensor x = Drawn(choices, {1, 4, 5, 5}), w = Drawn(choices, {6, 2, 3, 3});
  const int64_t big = std::numeric_limits<int64_t>::max();
  struct {
    Attribute attr;
    const char* says;
  } cases[] = {
      {{"group", int64_t{1}, {}}, "channels are group times"},
      {{"group", int64_t{0}, {}}, "group is at least 1"},
      {{"group", int64_t{-2}, {}}, "group is at least 1"},
      {{"strides", std::vector<int64_t>{0, 1}, {}}, "strides"},
      {{"strides", std::vector<int64_t>{big, 1}, {}}, "strides"},
      {{"strides", std::vector<int64_t>{1}, {}}, "strides has 2 entries"},
      {{"dilations", std::vector<int64_t>{1, 0}, {}}, "dilations"},
      {{"dilations", std::vector<int64_t>{3, 1}, {}}, "fits the padded input"},
      {{"dilations", std::vector<int64_t>{big, big}, {}}, "dilations"},
      {{"pads", std::vector<int64_t>{-1, 0, 0, 0}, {}}, "pads"},
      {{"pads", std::vector<int64_t>{big, big, big, big}, {}}, "pads"},
      {{"kernel_shape", std::vector<int64_t>{3, 2}, {}}, "agrees with the weights"},
      {{"kernel_shape", std::vector<int64_t>{0, 0}, {}}, "agrees with the weights"},
      {{"auto_pad", std::string("SAME"), {}}, "auto_pad"},
  };
  for (const auto& k : cases) {
    Attributes attrs = {k.attr};
    if (k.attr.name != "group") attrs.push_back({"group", int64_t{2}, {}});
    auto y = Eval("Conv", {x, w}, attrs);
    ASSERT_FALSE(y.ok()) << k.says;
    EXPECT_EQ(y.error().code, Code::kInvalid);
    EXPECT_NE(y.error().ToString().find(k.says), std::string::npos) << y.error().ToString();
  }
}

TEST(Conv, ChargesForWorkAndMemory) {
  Choices choices(8);
  Tensor x = Drawn(choices, {1, 1, 8, 8}), w = Drawn(choices, {1, 1, 3, 3});
  Limits limits;
  limits.flops = 100;
  auto y = Eval("Conv", {x, w}, {}, 17, Store::kNative, limits);
  ASSERT_FALSE(y.ok());
  EXPECT_EQ(y.error().code, Code::kLimit);
  std::vector<int64_t> pads(4, (int64_t{1} << 31) - 1);
  y = Eval("Conv", {x, w}, {{"pads", pads, {}}});
  ASSERT_FALSE(y.ok());
  EXPECT_EQ(y.error().code, Code::kLimit);
}

TEST(MaxPool, SkipsPaddingAndCountsCeilWindows) {
  Tensor x = Tensor::Floats({1, 1, 5}, {-5, -4, -3, -2, -1});
  std::vector<int64_t> two = {2}, pads = {1, 1};
  auto y =
      Eval("MaxPool", {x}, {{"kernel_shape", two, {}}, {"strides", two, {}}, {"pads", pads, {}}});
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[0].Identical(Tensor::Floats({1, 1, 3}, {-5, -3, -1})));
  // With ceil_mode a fourth window would begin in the end padding: it does not exist.
  y = Eval("MaxPool", {x},
           {{"kernel_shape", two, {}},
            {"strides", two, {}},
            {"pads", pads, {}},
            {"ceil_mode", int64_t{1}, {}}});
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_EQ((*y)[0].shape(), (Shape{1, 1, 3}));
}

// With indices the windows are walked one by one, without them line by line or through a padded copy.
TEST(MaxPool, FindsTheSameMaximaWithAndWithoutIndices) {
  Choices choices(4);
  for (int i = 0; i < 200; ++i) {
    int64_t kernel = choices.Between(1, 3), stride = choices.Between(1, 3), dilation = choices.Between(1, 3);
    Tensor x = Drawn(choices, {1, 2, choices.Between(7, 12), choices.Between(7, 40)});
    if (i % 3 == 0) x.Set(static_cast<int64_t>(choices.Below(static_cast<uint64_t>(x.size()))), std::nan(""));
    if (i % 3 == 1) x.Set(static_cast<int64_t>(choices.Below(static_cast<uint64_t>(x.size()))), -INFINITY);
    std::vector<int64_t> both_kernel = {kernel, 2}, strides = {stride, 2}, dilations = {dilation, 1}, pads = {kernel / 2, 1, kernel / 2, 0};
    Attributes attrs = {{"kernel_shape", both_kernel, {}}, {"strides", strides, {}}, {"dilations", dilations, {}}, {"pads", pads, {}}};
    Tensor values = Eval("MaxPool", {x}, attrs).value()[0];
    const OpSpec* spec = FindOp("", "MaxPool", 17);
    Tensor placed = EvalNode(*spec, *MakeNode("MaxPool", {"x"}, {"y", "i"}, attrs), {&x}, Store::kNative, Limits{}, 17).value()[0];
    ASSERT_EQ(values.shape(), placed.shape());
    for (int64_t k = 0; k < values.size(); ++k) {
      double a = values.AsDouble(k), b = placed.AsDouble(k);
      ASSERT_TRUE(a == b || (a != a && b != b)) << "case " << i << " at " << k << ": " << a << ", " << b;
    }
  }
}

// Few windows are walked line by line, many through a padded copy: a plane among others pools as it does alone.
TEST(Pools, GiveOnePlaneTheSameBitsAsMany) {
  Choices choices(9);
  for (int i = 0; i < 90; ++i) {
    const char* op = i % 3 == 0 ? "MaxPool" : i % 3 == 1 ? "AveragePool" : "LpPool";
    int64_t planes = 600, height = choices.Between(3, 9), width = choices.Between(3, 40);
    std::vector<int64_t> kernel = {choices.Between(1, 3), choices.Between(1, 3)}, strides = {choices.Between(1, 2), choices.Between(1, 3)};
    std::vector<int64_t> pads = {kernel[0] / 2, kernel[1] / 2, kernel[0] - 1, kernel[1] - 1};
    Attributes attrs = {{"kernel_shape", kernel, {}}, {"strides", strides, {}}, {"pads", pads, {}}};
    if (op[0] == 'L') attrs.push_back({"p", choices.Between(1, 3), {}});
    if (op[0] == 'A') attrs.push_back({"count_include_pad", choices.Between(0, 1), {}});
    Tensor x = Drawn(choices, {1, planes, height, width}), one = Tensor::Make(DType::kFloat, {1, 1, height, width}).value();
    int64_t plane = choices.Between(0, planes - 1), size = height * width;
    std::copy_n(x.data<float>() + plane * size, size, one.mutable_data<float>());
    Tensor all = Eval(op, {x}, attrs).value()[0], alone = Eval(op, {one}, attrs).value()[0];
    for (int64_t k = 0; k < alone.size(); ++k)
      ASSERT_EQ(all.data<float>()[plane * alone.size() + k], alone.data<float>()[k]) << op << ", case " << i << " at " << k;
  }
}

TEST(AveragePool, DividesByTheTapsItSays) {
  Tensor x = Tensor::Floats({1, 1, 4}, {1, 2, 3, 4});
  std::vector<int64_t> three = {3}, two = {2}, pads = {1, 1};
  Attributes attrs = {{"kernel_shape", three, {}},
                      {"strides", two, {}},
                      {"pads", pads, {}},
                      {"ceil_mode", int64_t{1}, {}}};
  auto y = Eval("AveragePool", {x}, attrs);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[0].Identical(Tensor::Floats({1, 1, 3}, {1.5f, 3, 4}))) << (*y)[0].AsDouble(2);
  attrs.push_back({"count_include_pad", int64_t{1}, {}});
  y = Eval("AveragePool", {x}, attrs);
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  // The last window holds 4 and the end padding; what ceil_mode adds beyond is not counted.
  EXPECT_TRUE((*y)[0].Identical(Tensor::Floats({1, 1, 3}, {1, 3, 2}))) << (*y)[0].AsDouble(2);
}

TEST(Pools, RefuseHostileAttributes) {
  Choices choices(3);
  Tensor x = Drawn(choices, {1, 2, 5, 5});
  const int64_t big = std::numeric_limits<int64_t>::max();
  std::vector<int64_t> kernel = {2, 2};
  for (const char* op : {"MaxPool", "AveragePool", "LpPool"}) {
    for (const std::vector<int64_t>& bad :
         {std::vector<int64_t>{0, 1}, {-1, 1}, {big, big}, {6, 1}, {2}}) {
      EXPECT_FALSE(Eval(op, {x}, {{"kernel_shape", bad, {}}}).ok()) << op;
    }
    for (const std::vector<int64_t>& bad :
         {std::vector<int64_t>{2, 0, 0, 0}, {-1, 0, 0, 0}, {big, big, big, big}}) {
      EXPECT_FALSE(Eval(op, {x}, {{"kernel_shape", kernel, {}}, {"pads", bad, {}}}).ok()) << op;
    }
    EXPECT_FALSE(
        Eval(op, {x}, {{"kernel_shape", kernel, {}}, {"strides", std::vector<int64_t>{0, 1}, {}}})
            .ok())
        << op;
    EXPECT_FALSE(
        Eval(op, {Tensor::Floats({2, 2}, {1, 2, 3, 4})}, {{"kernel_shape", kernel, {}}}).ok())
        << op;
  }
}

TEST(MaxUnpool, RefusesIndicesOutside) {
  Tensor x = Tensor::Floats({1, 1, 2}, {1, 2});
  std::vector<int64_t> two = {2};
  for (int64_t bad : {int64_t{-1}, int64_t{4}, std::numeric_limits<int64_t>::max()}) {
    auto y = Eval("MaxUnpool", {x, Tensor::Ints({1, 1, 2}, {0, bad})},
                  {{"kernel_shape", two, {}}, {"strides", two, {}}});
    ASSERT_FALSE(y.ok());
    EXPECT_EQ(y.error().code, Code::kInvalid);
  }
  auto y = Eval("MaxUnpool", {x, Tensor::Ints({1, 1, 2}, {1, 2})},
                {{"kernel_shape", two, {}}, {"strides", two, {}}});
  ASSERT_TRUE(y.ok()) << y.error().ToString();
  EXPECT_TRUE((*y)[0].Identical(Tensor::Floats({1, 1, 4}, {0, 1, 2, 0})));
}

// com.microsoft's QLinearConv is that of ai.onnx between transposes.
TEST(QLinearConv, TakesChannelsLast) {
  const std::string operands =
      "xs = float[] {0.5} xz = uint8[] {3} w = int8[4,2,2,1] "
      "{1,-2,3,4,-5,6,7,-8,9,1,-2,3,4,5,-6,7} "
      "ws = float[4] {0.25,0.5,0.75,1} wz = int8[4] {0,1,0,-1} ys = float[] {0.5} yz = uint8[] {7} "
      "b = int32[4] {1,-2,3,4} ";
  const std::string attrs = "{strides=[1,2], pads=[1,0,0,1]";
  auto run = [&](const std::string& nodes) {
    Result<Model> m =
        ParseText("opset 13 opset \"com.microsoft\" 1 graph(uint8[2,3,5,2] x) -> (y) { " +
                  operands + nodes + " }");
    EXPECT_TRUE(m.ok()) << m.error().ToString();
    return assay::Run(*m, RandomInputs(*m, 1).value());
  };
  auto last = run("y = com.microsoft::QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b) " + attrs +
                  ", channels_last=1}");
  auto plain =
      run("t = Transpose(x) {perm=[0,3,1,2]} c = QLinearConv(t, xs, xz, w, ws, wz, ys, yz, b) " +
          attrs + "} y = Transpose(c) {perm=[0,2,3,1]}");
  auto same =
      run("t = Transpose(x) {perm=[0,3,1,2]} c = com.microsoft::QLinearConv(t, xs, xz, w, ws, wz, "
          "ys, yz, b) " +
          attrs + "} y = Transpose(c) {perm=[0,2,3,1]}");
  ASSERT_TRUE(last.ok()) << last.error().ToString();
  EXPECT_EQ(last->outputs[0].shape(), (Shape{2, 3, 3, 4}));
  EXPECT_TRUE(last->outputs[0].Identical(plain->outputs[0]));
  EXPECT_TRUE(same->outputs[0].Identical(plain->outputs[0]));
  auto bad = run("y = com.microsoft::QLinearConv(x, xs, xz, w, ws, wz, ys, yz, b) " + attrs + "}");
  ASSERT_FALSE(bad.ok());
}

}  // namespace
}  // namespace assay
