// Model -> ModelProto. Every message starts from the remainder that loading kept, and what the
// model says is put over it; what the model leaves empty stays as the remainder has it.
#include <google/protobuf/arena.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>

#include "interp/functions.h"
#include "interp/onnx_io_internal.h"

namespace assay {
namespace onnx_io {
namespace {

// Room for everything but tensor data below protobuf's 2 GB.
constexpr int64_t kMargin = int64_t{64} << 20;
constexpr int64_t kMaxInline = INT_MAX - kMargin;
// Past this size, tensors move out when a model is too large for one file.
constexpr int64_t kExternalDefault = 1024;
constexpr int64_t kExternalAlign = 64;

// Tensor data that goes to its own file instead of the model's.
class ExternalFile {
 public:
  ExternalFile(std::string path, int64_t at_least) : path_(std::move(path)), at_least_(at_least) {}
  bool Takes(const Tensor& t) const {
    return t.dtype() != DType::kString && t.bytes() >= at_least_;
  }
  Status Put(const Tensor& t, onnx::TensorProto* p) {
    if (!out_.is_open()) out_.open(path_, std::ios::binary | std::ios::trunc);
    static const char kZeros[kExternalAlign] = {};
    int64_t pad = (kExternalAlign - at_ % kExternalAlign) % kExternalAlign;
    out_.write(kZeros, pad);
    int64_t size = RawSize(t.dtype(), t.size());
    if (IsPacked(t.dtype()))
      out_.write(RawBytes(t).data(), size);
    else
      out_.write(reinterpret_cast<const char*>(t.raw()), size);
    PutTensorType(t, p);
    p->set_data_location(onnx::TensorProto::EXTERNAL);
    AddEntry(p, "location", path_.substr(path_.rfind('/') + 1));
    AddEntry(p, "offset", std::to_string(at_ + pad));
    AddEntry(p, "length", std::to_string(size));
    at_ += pad + size;
    if (!out_) return Usage(std::string("can't be written: ") + std::strerror(errno), path_);
    return {};
  }
  Status Close() {
    if (!out_.is_open()) return {};
    out_.close();
    if (!out_) return Usage(std::string("can't be written: ") + std::strerror(errno), path_);
    return {};
  }

