#include "interp/onnx_io.h"

#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <functional>

#include "interp/exec.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using onnx::AttributeProto;
using onnx::ModelProto;
using onnx::TensorProto;

const char kBackendData[] = "/usr/share/libonnx-testdata/data/node";

// A folder of this test's own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "assay_io_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::vector<std::string> BackendModels() {
  std::vector<std::string> paths;
  if (!fs::is_directory(kBackendData)) return paths;
  for (const auto& entry : fs::directory_iterator(kBackendData)) {
    std::string model = entry.path() / "model.onnx";
    if (fs::exists(model)) paths.push_back(model);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The smallest model that loads, for tables of damages.
ModelProto Base() {
  ModelProto m;
  m.set_ir_version(8);
  auto* opset = m.add_opset_import();
  opset->set_domain("");
  opset->set_version(17);
  auto* node = m.mutable_graph()->add_node();
  node->set_op_type("Add");
  node->set_name("sum");
  node->add_input("x");
  node->add_input("w");
  node->add_output("y");
  TensorProto* w = m.mutable_graph()->add_initializer();
  w->set_name("w");
  w->set_data_type(TensorProto::FLOAT);
  w->add_dims(2);
  w->set_raw_data(std::string(8, '\0'));
  return m;
}
TensorProto* Weight(ModelProto& m) { return m.mutable_graph()->mutable_initializer(0); }

// Typed fields and raw_data are the same value; saving settles on raw_data.
void UseRawData(ModelProto* m);
void UseRawData(onnx::GraphProto* g);
void UseRawData(TensorProto* t) {
  std::string name = t->name();
  Result<Tensor> value = ParseTensor(t->SerializeAsString(), name);
  if (!value.ok()) return;
  TensorProto raw;
  ASSERT_TRUE(raw.ParseFromString(SerializeTensor(*value, "").value()));
  raw.mutable_name()->swap(name);
  if (!t->has_name()) raw.clear_name();
  if (t->has_doc_string()) raw.set_doc_string(t->doc_string());
  *t = raw;
}
void UseRawData(onnx::GraphProto* g) {
  for (auto& t : *g->mutable_initializer()) UseRawData(&t);
  for (auto& n : *g->mutable_node()) {
    for (auto& a : *n.mutable_attribute()) {
      if (a.has_t()) UseRawData(a.mutable_t());
      if (a.has_g()) UseRawData(a.mutable_g());
    }
  }
}
void UseRawData(ModelProto* m) { UseRawData(m->mutable_graph()); }

TEST(OnnxIo, EveryBackendModelSurvivesLoadAndSave) {
  std::vector<std::string> paths = BackendModels();
  if (paths.empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
  for (const std::string& path : paths) {
    Result<Model> model = LoadModel(path);
    ASSERT_TRUE(model.ok()) << model.error().ToString();
    std::string bytes = SerializeModel(*model).value();
    std::string again = SerializeModel(ParseModel(bytes, path).value()).value();
    EXPECT_EQ(bytes, again) << path;

    ModelProto original, saved;
    ASSERT_TRUE(original.ParseFromString(ReadFile(path).value()));
    ASSERT_TRUE(saved.ParseFromString(bytes));
    UseRawData(&original);
    EXPECT_EQ(original.SerializeAsString(), saved.SerializeAsString()) << path;
  }
}

TEST(OnnxIo, WhatIsNotInterpretedSurvives) {
  ModelProto m = Base();
  m.set_doc_string("doc");
  m.set_domain("org.example");
  m.set_model_version(3);
  m.add_functions()->set_name("f");
  m.add_training_info()->mutable_algorithm()->set_name("t");
  m.mutable_opset_import(0)->set_domain("ai.onnx");
  for (const char* key : {"b", "a", "b"}) m.add_metadata_props()->set_key(key);
  m.mutable_unknown_fields()->AddVarint(99, 1);
  onnx::GraphProto* g = m.mutable_graph();
  g->set_doc_string("graph");
  g->add_sparse_initializer()->add_dims(3);
  g->mutable_sparse_initializer(0)->mutable_values()->set_data_type(
      77);  // of no type that is known
  g->add_quantization_annotation()->set_tensor_name("q");
  auto* value = g->add_input();
  value->set_name("x");
  auto* type = value->mutable_type()->mutable_tensor_type();
  type->set_elem_type(TensorProto::FLOAT);
  type->mutable_shape()->add_dim()->set_denotation("DATA_BATCH");
  type->mutable_shape()->add_dim()->set_dim_value(-1);
  auto* sequence = g->add_output();
  sequence->set_name("y");
  sequence->mutable_type()->mutable_sequence_type()->mutable_elem_type()->mutable_tensor_type();
  onnx::NodeProto* n = g->mutable_node(0);
  n->set_domain("ai.onnx");
  n->set_doc_string("node");
  auto* types = n->add_attribute();
  types->set_name("types");
  types->set_type(AttributeProto::TYPE_PROTOS);
  types->add_type_protos();
  auto* tensor = n->add_attribute();
  tensor->set_name("value");
  tensor->set_type(AttributeProto::TENSOR);
  tensor->set_doc_string("attribute");
  *tensor->mutable_t() = *Weight(m);
  TensorProto* future = g->add_initializer();
  future->set_name("future");
  future->set_data_type(77);
  future->set_raw_data("abc");

  std::string bytes = m.SerializeAsString();
  Result<Model> model = ParseModel(bytes, "model");
  ASSERT_TRUE(model.ok()) << model.error().ToString();
  EXPECT_EQ(SerializeModel(*model).value(), bytes);
  EXPECT_EQ(model->Opset(), 17);
  EXPECT_EQ(model->graph.nodes[0]->domain, "");
  EXPECT_EQ(KindOf(model->graph.outputs[0]), ValueKind::kSequence);
  EXPECT_EQ(model->graph.inputs[0].shape->at(1), DimDecl());
  EXPECT_FALSE(model->graph.initializers[1].value.defined());
}

// `values` at `indices` of a tensor [2,3]: linear ones, or one a row and column.
void PutSparse(const std::vector<float>& values, const Tensor& indices,
               onnx::SparseTensorProto* p) {
  p->add_dims(2);
  p->add_dims(3);
  p->mutable_values()->set_data_type(TensorProto::FLOAT);
  p->mutable_values()->add_dims(static_cast<int64_t>(values.size()));
  for (float v : values) p->mutable_values()->add_float_data(v);
  p->mutable_indices()->set_data_type(TensorProto::INT64);
  for (int64_t d : indices.shape()) p->mutable_indices()->add_dims(d);
  for (int64_t i : indices.AsInts()) p->mutable_indices()->add_int64_data(i);
}

TEST(OnnxIo, SparseTensorsBecomeDense) {
  ModelProto m = Base();
  onnx::GraphProto* g = m.mutable_graph();
  g->clear_initializer();
  PutSparse({5, 7}, Tensor::Ints({2, 2}, {0, 1, 1, 2}), g->add_sparse_initializer());
  g->mutable_sparse_initializer(0)->mutable_values()->set_name("w");
  onnx::NodeProto* constant = g->add_node();
  constant->set_op_type("Constant");
  constant->add_output("x");
  auto* value = constant->add_attribute();
  value->set_name("sparse_value");
  value->set_type(AttributeProto::SPARSE_TENSOR);
  PutSparse({1, 2, 3}, Tensor::Vector({0, 2, 5}), value->mutable_sparse_tensor());
  g->add_output()->set_name("y");

  Result<Model> model = ParseModel(m.SerializeAsString(), "model");
  ASSERT_TRUE(model.ok()) << model.error().ToString();
  const Tensor want = Tensor::Floats({2, 3}, {1, 5, 2, 0, 0, 10});
  Result<Execution> run = assay::Run(*model, {});
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  EXPECT_TRUE(run->outputs[0].Identical(want));
  // What is saved says the same.
  Result<Model> again = ParseModel(SerializeModel(*model).value(), "again");
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_TRUE(assay::Run(*again, {})->outputs[0].Identical(want));
}

TEST(OnnxIo, EditsShowOverWhatWasKept) {
  ModelProto m = Base();
  m.mutable_opset_import(0)->set_domain("ai.onnx");
  auto* type = m.mutable_graph()->add_input()->mutable_type()->mutable_tensor_type();
  type->set_elem_type(TensorProto::FLOAT);
  type->mutable_shape()->add_dim()->set_dim_value(-1);
  Model model = ParseModel(m.SerializeAsString(), "model").value();
  model.opsets[""] = 13;
  model.graph.inputs[0].shape->at(0).value = 5;
  Model again = ParseModel(SerializeModel(model).value(), "again").value();
  EXPECT_EQ(again.Opset(), 13);
  EXPECT_EQ(again.graph.inputs[0].StaticShape(), Shape{5});
}

// ---- element types ----

TEST(OnnxIo, EveryElementTypeSurvives) {
  Folder folder;
  for (int d = 1; d < kDTypeCount; ++d) {
    DType dtype = static_cast<DType>(d);
    Tensor t = Tensor::Make(dtype, {3, 1}).value();
    if (dtype == DType::kString) {
      t.mutable_strings() = {"", std::string("a\0b", 3), "c"};
    } else {
      int step = dtype == DType::kBool ? 0 : 7;
      for (int64_t i = 0; i < t.bytes(); ++i) t.mutable_raw()[i] = std::byte(1 + step * i);
    }
    if (dtype == DType::kInt4) t.mutable_raw()[1] = std::byte{0xf8};
    if (ElementBytes(dtype) == 1 && d >= 21) t.mutable_raw()[2] = std::byte{1};
    if (dtype == DType::kInt2) t.mutable_raw()[1] = std::byte{0xfe};
    if (dtype == DType::kUint2) t.mutable_raw()[1] = std::byte{3};
    std::string path = folder / std::string("t.pb");
    ASSERT_TRUE(SaveTensor(t, "t", path).ok());
    Result<Tensor> loaded = LoadTensor(path);
    ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
    EXPECT_TRUE(loaded->Identical(t)) << DTypeName(dtype);
  }
}

TEST(OnnxIo, TypedFieldsAreRead) {
  struct Case {
    TensorProto::DataType type;
    std::function<void(TensorProto&)> fill;
    Tensor want;
  };
  auto ints = [](std::initializer_list<int> v) {
    std::vector<int> list(v);
    return [list](TensorProto& t) { t.mutable_int32_data()->Assign(list.begin(), list.end()); };
  };
  auto wide = [](TensorProto& t) {
    t.add_uint64_data(4'000'000'000u);
    t.add_uint64_data(1);
  };
  std::vector<Case> cases = {
      {TensorProto::FLOAT16, ints({0x3c00, -1}),
       Tensor::Of<uint16_t>(DType::kFloat16, {2}, {0x3c00, 0xffff})},
      {TensorProto::INT8, ints({-128, 255}), Tensor::Of<int8_t>(DType::kInt8, {2}, {-128, -1})},
      {TensorProto::BOOL, ints({1, 0}), Tensor::Of<uint8_t>(DType::kBool, {2}, {1, 0})},
      {TensorProto::INT32, ints({-5, INT32_MAX}),
       Tensor::Of<int32_t>(DType::kInt32, {2}, {-5, INT32_MAX})},
      {TensorProto::UINT32, wide, Tensor::Of<uint32_t>(DType::kUint32, {2}, {4'000'000'000u, 1})},
      {TensorProto::UINT64, wide, Tensor::Of<uint64_t>(DType::kUint64, {2}, {4'000'000'000u, 1})},
      {TensorProto::FLOAT, [](TensorProto& t) { t.add_float_data(1.5f), t.add_float_data(-0.0f); },
       Tensor::Of<float>(DType::kFloat, {2}, {1.5f, -0.0f})},
      {TensorProto::COMPLEX64,
       [](TensorProto& t) {
         for (float f : {1, 2, 3, 4}) t.add_float_data(f);
       },
       Tensor::Of<std::complex<float>>(DType::kComplex64, {2}, {{1, 2}, {3, 4}})},
      {static_cast<TensorProto::DataType>(22), ints({0xf7}),
       Tensor::Of<int8_t>(DType::kInt4, {2}, {7, -1})},
      {static_cast<TensorProto::DataType>(21), ints({-9}),
       Tensor::Of<uint8_t>(DType::kUint4, {2}, {7, 15})},
      {static_cast<TensorProto::DataType>(26), ints({0x0d}),
       Tensor::Of<int8_t>(DType::kInt2, {2}, {1, -1})},
  };
  for (const Case& c : cases) {
    TensorProto t;
    t.set_data_type(c.type);
    t.add_dims(2);
    c.fill(t);
    Result<Tensor> got = ParseTensor(t.SerializeAsString(), "t");
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    EXPECT_TRUE(got->Identical(c.want)) << c.type;
  }
}

// ---- external data ----

TEST(OnnxIo, ExternalDataIsWrittenBesideTheModelAndReadBack) {
  Folder folder;
  Model model = ParseModel(Base().SerializeAsString(), "model").value();
  model.graph.SetInitializer("big", Tensor::Floats({100}, std::vector<float>(100, 2.5f)));
  model.graph.SetInitializer("nibbles",
                             Tensor::Of<int8_t>(DType::kInt4, {101}, std::vector<int8_t>(101, -3)));
  ASSERT_TRUE(SaveModel(model, folder / "m.onnx", {.external_bytes = 100}).ok());
  EXPECT_EQ(fs::file_size(folder / "m.onnx.data"), 448u + 51u);
  Result<Model> loaded = LoadModel(folder / "m.onnx");
  ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
  EXPECT_EQ(SerializeModel(*loaded).value(), SerializeModel(model).value());

  fs::resize_file(folder / "m.onnx.data", 460);
  EXPECT_NE(LoadModel(folder / "m.onnx").error().message.find("has 460 bytes"), std::string::npos);
  fs::remove(folder / "m.onnx.data");
  EXPECT_EQ(LoadModel(folder / "m.onnx").error().code, Code::kInvalid);
}

TEST(OnnxIo, OnnxsOwnCheckerAcceptsWhatIsWritten) {
  Folder folder;
  Model model;
  model.opsets[""] = 17;
  model.graph.name = "g";
  model.graph.inputs.push_back(ValueInfo::Of("x", DType::kFloat, {2}));
  model.graph.outputs.push_back(ValueInfo::Of("y", DType::kFloat, {2}));
  model.graph.SetInitializer("w", Tensor::Floats({2}, {1, 2}));
  model.graph.nodes.push_back(MakeNode("Add", {"x", "w"}, {"y"}));
  std::string path = folder / "m.onnx";
  for (int64_t external_bytes : {-1, 0}) {
    ASSERT_TRUE(SaveModel(model, path, {.external_bytes = external_bytes}).ok());
    EXPECT_EQ(fs::exists(path + ".data"), external_bytes == 0);
    EXPECT_NO_THROW(onnx::checker::check_model(path));
  }
}

TEST(OnnxIo, ExternalDataStaysInTheFolder) {
  Folder folder;
  ASSERT_TRUE(WriteFile(folder / "w", std::string(8, '\0')).ok());
  auto load = [&](std::map<std::string, std::string> entries) {
    ModelProto m = Base();
    Weight(m)->clear_raw_data();
    Weight(m)->set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* e = Weight(m)->add_external_data();
      e->set_key(key);
      e->set_value(value);
    }
    EXPECT_TRUE(WriteFile(folder / "m.onnx", m.SerializeAsString()).ok());
    return LoadModel(folder / "m.onnx");
  };
  EXPECT_TRUE(load({{"location", "w"}}).ok());
  EXPECT_TRUE(load({{"location", "./w"}, {"length", "8"}, {"offset", "0"}}).ok());
  const std::map<std::string, std::string> refused[] = {
      {},
      {{"location", ""}},
      {{"location", folder / "w"}},
      {{"location", "../w"}},
      {{"location", "a/../w"}},
      {{"location", "."}},
      {{"location", "missing"}},
      {{"location", "w"}, {"offset", "1"}},
      {{"location", "w"}, {"offset", "-1"}},
      {{"location", "w"}, {"offset", "99999999999999999999"}},
      {{"location", "w"}, {"length", "4"}},
      {{"location", "w"}, {"length", "0x8"}},
      {{"location", std::string("w\0", 2)}},
  };
  for (const auto& entries : refused) {
    Result<Model> r = load(entries);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, Code::kInvalid);
    EXPECT_NE(r.error().where.find("initializer 'w'"), std::string::npos) << r.error().ToString();
  }
}

// ---- hostile files ----

struct Hostile {
  const char* what;
  std::function<void(ModelProto&)> damage;
  Code code;
  const char* message;  // a part of the error
};

TEST(OnnxIo, HostileModelsAreRefusedWithOneError) {
  auto attr = [](ModelProto& m) { return m.mutable_graph()->mutable_node(0)->add_attribute(); };
  const Hostile cases[] = {
      {"no graph", [](ModelProto& m) { m.clear_graph(); }, Code::kInvalid, "no graph"},
      {"huge dims", [](ModelProto& m) { Weight(m)->set_dims(0, int64_t{1} << 40); }, Code::kInvalid,
       "raw_data has 8"},
      {"overflowing dims",
       [](ModelProto& m) {
         for (int i = 0; i < 9; ++i) Weight(m)->add_dims(INT64_MAX);
       },
       Code::kLimit, "overflow"},
      {"negative dims", [](ModelProto& m) { Weight(m)->set_dims(0, -2); }, Code::kInvalid,
       "negative extent"},
      {"short raw_data", [](ModelProto& m) { Weight(m)->set_raw_data("abc"); }, Code::kInvalid,
       "has 3 bytes"},
      {"no data", [](ModelProto& m) { Weight(m)->clear_raw_data(); }, Code::kInvalid,
       "float_data has 0"},
      {"two fields", [](ModelProto& m) { Weight(m)->add_float_data(1); }, Code::kInvalid,
       "more than one field"},
      {"wrong field",
       [](ModelProto& m) {
         Weight(m)->clear_raw_data();
         Weight(m)->add_int64_data(1);
       },
       Code::kInvalid, "float data in int64_data"},
      {"raw strings", [](ModelProto& m) { Weight(m)->set_data_type(8); }, Code::kInvalid,
       "string_data"},
      {"no type", [](ModelProto& m) { Weight(m)->set_data_type(0); }, Code::kInvalid,
       "data_type 0"},
      {"negative type", [](ModelProto& m) { Weight(m)->set_data_type(-1); }, Code::kInvalid,
       "data_type -1"},
      {"wide int8",
       [](ModelProto& m) {
         Weight(m)->clear_raw_data();
         Weight(m)->set_data_type(3);
         Weight(m)->add_int32_data(0);
         Weight(m)->add_int32_data(256);
       },
       Code::kInvalid, "256 is not a int8"},
      {"external data from bytes",
       [](ModelProto& m) {
         Weight(m)->clear_raw_data();
         Weight(m)->set_data_location(TensorProto::EXTERNAL);
         auto* e = Weight(m)->add_external_data();
         e->set_key("location");
         e->set_value("w");
       },
       Code::kInvalid, "without a folder"},
      {"confused attribute",
       [&](ModelProto& m) {
         auto* a = attr(m);
         a->set_name("axis");
         a->set_type(AttributeProto::INT);
         a->set_f(1);
       },
       Code::kInvalid, "of type 1"},
      {"two values",
       [&](ModelProto& m) {
         auto* a = attr(m);
         a->set_f(1);
         a->set_i(1);
       },
       Code::kInvalid, "more than one value"},
      {"graph without graph", [&](ModelProto& m) { attr(m)->set_type(AttributeProto::GRAPH); },
       Code::kInvalid, "without a value"},
      {"sparse index",
       [](ModelProto& m) {
         PutSparse({1}, Tensor::Vector({6}), m.mutable_graph()->add_sparse_initializer());
       },
       Code::kInvalid, "index 6 is outside [2,3]"},
      {"sparse index of an axis",
       [](ModelProto& m) {
         PutSparse({1}, Tensor::Ints({1, 2}, {0, -1}), m.mutable_graph()->add_sparse_initializer());
       },
       Code::kInvalid, "index -1 of axis 1"},
      {"too few sparse indices",
       [](ModelProto& m) {
         PutSparse({1, 2}, Tensor::Vector({0}), m.mutable_graph()->add_sparse_initializer());
       },
       Code::kInvalid, "do not make a sparse tensor"},
      {"huge sparse dims",
       [](ModelProto& m) {
         PutSparse({1}, Tensor::Vector({0}), m.mutable_graph()->add_sparse_initializer());
         m.mutable_graph()->mutable_sparse_initializer(0)->set_dims(0, int64_t{1} << 45);
       },
       Code::kLimit, ""},
      {"opset", [](ModelProto& m) { m.mutable_opset_import(0)->set_version(int64_t{1} << 33); },
       Code::kInvalid, "opset version"},
  };
  for (const Hostile& c : cases) {
    ModelProto m = Base();
    c.damage(m);
    Result<Model> r = ParseModel(m.SerializeAsString(), "m.onnx");
    ASSERT_FALSE(r.ok()) << c.what;
    EXPECT_EQ(r.error().code, c.code) << c.what;
    EXPECT_NE(r.error().message.find(c.message), std::string::npos)
        << c.what << ": " << r.error().ToString();
    EXPECT_EQ(r.error().where.rfind("m.onnx", 0), 0u) << c.what << ": " << r.error().ToString();
  }
}

TEST(OnnxIo, HostileBytesAreRefused) {
  std::string bytes = Base().SerializeAsString();
  for (size_t n = 0; n < bytes.size(); ++n) (void)ParseModel(bytes.substr(0, n), "truncated");
  EXPECT_EQ(ParseModel(bytes.substr(0, bytes.size() - 3), "m").error().code, Code::kInvalid);
  EXPECT_EQ(ParseModel("", "m").error().message, "is empty");
  EXPECT_EQ(ParseModel("this is no model", "m").error().code, Code::kInvalid);
  EXPECT_EQ(LoadModel("/nonexistent/m.onnx").error().code, Code::kInvalid);
  EXPECT_EQ(LoadModel("/").error().message, "is a folder, not a file");
}

TEST(OnnxIo, NestingIsLimited) {
  auto nested = [](int depth) {
    ModelProto m = Base();
    onnx::GraphProto* g = m.mutable_graph();
    for (int i = 0; i < depth; ++i) {
      auto* a = g->add_node()->add_attribute();
      a->set_name("body");
      a->set_type(AttributeProto::GRAPH);
      g = a->mutable_g();
    }
    return ParseModel(m.SerializeAsString(), "m");
  };
  EXPECT_TRUE(nested(kMaxGraphDepth).ok());
  EXPECT_EQ(nested(kMaxGraphDepth + 1).error().code, Code::kLimit);
  EXPECT_EQ(nested(5000).error().code, Code::kInvalid);  // protobuf's own limit
}

TEST(OnnxIo, LimitsHoldBeforeMemoryIsTaken) {
  std::string bytes = Base().SerializeAsString();
  EXPECT_EQ(ParseModel(bytes, "m", Limits{.elements = 1}).error().code, Code::kLimit);
  EXPECT_EQ(ParseModel(bytes, "m", Limits{.bytes = 7}).error().code, Code::kLimit);
  EXPECT_EQ(ParseModel(bytes, "m", Limits{.nodes = 0}).error().code, Code::kLimit);
}

}  // namespace
}  // namespace assay
