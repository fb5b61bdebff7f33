// Operators with subgraphs, sequences and optionals: what the specification says of captures, states and scans, in all
// scalar domains, and what hostile bodies get.
#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/field.h"
#include "interp/text.h"

namespace assay {
namespace {

Model Parse(const std::string& text) {
  Result<Model> m = ParseText(text);
  EXPECT_TRUE(m.ok()) << m.error().ToString();
  return *m;
}

std::vector<double> Elements(const Tensor& t) {
  std::vector<double> v;
  for (int64_t i = 0; i < t.size(); ++i) v.push_back(t.AsDouble(i));
  return v;
}

Tensor Bool(bool b) {
  Tensor t = Tensor::Make(DType::kBool, {}).value();
  t.Set(0, b);
  return t;
}

const char kIf[] = R"(graph(bool[] c, float[2] x) -> (float[2] y) {
  k = float[2] {10, 20}
  y = If(c) {then_branch=graph() -> (a) { a = Add(x, k) }, else_branch=graph() -> (b) { b = Neg(x) }}
})";

TEST(If, RunsTheBranchThatIsAskedForOnWhatItCaptures) {
  Model m = Parse(kIf);
  Tensor x = Tensor::Floats({2}, {1, 2});
  for (Store store : {Store::kNative, Store::kDouble}) {
    ExecOptions options;
    options.store = store;
    EXPECT_EQ(Elements(assay::Run(m, {Bool(true), x}, options)->outputs[0]), (std::vector<double>{11, 22}));
    EXPECT_EQ(Elements(assay::Run(m, {Bool(false), x}, options)->outputs[0]), (std::vector<double>{-1, -2}));
  }
  FieldContext field(3, {});
  FieldScope scope(&field);
  ExecOptions options;
  options.store = Store::kField;
  Tensor y = assay::Run(m, {Bool(true), x}, options)->outputs[0];
  EXPECT_EQ(y.store(), Store::kField);
  EXPECT_TRUE(y.Identical(Tensor::Floats({2}, {11, 22}).To(Store::kField)));
}

TEST(If, TypesAreWhatBothBranchesHaveInCommon) {
  Model m = Parse(R"(graph(bool[] c, float[2] x, float[3] z) -> (y) {
    y = If(c) {then_branch=graph() -> (a) { a = Neg(x) }, else_branch=graph() -> (b) { b = Abs(z) }}
  })");
  TypeInfo t = Infer(m)->types.at("y");
  EXPECT_EQ(t.dtype, DType::kFloat);
  ASSERT_TRUE(t.ranked);
  EXPECT_FALSE(t.dims[0].known());
  Result<Inference> bad = Infer(Parse(R"(graph(bool[] c, float[2] x) -> (y) {
    y = If(c) {then_branch=graph() -> (a) { a = Neg(x) }, else_branch=graph() -> (b) { b = Cast(x) {to=7} }}
  })"));
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().ToString().find("same element type"), std::string::npos) << bad.error().ToString();
}

TEST(Loop, CarriesStatesAndCollectsScans) {
  // s = s + step, five times or until s is 12 or more; scans s * s.
  Model m = Parse(R"(graph(int64[] n, float[] step) -> (last, squares) {
    start = float[] {0}
    last, squares = Loop(n, _, start) {body=graph(int64[] i, bool[] go, float[] s) -> (more, t, float[] q) {
      limit = float[] {12}
      t = Add(s, step)
      more = Less(t, limit)
      q = Mul(t, t)
    }}
  })");
  Result<Execution> run = assay::Run(m, {Tensor::Ints({}, {5}), Tensor::ScalarFloat(3)});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_EQ(Elements(run->outputs[0]), (std::vector<double>{12}));
  EXPECT_EQ(Elements(run->outputs[1]), (std::vector<double>{9, 36, 81, 144}));
  run = assay::Run(m, {Tensor::Ints({}, {2}), Tensor::ScalarFloat(3)});
  EXPECT_EQ(Elements(run->outputs[1]), (std::vector<double>{9, 36}));
  run = assay::Run(m, {Tensor::Ints({}, {0}), Tensor::ScalarFloat(3)});
  EXPECT_EQ(run->outputs[1].size(), 0);
  TypeInfo t = Infer(m)->types.at("squares");
  ASSERT_TRUE(t.ranked);
  EXPECT_EQ(t.dims.size(), 1u);
}

