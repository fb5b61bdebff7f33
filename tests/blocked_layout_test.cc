// The blocked layout of ONNX Runtime's optimizer (interp/blocked_layout.h).
#include "interp/blocked_layout.h"

#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/functions.h"
#include "interp/text.h"
#include "oracle/judge.h"
#include "oracle/repair.h"
#include "oracle/verify.h"

namespace assay {
namespace {

Model Parsed(const std::string& text) {
  Result<Model> m = ParseText(text);
  EXPECT_TRUE(m.ok()) << text << ": " << m.error().ToString();
  return *m;
}

int64_t Up(int64_t channels, int64_t block) { return (channels + block - 1) / block * block; }

// As MLAS lays a filter [O,I,H,W] down: blocks of outputs, blocks of inputs (single ones where
// there are fewer than a block), taps, inputs of the block, outputs of the block; 0 beyond the
// filter.
Tensor Blocked(const Tensor& w, int64_t block) {
  const int64_t outputs = Up(w.dim(0), block), few = w.dim(1) < block, step = few ? 1 : block;
  const int64_t inputs = few ? w.dim(1) : Up(w.dim(1), block), taps = w.dim(2) * w.dim(3);
  std::vector<float> memory;
  for (int64_t ob = 0; ob < outputs; ob += block) {
    for (int64_t ib = 0; ib < inputs; ib += step) {
      for (int64_t k = 0; k < taps; ++k) {
        for (int64_t i = ib; i < ib + step; ++i) {
          for (int64_t o = ob; o < ob + block; ++o) {
            const bool there = o < w.dim(0) && i < w.dim(1);
            memory.push_back(there ? w.data<float>()[(o * w.dim(1) + i) * taps + k] : 0);
          }
        }
      }
    }
  }
  return Tensor::Floats({outputs, inputs, w.dim(2), w.dim(3)}, memory);
}

Tensor Padded(const Tensor& bias, int64_t block) {
  std::vector<float> v(bias.span<float>().begin(), bias.span<float>().end());
  v.resize(static_cast<size_t>(Up(bias.size(), block)));
  return Tensor::Floats({static_cast<int64_t>(v.size())}, v);
}

// `target` with the filters and biases of `source` under their names, as the optimizer writes them
// for `block`.
Model Optimized(const Model& source, const std::string& target, int64_t block) {
  Model m = Parsed("opset \"com.microsoft.nchwc\" 1 opset \"com.microsoft\" 1 " + target);
  for (const Initializer& i : source.graph.initializers) {
    if (i.value.dtype() != DType::kFloat || !m.graph.FindInitializer(i.name)) continue;
    if (i.value.rank() == 4) m.graph.SetInitializer(i.name, Blocked(i.value, block));
    if (i.value.rank() == 1) m.graph.SetInitializer(i.name, Padded(i.value, block));
  }
  return m;
}

std::string N(int64_t n) { return std::to_string(n); }

const char kConvSource[] = R"(opset 13 graph(float[1,3,6,5] x) -> (y, z) {
  w1 = float[20,3,3,2] random(1)
  b1 = float[20] random(2)
  c1 = Conv(x, w1, b1) {pads=[1,0,1,1]}
  r1 = LeakyRelu(c1) {alpha=0.25}
  wd = float[20,1,2,2] random(3)
  d1 = Conv(r1, wd) {group=20, pads=[1,0,0,1]}
  q1 = Sigmoid(d1)
  w2 = float[20,20,1,1] random(4)
  b2 = float[20] random(5)
  c2 = Conv(q1, w2, b2)
  s2 = Add(c2, r1)
  r2 = HardSigmoid(s2) {alpha=0.25, beta=0.5}
  w3 = float[5,20,2,1] random(6)
  c3 = Conv(r2, w3) {strides=[1,2]}
  t3 = Tanh(c3)
  u = float[4] {1,1,2,3}
  y = Resize(t3, _, u) {mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"}
  z = Transpose(r2) {perm=[0,2,3,1]}
})";

std::string ConvTarget(int64_t b, const std::string& pads = "[1,0,0,1]") {
  const std::string c = N(Up(20, b)), d = N(Up(5, b));
  return R"(opset 13 graph(float[1,3,6,5] x) -> (float[1,5,10,9] y, float[1,6,5,20] z) {
  w1 = float[1,1,1,1] {0} b1 = float[1] {0} wd = float[1,1,1,1] {0}
  w2 = float[1,1,1,1] {0} b2 = float[1] {0} w3 = float[1,1,1,1] {0}
  c1 = com.microsoft.nchwc::Conv(x, w1, b1) {pads=[1,0,1,1], activation="LeakyRelu", activation_params=[0.25]}
  d1 = com.microsoft.nchwc::Conv(c1, wd) {group=)" +
         c + ", pads=" + pads + R"(} @d
  q1 = Sigmoid(d1)
  c2 = com.microsoft.nchwc::Conv(q1, w2, b2, c1) {activation="HardSigmoid", activation_params=[0.25, 0.5]}
  c3 = com.microsoft.nchwc::Conv(c2, w3) {strides=[1,2], activation="Tanh"}
  u3 = com.microsoft.nchwc::Upsample(c3) {scales=[1,1,2,3]}
  y = com.microsoft.nchwc::ReorderOutput(u3) {channels=5}
  z = com.microsoft.nchwc::ReorderOutput(c2) {channels=20, channels_last=1}
})";
}

