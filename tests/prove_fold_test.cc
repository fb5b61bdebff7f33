// Proof across folds: what converters make of constants in float, and damage of it (oracle/snap.h).
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "interp/choices.h"
#include "interp/text.h"
#include "oracle/lab.h"

namespace assay {
namespace {

using Floats = std::vector<float>;

// A source whose constants are drawn, and a target whose constants are computed from them in float.
class FoldCase {
 public:
  FoldCase(const char* source, const char* target, uint64_t seed)
      : source_(*ParseText(source)), target_(*ParseText(target)) {
    Choices choices(seed);
    for (Initializer& i : source_.graph.initializers) {
      if (i.value.dtype() != DType::kFloat) continue;
      bool positive = i.name == "var" || i.name[0] == 's';  // variances and scales
      Tensor t = i.value.Clone();
      for (int64_t k = 0; k < t.size(); ++k)
        t.Set(k, positive ? 0.2 + std::fabs(choices.Normal()) : choices.Normal());
      i.value = t;
    }
  }
  Floats Get(const char* name) const {
    const Tensor& t = source_.graph.FindInitializer(name)->value;
    Floats v;
    for (int64_t i = 0; i < t.size(); ++i) v.push_back(static_cast<float>(t.AsDouble(i)));
    return v;
  }
  void Put(const char* name, const Floats& v) {
    Tensor t = target_.graph.FindInitializer(name)->value.Clone();
    ASSERT_EQ(t.size(), static_cast<int64_t>(v.size())) << name;
    for (size_t i = 0; i < v.size(); ++i) t.Set(static_cast<int64_t>(i), v[i]);
    target_.graph.SetInitializer(name, t);
  }
  void Copy(const char* name) { Put(name, Get(name)); }
  // gamma / sqrt(var + epsilon) of the source's BatchNormalization, and the shift that goes with
  // it.
  Floats Factor(float epsilon = 1e-5f) const {
    Floats g = Get("gamma"), v = Get("var");
    for (size_t i = 0; i < g.size(); ++i) g[i] /= std::sqrt(v[i] + epsilon);
    return g;
  }
  Floats Shift(const Floats& factor, const Floats& bias) const {
    Floats m = Get("mean"), beta = Get("beta");
    for (size_t i = 0; i < m.size(); ++i) {
      float centred = (bias.empty() ? 0 : bias[i]) - m[i];
      m[i] = centred * factor[i] + beta[i];
    }
    return m;
  }
  bool Proved(uint64_t seed = 0) const {
    LabOptions options;
    options.seed = seed;
    options.contexts = 2;
    Result<std::unique_ptr<Lab>> lab = Lab::Make(source_, target_, options);
    EXPECT_TRUE(lab.ok()) << lab.error().ToString();
    std::string reason;
    Result<bool> proved = (*lab)->Prove(target_, &reason);
    EXPECT_TRUE(proved.ok()) << proved.error().ToString();
    return *proved;
  }
  // Moves one number of a target constant by so many ulp.
  FoldCase Damaged(const char* name, size_t at, int ulp) const {
    FoldCase d = *this;
    Tensor t = target_.graph.FindInitializer(name)->value.Clone();
    int64_t i = static_cast<int64_t>(at % static_cast<size_t>(t.size()));
    float v = static_cast<float>(t.AsDouble(i));
    for (int k = 0; k < ulp; ++k) v = std::nextafter(v, std::signbit(v) ? -1e30f : 1e30f);
    t.Set(i, v);
    d.target_.graph.SetInitializer(name, t);
    return d;
  }

