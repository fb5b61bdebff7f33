#include "interp/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "interp/onnx_io.h"

namespace assay {
namespace {

const char kBackendData[] = "/usr/share/libonnx-testdata/data/node";

Model Parsed(const std::string& text) {
  Result<Model> m = ParseText(text);
  EXPECT_TRUE(m.ok()) << m.error().ToString() << "\n" << text;
  return m.ok() ? *m : Model();
}

// The same model after text and back.
void ExpectRoundTrip(const Model& m, const std::string& what) {
  std::string text = ToText(m);
  Result<Model> again = ParseText(text);
  ASSERT_TRUE(again.ok()) << what << ": " << again.error().ToString() << "\n" << text;
  EXPECT_EQ(SerializeModel(*again).value(), SerializeModel(m).value()) << what << "\n" << text;
  EXPECT_EQ(ToText(*again), text) << what;
}

TEST(Text, ReadsWhatIsWrittenByHand) {
  Model m = Parsed(R"(
    opset 13                   # a comment
    opset "com.example" 2
    graph small(float[2,N] x, int64[] n) -> (y, float[2,?] z) {
      w = float[2] {1, -0.5}
      one = float[1,4] fill(1)
      y = Add(x, w)
      a, _, b = com.example::Odd(x, _, w) {k=1, alpha=1.0, mode=linear, pads=[0, 1], s="a\n\x01", f=[1, 2.5], e=strings[], t=int64[2] {3, 4}} @odd
      z = Add(x, one); unused = Relu(b)
    })");
  EXPECT_EQ(m.Opset(), 13);
  EXPECT_EQ(m.Opset("com.example"), 2);
  EXPECT_EQ(m.graph.name, "small");
  EXPECT_EQ(m.graph.inputs[0].shape->at(1).symbol, "N");
  EXPECT_EQ(m.graph.inputs[1].StaticShape(), Shape{});
  EXPECT_FALSE(m.graph.outputs[1].Static());
  ASSERT_EQ(m.graph.nodes.size(), 4u);
  const Node& odd = *m.graph.nodes[1];
  EXPECT_EQ(odd.domain + "/" + odd.op + "/" + odd.name, "com.example/Odd/odd");
  EXPECT_EQ(odd.inputs, (std::vector<std::string>{"x", "", "w"}));
  EXPECT_EQ(odd.outputs, (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(odd.Int("k", 0), 1);
  EXPECT_EQ(odd.Float("alpha", 0), 1.0f);
  EXPECT_EQ(odd.String("mode", ""), "linear");
  EXPECT_EQ(odd.String("s", ""), "a\n\x01");
  EXPECT_EQ(odd.Ints("pads"), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(std::get<std::vector<float>>(*odd.Find("f")), (std::vector<float>{1, 2.5}));
  EXPECT_EQ(std::get<Tensor>(*odd.Find("t")).AsInts(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(m.graph.FindInitializer("one")->value.AsDouble(3), 1.0);
  ExpectRoundTrip(m, "by hand");
}

TEST(Text, OutputTypesAreInferredWhenLeftOut) {
  Model m = Parsed("graph(float[2,3] x) -> (y) { y = Add(x, x) }");
  EXPECT_EQ(m.graph.outputs[0].dtype, DType::kFloat);
  EXPECT_EQ(m.graph.outputs[0].StaticShape(), (Shape{2, 3}));
  m = Parsed("graph(float[2,3] x) -> (? y) { y = Add(x, x) }");
  EXPECT_EQ(m.graph.outputs[0].dtype, DType::kUndefined);
  m = Parsed("graph(float[2,3] x) -> (y) { y = NoSuchOperator(x) }");
  EXPECT_EQ(m.graph.outputs[0].dtype, DType::kUndefined);
}

TEST(Text, EveryBackendModelSurvives) {
  if (!std::filesystem::is_directory(kBackendData))
    GTEST_SKIP() << "libonnx-testdata is not installed";
  for (const auto& entry : std::filesystem::directory_iterator(kBackendData)) {
    Result<Model> m = LoadModel(entry.path() / "model.onnx");
    ASSERT_TRUE(m.ok()) << m.error().ToString();
    ExpectRoundTrip(*m, entry.path());
  }
}

TEST(Text, EveryElementTypeAndBitSurvives) {
  Model m;
  m.opsets[""] = 17;
  for (int d = 1; d < kDTypeCount; ++d) {
    DType dtype = static_cast<DType>(d);
    for (int64_t size : {0, 1, 9, 70}) {
      Tensor t = Tensor::Make(dtype, {size}).value();
      for (int64_t i = 0; i < t.bytes(); ++i) {
        bool small = dtype == DType::kBool || d >= 21;
        t.mutable_raw()[i] = static_cast<std::byte>(small ? i & 1 : i * 37 + 200);
      }
      if (dtype == DType::kString && size > 0)
        t.mutable_strings()[0] = std::string("\0\"\\\n\xff", 5);
      m.graph.SetInitializer(std::string(DTypeName(dtype)) + std::to_string(size), t);
    }
  }
  ExpectRoundTrip(m, "patterns");
}

TEST(Text, FloatsThatAreNotFiniteSurvive) {
  Model m;
  auto add = [&](DType dtype, const auto& bits) {
    m.graph.SetInitializer(DTypeName(dtype),
                           Tensor::Of(dtype, {static_cast<int64_t>(bits.size())}, bits));
  };
  add(DType::kFloat16,
      std::vector<uint16_t>{0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7c01, 0x8000, 0x0001});
  add(DType::kBfloat16,
      std::vector<uint16_t>{0x7f80, 0xff80, 0x7fc0, 0xffc0, 0x7f81, 0x8000, 0x0001});
  std::vector<float> floats;
  for (uint32_t b : {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00000u, 0x7f800001u, 0x80000000u,
                     1u, 0x7f7fffffu}) {
    float f;
    std::memcpy(&f, &b, 4);
    floats.push_back(f);
  }
  Tensor t = Tensor::Make(DType::kFloat, {8}).value();
  std::memcpy(t.mutable_raw(), floats.data(), 32);
  m.graph.SetInitializer("f", t);
  add(DType::kDouble, std::vector<double>{INFINITY, -INFINITY, NAN, -NAN, -0.0, 5e-324, 1e308});
  m.graph.nodes.push_back(
      MakeNode("Op", {}, {}, {{"f", floats, {}}, {"one", 1.0f, {}}, {"big", 1e10f, {}}}));
  ExpectRoundTrip(m, "not finite");
}

TEST(Text, OddNamesAndRemaindersSurvive) {
  Model m;
  m.opsets = {{"", 11}, {"a b", 3}, {"ai.onnx.ml", 2}};
  m.ir_version = 3;
  m.producer = "p \"q\"";
  m.metadata = {{"k\n", "v"}, {"", ""}};
  m.graph.name = "graph";
  for (const char* name :
       {"float", "_", "value", "a b", "1", "-", "x->y", "a:b/c.d-e", "\xc3\xa4", "extra"}) {
    m.graph.inputs.push_back(ValueInfo::Of(name, DType::kFloat, {1}));
    m.graph.nodes.push_back(
        MakeNode(name, {name, ""}, {"", name}, {{name, std::string(name), {}}}, name, name));
  }
  m.graph.inputs[0].shape = std::nullopt;
  m.graph.inputs[1].shape =
      std::vector<DimDecl>{{-1, "5"}, {-1, "N"}, {-1, ""}, {-1, "_"}, {7, ""}};
  m.graph.outputs.push_back({"untyped", DType::kUndefined, {}, {}});
  m.graph.value_info.push_back(ValueInfo::Of("", DType::kInt4, {}));
  m.graph.nodes.push_back(
      MakeNode("a::b", {}, {}, {{"lists", std::vector<std::string>{"float", ""}, {}}}));
  ExpectRoundTrip(m, "odd names");
  m.opsets.clear();
  ExpectRoundTrip(m, "no opsets");
}

TEST(Text, SubgraphsNest) {
  Model m = Parsed(R"(graph(bool[] c, float[2] x) -> (float[2] y) {
    y = If(c) {then_branch=graph t() -> (float[2] a) { k = float[2] {1, 2}
                                                       a = Add(x, k) },
               else_branch=graph() -> (b) { b = If(c) {then_branch=graph() -> (d) { d = Relu(x) },
                                                       else_branch=graph() -> (x) {}} } }
  })");
  const auto& then_branch =
      std::get<std::shared_ptr<const Graph>>(*m.graph.nodes[0]->Find("then_branch"));
  EXPECT_EQ(then_branch->initializers.size(), 1u);
  ExpectRoundTrip(m, "nested");
  EXPECT_EQ(NodeText(*m.graph.nodes[0]),
            "y = If(c) {then_branch=graph ..., else_branch=graph ...}");
}

TEST(Text, ErrorsNameTheirPlace) {
  struct Case {
    const char* text;
    const char* where;
    const char* message;
  };
  const Case cases[] = {
      {"", "text:1:1", "wanted graph, got the end"},
      {"opset 17\n graf() -> () {}", "text:2:2", "'graf' is not"},
      {"graph(float[2] x) -> (y) {\n  y = Add(x, x", "text:2:15", "wanted ',', got the end"},
      {"graph() -> () { w = float[2] {1} }", "text:1:30", "1 of the 2 numbers"},
      {"graph() -> () { w = float[1] {1, 2} }", "text:1:30", "more than the 1"},
      {"graph() -> () { w = float[N] {1} }", "text:1:21", "numbers for extents"},
      {"graph() -> () { w = float[9223372036854775807,9] fill(0) }", "text:1:21", "overflows"},
      {"graph() -> () { w = string[1000000000] fill(\"\") }", "text:1:21", "bytes"},
      {"graph() -> () { w = int8[1] {300} }", "text:1:30", "a value of type int8"},
      {"graph() -> () { w = bool[1] hex\"02\" }", "text:1:29", "not bool"},
      {"graph() -> () { w = float[1] hex\"00\" }", "text:1:30", "hex"},
      {"graph() -> () { w = float[1] hex\"0g\" }", "text:1:33", "hexadecimal"},
      {"graph() -> () { y = A() {a=1e999} }", "text:1:28", "not a value"},
      {"graph() -> () { y = A() {a=99999999999999999999} }", "text:1:28", "int64"},
      {"graph() -> () { y = A() {a=[1, \"b\"]} }", "text:1:28", "numbers and strings"},
      {"graph() -> () { y = A() {a=[[1]]} }", "text:1:29", "number or string"},
      {"graph() -> () { float = A() }", "text:1:17", "reserved"},
      {"graph() -> () { a, b = float[1] {1} }", "text:1:22", "one name"},
      {"graph() -> () {} x", "text:1:18", "wanted the end"},
      {"meta \"a", "text:1:6", "does not end"},
      {"graph(\x01", "text:1:7", "unexpected character"},
  };
  for (const Case& c : cases) {
    Result<Model> m = ParseText(c.text);
    ASSERT_FALSE(m.ok()) << c.text;
    EXPECT_EQ(m.error().where, c.where) << c.text << ": " << m.error().ToString();
    EXPECT_NE(m.error().message.find(c.message), std::string::npos)
        << c.text << ": " << m.error().ToString();
  }
}

TEST(Text, NestingIsLimited) {
  std::string text = "graph() -> () {";
  for (int i = 0; i < 10'000; ++i) text += "=A(){g=graph() -> () {";
  Result<Model> m = ParseText(text);
  ASSERT_FALSE(m.ok());
  EXPECT_EQ(m.error().code, Code::kLimit);
}

TEST(Text, TruncatedTextIsNeverAModel) {
  std::string text = ToText(
      Parsed("graph(float[2,N] x) -> (y) { w = float[2] {1, 2} y = Add(x, w) {a=[1.5]} @n }"));
  for (size_t n = 0; n + 2 < text.size(); ++n) EXPECT_FALSE(ParseText(text.substr(0, n)).ok()) << n;
}

TEST(Text, RandomTensorsAreTheSameEverywhere) {
  Model m = Parsed("graph() -> () { a = float[3] random(7) b = int64[5] random(7) }");
  EXPECT_EQ(TensorText(m.graph.initializers[0].value, 3), "float[3] {0.46875, 1, 0.7734375}");
  EXPECT_EQ(TensorText(m.graph.initializers[1].value, 2), "int64[5] {1, 3, ...}");
}

TEST(Text, AnAttributeMayHoldATensorOfAnUnknownType) {
  Result<Model> m = ParseText("graph(float[2] x) -> (y) { y = Odd(x) {held=undefined} }");
  ASSERT_TRUE(m.ok()) << m.error().ToString();
  std::string text = ToText(*m);
  Result<Model> again = ParseText(text);
  ASSERT_TRUE(again.ok()) << again.error().ToString() << text;
  EXPECT_EQ(ToText(*again), text);
}

}  // namespace
}  // namespace assay