const char kPoolSource[] = R"(opset 13 graph(float[1,20,6,5] x, float[2,4,3,32] n) -> (y, z, p) {
  w1 = float[32,20,1,1] random(1)
  c1 = Conv(x, w1)
  m1 = MaxPool(c1) {kernel_shape=[3,3], pads=[1,1,1,1]}
  a1 = AveragePool(c1) {kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1}
  j1 = Concat(m1, a1) {axis=1}
  g1 = GlobalAveragePool(j1)
  y = GlobalMaxPool(g1)
  x2 = Transpose(n) {perm=[0,3,1,2]}
  w2 = float[32,16,2,1] random(2)
  z = Conv(x2, w2) {group=2, auto_pad="SAME_LOWER"}
  s = Add(c1, m1)
  w3 = float[7,32,1,1] random(3)
  t = Conv(s, w3)
  l = float[] {-0.5}
  h = float[] {0.75}
  p = Clip(t, l, h)
})";

std::string PoolTarget(int64_t b) {
  return R"(opset 13 graph(float[1,20,6,5] x, float[2,4,3,32] n) -> (float[1,64,1,1] y, float[2,32,4,3] z, float[1,7,6,5] p) {
  w1 = float[1,1,1,1] {0} w2 = float[1,1,1,1] {0} w3 = float[1,1,1,1] {0}
  split = int64[5] {0,-1,0,0,)" +
         N(b) + R"(}
  join = int64[4] {0,-1,0,0}
  x1 = com.microsoft.nchwc::ReorderInput(x)
  c1 = com.microsoft.nchwc::Conv(x1, w1)
  m1 = com.microsoft.nchwc::MaxPool(c1) {kernel_shape=[3,3], pads=[1,1,1,1], ceil_mode=0, storage_order=0}
  a1 = com.microsoft.nchwc::AveragePool(c1) {kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1, dilations=[1,1]}
  j1 = Concat(m1, a1) {axis=1}
  g1 = com.microsoft.nchwc::GlobalAveragePool(j1)
  h1 = com.microsoft.nchwc::GlobalMaxPool(g1)
  y = com.microsoft.nchwc::ReorderOutput(h1) {channels=64}
  x2 = com.microsoft.nchwc::ReorderInput(n) {channels_last=1}
  k2 = com.microsoft.nchwc::Conv(x2, w2) {group=2, auto_pad="SAME_LOWER"}
  z = com.microsoft.nchwc::ReorderOutput(k2) {channels=32}
  s1 = Reshape(c1, split)
  s2 = Reshape(m1, split)
  s3 = Add(s1, s2)
  s = Reshape(s3, join)
  t = com.microsoft.nchwc::Conv(s, w3) {activation="Clip", activation_params=[-0.5, 0.75]}
  p = com.microsoft.nchwc::ReorderOutput(t) {channels=7}
})";
}

void ExpectSame(const Model& source, const Model& target) {
  std::vector<Tensor> inputs = RandomInputs(source, 3).value();
  Result<Execution> want = assay::Run(source, inputs), got = assay::Run(target, inputs);
  ASSERT_TRUE(want.ok()) << want.error().ToString();
  ASSERT_TRUE(got.ok()) << got.error().ToString();
  for (size_t i = 0; i < want->outputs.size(); ++i)
    EXPECT_TRUE(want->outputs[i].Identical(got->outputs[i])) << "output " << i;
  Result<Verification> v = Verify(source, target);
  ASSERT_TRUE(v.ok()) << v.error().ToString();
  EXPECT_EQ(v->verdict, Verdict::kEquivalent);
  EXPECT_TRUE(v->architecture.proved);
}