TEST(Loop, WithoutAnEndHitsItsLimit) {
  Model m = Parse(R"(graph(float[] x) -> (y) {
    y = Loop(_, _, x) {body=graph(int64[] i, bool[] go, float[] s) -> (go, t) { t = Neg(s) }}
  })");
  ExecOptions options;
  options.limits = Limits::Small();
  options.limits.seconds = 0.2;
  Result<Execution> run = assay::Run(m, {Tensor::ScalarFloat(1)}, options);
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().code, Code::kLimit);
}

TEST(Scan, WalksAnAxisBothWays) {
  // A running sum over axis 1, from the end, stacked along axis 1.
  Model m = Parse(R"(graph(float[2] zero, float[2,3] x) -> (sum, all) {
    sum, all = Scan(zero, x) {num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[1],
      body=graph(float[2] s, float[2] e) -> (t, u) { t = Add(s, e)  u = Identity(t) }}
  })");
  Result<Execution> run = assay::Run(m, {Tensor::Floats({2}, {0, 0}), Tensor::Floats({2, 3}, {1, 2, 3, 10, 20, 30})});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_EQ(Elements(run->outputs[0]), (std::vector<double>{6, 60}));
  EXPECT_EQ(run->outputs[1].shape(), (Shape{2, 3}));
  EXPECT_EQ(Elements(run->outputs[1]), (std::vector<double>{3, 5, 6, 30, 50, 60}));
  EXPECT_EQ(Infer(m)->types.at("all").StaticShape(), (Shape{2, 3}));
}

TEST(Subgraph, ErrorsNameTheNodeInside) {
  Model m = Parse(R"(graph(bool[] c, float[2] x, float[3] z) -> (y) {
    y = If(c) {then_branch=graph() -> (a) { a = Add(x, z) @inner }, else_branch=graph() -> (b) { b = Neg(x) }} @outer
  })");
  Result<Inference> known = Infer(m);
  ASSERT_FALSE(known.ok());
  EXPECT_NE(known.error().ToString().find("inner"), std::string::npos) << known.error().ToString();
  EXPECT_NE(known.error().ToString().find("outer"), std::string::npos) << known.error().ToString();
}

// A run does not infer bodies, but it holds the node itself to its row.
TEST(Subgraph, OperandsAndAttributesAreCheckedBeforeARun) {
  struct Case {
    const char* node;
    const char* error;
  };
  const Case cases[] = {
      {"y = If(_) {then_branch=graph() -> (a) { a = Neg(x) }, else_branch=graph() -> (b) { b = Abs(x) }}",
       "input 0 (cond) is missing"},
      {"y = If(c) {then_branch=graph() -> (a) { a = Neg(x) }, else_branch=1}", "attribute 'else_branch': want graph, got int"},
      {"y = If(c) {then_branch=graph() -> (a) { a = Neg(x) }}", "attribute 'else_branch' is missing"},
      {"y = Scan(x) {num_scan_inputs=0, body=graph(float e) -> (a) { a = Neg(e) }}", "num_scan_inputs is at least 1"},
      {"y = Scan(x) {num_scan_inputs=1, scan_input_axes=[7], body=graph(float e) -> (a) { a = Neg(e) }}",
       "axis is within the rank"},
  };
  for (const Case& c : cases) {
    Result<Model> m = ParseText(std::string("graph(bool[] c, float[2] x) -> (float[] y) { ") + c.node + " }");
    ASSERT_TRUE(m.ok()) << c.node << ": " << m.error().ToString();
    Result<Execution> run = assay::Run(*m, {Bool(true), Tensor::Floats({2}, {1, 2})});
    ASSERT_FALSE(run.ok()) << c.node;
    EXPECT_EQ(run.error().code, Code::kInvalid);
    EXPECT_NE(run.error().ToString().find(c.error), std::string::npos) << run.error().ToString();
  }
}