 private:
  Model source_, target_;
};

// Element i of `v` belongs to channel i / inner % channels of the factors.
Floats Scaled(Floats v, const Floats& by, size_t inner) {
  for (size_t i = 0; i < v.size(); ++i) v[i] *= by[i / inner % by.size()];
  return v;
}
Floats Slice(const Floats& v, size_t begin, size_t end) {
  return Floats(v.begin() + begin, v.begin() + end);
}

#define BN_CONSTANTS                                                                         \
  "gamma = float[6] fill(0) beta = float[6] fill(0) mean = float[6] fill(0) var = float[6] " \
  "fill(0) "
#define BN(x) "BatchNormalization(" x ", gamma, beta, mean, var) {epsilon=1e-5}"
#define CONV_BN                                                                                    \
  "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) " BN_CONSTANTS \
  "c = Conv(x, w, b) {pads=[1,1,1,1]} n = " BN("c") " y = Relu(n) }"

struct Fold {
  const char* name;
  const char* source;
  const char* target;
  std::function<void(FoldCase&)> fill;
  bool damage = true;  // is "w" of the target a fold in which damage of 4 ulp must be seen?
};

const Fold kFolds[] = {
    {"BatchNormalization into Conv", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) c = Conv(x, "
     "w, b) {pads=[1,1,1,1]} y = Relu(c) }",
     [](FoldCase& c) {
       c.Put("w", Scaled(c.Get("w"), c.Factor(), 36));
       c.Put("b", c.Shift(c.Factor(), c.Get("b")));
     }},
    {"gamma and the root one after the other", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) c = Conv(x, "
     "w, b) {pads=[1,1,1,1]} y = Relu(c) }",
     [](FoldCase& c) {
       Floats root = c.Get("var");
       for (float& v : root) v = 1 / std::sqrt(v + 1e-5f);
       c.Put("w", Scaled(Scaled(c.Get("w"), c.Get("gamma"), 36), root, 36));
       c.Put("b", c.Shift(c.Factor(), c.Get("b")));
     }},
    {"bias as (b - mu k) + B k", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) c = Conv(x, "
     "w, b) {pads=[1,1,1,1]} y = Relu(c) }",
     [](FoldCase& c) {
       Floats k = c.Factor(), b = c.Get("beta"), mean = c.Get("mean"), old = c.Get("b");
       c.Put("w", Scaled(c.Get("w"), k, 36));
       for (size_t i = 0; i < b.size(); ++i) {
         float moved = mean[i] * k[i], scaled = old[i] * k[i];
         b[i] = (b[i] - moved) + scaled;
       }
       c.Put("b", b);
     }},
    {"output halves", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[2,4,3,3] fill(0) b = float[2] fill(0) v = "
     "float[4,4,3,3] fill(0) a = float[4] fill(0) "
     "p = Conv(x, w, b) {pads=[1,1,1,1]} q = Conv(x, v, a) {pads=[1,1,1,1]} c = Concat(p, q) "
     "{axis=1} y = Relu(c) }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 36), b = c.Shift(c.Factor(), c.Get("b"));
       c.Put("w", Slice(w, 0, 72)), c.Put("v", Slice(w, 72, 216));
       c.Put("b", Slice(b, 0, 2)), c.Put("a", Slice(b, 2, 6));
     }},
    {"permuted channels gathered back", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) i = "
     "int64[6] {5, 4, 3, 2, 1, 0} "
     "c = Conv(x, w, b) {pads=[1,1,1,1]} r = Relu(c) y = Gather(r, i) {axis=1} }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 36), b = c.Shift(c.Factor(), c.Get("b")), p;
       for (size_t n = 6; n-- > 0;) p.insert(p.end(), w.begin() + n * 36, w.begin() + (n + 1) * 36);
       c.Put("w", p), c.Put("b", Floats(b.rbegin(), b.rend()));
     }},
    {"input channels split", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,2,3,3] fill(0) b = float[6] fill(0) v = "
     "float[6,2,3,3] fill(0) s = int64[2] {2, 2} "
     "f, g = Split(x, s) {axis=1} p = Conv(f, w, b) {pads=[1,1,1,1]} q = Conv(g, v) "
     "{pads=[1,1,1,1]} c = Add(p, q) y = Relu(c) }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 36), a, b;
       for (size_t i = 0; i < w.size(); ++i) (i % 36 < 18 ? a : b).push_back(w[i]);
       c.Put("w", a), c.Put("v", b);
       c.Put("b", c.Shift(c.Factor(), c.Get("b")));
     }},
    {"padded channels", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[8,4,3,3] fill(0) b = float[8] fill(0) c = Conv(x, "
     "w, b) {pads=[1,1,1,1]} r = Relu(c) "
     "s = int64[1] {0} e = int64[1] {6} a = int64[1] {1} y = Slice(r, s, e, a) }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 36), b = c.Shift(c.Factor(), c.Get("b"));
       w.resize(8 * 36, 0), b.resize(8, 0);
       c.Put("w", w), c.Put("b", b);
     },
     false},  // the last weights are padding
    {"Conv as flipped ConvTranspose", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[4,6,3,3] fill(0) b = float[6] fill(0) c = "
     "ConvTranspose(x, w, b) {pads=[1,1,1,1]} y = Relu(c) }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 36), t(w.size());
       for (size_t n = 0; n < 6; ++n) {
         for (size_t k = 0; k < 4; ++k) {
           for (size_t i = 0; i < 9; ++i) t[(k * 6 + n) * 9 + 8 - i] = w[(n * 4 + k) * 9 + i];
         }
       }
       c.Put("w", t), c.Put("b", c.Shift(c.Factor(), c.Get("b")));
     }},
    {"BatchNormalization with its statistics folded", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) g = "
     "float[6] fill(0) t = float[6] fill(0) z = float[6] fill(0) "
     "o = float[6] fill(0.99999) c = Conv(x, w, b) {pads=[1,1,1,1]} n = BatchNormalization(c, g, "
     "t, z, o) {epsilon=1e-5} y = Relu(n) }",
     [](FoldCase& c) {
       c.Copy("w"), c.Copy("b");
       c.Put("g", c.Factor()), c.Put("t", c.Shift(c.Factor(), {}));
     },
     false},
    {"bias moved into the mean", CONV_BN,
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) gamma = float[6] fill(0) beta = "
     "float[6] fill(0) mean = float[6] fill(0) "
     "var = float[6] fill(0) c = Conv(x, w) {pads=[1,1,1,1]} n = " BN("c") " y = Relu(n) }",
     [](FoldCase& c) {
       for (const char* name : {"w", "gamma", "beta", "var"}) c.Copy(name);
       Floats m = c.Get("mean"), b = c.Get("b");
       for (size_t i = 0; i < m.size(); ++i) m[i] -= b[i];
       c.Put("mean", m);
     },
     false},
    {"BatchNormalization spelled out",
     "graph(float[2,6,3] x) -> (y) { " BN_CONSTANTS "y = " BN("x") " }",
     "graph(float[2,6,3] x) -> (y) { gamma = float[6,1] fill(0) beta = float[6,1] fill(0) mean = "
     "float[6,1] fill(0) r = float[6,1] fill(0) "
     "c = Sub(x, mean) d = Div(c, r) e = Mul(d, gamma) y = Add(e, beta) }",
     [](FoldCase& c) {
       for (const char* name : {"gamma", "beta", "mean"}) c.Copy(name);
       Floats root = c.Get("var");
       for (float& v : root) v = std::sqrt(v + 1e-5f);
       c.Put("r", root);
     },
     false},
    {"scale of the input into Conv",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) s = float[4,1,1] fill(0) m = "
     "Mul(x, s) y = Conv(m, w) {pads=[1,1,1,1]} }",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) y = Conv(x, w) {pads=[1,1,1,1]} "
     "}",
     [](FoldCase& c) { c.Put("w", Scaled(c.Get("w"), c.Get("s"), 9)); }},
    {"mean and deviation of the input into Conv",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) m = "
     "float[4,1,1] fill(0) s = float[4,1,1] fill(0) "
     "c = Sub(x, m) d = Div(c, s) y = Conv(d, w, b) }",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) y = Conv(x, "
     "w, b) }",
     [](FoldCase& c) {
       Floats w = c.Get("w"), b = c.Get("b"), m = c.Get("m"), s = c.Get("s");
       for (size_t i = 0; i < w.size(); ++i) {
         size_t k = i / 9 % 4;
         w[i] *= 1 / s[k];
         b[i / 36] -= w[i] * m[k];
       }
       c.Put("w", w), c.Put("b", b);
     }},
    {"merged query, key and value, the query scaled",
     "graph(float[2,5,8] x) -> (q, k, v) { w = float[8,6] fill(0) b = float[6] fill(0) u = "
     "float[8,6] fill(0) c = float[6] fill(0) "
     "p = float[8,6] fill(0) d = float[6] fill(0) s = float[] fill(0) a = MatMul(x, w) e = Add(a, "
     "b) q = Mul(e, s) "
     "f = MatMul(x, u) k = Add(f, c) g = MatMul(x, p) v = Add(g, d) }",
     "graph(float[2,5,8] x) -> (q, k, v) { w = float[8,18] fill(0) b = float[18] fill(0) n = "
     "int64[3] {6, 6, 6} a = MatMul(x, w) e = Add(a, b) "
     "q, k, v = Split(e, n) {axis=-1} }",
     [](FoldCase& c) {
       Floats q = Scaled(c.Get("w"), c.Get("s"), 1), k = c.Get("u"), v = c.Get("p"), w,
              b = Scaled(c.Get("b"), c.Get("s"), 1);
       for (size_t i = 0; i < 8; ++i) {
         for (const Floats* part : {&q, &k, &v})
           w.insert(w.end(), part->begin() + i * 6, part->begin() + (i + 1) * 6);
       }
       for (const char* name : {"c", "d"}) {
         Floats part = c.Get(name);
         b.insert(b.end(), part.begin(), part.end());
       }
       c.Put("w", w), c.Put("b", b);
     },
     false},  // its scale is a literal of the source: unfolded columns have no tolerance, scaled
              // ones are below
    {"groups as a dense Conv",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,2,3,3] fill(0) " BN_CONSTANTS
     "c = Conv(x, w) {group=2} y = " BN("c") " }",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) b = float[6] fill(0) y = Conv(x, "
     "w, b) }",
     [](FoldCase& c) {
       Floats w = Scaled(c.Get("w"), c.Factor(), 18), dense(216, 0);
       for (size_t i = 0; i < w.size(); ++i)
         dense[i / 18 * 36 + (i / 18 < 3 ? 0 : 18) + i % 18] = w[i];
       c.Put("w", dense), c.Put("b", c.Shift(c.Factor(), {}));
     },
     false},  // half of the weights are padding
    {"scale and bias of a LayerNormalization into MatMul",
     "graph(float[2,3,4] x) -> (y) { s = float[4] fill(0) t = float[4] fill(0) w = float[4,6] "
     "fill(0) b = float[6] fill(0) "
     "n = LayerNormalization(x, s, t) m = MatMul(n, w) y = Add(m, b) }",
     "graph(float[2,3,4] x) -> (y) { o = float[4] fill(1) z = float[4] fill(0) w = float[4,6] "
     "fill(0) b = float[6] fill(0) "
     "n = LayerNormalization(x, o, z) m = MatMul(n, w) y = Add(m, b) }",
     [](FoldCase& c) {
       Floats w = c.Get("w"), t = c.Get("t"), b = c.Get("b");
       for (size_t i = 0; i < w.size(); ++i) b[i % 6] += w[i] * t[i / 6];
       c.Put("w", Scaled(w, c.Get("s"), 6)), c.Put("b", b);
     }},
    {"scale through Flatten into Gemm",
     "graph(float[2,4,3,3] x) -> (y) { s = float[4,1,1] fill(0) w = float[36,5] fill(0) m = Mul(x, "
     "s) f = Flatten(m) y = Gemm(f, w) }",
     "graph(float[2,4,3,3] x) -> (y) { w = float[36,5] fill(0) f = Flatten(x) y = Gemm(f, w) }",
     [](FoldCase& c) { c.Put("w", Scaled(c.Get("w"), c.Get("s"), 45)); }},
    {"scaled embedding",
     "graph(int64[2,3] i) -> (y) { w = float[7,5] fill(0) s = float[] fill(0) g = Gather(w, i) y = "
     "Mul(g, s) }",
     "graph(int64[2,3] i) -> (y) { w = float[7,5] fill(0) y = Gather(w, i) }",
     [](FoldCase& c) { c.Put("w", Scaled(c.Get("w"), c.Get("s"), 1)); }},
    {"weight normalization",
     "graph(float[1,4,7,7] x) -> (y) { v = float[6,4,3,3] fill(0) s = float[6,1,1,1] fill(0) n = "
     "ReduceL2(v) {axes=[1,2,3]} d = Div(v, n) w = Mul(d, s) "
     "y = Conv(x, w) }",
     "graph(float[1,4,7,7] x) -> (y) { w = float[6,4,3,3] fill(0) y = Conv(x, w) }",
     [](FoldCase& c) {
       Floats v = c.Get("v"), s = c.Get("s");
       for (size_t n = 0; n < 6; ++n) {
         double sum = 0;
         for (size_t i = 0; i < 36; ++i) sum += static_cast<double>(v[n * 36 + i]) * v[n * 36 + i];
         for (size_t i = 0; i < 36; ++i)
           v[n * 36 + i] = v[n * 36 + i] / static_cast<float>(std::sqrt(sum)) * s[n];
       }
       c.Put("w", v);
     },
     false},
};