TEST(BlockedLayout, StandsForPlainConvolutions) {
  for (int64_t block : {8, 16}) {
    SCOPED_TRACE(block);
    const Model source = Parsed(kConvSource), target = Optimized(source, ConvTarget(block), block);
    ExpectSame(source, target);
    EXPECT_TRUE(Validate(target).ok());
    // No channel is left that only pads.
    const Model plain = Inlined(target).value();
    for (const Initializer& i : plain.graph.initializers) {
      if (i.value.rank() != 4) continue;
      EXPECT_TRUE(i.value.dim(0) == 20 || i.value.dim(0) == 5) << i.value.TypeString();
    }
  }
}

TEST(BlockedLayout, StandsForPlainPools) {
  for (int64_t block : {8, 16}) {
    SCOPED_TRACE(block);
    const Model source = Parsed(kPoolSource);
    ExpectSame(source, Optimized(source, PoolTarget(block), block));
  }
}

// A body has a layout of its own, reads filters of the graph around it, and has the block that fits
// all: the channels of `v` tell it.
TEST(BlockedLayout, StandsInBodiesToo) {
  const Model source = Parsed(R"(opset 13 graph(float[1,16,5,5] x, bool[] c) -> (y) {
    w = float[16,16,3,3] random(1)
    v = float[20,16,1,1] random(2)
    p = Relu(x)
    y = If(c) {then_branch=graph() -> (t) { t1 = Conv(p, w) t2 = Relu(t1)
                                            t3 = MaxPool(t2) {kernel_shape=[1,1]} t = Conv(t3, v) },
               else_branch=graph() -> (e) { e1 = Conv(p, w) e = Conv(e1, v) }}
  })");
  for (int64_t block : {8, 16}) {
    SCOPED_TRACE(block);
    ExpectSame(source, Optimized(source, R"(opset 13
      graph(float[1,16,5,5] x, bool[] c) -> (float[1,20,3,3] y) {
        w = float[1,1,1,1] {0} v = float[1,1,1,1] {0}
        p = Relu(x)
        y = If(c) {
          then_branch=graph() -> (t) {
            b = com.microsoft.nchwc::ReorderInput(p)
            t1 = com.microsoft.nchwc::Conv(b, w) {activation="Relu"}
            t3 = com.microsoft.nchwc::MaxPool(t1) {kernel_shape=[1,1]}
            t4 = com.microsoft.nchwc::Conv(t3, v)
            t = com.microsoft.nchwc::ReorderOutput(t4) {channels=20} },
          else_branch=graph() -> (e) {
            b = com.microsoft.nchwc::ReorderInput(p)
            e1 = com.microsoft.nchwc::Conv(b, w)
            e2 = com.microsoft.nchwc::Conv(e1, v)
            e = com.microsoft.nchwc::ReorderOutput(e2) {channels=20} }}
      })",
                                 block));
  }
}

TEST(BlockedLayout, OlderOperatorSetsSpellItDifferently) {
  const Model source = Parsed(R"(opset 8 graph(float[1,24,3,3] x) -> (float[1,12,6,6] y) {
    w = float[12,24,1,1] random(1)
    c = Conv(x, w)
    y = Upsample(c) {mode="nearest", scales=[1.0,1.0,2.0,2.0]}
  })");
  const std::string target = R"( graph(float[1,24,3,3] x) -> (float[1,12,6,6] y, float[1,8,6,6] z) {
    w = float[1,1,1,1] {0}
    x1 = com.microsoft.nchwc::ReorderInput(x)
    c = com.microsoft.nchwc::Conv(x1, w)
    u = com.microsoft.nchwc::Upsample(c) {scales=[1,1,2,2]}
    y = com.microsoft.nchwc::ReorderOutput(u) {channels=12}
    z = com.microsoft.nchwc::ReorderOutput(u) {channels=8}
  })";
  std::vector<Tensor> x = RandomInputs(source, 3).value();
  const Tensor want = assay::Run(source, x)->outputs[0];
  for (const char* opset : {"8", "9", "10", "11", "13"}) {
    Result<Execution> run =
        assay::Run(Optimized(source, std::string("opset ") + opset + target, 16), x);
    ASSERT_TRUE(run.ok()) << opset << ": " << run.error().ToString();
    EXPECT_TRUE(run->outputs[0].Identical(want)) << opset;
    EXPECT_EQ(run->outputs[1].shape(), (Shape{1, 8, 6, 6})) << opset;
  }
}