 private:
  static void AddEntry(onnx::TensorProto* p, const char* key, const std::string& value) {
    auto* e = p->add_external_data();
    e->set_key(key);
    e->set_value(value);
  }
  std::string path_;
  int64_t at_least_;
  int64_t at_ = 0;
  std::ofstream out_;
};

// Starts a message from its remainder. A remainder is ours; one that doesn't parse was never
// loaded.
template <class Proto>
void Start(const std::string& extra, Proto* p) {
  if (!extra.empty()) p->ParsePartialFromString(extra);
}

void PutValue(const ValueInfo& v, onnx::ValueInfoProto* p) {
  Start(v.extra, p);
  if (!v.name.empty()) p->set_name(v.name);
  if (v.dtype == DType::kUndefined) return;
  if (p->type().has_tensor_type() &&
      p->type().tensor_type().elem_type() == static_cast<int>(v.dtype) &&
      DeclaredShape(p->type().tensor_type()) == v.shape) {
    return;  // the kept type says the same and more
  }
  p->clear_type();
  PutType(v, p->mutable_type());
}

void PutGraph(const Graph& g, onnx::GraphProto* p);

void PutAttr(const Attribute& a, onnx::AttributeProto* p) {
  using P = onnx::AttributeProto;
  Start(TypeOf(a.value) == AttrType::kOpaque ? std::get<Opaque>(a.value).bytes : a.extra, p);
  if (!a.name.empty()) p->set_name(a.name);
  switch (TypeOf(a.value)) {
    case AttrType::kInt:
      p->set_type(P::INT);
      p->set_i(std::get<int64_t>(a.value));
      return;
    case AttrType::kFloat:
      p->set_type(P::FLOAT);
      p->set_f(std::get<float>(a.value));
      return;
    case AttrType::kString:
      p->set_type(P::STRING);
      p->set_s(std::get<std::string>(a.value));
      return;
    case AttrType::kInts: {
      const auto& v = std::get<std::vector<int64_t>>(a.value);
      p->set_type(P::INTS);
      p->mutable_ints()->Assign(v.begin(), v.end());
      return;
    }
    case AttrType::kFloats: {
      const auto& v = std::get<std::vector<float>>(a.value);
      p->set_type(P::FLOATS);
      p->mutable_floats()->Assign(v.begin(), v.end());
      return;
    }
    case AttrType::kStrings:
      p->set_type(P::STRINGS);
      for (const std::string& s : std::get<std::vector<std::string>>(a.value)) p->add_strings(s);
      return;
    case AttrType::kTensor:
      p->set_type(P::TENSOR);
      PutTensor(std::get<Tensor>(a.value), p->mutable_t());
      return;
    case AttrType::kGraph:
      p->set_type(P::GRAPH);
      PutGraph(*std::get<std::shared_ptr<const Graph>>(a.value), p->mutable_g());
      return;
    case AttrType::kOpaque:
      return;
  }
}

void PutNode(const Node& n, onnx::NodeProto* p) {
  Start(n.extra, p);
  if (!n.name.empty()) p->set_name(n.name);
  if (!n.op.empty()) p->set_op_type(n.op);
  if (!n.domain.empty()) p->set_domain(n.domain);
  for (const std::string& s : n.inputs) p->add_input(s);
  for (const std::string& s : n.outputs) p->add_output(s);
  for (const Attribute& a : n.attrs) PutAttr(a, p->add_attribute());
}

// Everything of a graph but its initializers.
void PutGraphFrame(const Graph& g, onnx::GraphProto* p) {
  Start(g.extra, p);
  if (!g.name.empty()) p->set_name(g.name);
  for (const NodePtr& n : g.nodes) PutNode(*n, p->add_node());
  for (const ValueInfo& v : g.inputs) PutValue(v, p->add_input());
  for (const ValueInfo& v : g.outputs) PutValue(v, p->add_output());
  for (const ValueInfo& v : g.value_info) PutValue(v, p->add_value_info());
}

void PutInitializer(const Initializer& i, onnx::TensorProto* p) {
  Start(i.extra, p);
  if (!i.name.empty()) p->set_name(i.name);
  if (i.value.defined()) PutTensor(i.value, p);
}

// The depth of subgraphs is bounded by the loader and the parser.
void PutGraph(const Graph& g, onnx::GraphProto* p) {
  PutGraphFrame(g, p);
  for (const Initializer& i : g.initializers) PutInitializer(i, p->add_initializer());
}

std::string Spelled(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

// The list kept by loading stays when it says the same; otherwise it is written anew in sorted
// order.
void PutOpsets(const Model& m, onnx::ModelProto* p) {
  std::map<std::string, int> kept;
  for (const auto& o : p->opset_import()) kept[Spelled(o.domain())] = static_cast<int>(o.version());
  if (kept == m.opsets) return;
  p->clear_opset_import();
  for (const auto& [domain, version] : m.opsets) {
    auto* o = p->add_opset_import();
    o->set_domain(domain);
    o->set_version(version);
  }
}

void PutMetadata(const Model& m, onnx::ModelProto* p) {
  std::map<std::string, std::string> kept;
  for (const auto& e : p->metadata_props()) kept[e.key()] = e.value();
  if (kept == m.metadata) return;
  p->clear_metadata_props();
  for (const auto& [key, value] : m.metadata) {
    auto* e = p->add_metadata_props();
    e->set_key(key);
    e->set_value(value);
  }
}

Status PutModel(const Model& m, ExternalFile* external, onnx::ModelProto* p) {
  Start(m.extra, p);
  if (m.ir_version != 0) p->set_ir_version(m.ir_version);
  if (!m.producer.empty()) p->set_producer_name(m.producer);
  PutOpsets(m, p);
  PutMetadata(m, p);
  PutGraphFrame(m.graph, p->mutable_graph());
  for (const Initializer& i : m.graph.initializers) {
    onnx::TensorProto* t = p->mutable_graph()->add_initializer();
    if (external == nullptr || !i.value.defined() || !external->Takes(i.value)) {
      PutInitializer(i, t);
      continue;
    }
    Start(i.extra, t);
    if (!i.name.empty()) t->set_name(i.name);
    TRY(external->Put(i.value, t));
  }
  return {};
}

int64_t InlineBytes(const Model& m) {
  int64_t bytes = 0;
  for (const Initializer& i : m.graph.initializers) bytes += i.value.bytes();
  return bytes;
}

Error TooLarge(int64_t bytes) {
  return LimitHit("the model takes " + std::to_string(bytes) +
                  " bytes; a protobuf message holds 2 GB");
}

template <class Proto>
Result<std::string> ToBytes(const Proto& p) {
  size_t size = p.ByteSizeLong();
  if (size > INT_MAX) return TooLarge(static_cast<int64_t>(size));
  std::string bytes(size, '\0');
  p.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes.data()));
  return bytes;
}

}  // namespace

void PutType(const ValueInfo& v, onnx::TypeProto* p) {
  auto* type = p->mutable_tensor_type();
  type->set_elem_type(static_cast<int>(v.dtype));
  if (!v.shape) return;
  auto* shape = type->mutable_shape();
  for (const DimDecl& d : *v.shape) {
    auto* dim = shape->add_dim();
    if (d.value >= 0)
      dim->set_dim_value(d.value);
    else if (!d.symbol.empty())
      dim->set_dim_param(d.symbol);
  }
}

}  // namespace onnx_io

