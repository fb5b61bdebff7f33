// Operators that move elements, read shapes or make tensors: values, inferred shapes, errors, and
// what hostile operands may not do.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "interp/exec.h"
#include "interp/field.h"

namespace assay {
namespace {

constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();

Tensor Iota(Shape shape, DType dtype = DType::kFloat) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = std::to_string(i);
    else
      t.Set(i, static_cast<double>(i));
  }
  return t;
}
Tensor I(const std::vector<int64_t>& v) { return Tensor::Vector(v); }
Tensor Scalar(int64_t v) { return Tensor::Ints({}, {v}); }
Tensor F(Shape shape, const std::vector<float>& v) { return Tensor::Floats(std::move(shape), v); }
Attribute A(const char* name, AttrValue v) { return {name, std::move(v), {}}; }
using Ints = std::vector<int64_t>;

struct Call {
  const char* op;
  int opset;
  std::vector<Tensor> in;  // undefined: absent
  std::vector<Attribute> attrs;
  int outputs = 1;
};

Result<std::vector<Tensor>> Eval(const Call& c, Store store = Store::kNative,
                                 Limits limits = Limits{}) {
  const OpSpec* spec = FindOp("", c.op, c.opset);
  if (!spec) return Unsupported(std::string("no row for ") + c.op);
  std::vector<std::string> names, results;
  std::vector<Tensor> stored;
  std::vector<const Tensor*> args;
  for (const Tensor& t : c.in) {
    names.push_back(t.defined() ? "x" + std::to_string(names.size()) : "");
    stored.push_back(t.defined() && store != Store::kNative ? t.To(store) : t);
  }
  for (const Tensor& t : stored) args.push_back(t.defined() ? &t : nullptr);
  for (int i = 0; i < std::max(c.outputs, spec->MinOutputs()); ++i)
    results.push_back("y" + std::to_string(i));
  NodePtr node = MakeNode(c.op, names, results, c.attrs);
  return EvalNode(*spec, *node, args, store, limits, c.opset);
}

std::vector<double> Values(const Tensor& t) {
  std::vector<double> v;
  for (int64_t i = 0; i < t.size(); ++i) v.push_back(t.AsDouble(i));
  return v;
}

struct Case {
  Call call;
  Shape shape;
  std::vector<double> want;
};

void Check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    std::string what =
        std::string(c.call.op) + "-" + std::to_string(c.call.opset) + " " + ShapeToString(c.shape);
    auto out = Eval(c.call);
    ASSERT_TRUE(out.ok()) << what << ": " << out.error().ToString();
    EXPECT_EQ((*out)[0].shape(), c.shape) << what;
    std::vector<double> got = Values((*out)[0]);
    ASSERT_EQ(got.size(), c.want.size()) << what;
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(got[i], c.want[i], 1e-5) << what << " element " << i;
  }
}

struct Bad {
  Call call;
  const char* message;  // part of the error
};

void CheckErrors(const std::vector<Bad>& cases) {
  for (const Bad& c : cases) {
    auto out = Eval(c.call);
    ASSERT_FALSE(out.ok()) << c.call.op << "-" << c.call.opset << ": want " << c.message;
    EXPECT_EQ(out.error().code, Code::kInvalid) << c.message;
    EXPECT_NE(out.error().ToString().find(c.message), std::string::npos)
        << out.error().ToString() << "; want " << c.message;
  }
}

const std::vector<double> k012345 = {0, 1, 2, 3, 4, 5};

