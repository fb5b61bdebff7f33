// The operators of com.microsoft that ONNX Runtime's optimizer writes compute what the nodes
// compute that it replaces.
#include <gtest/gtest.h>

#include "interp/exec.h"
#include "interp/infer.h"
#include "interp/text.h"

namespace assay {
namespace {

struct Pair {
  const char* inputs;
  const char* fused;
  const char* plain;  // gives y as well
};
void PrintTo(const Pair& p, std::ostream* out) {
  std::string_view name = p.fused;
  name = name.substr(0, name.rfind('('));
  *out << name.substr(name.find_last_of(": ") + 1);
}

class Fused : public testing::TestWithParam<Pair> {
 protected:
  static Model Graph(const char* body) {
    const std::string parameters =
        " s = float[] {0.03} t = float[] {0.05} u = float[1] {0.07} a = uint8[] {120} b = uint8[1] "
        "{131} "
        "i = int8[] {-7} ";
    return ParseText("opset 17 opset \"com.microsoft\" 1 graph(" + std::string(GetParam().inputs) +
                     ") -> (y) {" + parameters + body + " }")
        .value();
  }
  static std::vector<Tensor> Inputs(const Model& m) {
    std::vector<Tensor> inputs = RandomInputs(m, 1).value();
    for (Tensor& t : inputs) {  // 8 bits, all of them
      for (int64_t k = 0; !IsFloat(t.dtype()) && t.dtype() != DType::kBool && k < t.size(); ++k)
        t.Set(k, static_cast<double>((k * 37 + 11) % 256 - (t.dtype() == DType::kUint8 ? 0 : 128)));
    }
    return inputs;
  }
};

TEST_P(Fused, IsWhatItReplaces) {
  const Model fused = Graph(GetParam().fused), plain = Graph(GetParam().plain);
  const std::vector<Tensor> inputs = Inputs(fused);
  for (Store store : {Store::kNative, Store::kDouble}) {
    ExecOptions options;
    options.store = store;
    Result<Execution> got = assay::Run(fused, inputs, options),
                      want = assay::Run(plain, inputs, options);
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    ASSERT_TRUE(want.ok()) << want.error().ToString();
    const Tensor &y = got->outputs[0], &z = want->outputs[0];
    ASSERT_EQ(y.TypeString(), z.TypeString());
    for (int64_t k = 0; k < y.size(); ++k) ASSERT_NEAR(y.AsDouble(k), z.AsDouble(k), 1e-5) << k;
    EXPECT_EQ(Infer(fused)->types.at("y").StaticShape(), y.shape());
  }
}

INSTANTIATE_TEST_SUITE_P(
    , Fused,
    testing::Values(
        Pair{"uint8[2,3,5] x, uint8[3,5] z",
             "y = com.microsoft::QLinearAdd(x, s, a, z, t, b, u, a)",
             "p = DequantizeLinear(x, s, a) c = Squeeze(b) q = DequantizeLinear(z, t, c) r = "
             "Add(p, q) v = Squeeze(u) "
             "y = QuantizeLinear(r, v, a)"},
        Pair{"int8[2,3,5] x, int8[3,1] z", "y = com.microsoft::QLinearMul(x, s, i, z, t, _, t, i)",
             "p = DequantizeLinear(x, s, i) q = DequantizeLinear(z, t) r = Mul(p, q) y = "
             "QuantizeLinear(r, t, i)"},
        Pair{"uint8[2,7] x", "y = com.microsoft::QLinearLeakyRelu(x, s, a, t, a) {alpha=0.2}",
             "p = DequantizeLinear(x, s, a) r = LeakyRelu(p) {alpha=0.2} y = QuantizeLinear(r, t, "
             "a)"},
        Pair{"int8[2,7] x", "f = float[] {0.004} y = com.microsoft::QLinearSigmoid(x, s, i, f, i)",
             "f = float[] {0.004} p = DequantizeLinear(x, s, i) r = Sigmoid(p) y = "
             "QuantizeLinear(r, "
             "f, i)"},
        Pair{"uint8[2,3,4] x",
             "f = float[] {0.004} y = com.microsoft::QLinearSoftmax(x, s, a, f, a) {axis=1, "
             "opset=13}",
             "f = float[] {0.004} p = DequantizeLinear(x, s, a) r = Softmax(p) {axis=1} y = "
             "QuantizeLinear(r, f, a)"},
        // Before opset 13 all axes from this one on are one.
        Pair{"uint8[2,3,4] x",
             "f = float[] {0.004} y = com.microsoft::QLinearSoftmax(x, s, a, f, a) {axis=1, "
             "opset=12}",
             "f = float[] {0.004} p = DequantizeLinear(x, s, a) l = Flatten(p) m = Softmax(l) "
             "{axis=1} h = int64[3] {2, 3, 4} "
             "r = Reshape(m, h) y = QuantizeLinear(r, f, a)"},
        Pair{
            "uint8[1,2,6,5] x",
            "y = com.microsoft::QLinearAveragePool(x, s, a, s, a) {kernel_shape=[3,2], "
            "pads=[1,0,1,1], "
            "count_include_pad=1}",
            "p = DequantizeLinear(x, s, a) r = AveragePool(p) {kernel_shape=[3,2], pads=[1,0,1,1], "
            "count_include_pad=1} y = QuantizeLinear(r, s, a)"},
        Pair{"uint8[1,6,5,2] x",
             "y = com.microsoft::QLinearAveragePool(x, s, a, s, a) {kernel_shape=[3,2], "
             "channels_last=1, ceil_mode=1, strides=[2,2]}",
             "p = DequantizeLinear(x, s, a) f = Transpose(p) {perm=[0,3,1,2]} r = AveragePool(f) "
             "{kernel_shape=[3,2], "
             "ceil_mode=1, strides=[2,2]} l = Transpose(r) {perm=[0,2,3,1]} y = QuantizeLinear(l, "
             "s, a)"},
        Pair{"int8[2,4,5,3] x",
             "y = com.microsoft::QLinearGlobalAveragePool(x, t, i, s, i) {channels_last=1}",
             "p = DequantizeLinear(x, t, i) r = ReduceMean(p) {axes=[1,2]} y = QuantizeLinear(r, "
             "s, i)"},
        Pair{"bool[2,1,5] c, uint8[3,5] x, uint8[2,3,1] z",
             "y = com.microsoft::QLinearWhere(c, x, s, a, z, t, a, t, a)",
             "p = DequantizeLinear(x, s, a) q = DequantizeLinear(z, t, a) r = Where(c, p, q) y = "
             "QuantizeLinear(r, t, a)"},
        Pair{"uint8[2,3] x, uint8[2,4] z",
             "y = com.microsoft::QLinearConcat(t, a, x, s, a, z, t, a) {axis=-1}",
             "p = DequantizeLinear(x, s, a) q = DequantizeLinear(z, t, a) r = Concat(p, q) "
             "{axis=-1} "
             "y = QuantizeLinear(r, t, a)"},
        Pair{"uint8[5,4] x, int8[6,5] z",
             "f = float[6] {0.01, 0.02, 0.03, 0.04, 0.05, 0.06} g = int8[6] {1, 2, 3, -4, -5, 6} k "
             "= int32[6] {900, -800, 700, "
             "-600, 500, -400} o = float[] {2} y = com.microsoft::QGemm(x, s, a, z, f, g, k, o, i) "
             "{transA=1, transB=1, alpha=0.5}",
             "f = float[6] {0.01, 0.02, 0.03, 0.04, 0.05, 0.06} g = int8[6] {1, 2, 3, -4, -5, 6} k "
             "= float[6] {900, -800, 700, "
             "-600, 500, -400} o = float[] {2} h = float[] {0.5} p = DequantizeLinear(x, s, a) q = "
             "DequantizeLinear(z, f, g) {axis=0} "
             "m = Gemm(p, q) {transA=1, transB=1, alpha=0.5} l = Mul(k, f) n = Mul(l, s) w = "
             "Mul(n, h) r = Add(m, w) "
             "y = QuantizeLinear(r, o, i)"},
        Pair{"int8[4,5] x, int8[5,6] z",
             "k = int32[] {5000} y = com.microsoft::QGemm(x, s, i, z, t, i, k)",
             "k = float[] {5000} p = DequantizeLinear(x, s, i) q = DequantizeLinear(z, t, i) m = "
             "MatMul(p, q) l = Mul(k, s) "
             "n = Mul(l, t) y = Add(m, n)"},
        Pair{"uint8[2,4,5] x, int8[5,3] z, float[3] c",
             "f = float[3] {0.01, 0.02, 0.03} g = int8[3] {1, 2, -3} y = "
             "com.microsoft::MatMulIntegerToFloat(x, z, s, f, a, g, c)",
             "f = float[3] {0.01, 0.02, 0.03} g = int8[3] {1, 2, -3} p = DequantizeLinear(x, s, a) "
             "q = DequantizeLinear(z, f, g) "
             "m = MatMul(p, q) y = Add(m, c)"},
        Pair{"float[2,4,5] x, int8[5,3] z, float[3] c",
             "y = com.microsoft::DynamicQuantizeMatMul(x, z, s, i, c)",
             "d, e, f = DynamicQuantizeLinear(x) p = DequantizeLinear(d, e, f) q = "
             "DequantizeLinear(z, s, i) m = MatMul(p, q) "
             "y = Add(m, c)"},
        Pair{"float[4,5] x, float[5,6] z",
             "y = com.microsoft::FusedGemm(x, z) {activation=\"ThresholdedRelu\", "
             "activation_alpha=0.5}",
             "m = Gemm(x, z) y = ThresholdedRelu(m) {alpha=0.5}"},
        Pair{"float[4,5] x, float[5,6] z",
             "y = com.microsoft::FusedGemm(x, z) {activation=\"Selu\", activation_alpha=1.5, "
             "activation_gamma=0.5}",
             "m = Gemm(x, z) y = Selu(m) {alpha=1.5, gamma=0.5}"},
        Pair{"float[4,5] x, float[5] z", "y = SimplifiedLayerNormalization(x, z) {epsilon=0.01}",
             "d = Mul(x, x) m = ReduceMean(d) {axes=[-1]} e = float[] {0.01} n = Add(m, e) "
             "q = Sqrt(n) o = Div(x, q) y = Mul(o, z)"},
        Pair{"float[4,2,3,5] x, float[2,3,6,5] z",
             "y = com.microsoft::FusedMatMul(x, z) {transBatchA=1, transB=1, alpha=0.5}",
             "p = Transpose(x) {perm=[1,2,0,3]} q = Transpose(z) {perm=[0,1,3,2]} m = MatMul(p, q) "
             "h = float[] {0.5} y = Mul(m, h)"},
        Pair{"float[5,2,4] x, float[5,2,6] z",
             "y = com.microsoft::FusedMatMul(x, z) {transBatchA=1, transA=1, transBatchB=1}",
             "p = Transpose(x) {perm=[1,2,0]} q = Transpose(z) {perm=[1,0,2]} y = MatMul(p, q)"}));

TEST(Fused8Bit, OperandsThatDontFitAreRefused) {
  const char* graphs[] = {
      "y = com.microsoft::QLinearAdd(x, s, a, x, t, a, s, a)",  // one scale has two elements
      "y = com.microsoft::QLinearConcat(s, a, x, s, a, x, s) {axis=0}",  // a zero point is missing
      "y = com.microsoft::QLinearGlobalAveragePool(x, s, a, s, a)",      // a matrix has no plane
      "y = com.microsoft::QGemm(x, s, a, x, s, a)",                      // [2,3] by [2,3]
      "y = com.microsoft::MatMulIntegerToFloat(x, x, s, s)"};
  for (const char* graph : graphs) {
    Model m = ParseText(
                  "opset 17 opset \"com.microsoft\" 1 graph(uint8[2,3] x, float[2] t) -> (uint8 y) "
                  "{ s = float[] {0.1} a = uint8[] {3} " +
                  std::string(graph) + " }")
                  .value();
    Result<Inference> known = Infer(m);
    EXPECT_FALSE(known.ok()) << graph;
    if (!known.ok()) {
      EXPECT_EQ(known.error().code, Code::kInvalid) << known.error().ToString();
    }
  }
}

}  // namespace
}  // namespace assay