TEST(BlockedLayout, AFaultIsFoundAndHealed) {
  const Model source = Parsed(kConvSource),
              target = Optimized(source, ConvTarget(16, "[0,0,1,1]"), 16);
  const Repair repair = RepairTarget(source, target).value();
  EXPECT_EQ(repair.before.verdict, Verdict::kDifferent);
  EXPECT_EQ(repair.after.verdict, Verdict::kEquivalent);
  ASSERT_EQ(repair.before.differences.size(), 1u);
  EXPECT_NE(repair.before.differences[0].what.find("pads"), std::string::npos);
  const RepairJudgement judgement = JudgeRepair(source, target, repair.fixed);
  EXPECT_TRUE(judgement.healed) << judgement.why;
  // A target that we can't read is no finding.
  Model strange = target;
  for (NodePtr& n : strange.graph.nodes) {
    if (n->op != "Upsample") continue;
    Node other = *n;
    other.op = "Stretch";
    n = std::make_shared<const Node>(std::move(other));
  }
  Result<Judgement> judged = JudgePair(source, strange);
  ASSERT_FALSE(judged.ok());
  EXPECT_EQ(judged.error().code, Code::kUnsupported);
}

// A product with a scalar is written as a depthwise convolution whose padding is not 0.
TEST(BlockedLayout, ProductsWithAScalarFillThePaddingToo) {
  const Model source = Parsed(R"(opset 13 graph(float[1,3,2,2] x) -> (y) {
    w = float[12,3,1,2] random(1)
    c = Conv(x, w)
    s = float[1] {0.5}
    y = Mul(c, s)
  })");
  for (int64_t block : {8, 16}) {
    Model target = Optimized(source, R"(opset 13 graph(float[1,3,2,2] x) -> (float[1,12,2,1] y) {
      w = float[1,1,1,1] {0}
      s = float[16,1,1,1] random(1)
      c = com.microsoft.nchwc::Conv(x, w)
      m = com.microsoft.nchwc::Conv(c, s) {group=16}
      y = com.microsoft.nchwc::ReorderOutput(m) {channels=12}
    })",
                             block);
    target.graph.SetInitializer("s", Tensor::Floats({16, 1, 1, 1}, std::vector<float>(16, 0.5f)));
    ExpectSame(source, target);
  }
}

// What the block can't be follows from the model; where it may be either it is 16.
TEST(BlockedLayout, TheBlockIsTheOneThatFits) {
  struct Case {
    const char* source;
    const char* target;
    bool tells;
  };
  const Case cases[] = {
      // 32 channels for 20 real ones: 24 would do for blocks of 8.
      {"w = float[20,3,2,2] random(1) y = Conv(x, w)",
       "c = com.microsoft.nchwc::Conv(x, w) y = com.microsoft.nchwc::ReorderOutput(c) "
       "{channels=20}",
       true},
      // 16 channels either way; the weights of those that only pad are 0 in one layout.
      {"w = float[12,3,2,2] random(1) y = Conv(x, w)",
       "c = com.microsoft.nchwc::Conv(x, w) y = com.microsoft.nchwc::ReorderOutput(c) "
       "{channels=12}",
       true},
      // The same behind another operator.
      {"w = float[12,3,2,2] random(1) c = Conv(x, w) y = Sigmoid(c)",
       "c = com.microsoft.nchwc::Conv(x, w) s = Sigmoid(c) y = "
       "com.microsoft.nchwc::ReorderOutput(s) {channels=12}",
       true},
      {"w = float[16,3,2,2] random(1) y = Conv(x, w)",
       "c = com.microsoft.nchwc::Conv(x, w) y = com.microsoft.nchwc::ReorderOutput(c) "
       "{channels=16}",
       false},
  };
  for (const Case& c : cases) {
    const Model source = Parsed(std::string("graph(float[1,3,4,4] x) -> (y) { ") + c.source + " }");
    for (int64_t block : {8, 16}) {
      const Model target = Optimized(
          source,
          std::string(
              "opset 13 graph(float[1,3,4,4] x) -> (float[1,N,3,3] y) { w = float[1,1,1,1] {0} ") +
              c.target + " }",
          block);
      std::vector<Tensor> x = RandomInputs(source, 1).value();
      Result<Execution> run = assay::Run(target, x);
      ASSERT_TRUE(run.ok()) << c.target << run.error().ToString();
      const bool same = run->outputs[0].Identical(assay::Run(source, x)->outputs[0]);
      EXPECT_EQ(same, block == 16 || c.tells) << c.target << " in blocks of " << block;
    }
  }
}