TEST(OpsMovement, ReshapeFamily) {
  Tensor x = Iota({2, 3}), ones = Iota({1, 2, 1, 3});
  Check({
      {{"Reshape", 7, {x, I({3, -1})}, {}}, {3, 2}, k012345},
      {{"Reshape", 13, {x, I({0, 1, -1})}, {}}, {2, 1, 3}, k012345},
      {{"Reshape", 14, {Iota({0, 3}), I({3, 0})}, {A("allowzero", int64_t{1})}}, {3, 0}, {}},
      {{"Reshape", 14, {Iota({0, 3}), I({0, 5})}, {}}, {0, 5}, {}},
      {{"Reshape", 7, {Iota({1}), I({})}, {}}, {}, {0}},
      {{"Flatten", 7, {Iota({1, 2, 3})}, {A("axis", int64_t{2})}}, {2, 3}, k012345},
      {{"Flatten", 13, {Iota({1, 2, 3})}, {A("axis", int64_t{-1})}}, {2, 3}, k012345},
      {{"Flatten", 13, {Iota({1, 2, 3})}, {A("axis", int64_t{0})}}, {1, 6}, k012345},
      {{"Flatten", 13, {Iota({})}, {A("axis", int64_t{0})}}, {1, 1}, {0}},
      {{"Squeeze", 7, {ones}, {}}, {2, 3}, k012345},
      {{"Squeeze", 11, {ones}, {A("axes", Ints{-2})}}, {1, 2, 3}, k012345},
      {{"Squeeze", 13, {ones, I({0})}, {}}, {2, 1, 3}, k012345},
      {{"Unsqueeze", 7, {x}, {A("axes", Ints{3, 0})}}, {1, 2, 3, 1}, k012345},
      {{"Unsqueeze", 13, {x, I({-1, 1})}, {}}, {2, 1, 3, 1}, k012345},
  });
  CheckErrors({
      {{"Reshape", 13, {x, I({-1, -1})}, {}}, "at most one -1"},
      {{"Reshape", 13, {x, I({4, -1})}, {}}, "multiple of the extents"},
      {{"Reshape", 13, {x, I({5})}, {}}, "as many elements"},
      {{"Reshape", 13, {x, I({2, 3, 0})}, {}}, "copies an extent"},
      {{"Reshape", 13, {x, I({-2, 3})}, {}}, "at least -1"},
      {{"Reshape", 14, {Iota({0, 3}), I({0, -1})}, {A("allowzero", int64_t{1})}}, "no extent of 0"},
      {{"Reshape", 13, {Iota({0, 3}), I({0, -1})}, {}}, "no extent of 0"},
      {{"Reshape", 13, {x, I({kMax64, kMax64})}, {}}, "as many elements"},
      {{"Reshape", 13, {x, Tensor::Ints({1, 2}, {3, 2})}, {}}, "shape has one axis"},
      {{"Flatten", 13, {x}, {A("axis", int64_t{3})}}, "within"},
      {{"Flatten", 9, {x}, {A("axis", int64_t{-1})}}, "within"},
      {{"Squeeze", 13, {ones, I({1})}, {}}, "extent 1"},
      {{"Squeeze", 13, {ones, I({0, -4})}, {}}, "twice"},
      {{"Squeeze", 11, {ones}, {A("axes", Ints{kMin64})}}, "within the rank"},
      {{"Unsqueeze", 13, {x, I({4})}, {}}, "within the rank"},
      {{"Unsqueeze", 13, {x, I({1, 1})}, {}}, "twice"},
  });
}

TEST(OpsMovement, Transpose) {
  Check({
      {{"Transpose", 7, {Iota({2, 3})}, {}}, {3, 2}, {0, 3, 1, 4, 2, 5}},
      {{"Transpose", 13, {Iota({1, 2, 3})}, {A("perm", Ints{1, 0, 2})}}, {2, 1, 3}, k012345},
      {{"Transpose", 13, {Iota({2, 1, 3})}, {A("perm", Ints{2, 0, 1})}},
       {3, 2, 1},
       {0, 3, 1, 4, 2, 5}},
      {{"Transpose", 13, {Iota({})}, {}}, {}, {0}},
      {{"Transpose", 13, {Iota({0, 3})}, {}}, {3, 0}, {}},
  });
  CheckErrors({{{"Transpose", 13, {Iota({2, 3})}, {A("perm", Ints{0, 0})}}, "permutation"},
               {{"Transpose", 13, {Iota({2, 3})}, {A("perm", Ints{0})}}, "one entry an axis"},
               {{"Transpose", 13, {Iota({2, 3})}, {A("perm", Ints{0, -1})}}, "permutation"}});
}

