// What Program::Run does by the way (interp/exec.h): bounds within the kernel that makes a value, constants that stay float.
#include "interp/exec.h"

#include <gtest/gtest.h>

#include <cmath>

#include "interp/text.h"

namespace assay {
namespace {

Execution RunText(const std::string& text, const std::vector<Tensor>& inputs, const ExecOptions& options) {
  Result<Model> model = ParseText(text);
  EXPECT_TRUE(model.ok()) << model.error().ToString();
  Result<Execution> run = Run(*model, inputs, options);
  EXPECT_TRUE(run.ok()) << run.error().ToString();
  return std::move(*run);
}

// x [1,6,9,20] through a convolution and what bounds it. Keeping all values makes each node run on its own.
class BoundedConvolution : public testing::TestWithParam<const char*> {};

TEST_P(BoundedConvolution, GivesTheBitsOfBothNodes) {
  std::string text = std::string("graph(float[1,6,9,20] x, float[] top) -> (y) {\n") +
                     "  w = float[12,6,1,1] random(1)\n  k = float[6,1,3,3] random(2)\n  v = float[50,6,3,3] random(3)\n"
                     "  lo = float[] {-0.5}\n  hi = float[] {0.75}\n  nan = float[] {nan}\n" + GetParam() + "\n}";
  Model model = ParseText(text).value();
  std::vector<Tensor> inputs = RandomInputs(model, 1).value();
  inputs[0].Set(7, std::nan(""));
  inputs[0].Set(300, INFINITY);
  for (Store store : {Store::kNative, Store::kDouble}) {
    ExecOptions options;
    options.store = store;
    Execution at_once = RunText(text, inputs, options);
    options.keep_all = true;
    Execution alone = RunText(text, inputs, options);
    EXPECT_TRUE(at_once.outputs[0].Identical(alone.outputs[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(, BoundedConvolution,
                         testing::Values("c = Conv(x, w)\n y = Relu(c)", "c = Conv(x, k) {group=6}\n y = Clip(c, lo, hi)",
                                         "c = Conv(x, v) {pads=[1,1,1,1]}\n y = Clip(c, lo, hi)",
                                         "c = Conv(x, v) {strides=[2,2]}\n y = Clip(c, hi, lo)",
                                         "l = Constant() {value_float=0.25}\n c = Conv(x, v)\n y = Clip(c, l, hi)",
                                         // Not constant, no numbers, read twice.
                                         "c = Conv(x, w)\n y = Clip(c, lo, top)", "c = Conv(x, w)\n y = Clip(c, nan, hi)",
                                         "c = Conv(x, w)\n r = Relu(c)\n y = Add(r, c)"));

TEST(BoundsOfAReader, AreNotAppliedToWhatTheGraphReturns) {
  Execution run = RunText("graph(float[1,6,9,20] x) -> (c, y) {\n w = float[12,6,1,1] random(1)\n c = Conv(x, w)\n y = Relu(c)\n}",
                          {RandomInputs(ParseText("graph(float[1,6,9,20] x) -> (y) { y = Relu(x) }").value(), 1).value()}, {});
  EXPECT_LT(*std::min_element(run.outputs[0].span<float>().begin(), run.outputs[0].span<float>().end()), 0);
}

// The bounding node is refused as it would be on its own.
TEST(BoundsOfAReader, AreNotTakenFromWhatItsRuleRefuses) {
  const std::string begin = "graph(float[1,6,9,20] x) -> (y) {\n w = float[12,6,1,1] random(1)\n c = Conv(x, w)\n ";
  Tensor x = Tensor::Make(DType::kFloat, {1, 6, 9, 20}).value();
  for (int64_t i = 0; i < x.size(); ++i) x.Set(i, 1);
  for (const char* clip : {"lo = float[] {0}\n hi = float[] {1}\n y = Clip(c, lo, hi, hi)", "lo = int64[] {0}\n y = Clip(c, lo)",
                           "lo = float[1,1] {0}\n y = Clip(c, lo)", "y = Relu(c) {alpha=1}", "y = Relu(c, c)"}) {
    Result<Model> model = ParseText(begin + clip + "\n}");
    if (!model.ok()) continue;
    EXPECT_FALSE(assay::Run(*model, {x}).ok()) << clip;
  }
  Model old = ParseText(begin + "y = Clip(c) {min=1}\n}").value();
  old.opsets[""] = 6;
  EXPECT_FALSE(assay::Run(old, {x}).ok());
}

// A constant of floats is widened as it is read: the same products as of one that is given in double.
TEST(RunInDouble, WidensConstantsOfProducts) {
  const char* body = R"( {
  y = Gemm(a, g) {transB=1}
  z = Gemm(a, h)
  u = MatMul(b, m)
  v = MatMul(b, n)
})";
  std::string constants = "  g = float[70,600] random(1)\n  h = float[600,130] random(2)\n  m = float[600,90] random(3)\n"
                          "  n = float[2,600,5] random(4)\n";
  std::string inner = std::string(body).substr(3);
  std::string with = "graph(float[3,600] a, float[2,4,600] b) -> (y, z, u, v) {\n" + constants + inner;
  Model model = ParseText(with).value();
  std::vector<Tensor> inputs = RandomInputs(model, 5).value();
  ExecOptions options;
  options.store = Store::kDouble;
  Execution constant = RunText(with, inputs, options);
  std::string given = "graph(float[3,600] a, float[2,4,600] b, float[70,600] g, float[600,130] h, float[600,90] m, "
                      "float[2,600,5] n) -> (y, z, u, v) {\n" + inner;
  for (const Initializer& c : model.graph.initializers) inputs.push_back(c.value);
  Execution computed = RunText(given, inputs, options);
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(constant.outputs[i].shape(), computed.outputs[i].shape());
    for (int64_t k = 0; k < constant.outputs[i].size(); ++k)
      ASSERT_NEAR(constant.outputs[i].AsDouble(k), computed.outputs[i].AsDouble(k), 1e-10) << i << " at " << k;
  }
}

}  // namespace
}  // namespace assay