TEST(BlockedLayout, WhatItCannotBeIsAnError) {
  struct Case {
    const char* nodes;
    Code code;
    const char* error;
  };
  const Case cases[] = {
      {"b = com.microsoft.nchwc::ReorderInput(x) c = Neg(b) y = "
       "com.microsoft.nchwc::ReorderOutput(c) {channels=24}",
       Code::kInvalid, "ReorderInput of 20 channels"},
      {"b = com.microsoft.nchwc::ReorderInput(x) y = Softmax(b)", Code::kUnsupported,
       "which is in the blocked layout"},
      {"b = com.microsoft.nchwc::ReorderInput(x) t = bool[] {1} y = If(t) {then_branch=graph() -> "
       "(p) { p = com.microsoft.nchwc::ReorderOutput(b) {channels=20} }, else_branch=graph() -> "
       "(q) { q = Neg(x) }}",
       Code::kUnsupported, "If of 'b', which is in the blocked layout"},
      {"b = com.microsoft.nchwc::ReorderInput(x) y = Neg(b)", Code::kUnsupported,
       "output 'y' is in the blocked layout"},
      {"b = com.microsoft.nchwc::ReorderInput(x) y = Add(b, x)", Code::kUnsupported,
       "which is in the blocked layout"},
      {"b = com.microsoft.nchwc::ReorderInput(x) s = int64[4] {0,-1,0,0} y = Reshape(b, s)",
       Code::kUnsupported, "which is in the blocked layout"},
      {"y = com.microsoft.nchwc::MaxPool(x) {kernel_shape=[1,1]}", Code::kInvalid,
       "not in the blocked layout"},
      {"b = com.microsoft.nchwc::ReorderInput(x) y = com.microsoft.nchwc::Softmax(b)",
       Code::kUnsupported, "com.microsoft.nchwc.Softmax is not supported"},
      {"w = float[8,20,1,1] random(1) c = com.microsoft.nchwc::Conv(x, w) "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kInvalid, "fit no block of 16 or 8"},
      {"b = com.microsoft.nchwc::ReorderInput(x) w = float[12,24,1,1] random(1) c = "
       "com.microsoft.nchwc::Conv(b, w) "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kInvalid, "fit no block of 16 or 8"},
      {"b = com.microsoft.nchwc::ReorderInput(x) w = float[16,32,1,1] random(1) c = "
       "com.microsoft.nchwc::Conv(b, w) "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=16}",
       Code::kInvalid, "ReorderInput of 20 channels"},
      {"b = com.microsoft.nchwc::ReorderInput(v) c = com.microsoft.nchwc::ReorderInput(b)",
       Code::kInvalid, "ReorderInput of a tensor in the blocked layout"},
      {"v2 = Neg(v) b = com.microsoft.nchwc::ReorderInput(v2) c = com.microsoft.nchwc::MaxPool(b) "
       "{kernel_shape=[1,1]} "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=16}",
       Code::kUnsupported, "unknown number of channels"},
      {"w = Neg(x) c = com.microsoft.nchwc::Conv(x, w) y = com.microsoft.nchwc::ReorderOutput(c) "
       "{channels=8}",
       Code::kUnsupported, "not an initializer"},
      {"w = float[8] random(1) c = com.microsoft.nchwc::Conv(x, w) y = "
       "com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kInvalid, "float[O,I,H,W]"},
      {"w = float[8,4,1,1] random(1) c = com.microsoft.nchwc::Conv(x, w) {activation=\"Shape\"} "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kUnsupported, "activation"},
      {"w = float[8,4,1,1] random(1) c = com.microsoft.nchwc::Conv(x, w) {group=-3} "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kInvalid, "group"},
      {"w = float[8,4,1,1] random(1) c = com.microsoft.nchwc::Conv(x, w, _, x) "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=8}",
       Code::kInvalid, "adds a tensor"},
      {"w = float[16,4,1,1] random(1) c = com.microsoft.nchwc::Conv(x, w) "
       "y = com.microsoft.nchwc::ReorderOutput(c) {channels=0}",
       Code::kInvalid, "channels is at least 1"},
      {"y = com.microsoft.nchwc::ReorderInput()", Code::kInvalid, "needs an input"},
  };
  for (const Case& c : cases) {
    const Model m = Parsed(
        std::string(
            "opset 13 opset \"com.microsoft.nchwc\" 1 graph(float[1,20,3,3] x, float[1,C,3,3] v) "
            "-> (float[N,M,K,L] y) { ") +
        c.nodes + " }");
    Result<Model> plain = Inlined(m);
    if (plain.ok()) {
      ADD_FAILURE() << c.nodes;
      continue;
    }
    EXPECT_EQ(plain.error().code, c.code) << c.nodes << ": " << plain.error().ToString();
    EXPECT_NE(plain.error().ToString().find(c.error), std::string::npos)
        << c.nodes << ": " << plain.error().ToString();
  }
}

}  // namespace
}  // namespace assay
