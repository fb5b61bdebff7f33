// Inference that does not know every extent: what can still hold is not refused.
#include "interp/infer.h"

#include <gtest/gtest.h>

#include "interp/text.h"

namespace assay {
namespace {

TEST(Infer, WhatMayHoldIsNotRefused) {
  struct Case {
    const char* graph;
    const char* y;
  };
  const Case cases[] = {
      // The one scale of a vector has no axis 1, and N may be 1.
      {"opset 19 graph(float[3] x, float[N] s) -> (y) { y = QuantizeLinear(x, s) }", "uint8[3]"},
      {"opset 19 graph(int8[3] x, float[N] s, int8[N] z) -> (y) { y = DequantizeLinear(x, s, z) }",
       "float[3]"},
      // ONNX's own default names two activations, also where there is one direction.
      {"graph(float[4,2,3] x, float[1,5,3] w, float[1,5,5] r) -> (y) "
       "{ y = RNN(x, w, r) {hidden_size=5, activations=[\"Tanh\", \"Tanh\"]} }",
       "float[4,1,2,5]"},
      // What all items of a list have in common.
      {"graph(float[2,3] x, float[2,3] z) -> (y) { p = int64[] {0} s = SequenceConstruct(x, z) "
       "e = SequenceErase(s, p) y = SequenceAt(e, p) }",
       "float[2,3]"},
      {"graph(float[2,3] x, float[2,4] z) -> (y) { p = int64[] {0} s = SequenceConstruct(x) "
       "i = SequenceInsert(s, z) y = SequenceAt(i, p) }",
       "float[2,?]"},
      {"graph(float[2,3] x) -> (y) { p = int64[] {0} s = SequenceEmpty() i = SequenceInsert(s, x) "
       "y = SequenceAt(i, p) }",
       "float[*]"},
      {"graph(float[2,3] x) -> (y) { p = int64[] {0} s = SplitToSequence(x) {keepdims=0} "
       "y = SequenceAt(s, p) }",
       "float[3]"},
      {"graph(float[2,3] x) -> (y) { p = int64[] {0} s = SplitToSequence(x) {axis=-1} "
       "y = SequenceAt(s, p) }",
       "float[2,1]"},
      {"graph(float[2,3] x, int64[N] n) -> (y) { p = int64[] {0} s = SplitToSequence(x, n) "
       "y = SequenceAt(s, p) }",
       "float[?,3]"},
      {"graph(float[2,3] x) -> (y) { s = SequenceConstruct(x, x) y = ConcatFromSequence(s) "
       "{axis=1} }",
       "float[2,?]"},
      {"graph(float[2,3] x) -> (y) { s = SequenceConstruct(x, x) "
       "y = ConcatFromSequence(s) {axis=-1, new_axis=1} }",
       "float[2,3,?]"},
      {"graph(float[2,3] x) -> (y) { o = Optional(x) y = OptionalGetElement(o) }", "float[2,3]"},
      {"graph(float[2,3] x) -> (y) { p = int64[] {0} s = SequenceConstruct(x) o = Optional(s) "
       "g = OptionalGetElement(o) y = SequenceAt(g, p) }",
       "float[2,3]"},
      // Empty scales are none.
      {"opset 13 graph(float[1,2] x, float[N] s, int64[2] z) -> (y) { y = Resize(x, _, s, z) }",
       "float[?,?]"},
      {"opset 13 graph(float[1,2] x, float[2] s, int64[N] z) -> (y) { y = Resize(x, _, s, z) }",
       "float[?,?]"},
      {"opset 13 graph(float[1,2] x, float[N] s, int64[M] z) -> (y) { y = Resize(x, _, s, z) }",
       "float[?,?]"},
  };
  for (const Case& c : cases) {
    Result<Model> m = ParseText(c.graph);
    ASSERT_TRUE(m.ok()) << c.graph << ": " << m.error().ToString();
    Result<Inference> known = Infer(*m);
    ASSERT_TRUE(known.ok()) << c.graph << ": " << known.error().ToString();
    EXPECT_EQ(known->types.at("y").ToString(), c.y) << c.graph;
  }
}

TEST(Infer, WhatCannotHoldIsRefused) {
  struct Case {
    const char* graph;
    const char* error;
  };
  const Case cases[] = {
      {"graph(float[4,2,3] x, float[1,5,3] w, float[1,5,5] r) -> (float[4,1,2,5] y) "
       "{ y = RNN(x, w, r) {hidden_size=5, activations=[\"Tanh\", \"Tanh\", \"Tanh\"]} }",
       "activations are as many"},
      {"opset 19 graph(float[3] x, float[2] s) -> (uint8[3] y) { y = QuantizeLinear(x, s) }",
       "axis is within the rank"},
      {"graph(float[2,3] x) -> (float[2,N] y) { s = SequenceConstruct(x, x) "
       "y = ConcatFromSequence(s) {axis=2} }",
       "axis is within the rank"},
      {"graph(float[2,3] x) -> (float[2,N] y) { s = SplitToSequence(x) {axis=2} "
       "y = ConcatFromSequence(s) {axis=0} }",
       "axis is within the rank"},
      {"opset 19 graph(float[3,4] x, float[2] s) -> (uint8[3,4] y) { y = QuantizeLinear(x, s) }",
       "one for each index of the axis"},
      {"opset 13 graph(float[1,2] x, float[2] s, int64[2] z) -> (float[1,2] y) { y = Resize(x, _, "
       "s, z) }",
       "either scales or sizes"},
      {"opset 13 graph(float[1,2] x, float[0] s, int64[0] z) -> (float[1,2] y) { y = Resize(x, _, "
       "s, z) }",
       "either scales or sizes"},
  };
  for (const Case& c : cases) {
    Result<Model> m = ParseText(c.graph);
    ASSERT_TRUE(m.ok()) << c.graph << ": " << m.error().ToString();
    Result<Inference> known = Infer(*m);
    ASSERT_FALSE(known.ok()) << c.graph;
    EXPECT_NE(known.error().ToString().find(c.error), std::string::npos)
        << known.error().ToString();
  }
}

}  // namespace
}  // namespace assay