TEST(Sequence, InsertEraseAtLengthAndJoin) {
  Model m = Parse(R"(graph(float[2] a, float[2] b) -> (n, y, j) {
    zero = int64[] {0}
    end = int64[] {-1}
    s = SequenceConstruct(a, b)
    t = SequenceInsert(s, b, zero)
    u = SequenceErase(t, end)
    n = SequenceLength(t)
    y = SequenceAt(u, end)
    j = ConcatFromSequence(u) {axis=0, new_axis=1}
  })");
  Result<Execution> run = assay::Run(m, {Tensor::Floats({2}, {1, 2}), Tensor::Floats({2}, {3, 4})});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_EQ(Elements(run->outputs[0]), (std::vector<double>{3}));
  EXPECT_EQ(Elements(run->outputs[1]), (std::vector<double>{1, 2}));
  EXPECT_EQ(run->outputs[2].shape(), (Shape{2, 2}));
  EXPECT_EQ(Elements(run->outputs[2]), (std::vector<double>{3, 4, 1, 2}));
}

TEST(Sequence, APositionOutsideAndAnEmptyOptionalAreErrors) {
  Model at = Parse(R"(graph(float[2] a, int64[] i) -> (y) { s = SequenceConstruct(a) y = SequenceAt(s, i) })");
  EXPECT_TRUE(assay::Run(at, {Tensor::Floats({2}, {1, 2}), Tensor::Ints({}, {-1})}).ok());
  EXPECT_FALSE(assay::Run(at, {Tensor::Floats({2}, {1, 2}), Tensor::Ints({}, {1})}).ok());
  EXPECT_FALSE(assay::Run(at, {Tensor::Floats({2}, {1, 2}), Tensor::Ints({}, {-2})}).ok());
  Model mixed = Parse(R"(graph(float[2] a, int64[2] b) -> (y) { s = SequenceConstruct(a) t = SequenceInsert(s, b) y = SequenceLength(t) })");
  EXPECT_FALSE(Infer(mixed).ok());
}

TEST(Sequence, SplitsInChunksAndParts) {
  Model m = Parse(R"(graph(float[5] x, int64[] chunk, int64[2] parts) -> (n, a, b) {
    i = int64[] {1}
    s = SplitToSequence(x, chunk)
    n = SequenceLength(s)
    t = SplitToSequence(x, parts)
    a = SequenceAt(t, i)
    u = SplitToSequence(x) {keepdims=0}
    b = SequenceAt(u, i)
  })");
  Tensor x = Tensor::Floats({5}, {1, 2, 3, 4, 5});
  Result<Execution> run = assay::Run(m, {x, Tensor::Ints({}, {2}), Tensor::Ints({2}, {1, 4})});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_EQ(Elements(run->outputs[0]), (std::vector<double>{3}));
  EXPECT_EQ(Elements(run->outputs[1]), (std::vector<double>{2, 3, 4, 5}));
  EXPECT_EQ(run->outputs[2].rank(), 0);
  EXPECT_FALSE(assay::Run(m, {x, Tensor::Ints({}, {0}), Tensor::Ints({2}, {1, 4})}).ok());
  EXPECT_FALSE(assay::Run(m, {x, Tensor::Ints({}, {2}), Tensor::Ints({2}, {1, 3})}).ok());
}

TEST(List, IsAValueWithContent) {
  Tensor a = Tensor::List(kSequence, {DType::kFloat}, {Tensor::ScalarFloat(1), Tensor::ScalarFloat(2)});
  Tensor b = Tensor::List(kSequence, {DType::kFloat}, {Tensor::ScalarFloat(1), Tensor::ScalarFloat(2)});
  Tensor c = Tensor::List(kSequence, {DType::kFloat}, {Tensor::ScalarFloat(2), Tensor::ScalarFloat(1)});
  EXPECT_TRUE(a.Identical(b));
  EXPECT_EQ(a.ContentHash(), b.ContentHash());
  EXPECT_FALSE(a.Identical(c));
  EXPECT_NE(a.ContentHash(), c.ContentHash());
  EXPECT_EQ(a.TypeString(), "sequence(float)[2]");
  EXPECT_EQ(a.To(Store::kDouble).items()[0].store(), Store::kDouble);
}

}  // namespace
}  // namespace assay