TEST(ProveFold, EveryFoldIsProved) {
  for (const Fold& f : kFolds) {
    for (uint64_t seed = 0; seed < 6; ++seed) {
      FoldCase c(f.source, f.target, seed);
      f.fill(c);
      EXPECT_TRUE(c.Proved(seed)) << f.name << ", seed " << seed;
    }
  }
}

TEST(ProveFold, OneWeightOffIsNotProved) {
  for (const Fold& f : kFolds) {
    if (!f.damage) continue;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      FoldCase c(f.source, f.target, seed);
      f.fill(c);
      for (int ulp : {4, 64, 4096}) {
        EXPECT_FALSE(c.Damaged("w", 7 + 13 * seed, ulp).Proved(seed))
            << f.name << ", seed " << seed << ", " << ulp << " ulp";
      }
    }
  }
}

TEST(ProveFold, AnotherEpsilonIsNotProved) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    FoldCase c(kFolds[0].source, kFolds[0].target, seed);
    c.Put("w", Scaled(c.Get("w"), c.Factor(1e-3f), 36));
    c.Put("b", c.Shift(c.Factor(1e-3f), c.Get("b")));
    EXPECT_FALSE(c.Proved(seed)) << seed;
  }
}

TEST(ProveFold, WholeChannelWithinRoundingIsProved) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    FoldCase c(kFolds[0].source, kFolds[0].target, seed);
    Floats factor = c.Factor();
    c.Put("b", c.Shift(factor, c.Get("b")));
    factor[2] *= 1 + 0x1p-23f;
    c.Put("w", Scaled(c.Get("w"), factor, 36));
    EXPECT_TRUE(c.Proved(seed)) << seed;
    factor[2] *= 1 + 0x1p-18f;
    c.Put("w", Scaled(c.Get("w"), factor, 36));
    EXPECT_FALSE(c.Proved(seed)) << seed;
  }
}

TEST(ProveFold, DeadChannelsAndSwappedBiasesAreNotProved) {
  FoldCase c(kFolds[0].source, kFolds[0].target, 3);
  Floats w = Scaled(c.Get("w"), c.Factor(), 36), b = c.Shift(c.Factor(), c.Get("b"));
  c.Put("w", w), c.Put("b", b);
  ASSERT_TRUE(c.Proved());
  std::swap(b[1], b[4]);
  c.Put("b", b);
  EXPECT_FALSE(c.Proved());
  std::swap(b[1], b[4]);
  c.Put("b", b);
  std::fill(w.begin() + 72, w.begin() + 108, 0.0f);
  c.Put("w", w);
  EXPECT_FALSE(c.Proved());
}

}  // namespace
}  // namespace assay