void DefineFunctions(Model* model, std::vector<Function> functions) {
  onnx::ModelProto p;
  onnx_io::Start(model->extra, &p);
  p.clear_functions();
  for (const Function& f : functions) {
    onnx::FunctionProto* to = p.add_functions();
    to->set_domain(f.domain);
    to->set_name(f.name);
    for (const std::string& i : f.inputs) to->add_input(i);
    for (const std::string& o : f.outputs) to->add_output(o);
    for (const auto& [domain, version] : f.opsets) {
      auto* opset = to->add_opset_import();
      opset->set_domain(domain);
      opset->set_version(version);
    }
    for (const Function::Step& step : f.steps) onnx_io::PutNode(*step.node, to->add_node());
  }
  model->extra.clear();
  p.AppendPartialToString(&model->extra);
  model->functions = std::make_shared<const std::vector<Function>>(std::move(functions));
}

Status SaveModel(const Model& model, const std::string& path, const SaveOptions& options) {
  int64_t at_least = options.external_bytes;
  if (at_least < 0 && onnx_io::InlineBytes(model) > onnx_io::kMaxInline)
    at_least = onnx_io::kExternalDefault;
  onnx_io::ExternalFile external(path + ".data", at_least);
  onnx::ModelProto p;
  TRY(onnx_io::PutModel(model, at_least < 0 ? nullptr : &external, &p));
  TRY(external.Close());
  if (p.ByteSizeLong() > INT_MAX)
    return onnx_io::TooLarge(static_cast<int64_t>(p.ByteSizeLong())).In(path);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  bool written = out.is_open() && p.SerializeToOstream(&out);
  out.close();
  if (!written || !out)
    return Usage(std::string("can't be written: ") + std::strerror(errno), path);
  return {};
}

Result<std::string> SerializeModel(const Model& model) {
  if (int64_t bytes = onnx_io::InlineBytes(model); bytes > onnx_io::kMaxInline)
    return onnx_io::TooLarge(bytes);
  // Blocks that hold a small model: protobuf's own begin at 256 bytes.
  google::protobuf::ArenaOptions blocks;
  blocks.start_block_size = 16 << 10;
  google::protobuf::Arena arena(blocks);
  auto* p = google::protobuf::Arena::CreateMessage<onnx::ModelProto>(&arena);
  TRY(onnx_io::PutModel(model, nullptr, p));
  return onnx_io::ToBytes(*p);
}

Result<std::string> SerializeTensor(const Tensor& tensor, const std::string& name) {
  if (tensor.bytes() > onnx_io::kMaxInline) return onnx_io::TooLarge(tensor.bytes());
  onnx::TensorProto p;
  if (!name.empty()) p.set_name(name);
  onnx_io::PutTensor(tensor, &p);
  return onnx_io::ToBytes(p);
}

Status SaveTensor(const Tensor& tensor, const std::string& name, const std::string& path) {
  std::string bytes = TRY(SerializeTensor(tensor, name));
  return WriteFile(path, bytes);
}

}  // namespace assay
