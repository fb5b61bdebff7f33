// Model-local functions (interp/functions.h).
#include "interp/functions.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "oracle/verify.h"

namespace assay {
namespace {

void Node(google::protobuf::RepeatedPtrField<onnx::NodeProto>* nodes, const char* op, const char* domain,
          std::vector<const char*> inputs, std::vector<const char*> outputs, onnx::AttributeProto attr = {}) {
  onnx::NodeProto* n = nodes->Add();
  n->set_op_type(op);
  n->set_domain(domain);
  n->set_name(std::string(op) + "_" + outputs[0]);
  for (const char* i : inputs) n->add_input(i);
  for (const char* o : outputs) n->add_output(o);
  if (attr.has_name()) *n->add_attribute() = attr;
}

onnx::AttributeProto Alpha(float value) {
  onnx::AttributeProto a;
  a.set_name("alpha");
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(value);
  return a;
}

// Sets attribute_proto, which libonnx 1.12 does not know.
void DefaultAlpha(onnx::FunctionProto* f, float value) {
  f->mutable_unknown_fields()->Clear();
  f->mutable_unknown_fields()->AddLengthDelimited(11, Alpha(value).SerializeAsString());
}

onnx::FunctionProto* AddFunction(onnx::ModelProto* m, const char* name) {
  onnx::FunctionProto* f = m->add_functions();
  f->set_name(name);
  f->set_domain("local");
  f->add_input("a");
  f->add_output("b");
  auto* opset = f->add_opset_import();
  opset->set_domain("");
  opset->set_version(17);
  return f;
}

// y = twice(x), z = leaky(x) with the default slope, where twice(a) = leaky(a){alpha=3} + leaky(a).
onnx::ModelProto TestModel() {
  onnx::ModelProto m;
  m.set_ir_version(8);
  for (const char* domain : {"", "local"}) {
    auto* opset = m.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(*domain ? 1 : 17);
  }
  onnx::GraphProto* g = m.mutable_graph();
  g->set_name("g");
  for (auto [list, name] : {std::pair{g->mutable_input(), "x"}, {g->mutable_output(), "y"}, {g->mutable_output(), "z"}}) {
    auto* v = list->Add();
    v->set_name(name);
    auto* t = v->mutable_type()->mutable_tensor_type();
    t->set_elem_type(1);
    t->mutable_shape()->add_dim()->set_dim_value(3);
  }
  Node(g->mutable_node(), "twice", "local", {"x"}, {"y"});
  Node(g->mutable_node(), "leaky", "local", {"x"}, {"z"});
  onnx::FunctionProto* leaky = AddFunction(&m, "leaky");
  DefaultAlpha(leaky, 0.5f);
  onnx::AttributeProto reference;
  reference.set_name("alpha");
  reference.set_type(onnx::AttributeProto::FLOAT);
  reference.set_ref_attr_name("alpha");
  Node(leaky->mutable_node(), "LeakyRelu", "", {"a"}, {"b"}, reference);
  onnx::FunctionProto* twice = AddFunction(&m, "twice");
  Node(twice->mutable_node(), "leaky", "local", {"a"}, {"one"}, Alpha(3));
  Node(twice->mutable_node(), "leaky", "local", {"a"}, {"two"});
  Node(twice->mutable_node(), "Add", "", {"one", "two"}, {"b"});
  return m;
}

Model Parsed(const onnx::ModelProto& m) { return ParseModel(m.SerializeAsString(), "test").value(); }

std::string ErrorOf(const onnx::ModelProto& m) {
  Result<Model> inlined = Inlined(Parsed(m));
  return inlined.ok() ? "" : inlined.error().ToString();
}

TEST(Functions, RunWithTheAttributesOfTheCall) {
  Model m = Parsed(TestModel());
  Tensor x = Tensor::Of<float>(DType::kFloat, {3}, {-2, 0, 5});
  Execution run = assay::Run(m, {x}).value();
  EXPECT_EQ(run.outputs[0].AsDouble(0), -7);  // 3 * -2 + 0.5 * -2
  EXPECT_EQ(run.outputs[0].AsDouble(2), 10);
  EXPECT_EQ(run.outputs[1].AsDouble(0), -1);
  EXPECT_TRUE(Validate(m).ok());
}

TEST(Functions, AreWrittenOutOnceForEachCall) {
  Model plain = Inlined(Parsed(TestModel())).value();
  EXPECT_EQ(plain.functions, nullptr);
  ASSERT_EQ(plain.graph.nodes.size(), 4u);
  std::set<std::string> made;
  for (const NodePtr& n : plain.graph.nodes) made.insert(n->outputs[0]);
  EXPECT_EQ(made.size(), 4u);
}

TEST(Functions, SurviveLoadAndSave) {
  onnx::ModelProto before = TestModel(), after;
  std::string bytes = SerializeModel(Parsed(before)).value();
  ASSERT_TRUE(after.ParseFromString(bytes));
  ASSERT_EQ(after.functions_size(), 2);
  EXPECT_EQ(after.functions(1).SerializeAsString(), before.functions(1).SerializeAsString());
  EXPECT_EQ(after.graph().node(0).op_type(), "twice");
}

TEST(Functions, AModelIsProvedEqualToWhatTheyStandFor) {
  Model m = Parsed(TestModel());
  Verification v = Verify(m, Inlined(m).value()).value();
  EXPECT_EQ(v.verdict, Verdict::kEquivalent);
  EXPECT_TRUE(v.architecture.proved);
  onnx::ModelProto faulty = TestModel();
  DefaultAlpha(faulty.mutable_functions(0), 0.25f);
  EXPECT_EQ(Verify(m, Parsed(faulty)).value().verdict, Verdict::kDifferent);
}

TEST(Functions, BadOnesAreErrors) {
  onnx::ModelProto endless = TestModel();
  endless.mutable_functions(0)->mutable_node(0)->set_op_type("twice");
  endless.mutable_functions(0)->mutable_node(0)->set_domain("local");
  EXPECT_NE(ErrorOf(endless).find("calls itself"), std::string::npos) << ErrorOf(endless);

  onnx::ModelProto operands = TestModel();
  operands.mutable_graph()->mutable_node(0)->add_input("x");
  EXPECT_NE(ErrorOf(operands).find("fewer operands"), std::string::npos) << ErrorOf(operands);

  onnx::ModelProto unmade = TestModel();
  unmade.mutable_functions(0)->mutable_node(0)->set_input(0, "nobody");
  EXPECT_NE(ErrorOf(unmade).find("makes 'nobody'"), std::string::npos) << ErrorOf(unmade);

  onnx::ModelProto version = TestModel();
  Node(version.mutable_functions(0)->mutable_node(), "Squeeze", "", {"a"}, {"c"});
  version.mutable_functions(0)->mutable_opset_import(0)->set_version(15);
  EXPECT_EQ(ErrorOf(version), "") << "LeakyRelu of 6 and of 16 are the same but for bfloat16";
  version.mutable_functions(0)->mutable_opset_import(0)->set_version(11);
  EXPECT_NE(ErrorOf(version).find("Squeeze of version 11"), std::string::npos) << ErrorOf(version);

  // Calls that double with each of 40 functions and make no node.
  onnx::ModelProto wide = TestModel();
  std::vector<std::string> names{"leaky"};
  wide.mutable_functions(0)->clear_node();
  for (int k = 0; k < 40; ++k) {
    names.push_back("f" + std::to_string(k));
    onnx::FunctionProto* f = AddFunction(&wide, names.back().c_str());
    for (const char* o : {"b", "c"}) Node(f->mutable_node(), names[names.size() - 2].c_str(), "local", {"a"}, {o});
  }
  wide.mutable_graph()->mutable_node(0)->set_op_type(names.back());
  EXPECT_NE(ErrorOf(wide).find("more than"), std::string::npos) << ErrorOf(wide);
}

}  // namespace
}  // namespace assay
