// Proof by execution in the field, and the snapping of folded constants (oracle/lab.h, oracle/snap.h).
#include <gtest/gtest.h>

#include <cmath>

#include "interp/text.h"
#include "oracle/lab.h"

namespace assay {
namespace {

bool Proved(const Model& source, const Model& target, uint64_t seed, std::string* reason) {
  LabOptions options;
  options.seed = seed;
  Result<std::unique_ptr<Lab>> lab = Lab::Make(source, target, options);
  EXPECT_TRUE(lab.ok()) << lab.error().ToString();
  Result<bool> proved = (*lab)->Prove(target, reason);
  EXPECT_TRUE(proved.ok()) << proved.error().ToString();
  return *proved;
}

Model Parse(const std::string& text) {
  Result<Model> m = ParseText(text);
  EXPECT_TRUE(m.ok()) << m.error().ToString();
  return *m;
}

struct Pair {
  const char* name;
  const char* source;
  const char* target;
  bool equal;
};

const Pair kPairs[] = {
    {"channels in another order, one number near a fold",
     "graph(float[1,16,3] x) -> (y) { k = float[16,1] {0.70000005, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2} "
     "s = float[16] {1, 0.7, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} "
     "b = float[16] {0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5} "
     "m = float[16] {0.25, 1.25, 2.25, 3.25, 4.25, 5.25, 6.25, 7.25, 8.25, 9.25, 10.25, 11.25, 12.25, 13.25, 14.25, 15.25} "
     "v = float[16] {1, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5, 11.5, 12.5, 13.5, 14.5, 15.5} "
     "c = BatchNormalization(x, s, b, m, v) {epsilon=0.0} y = Mul(c, k) }",
     "graph(float[1,16,3] x) -> (y) { k = float[16,1] {0.70000005, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2} i = int64[16] {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0} "
     "s = float[16] {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 0.7, 1} "
     "b = float[16] {15.5, 14.5, 13.5, 12.5, 11.5, 10.5, 9.5, 8.5, 7.5, 6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 0.5} "
     "m = float[16] {15.25, 14.25, 13.25, 12.25, 11.25, 10.25, 9.25, 8.25, 7.25, 6.25, 5.25, 4.25, 3.25, 2.25, 1.25, 0.25} "
     "v = float[16] {15.5, 14.5, 13.5, 12.5, 11.5, 10.5, 9.5, 8.5, 7.5, 6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 1} "
     "r = Gather(x, i) {axis=1} c = BatchNormalization(r, s, b, m, v) {epsilon=0.0} d = Gather(c, i) {axis=1} y = Mul(d, k) }", true},
    {"relu twice", "graph(float[2,3] x) -> (y) { y = Relu(x) }", "graph(float[2,3] x) -> (y) { a = Relu(x) y = Relu(a) }", true},
    {"relu lost", "graph(float[2,3] x) -> (y) { a = Relu(x) y = Mul(a, a) }", "graph(float[2,3] x) -> (y) { y = Mul(x, x) }", false},
    {"relu lost before a wide pool",
     "graph(float[1,2,6,6] x) -> (y) { a = Relu(x) y = MaxPool(a) {kernel_shape=[3,3]} }",
     "graph(float[1,2,6,6] x) -> (y) { y = MaxPool(x) {kernel_shape=[3,3]} }", false},
    {"relu after or before a pool",
     "graph(float[1,2,6,6] x) -> (y) { a = Relu(x) y = MaxPool(a) {kernel_shape=[3,3]} }",
     "graph(float[1,2,6,6] x) -> (y) { a = MaxPool(x) {kernel_shape=[3,3]} y = Relu(a) }", true},
    {"clip as min and max",
     "graph(float[4,5] x) -> (y) { lo = float[] {0} hi = float[] {6} y = Clip(x, lo, hi) }",
     "graph(float[4,5] x) -> (y) { lo = float[] {0} hi = float[] {6} a = Min(x, hi) y = Max(a, lo) }", true},
    {"clip bound moved",
     "graph(float[4,5] x) -> (y) { lo = float[] {0} hi = float[] {6} y = Clip(x, lo, hi) }",
     "graph(float[4,5] x) -> (y) { lo = float[] {0} hi = float[] {7} y = Clip(x, lo, hi) }", false},
    {"clip that bounds nothing", "graph(float[4,5] x) -> (y) { y = Neg(x) }",
     "graph(float[4,5] x) -> (y) { hi = float[] {3.4028235e38} a = Neg(x) y = Clip(a, _, hi) }", true},
    {"sigmoid spelled out", "graph(float[7] x) -> (y) { y = Sigmoid(x) }",
     "graph(float[7] x) -> (y) { one = float[] {1} n = Neg(x) e = Exp(n) d = Add(e, one) y = Div(one, d) }", true},
    {"hard swish", "graph(float[7] x) -> (y) { y = HardSwish(x) }",
     "graph(float[7] x) -> (y) { t = float[] {3} lo = float[] {0} hi = float[] {6} a = Add(x, t) c = Clip(a, lo, hi) "
     "m = Mul(x, c) y = Div(m, hi) }", true},
    {"gelu by two roots",
     "graph(float[7] x) -> (y) { r = float[] {1.4142135} o = float[] {1} h = float[] {0.5} d = Div(x, r) e = Erf(d) a = Add(e, o) "
     "m = Mul(x, a) y = Mul(m, h) }",
     "graph(float[7] x) -> (y) { r = float[] {0.70710677} o = float[] {1} h = float[] {0.5} d = Mul(x, r) e = Erf(d) a = Add(o, e) "
     "m = Mul(h, x) y = Mul(m, a) }", true},
    {"transpose of equal extents", "graph(float[4,4] x) -> (y) { y = Transpose(x) {perm=[1,0]} }",
     "graph(float[4,4] x) -> (y) { y = Identity(x) }", false},
    {"transposes that cancel", "graph(float[2,3,4] x) -> (y) { y = Abs(x) }",
     "graph(float[2,3,4] x) -> (y) { a = Transpose(x) {perm=[2,0,1]} b = Abs(a) y = Transpose(b) {perm=[1,2,0]} }", true},
    {"product reassociated", "graph(float[3,4] a, float[4,5] b, float[5,2] c) -> (y) { p = MatMul(a, b) y = MatMul(p, c) }",
     "graph(float[3,4] a, float[4,5] b, float[5,2] c) -> (y) { p = MatMul(b, c) y = MatMul(a, p) }", true},
    {"operands swapped", "graph(float[3] a, float[3] b) -> (y) { y = Sub(a, b) }",
     "graph(float[3] a, float[3] b) -> (y) { y = Sub(b, a) }", false},
    {"mean as pool", "graph(float[1,3,4,5] x) -> (y) { y = GlobalAveragePool(x) }",
     "graph(float[1,3,4,5] x) -> (y) { y = ReduceMean(x) {axes=[2,3]} }", true},
    {"softmax axis", "graph(float[4,4] x) -> (y) { y = Softmax(x) {axis=0} }", "graph(float[4,4] x) -> (y) { y = Softmax(x) {axis=1} }", false},
    {"log softmax", "graph(float[4,4] x) -> (y) { y = LogSoftmax(x) }", "graph(float[4,4] x) -> (y) { a = Softmax(x) y = Log(a) }", true},
    {"symbolic batch frozen", "graph(float[N,4] x) -> (y) { s = int64[2] {-1, 2} y = Reshape(x, s) }",
     "graph(float[N,4] x) -> (y) { s = int64[2] {0, 2} t = int64[2] {-1, 4} r = Reshape(x, t) u = int64[2] {-1, 2} y = Reshape(r, u) }", true},
    {"other weights", "graph(float[2,3] x) -> (y) { w = float[3,4] random(1) y = MatMul(x, w) }",
     "graph(float[2,3] x) -> (y) { w = float[3,4] random(2) y = MatMul(x, w) }", false},
};

TEST(Prove, PairsAtEverySeed) {
  for (const Pair& p : kPairs) {
    Model source = Parse(p.source), target = Parse(p.target);
    for (uint64_t seed = 0; seed < 25; ++seed) {
      std::string reason;
      ASSERT_EQ(Proved(source, target, seed, &reason), p.equal) << p.name << ", seed " << seed << ": " << reason;
      ASSERT_TRUE(Proved(source, source, seed, &reason)) << p.name << " against itself: " << reason;
    }
  }
}

TEST(Prove, ConstantsFoldedByTheSourceItself) {
  Model source = Parse(
      "graph(float[2,3] x) -> (y) { a = float[3] {0.3, 0.7, 1.9} s = Sqrt(a) e = Exp(s) y = Mul(x, e) }");
  Result<Inference> known = Infer(source);
  ASSERT_TRUE(known.ok());
  Model target = Parse("graph(float[2,3] x) -> (y) { e = float[3] {0, 0, 0} y = Mul(x, e) }");
  target.graph.initializers[0].value = known->constants.at("e");
  std::string reason;
  EXPECT_TRUE(Proved(source, target, 1, &reason)) << reason;
  Tensor off = known->constants.at("e").Clone();
  off.Set(1, off.AsDouble(1) * (1 + 1e-4));
  target.graph.initializers[0].value = off;
  EXPECT_FALSE(Proved(source, target, 1, &reason));
}

// A convolution with a per-channel scale and shift behind it, and the same folded as a converter does in float.
struct Folded {
  Model source, target;
};
Folded FoldScale(uint64_t seed) {
  Folded f;
  f.source = Parse(
      "graph(float[1,3,6,6] x) -> (y) { w = float[4,3,3,3] fill(0) b = float[4] fill(0) s = float[1,4,1,1] fill(0) t = float[1,4,1,1] fill(0) "
      "c = Conv(x, w, b) m = Mul(c, s) a = Add(m, t) y = Relu(a) }");
  f.target = Parse(
      "graph(float[1,3,6,6] x) -> (y) { w = float[4,3,3,3] fill(0) b = float[4] fill(0) c = Conv(x, w, b) y = Relu(c) }");
  Choices choices(seed);
  for (Initializer& i : f.source.graph.initializers) {
    Tensor t = i.value.Clone();
    for (int64_t k = 0; k < t.size(); ++k) t.Set(k, choices.Normal() + (i.name == "s" ? 3 : 0));
    i.value = t;
  }
  auto at = [&](const char* name, int64_t i) { return static_cast<float>(f.source.graph.FindInitializer(name)->value.AsDouble(i)); };
  Tensor w = f.target.graph.initializers[0].value.Clone(), b = f.target.graph.initializers[1].value.Clone();
  for (int64_t i = 0; i < w.size(); ++i) w.Set(i, at("w", i) * at("s", i / 27));
  for (int64_t i = 0; i < 4; ++i) {
    float scaled = at("b", i) * at("s", i);
    b.Set(i, scaled + at("t", i));
  }
  f.target.graph.initializers[0].value = w;
  f.target.graph.initializers[1].value = b;
  return f;
}

TEST(Prove, FoldsWithinRounding) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Folded f = FoldScale(seed);
    std::string reason;
    EXPECT_TRUE(Proved(f.source, f.target, seed, &reason)) << "seed " << seed << ": " << reason;
  }
}