// Every permutation of a tensor larger than a tile, in every element size, against the definition.
TEST(OpsMovement, TransposeAgreesWithItsDefinition) {
  Shape shape = {3, 18, 2, 19};
  Ints perm = {0, 1, 2, 3};
  for (DType dtype : {DType::kUint8, DType::kFloat16, DType::kFloat, DType::kDouble,
                      DType::kComplex128, DType::kString}) {
    Tensor x = Iota(shape, dtype);
    Shape strides = Strides(shape);
    do {
      auto out = Eval({"Transpose", 13, {x}, {A("perm", perm)}});
      ASSERT_TRUE(out.ok());
      const Tensor& y = (*out)[0];
      Shape steps = Strides(y.shape());
      for (int64_t i = 0; i < y.size(); i += 7) {
        int64_t from = 0;
        for (size_t k = 0; k < 4; ++k) from += i / steps[k] % y.shape()[k] * strides[perm[k]];
        if (dtype == DType::kString)
          ASSERT_EQ(y.strings()[i], x.strings()[from]);
        else
          ASSERT_EQ(y.AsDouble(i), x.AsDouble(from)) << DTypeName(dtype) << " " << i;
      }
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

TEST(OpsMovement, ConcatAndSplit) {
  Tensor a = Iota({2, 1}), b = Iota({2, 2});
  Check({
      {{"Concat", 7, {a, b}, {A("axis", int64_t{1})}}, {2, 3}, {0, 0, 1, 1, 2, 3}},
      {{"Concat", 13, {b, Iota({0, 2}), b}, {A("axis", int64_t{-2})}},
       {4, 2},
       {0, 1, 2, 3, 0, 1, 2, 3}},
      {{"Split", 7, {Iota({2, 4})}, {A("axis", int64_t{1})}, 2}, {2, 2}, {0, 1, 4, 5}},
      {{"Split", 11, {Iota({4})}, {A("split", Ints{1, 3})}, 2}, {1}, {0}},
      {{"Split", 13, {Iota({2, 3}), I({2, 0, 1})}, {A("axis", int64_t{-1})}, 3},
       {2, 2},
       {0, 1, 3, 4}},
      {{"Split", 18, {Iota({7})}, {A("num_outputs", int64_t{3})}, 3}, {3}, {0, 1, 2}},
  });
  auto parts = Eval({"Split", 18, {Iota({7})}, {A("num_outputs", int64_t{3})}, 3});
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(Values((*parts)[2]), std::vector<double>{6});
  CheckErrors({
      {{"Concat", 13, {a, b}, {A("axis", int64_t{0})}}, "agree in every axis"},
      {{"Concat", 13, {a, Iota({2})}, {A("axis", int64_t{0})}}, "same rank"},
      {{"Concat", 13, {a}, {A("axis", int64_t{2})}}, "within the rank"},
      {{"Concat", 13, {Iota({})}, {A("axis", int64_t{0})}}, "within the rank"},
      {{"Split", 13, {Iota({5})}, {}, 2}, "equal parts"},
      {{"Split", 13, {Iota({5}), I({2, 2})}, {}, 2}, "sum to the axis"},
      {{"Split", 13, {Iota({5}), I({6, -1})}, {}, 2}, "at least 0"},
      {{"Split", 13, {Iota({5}), I({5})}, {}, 2}, "one entry an output"},
      {{"Split", 13, {Iota({5}), I({kMax64, kMin64 + 6})}, {}, 2}, "at least 0"},
      {{"Split", 18, {Iota({1})}, {A("num_outputs", int64_t{3})}, 3}, "at least 0"},
  });
}

TEST(OpsMovement, Slice) {
  Tensor x = Iota({2, 3});
  Check({
      {{"Slice", 7, {x}, {A("starts", Ints{0, 1}), A("ends", Ints{1, 1000})}}, {1, 2}, {1, 2}},
      {{"Slice", 7, {x}, {A("starts", Ints{-2}), A("ends", Ints{-1}), A("axes", Ints{1})}},
       {2, 1},
       {1, 4}},
      {{"Slice", 10, {x, I({0}), I({kMax64}), I({1}), I({2})}, {}}, {2, 2}, {0, 2, 3, 5}},
      {{"Slice", 13, {x, I({-1}), I({kMin64}), I({1}), I({-1})}, {}}, {2, 3}, {2, 1, 0, 5, 4, 3}},
      {{"Slice", 13, {x, I({kMax64}), I({-100}), I({-1}), I({-2})}, {}}, {2, 2}, {2, 0, 5, 3}},
      {{"Slice", 13, {x, I({kMin64}), I({kMax64}), I({0}), I({kMax64})}, {}}, {1, 3}, {0, 1, 2}},
      {{"Slice", 13, {x, I({kMax64}), I({kMin64}), I({0}), I({kMin64})}, {}}, {1, 3}, {3, 4, 5}},
      {{"Slice", 13, {x, I({1}), I({1})}, {}}, {0, 3}, {}},
      {{"Slice", 13, {Iota({0, 3}), I({-1}), I({kMin64}), I({0}), I({-1})}, {}}, {0, 3}, {}},
      {{"Slice",
        13,
        {x, Tensor::Of<int32_t>(DType::kInt32, {1}, {1}),
         Tensor::Of<int32_t>(DType::kInt32, {1}, {2})},
        {}},
       {1, 3},
       {3, 4, 5}},
  });
  CheckErrors({
      {{"Slice", 13, {x, I({0}), I({1}), I({0}), I({0})}, {}}, "no step is 0"},
      {{"Slice", 13, {x, I({0}), I({1}), I({2})}, {}}, "within the rank"},
      {{"Slice", 13, {x, I({0, 0}), I({1, 1}), I({0, -2})}, {}}, "twice"},
      {{"Slice", 13, {x, I({0, 0}), I({1})}, {}}, "equal length"},
      {{"Slice", 13, {x, I({0, 0, 0}), I({1, 1, 1})}, {}}, "within the rank"},
      {{"Slice", 7, {x}, {A("starts", Ints{0}), A("ends", Ints{1, 2})}}, "equal length"},
  });
}

TEST(OpsMovement, Gather) {
  Tensor x = Iota({3, 2});
  Check({
      {{"Gather", 7, {x, Scalar(1)}, {}}, {2}, {2, 3}},
      {{"Gather", 13, {x, Tensor::Ints({2, 1}, {-1, 0})}, {A("axis", int64_t{0})}},
       {2, 1, 2},
       {4, 5, 0, 1}},
      {{"Gather", 11, {x, I({1, 1})}, {A("axis", int64_t{-1})}}, {3, 2}, {1, 1, 3, 3, 5, 5}},
      {{"Gather", 13, {Iota({0, 2}), I({})}, {}}, {0, 2}, {}},
      {{"GatherElements", 13, {x, Tensor::Ints({2, 2}, {2, 0, -1, 1})}, {}}, {2, 2}, {4, 1, 4, 3}},
      {{"GatherElements", 11, {x, Tensor::Ints({2, 1}, {1, 0})}, {A("axis", int64_t{1})}},
       {2, 1},
       {1, 2}},
      {{"GatherND", 11, {x, Tensor::Ints({2, 2}, {0, 1, -1, -2})}, {}}, {2}, {1, 4}},
      {{"GatherND",
        13,
        {Iota({2, 2, 2}), Tensor::Ints({2, 1}, {1, 0})},
        {A("batch_dims", int64_t{1})}},
       {2, 2},
       {2, 3, 4, 5}},
  });
  CheckErrors({
      {{"Gather", 13, {x, Scalar(3)}, {}}, "index 3 at place 0"},
      {{"Gather", 13, {x, I({0, kMin64})}, {}}, "at place 1"},
      {{"Gather", 13, {Iota({0, 2}), I({0})}, {}}, "extent 0"},
      {{"Gather", 13, {Iota({}), I({0})}, {}}, "within the rank"},
      {{"Gather", 13, {x, I({0})}, {A("axis", int64_t{-3})}}, "within the rank"},
      {{"GatherElements", 13, {x, Tensor::Ints({1, 3}, {0, 0, 0})}, {}}, "fit data"},
      {{"GatherElements", 13, {x, I({0})}, {}}, "same rank"},
      {{"GatherND", 13, {x, Tensor::Ints({1, 3}, {0, 0, 0})}, {}}, "last extent"},
      {{"GatherND", 13, {x, Tensor::Ints({1, 0}, {})}, {}}, "last extent"},
      {{"GatherND", 13, {x, Tensor::Ints({1, 1}, {0})}, {A("batch_dims", int64_t{2})}},
       "batch_dims"},
      {{"GatherND", 13, {x, Tensor::Ints({1, 1}, {3})}, {}}, "index 3"},
  });
}

TEST(OpsMovement, Scatter) {
  Tensor x = F({3}, {1, 2, 3});
  auto reduction = [](const char* r) {
    return std::vector<Attribute>{A("reduction", std::string(r))};
  };
  Check({
      {{"Scatter", 9, {x, I({-1}), F({1}, {9})}, {}}, {3}, {1, 2, 9}},
      {{"ScatterElements", 11, {x, I({1, 1}), F({2}, {8, 9})}, {}}, {3}, {1, 9, 3}},
      {{"ScatterElements", 16, {x, I({1, 1}), F({2}, {8, 9})}, reduction("add")}, {3}, {1, 19, 3}},
      {{"ScatterElements", 16, {x, I({1, 1}), F({2}, {8, 9})}, reduction("mul")}, {3}, {1, 144, 3}},
      {{"ScatterElements", 18, {x, I({1, 2}), F({2}, {0, 9})}, reduction("max")}, {3}, {1, 2, 9}},
      {{"ScatterElements", 18, {x, I({1, 2}), F({2}, {0, 9})}, reduction("min")}, {3}, {1, 0, 3}},
      {{"ScatterElements",
        13,
        {Iota({2, 2}), Tensor::Ints({2, 1}, {1, 0}), F({2, 1}, {7, 8})},
        {A("axis", int64_t{1})}},
       {2, 2},
       {0, 7, 8, 3}},
      {{"ScatterND", 11, {Iota({2, 2}), Tensor::Ints({1, 1}, {-1}), F({1, 2}, {7, 8})}, {}},
       {2, 2},
       {0, 1, 7, 8}},
      {{"ScatterND",
        16,
        {Iota({2, 2}), Tensor::Ints({2, 2}, {0, 1, 0, 1}), F({2}, {7, 8})},
        reduction("add")},
       {2, 2},
       {0, 16, 2, 3}},
  });
  auto halves = Eval({"ScatterElements",
                      16,
                      {Iota({2}, DType::kFloat16), I({1}), Iota({1}, DType::kFloat16)},
                      reduction("add")});
  ASSERT_TRUE(halves.ok()) << halves.error().ToString();
  EXPECT_EQ((*halves)[0].store(), Store::kNative);
  auto strings = Eval({"ScatterElements",
                       16,
                       {Iota({2}, DType::kString), I({1}), Iota({1}, DType::kString)},
                       reduction("add")});
  ASSERT_FALSE(strings.ok());
  EXPECT_EQ(strings.error().code, Code::kUnsupported);
  CheckErrors({
      {{"Scatter", 11, {x, I({0}), F({1}, {9})}, {}}, "deprecated"},
      {{"ScatterElements", 13, {x, I({3}), F({1}, {9})}, {}}, "index 3"},
      {{"ScatterElements", 13, {x, I({0, 1}), F({1}, {9})}, {}}, "same shape"},
      {{"ScatterElements", 16, {x, I({0}), F({1}, {9})}, reduction("max")}, "not a value"},
      {{"ScatterND", 13, {x, Tensor::Ints({1, 2}, {0, 0}), F({1}, {9})}, {}}, "last extent"},
      {{"ScatterND", 13, {x, Tensor::Ints({1, 1}, {0}), F({2}, {9, 9})}, {}},
       "shape that indices leave"},
  });
}

TEST(OpsMovement, PadTileExpand) {
  Tensor x = Iota({4}), y = Iota({2, 2});
  auto mode = [](const char* m) { return std::vector<Attribute>{A("mode", std::string(m))}; };
  Check({
      {{"Pad", 7, {x}, {A("pads", Ints{1, 1}), A("value", 9.0f)}}, {6}, {9, 0, 1, 2, 3, 9}},
      {{"Pad", 13, {x, I({-1, 2}), Tensor::ScalarFloat(5)}, {}}, {5}, {1, 2, 3, 5, 5}},
      {{"Pad", 13, {x, I({2, 2})}, mode("reflect")}, {8}, {2, 1, 0, 1, 2, 3, 2, 1}},
      {{"Pad", 13, {Iota({2}), I({3, 0})}, mode("reflect")}, {5}, {1, 0, 1, 0, 1}},
      {{"Pad", 13, {x, I({2, -2})}, mode("edge")}, {4}, {0, 0, 0, 1}},
      {{"Pad", 13, {x, I({-1, 2})}, mode("reflect")}, {5}, {1, 2, 3, 2, 1}},
      {{"Pad", 19, {x, I({1, 1})}, mode("wrap")}, {6}, {3, 0, 1, 2, 3, 0}},
      {{"Pad", 18, {y, I({1, 0}), {}, I({-1})}, {}}, {2, 3}, {0, 0, 1, 0, 2, 3}},
      {{"Pad", 13, {Iota({0}), I({1, 1})}, {}}, {2}, {0, 0}},
      {{"Tile", 7, {y, I({1, 2})}, {}}, {2, 4}, {0, 1, 0, 1, 2, 3, 2, 3}},
      {{"Tile", 13, {y, I({2, 1})}, {}}, {4, 2}, {0, 1, 2, 3, 0, 1, 2, 3}},
      {{"Tile", 13, {y, I({0, 1})}, {}}, {0, 2}, {}},
      {{"Expand", 8, {Iota({2, 1}), I({3, 1, 2})}, {}},
       {3, 2, 2},
       {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1}},
      {{"Expand", 13, {Iota({3}), I({1})}, {}}, {3}, {0, 1, 2}},
      {{"Expand", 13, {Iota({1}), I({0})}, {}}, {0}, {}},
  });
  CheckErrors({
      {{"Pad", 13, {x, I({1})}, {}}, "two entries"},
      {{"Pad", 13, {x, I({-3, -2})}, {}}, "cut no more"},
      {{"Pad", 13, {x, I({-5, 6})}, {}}, "cut no more"},
      {{"Pad", 13, {x, I({kMin64, kMax64})}, {}}, "cut no more"},
      {{"Pad", 13, {Iota({0}), I({1, 1})}, mode("edge")}, "not empty"},
      {{"Pad", 13, {x, I({-4, 1})}, mode("reflect")}, "not empty"},
      {{"Pad", 13, {x, I({1, 1})}, mode("wrap")}, "not a value"},
      {{"Pad", 18, {y, I({1, 0, 0, 0}), {}, I({1, 1})}, {}}, "twice"},
      {{"Tile", 13, {y, I({1})}, {}}, "one entry an axis"},
      {{"Tile", 13, {y, I({1, -1})}, {}}, "negative"},
      {{"Tile", 13, {y, I({kMax64, 2})}, {}}, "output extent"},
      {{"Expand", 13, {y, I({3, 2})}, {}}, "broadcast"},
      {{"Expand", 13, {y, I({-1, 2})}, {}}, "at least 0"},
  });
  auto beside = Eval({"Reshape", 14, {Iota({0}), I({0, int64_t{1} << 61})}, {A("allowzero", int64_t{1})}});
  ASSERT_FALSE(beside.ok());
  EXPECT_EQ(beside.error().code, Code::kLimit);
  auto large = Eval({"Expand", 13, {Iota({1}), I({int64_t{1} << 40})}, {}});
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().code, Code::kLimit);
}

TEST(OpsMovement, DepthAndSpace) {
  Check({
      {{"DepthToSpace", 7, {Iota({1, 4, 1, 2})}, {A("blocksize", int64_t{2})}},
       {1, 1, 2, 4},
       {0, 2, 1, 3, 4, 6, 5, 7}},
      {{"DepthToSpace", 13, {Iota({1, 8, 1, 1})}, {A("blocksize", int64_t{2})}},
       {1, 2, 2, 2},
       {0, 2, 4, 6, 1, 3, 5, 7}},
      {{"DepthToSpace",
        13,
        {Iota({1, 8, 1, 1})},
        {A("blocksize", int64_t{2}), A("mode", std::string("CRD"))}},
       {1, 2, 2, 2},
       {0, 1, 2, 3, 4, 5, 6, 7}},
      {{"SpaceToDepth", 7, {Iota({1, 1, 2, 4})}, {A("blocksize", int64_t{2})}},
       {1, 4, 1, 2},
       {0, 2, 1, 3, 4, 6, 5, 7}},
  });
  CheckErrors({
      {{"DepthToSpace", 13, {Iota({1, 6, 1, 1})}, {A("blocksize", int64_t{2})}},
       "multiple of blocksize"},
      {{"DepthToSpace", 13, {Iota({1, 4, 1, 1})}, {A("blocksize", int64_t{0})}}, "at least 1"},
      {{"DepthToSpace", 13, {Iota({1, 4, 1, 1})}, {A("blocksize", kMin64)}}, "at least 1"},
      {{"DepthToSpace", 13, {Iota({1, 4, 1, 1})}, {A("blocksize", kMax64)}},
       "multiple of blocksize"},
      {{"SpaceToDepth", 13, {Iota({1, 1, 3, 2})}, {A("blocksize", int64_t{2})}},
       "multiples of blocksize"},
      {{"SpaceToDepth", 13, {Iota({1, 2})}, {A("blocksize", int64_t{2})}}, "[N,C,H,W]"},
  });
}

TEST(OpsMovement, TopKAndCumSum) {
  Tensor x = F({2, 3}, {1, 3, 3, 5, 4, 6});
  float nan = std::numeric_limits<float>::quiet_NaN();
  Check({
      {{"TopK", 7, {x}, {A("k", int64_t{2})}}, {2, 2}, {3, 3, 6, 5}},
      {{"TopK", 11, {x, I({1})}, {A("axis", int64_t{0}), A("largest", int64_t{0})}},
       {1, 3},
       {1, 3, 3}},
      {{"TopK", 11, {x, I({0})}, {}}, {2, 0}, {}},
      {{"CumSum", 11, {F({4}, {1, 2, 3, 4}), Scalar(0)}, {}}, {4}, {1, 3, 6, 10}},
      {{"CumSum", 11, {F({4}, {1, 2, 3, 4}), Scalar(-1)}, {A("exclusive", int64_t{1})}},
       {4},
       {0, 1, 3, 6}},
      {{"CumSum", 14, {F({4}, {1, 2, 3, 4}), Scalar(0)}, {A("reverse", int64_t{1})}},
       {4},
       {10, 9, 7, 4}},
      {{"CumSum",
        14,
        {F({2, 2}, {1, 2, 3, 4}), Scalar(0)},
        {A("reverse", int64_t{1}), A("exclusive", int64_t{1})}},
       {2, 2},
       {3, 4, 0, 0}},
  });
  auto ties = Eval({"TopK", 11, {x, I({3})}, {}, 2});
  ASSERT_TRUE(ties.ok());
  EXPECT_EQ((*ties)[1].AsInts(), (Ints{1, 2, 0, 2, 0, 1}));
  auto nans = Eval({"TopK", 11, {F({4}, {1, nan, 2, nan}), I({3})}, {}, 2});
  ASSERT_TRUE(nans.ok());
  EXPECT_EQ((*nans)[1].AsInts(), (Ints{1, 3, 2}));
  CheckErrors({
      {{"TopK", 11, {x, I({4})}, {}}, "at most the extent"},
      {{"TopK", 11, {x, I({-1})}, {}}, "at least 0"},
      {{"TopK", 11, {x, I({1, 1})}, {}}, "one element"},
      {{"TopK", 11, {Iota({}), I({1})}, {}}, "within the rank"},
      {{"CumSum", 14, {x, Scalar(2)}, {}}, "within the rank"},
      {{"CumSum", 14, {x, I({0, 1})}, {}}, "one element"},
  });
}

TEST(OpsMovement, MakersAndSelectors) {
  Tensor x = Iota({2, 3});
  Check({
      {{"OneHot", 9, {I({0, -1, 5}), Scalar(3), F({2}, {2, 7})}, {}},
       {3, 3},
       {7, 2, 2, 2, 2, 7, 2, 2, 2}},
      {{"OneHot", 11, {I({1, 0}), Tensor::ScalarFloat(2), F({2}, {0, 1})}, {A("axis", int64_t{0})}},
       {2, 2},
       {0, 1, 1, 0}},
      {{"Shape", 7, {x}, {}}, {2}, {2, 3}},
      {{"Shape", 15, {Iota({2, 3, 4})}, {A("start", int64_t{-2}), A("end", int64_t{100})}},
       {2},
       {3, 4}},
      {{"Shape", 15, {x}, {A("start", int64_t{2}), A("end", int64_t{1})}}, {0}, {}},
      {{"Shape", 15, {x}, {A("start", kMin64), A("end", kMax64)}}, {2}, {2, 3}},
      {{"Size", 13, {x}, {}}, {}, {6}},
      {{"Constant", 7, {}, {A("value", Tensor::Floats({1}, {3}))}}, {1}, {3}},
      {{"Constant", 13, {}, {A("value_ints", Ints{4, 5})}}, {2}, {4, 5}},
      {{"Constant", 13, {}, {A("value_float", 1.5f)}}, {}, {1.5}},
      {{"ConstantOfShape", 9, {I({2, 1})}, {}}, {2, 1}, {0, 0}},
      {{"ConstantOfShape", 9, {I({})}, {A("value", I({7}))}}, {}, {7}},
      {{"EyeLike", 9, {x}, {A("k", int64_t{1})}}, {2, 3}, {0, 1, 0, 0, 0, 1}},
      {{"EyeLike", 9, {x}, {A("k", int64_t{-1}), A("dtype", int64_t{7})}},
       {2, 3},
       {0, 0, 0, 1, 0, 0}},
      {{"EyeLike", 9, {x}, {A("k", kMin64)}}, {2, 3}, {0, 0, 0, 0, 0, 0}},
      {{"Range", 11, {Scalar(3), Scalar(9), Scalar(3)}, {}}, {2}, {3, 6}},
      {{"Range", 11, {Scalar(10), Scalar(4), Scalar(-2)}, {}}, {3}, {10, 8, 6}},
      {{"Range", 11, {Scalar(0), Scalar(4), Scalar(-2)}, {}}, {0}, {}},
      {{"Range",
        11,
        {Tensor::ScalarFloat(0), Tensor::ScalarFloat(1), Tensor::ScalarFloat(0.25f)},
        {}},
       {4},
       {0, 0.25, 0.5, 0.75}},
      {{"Trilu", 14, {Iota({2, 3})}, {}}, {2, 3}, {0, 1, 2, 0, 4, 5}},
      {{"Trilu", 14, {Iota({2, 3}), Scalar(-1)}, {A("upper", int64_t{0})}},
       {2, 3},
       {0, 0, 0, 3, 0, 0}},
      {{"Trilu", 14, {Iota({2, 3}), Scalar(kMax64)}, {}}, {2, 3}, {0, 0, 0, 0, 0, 0}},
      {{"Trilu", 14, {Iota({2, 3}), Scalar(kMin64)}, {}}, {2, 3}, k012345},
      {{"NonZero", 13, {F({2, 2}, {1, 0, -0.0f, 2})}, {}}, {2, 2}, {0, 1, 0, 1}},
      {{"NonZero", 13, {Tensor::ScalarFloat(2)}, {}}, {1, 1}, {0}},
      {{"Compress",
        11,
        {x, Tensor::Of<uint8_t>(DType::kBool, {3}, {0, 1, 1})},
        {A("axis", int64_t{-1})}},
       {2, 2},
       {1, 2, 4, 5}},
      {{"Compress", 9, {x, Tensor::Of<uint8_t>(DType::kBool, {2}, {0, 1})}, {}}, {1}, {1}},
      {{"ReverseSequence", 10, {x, I({1, 2, 0})}, {}}, {2, 3}, {0, 4, 2, 3, 1, 5}},
      {{"ReverseSequence",
        10,
        {x, I({3, 2})},
        {A("batch_axis", int64_t{0}), A("time_axis", int64_t{1})}},
       {2, 3},
       {2, 1, 0, 4, 3, 5}},
      {{"Unique", 11, {F({5}, {2, 1, 1, 3, 2})}, {}}, {3}, {1, 2, 3}},
      {{"Unique",
        11,
        {F({3, 2}, {1, 0, 1, 0, 0, 5})},
        {A("axis", int64_t{0}), A("sorted", int64_t{0})}},
       {2, 2},
       {1, 0, 0, 5}},
  });
  auto unique = Eval({"Unique", 11, {F({5}, {2, 1, 1, 3, 2})}, {A("sorted", int64_t{0})}, 4});
  ASSERT_TRUE(unique.ok()) << unique.error().ToString();
  EXPECT_EQ(Values((*unique)[0]), (std::vector<double>{2, 1, 3}));
  EXPECT_EQ((*unique)[1].AsInts(), (Ints{0, 1, 3}));
  EXPECT_EQ((*unique)[2].AsInts(), (Ints{0, 1, 1, 2, 0}));
  EXPECT_EQ((*unique)[3].AsInts(), (Ints{2, 2, 1}));
  CheckErrors({
      {{"OneHot", 11, {I({0}), Scalar(-1), F({2}, {0, 1})}, {}}, "depth is at least 0"},
      {{"OneHot", 11, {I({0}), Scalar(2), F({3}, {0, 1, 2})}, {}}, "[off, on]"},
      {{"OneHot", 11, {I({0}), Scalar(2), F({2}, {0, 1})}, {A("axis", int64_t{2})}},
       "within the rank"},
      {{"Constant", 13, {}, {}}, "exactly one attribute"},
      {{"Constant", 13, {}, {A("value_int", int64_t{1}), A("value_float", 1.0f)}},
       "exactly one attribute"},
      {{"ConstantOfShape", 9, {I({-1})}, {}}, "at least 0"},
      {{"ConstantOfShape", 9, {I({1})}, {A("value", I({7, 8}))}}, "one element"},
      {{"EyeLike", 9, {Iota({2})}, {}}, "two axes"},
      {{"EyeLike", 9, {x}, {A("dtype", int64_t{8})}}, "dtype"},
      {{"EyeLike", 9, {x}, {A("dtype", int64_t{1} << 40)}}, "dtype"},
      {{"Range", 11, {Scalar(0), Scalar(4), Scalar(0)}, {}}, "delta is not 0"},
      {{"Range",
        11,
        {Tensor::ScalarFloat(0), Tensor::ScalarFloat(INFINITY), Tensor::ScalarFloat(1)},
        {}},
       "finite"},
      {{"Range", 11, {I({}), Scalar(4), Scalar(1)}, {}}, "scalars"},
      {{"Trilu", 14, {Iota({2})}, {}}, "two axes"},
      {{"Compress", 11, {Iota({2}), Tensor::Of<uint8_t>(DType::kBool, {3}, {0, 1, 1})}, {}},
       "no longer"},
      {{"ReverseSequence", 10, {x, I({1, 3, 0})}, {}}, "sequence length 3"},
      {{"ReverseSequence", 10, {x, I({1, 1, 1})}, {A("time_axis", int64_t{1})}}, "are 0 and 1"},
      {{"Unique", 11, {x}, {A("axis", int64_t{2})}}, "within the rank"},
  });
}

// In the field an integer that depends on data is a hash: as an index it wraps around, and
// different hashes pick different elements.
TEST(OpsMovement, IndicesWrapInTheField) {
  FieldContext context(3, {});
  FieldScope scope(&context);
  Tensor x = Iota({5}).To(Store::kField);
  auto picked = Eval({"Gather", 13, {x, I({7, -8, 2, -1})}, {}}, Store::kField);
  ASSERT_TRUE(picked.ok()) << picked.error().ToString();
  const Fp* y = (*picked)[0].data<Fp>();
  EXPECT_TRUE(y[0] == Fp(2) && y[1] == Fp(2) && y[2] == Fp(2) && y[3] == Fp(4));
  auto scattered = Eval({"ScatterND",
                         16,
                         {x, Tensor::Ints({1, 1}, {kMin64}), Iota({1}).To(Store::kField)},
                         {A("reduction", std::string("add"))}},
                        Store::kField);
  ASSERT_TRUE(scattered.ok()) << scattered.error().ToString();
  auto empty = Eval({"Gather", 13, {Iota({0}).To(Store::kField), I({0})}, {}}, Store::kField);
  EXPECT_FALSE(empty.ok());
  auto hot = Eval({"OneHot", 11, {I({int64_t{1} << 33, 7}), Scalar(3), F({2}, {0, 1})}, {}},
                  Store::kField);
  ASSERT_TRUE(hot.ok());
  const Fp* on = (*hot)[0].data<Fp>();
  EXPECT_TRUE(on[0] + on[1] + on[2] == Fp(1));  // a hash hits some place
  EXPECT_TRUE(on[3] + on[4] + on[5] == Fp(0));  // a number out of range none
}

// Ranges and one-hot depths of known numbers have the same extents in every domain.
TEST(OpsMovement, ParametersKeepTheirMeaningInTheField) {
  FieldContext context(3, {});
  FieldScope scope(&context);
  auto range = Eval({"Range",
                     11,
                     {Tensor::ScalarFloat(1), Tensor::ScalarFloat(-2), Tensor::ScalarFloat(-0.5f)},
                     {}},
                    Store::kField);
  ASSERT_TRUE(range.ok()) << range.error().ToString();
  ASSERT_EQ((*range)[0].shape(), (Shape{6}));
  EXPECT_TRUE((*range)[0].data<Fp>()[5] == Fp(-1.5));
  Tensor noise = Tensor::ScalarFloat(0).To(Store::kField);
  double residue = 123457, number;
  while (context.Real(residue, &number)) ++residue;
  noise.mutable_data<Fp>()[0] = Fp::Raw(residue);
  auto lost = Eval({"Range", 11, {Tensor::ScalarFloat(0), noise, Tensor::ScalarFloat(1)}, {}},
                   Store::kField);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace assay