TEST(Prove, OneWeightOffByFourUlpInAFold) {
  for (int ulp : {4, 64, 1000}) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
      Folded f = FoldScale(seed);
      Tensor w = f.target.graph.initializers[0].value.Clone();
      int64_t at = static_cast<int64_t>(seed * 7 % 108);
      float v = static_cast<float>(w.AsDouble(at));
      for (int i = 0; i < ulp; ++i) v = std::nextafter(v, 1e30f);
      w.Set(at, v);
      f.target.graph.initializers[0].value = w;
      std::string reason;
      EXPECT_FALSE(Proved(f.source, f.target, seed, &reason)) << ulp << " ulp, seed " << seed;
    }
  }
}

TEST(Prove, UnfoldedConstantsHaveNoTolerance) {
  Model source = Parse("graph(float[2,3] x) -> (y) { w = float[3,4] random(1) y = MatMul(x, w) }");
  Model target = source;
  Tensor w = target.graph.initializers[0].value.Clone();
  w.Set(5, std::nextafter(static_cast<float>(w.AsDouble(5)), 2.0f));
  target.graph.initializers[0].value = w;
  std::string reason;
  EXPECT_FALSE(Proved(source, target, 0, &reason));
}

TEST(Prove, UnknownOperatorIsAnError) {
  Model m = Parse("graph(float[2] x) -> (float[2] y) { y = com.example::Mystery(x) }");
  Result<std::unique_ptr<Lab>> lab = Lab::Make(m, m, {});
  ASSERT_FALSE(lab.ok());
  EXPECT_EQ(lab.error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace assay
