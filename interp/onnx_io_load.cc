// ModelProto -> Model.
#include <onnx/onnx_pb.h>

#include <climits>

#include "interp/functions.h"
#include "interp/onnx_io_internal.h"

namespace assay::onnx_io {
namespace {

// The remainder of a message once everything modelled is cleared.
template <class Proto>
std::string Rest(const Proto& p) {
  return p.ByteSizeLong() == 0 ? std::string() : p.SerializeAsString();
}

// Moves a string field out of a message. A field that is present but empty stays, so that it is
// written again.
#define TAKE(proto, field)                             \
  ({                                                   \
    std::string taken_;                                \
    if (!(proto)->field().empty()) {                   \
      taken_ = std::move(*(proto)->mutable_##field()); \
      (proto)->clear_##field();                        \
    }                                                  \
    taken_;                                            \
  })

class Loader {
 public:
  explicit Loader(LoadState* state) : state_(state) {}

  Result<Model> LoadModel(onnx::ModelProto* p) {
    Model m;
    if (!p->has_graph()) return Invalid("has no graph; not an ONNX model");
    m.graph = TRY(LoadGraph(p->mutable_graph(), 0));
    p->clear_graph();
    m.ir_version = p->ir_version();
    if (m.ir_version != 0) p->clear_ir_version();
    m.producer = TAKE(p, producer_name);
    TRY(TakeOpsets(p, &m));
    TakeMetadata(p, &m);
    TRY(ReadFunctions(*p, &m));
    m.extra = Rest(*p);
    return m;
  }

 private:
  // Keeps the list itself in `extra` when the map does not say all (order, spelling, duplicates).
  Status TakeOpsets(onnx::ModelProto* p, Model* m) {
    constexpr int64_t kMaxVersion = 1'000'000;
    std::string last;
    bool canonical = true;
    for (const auto& o : p->opset_import()) {
      if (o.version() < 0 || o.version() > kMaxVersion) {
        return Invalid("opset version " + std::to_string(o.version()) + " of domain '" +
                       o.domain() + "'");
      }
      std::string domain = o.domain() == "ai.onnx" ? "" : o.domain();
      canonical = canonical && o.has_domain() && o.domain() != "ai.onnx" &&
                  o.unknown_fields().empty() && (m->opsets.empty() || last < domain);
      m->opsets[domain] = static_cast<int>(o.version());
      last = domain;
    }
    if (canonical) p->clear_opset_import();
    return {};
  }

  // They stay in `p`, and with it in `extra`.
  Status ReadFunctions(const onnx::ModelProto& p, Model* m) {
    std::vector<Function> functions;
    for (const onnx::FunctionProto& kept : p.functions()) {
      onnx::FunctionProto f = kept;
      Function out{f.domain() == "ai.onnx" ? "" : f.domain(), f.name(), {}, {}, {}, {}, {}};
      out.inputs.assign(f.input().begin(), f.input().end());
      out.outputs.assign(f.output().begin(), f.output().end());
      for (const auto& o : f.opset_import()) {
        if (o.version() < 0 || o.version() > INT_MAX)
          return Invalid("opset version of function '" + f.name() + "'");
        out.opsets[o.domain() == "ai.onnx" ? "" : o.domain()] = static_cast<int>(o.version());
      }
      // FunctionProto.attribute_proto (IR version 9), which the messages of libonnx 1.12 don't
      // know.
      constexpr int kAttributeProto = 11;
      for (int i = 0; i < f.unknown_fields().field_count(); ++i) {
        const auto& field = f.unknown_fields().field(i);
        onnx::AttributeProto a;
        if (field.number() != kAttributeProto ||
            field.type() != google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
          continue;
        if (!a.ParseFromString(field.length_delimited()))
          return Invalid("attributes of function '" + f.name() + "'");
        AttrValue value = TRY(LoadAttr(&a, 0));
        out.defaults.push_back({a.name(), std::move(value), {}});
      }
      for (auto& n : *f.mutable_node()) {
        if (++state_->nodes > state_->limits.nodes)
          return LimitHit("more than " + std::to_string(state_->limits.nodes) + " nodes");
        Function::Step step;
        for (const auto& a : n.attribute()) {
          if (a.has_ref_attr_name()) step.references.push_back({a.name(), a.ref_attr_name()});
        }
        step.node = TRY(LoadNode(&n, 0));
        out.steps.push_back(std::move(step));
      }
      functions.push_back(std::move(out));
    }
    if (!functions.empty())
      m->functions = std::make_shared<const std::vector<Function>>(std::move(functions));
    return {};
  }

  void TakeMetadata(onnx::ModelProto* p, Model* m) {
    std::string last;
    bool canonical = true;
    for (const auto& e : p->metadata_props()) {
      canonical =
          canonical && e.unknown_fields().empty() && (m->metadata.empty() || last < e.key());
      m->metadata[e.key()] = e.value();
      last = e.key();
    }
    if (canonical) p->clear_metadata_props();
  }

  Result<Graph> LoadGraph(onnx::GraphProto* p, int depth) {
    if (depth > kMaxGraphDepth) {
      return LimitHit("graphs are nested more than " + std::to_string(kMaxGraphDepth) + " deep");
    }
    state_->nodes += p->node_size();
    if (state_->nodes > state_->limits.nodes) {
      return LimitHit("more than " + std::to_string(state_->limits.nodes) + " nodes");
    }
    Graph g;
    g.name = TAKE(p, name);
    g.inputs = LoadValues(p->mutable_input());
    g.outputs = LoadValues(p->mutable_output());
    g.value_info = LoadValues(p->mutable_value_info());
    for (auto& t : *p->mutable_initializer()) {
      Initializer i = TRY(LoadInitializer(&t));
      g.initializers.push_back(std::move(i));
    }
    p->clear_initializer();
    TRY(LoadSparse(p->mutable_sparse_initializer(), &g));
    for (auto& n : *p->mutable_node()) g.nodes.push_back(TRY(LoadNode(&n, depth)));
    p->clear_node();
    g.extra = Rest(*p);
    return g;
  }

  static std::vector<ValueInfo> LoadValues(
      google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>* list) {
    std::vector<ValueInfo> values;
    values.reserve(static_cast<size_t>(list->size()));
    for (auto& p : *list) values.push_back(LoadValue(&p));
    list->Clear();
    return values;
  }

  static ValueInfo LoadValue(onnx::ValueInfoProto* p) {
    ValueInfo v;
    v.name = TAKE(p, name);
    const auto& type = p->type().tensor_type();
    if (p->type().has_tensor_type() && type.elem_type() > 0 && type.elem_type() < kDTypeCount) {
      v.dtype = static_cast<DType>(type.elem_type());
      v.shape = DeclaredShape(type);
      // What dtype and shape don't say (denotations, negative extents) keeps the type itself in
      // `extra`.
      onnx::ValueInfoProto plain;
      PutType(v, plain.mutable_type());
      if (plain.type().SerializeAsString() == p->type().SerializeAsString()) p->clear_type();
    }
    v.extra = Rest(*p);
    return v;
  }

  Result<Initializer> LoadInitializer(onnx::TensorProto* p) {
    Initializer i;
    i.name = TAKE(p, name);
    Result<Tensor> t = TakeTensor(p, state_);
    if (!t.ok()) return t.error().In("initializer '" + i.name + "'");
    i.value = std::move(*t);
    i.extra = Rest(*p);
    return i;
  }

  // They become dense; those of element types that we can't hold stay where they are.
  Status LoadSparse(google::protobuf::RepeatedPtrField<onnx::SparseTensorProto>* list, Graph* g) {
    google::protobuf::RepeatedPtrField<onnx::SparseTensorProto> kept;
    for (auto& p : *list) {
      Initializer i;
      i.name = p.values().name();
      Result<Tensor> t = TakeSparse(&p, state_);
      if (!t.ok()) return t.error().In("sparse initializer '" + i.name + "'");
      i.value = *std::move(t);
      if (i.value.defined())
        g->initializers.push_back(std::move(i));
      else
        kept.Add()->Swap(&p);
    }
    list->Swap(&kept);
    return {};
  }

  Result<NodePtr> LoadNode(onnx::NodeProto* p, int depth) {
    auto n = std::make_shared<Node>();
    n->name = TAKE(p, name);
    n->op = TAKE(p, op_type);
    if (p->domain() != "ai.onnx") n->domain = TAKE(p, domain);  // the spelling stays in `extra`
    for (auto& s : *p->mutable_input()) n->inputs.push_back(std::move(s));
    for (auto& s : *p->mutable_output()) n->outputs.push_back(std::move(s));
    p->clear_input();
    p->clear_output();
    for (auto& a : *p->mutable_attribute()) {
      Attribute out;
      out.name = TAKE(&a, name);
      const bool sparse = n->op == "Constant" && out.name == "sparse_value";
      Result<AttrValue> v = LoadAttr(&a, depth, sparse);
      if (!v.ok()) return v.error().In(n->op + " '" + n->name + "': attribute '" + out.name + "'");
      out.value = std::move(*v);
      // A sparse constant is read as the dense one.
      if (sparse && TypeOf(out.value) == AttrType::kTensor) out.name = "value";
      if (TypeOf(out.value) != AttrType::kOpaque) out.extra = Rest(a);
      n->attrs.push_back(std::move(out));
    }
    p->clear_attribute();
    n->extra = Rest(*p);
    return NodePtr(std::move(n));
  }

  using AttrProto = onnx::AttributeProto;
  // The type by the value fields present: models of IR version 1 don't say it. Errors: several, or
  // another than the type says.
  static Result<AttrProto::AttributeType> KindOfAttr(const AttrProto& a) {
    std::vector<AttrProto::AttributeType> present;
    auto add = [&](bool has, AttrProto::AttributeType t) {
      if (has) present.push_back(t);
    };
    add(a.has_i(), AttrProto::INT);
    add(a.has_f(), AttrProto::FLOAT);
    add(a.has_s(), AttrProto::STRING);
    add(a.has_t(), AttrProto::TENSOR);
    add(a.has_g(), AttrProto::GRAPH);
    add(a.has_sparse_tensor(), AttrProto::SPARSE_TENSOR);
    add(a.has_tp(), AttrProto::TYPE_PROTO);
    add(a.ints_size() > 0, AttrProto::INTS);
    add(a.floats_size() > 0, AttrProto::FLOATS);
    add(a.strings_size() > 0, AttrProto::STRINGS);
    add(a.tensors_size() > 0, AttrProto::TENSORS);
    add(a.graphs_size() > 0, AttrProto::GRAPHS);
    add(a.sparse_tensors_size() > 0, AttrProto::SPARSE_TENSORS);
    add(a.type_protos_size() > 0, AttrProto::TYPE_PROTOS);
    if (present.size() > 1) return Invalid("holds more than one value");
    AttrProto::AttributeType type = a.type();
    if (present.empty() || type == AttrProto::UNDEFINED) return present.empty() ? type : present[0];
    if (present[0] != type) {
      return Invalid("type " + std::to_string(type) + ", but its value is of type " +
                     std::to_string(present[0]));
    }
    return type;
  }

  // `sparse`: a sparse tensor may become a dense one.
  Result<AttrValue> LoadAttr(AttrProto* a, int depth, bool sparse = false) {
    AttrProto::AttributeType kind = TRY(KindOfAttr(*a));
    if (a->has_ref_attr_name()) kind = AttrProto::UNDEFINED;
    if (kind == AttrProto::GRAPH && !a->has_g()) return Invalid("is a graph without a value");
    if (kind == AttrProto::TENSOR && !a->has_t()) return Invalid("is a tensor without a value");
    if (kind == AttrProto::TENSOR) return LoadTensorAttr(a);
    if (kind == AttrProto::SPARSE_TENSOR && sparse) return LoadSparseAttr(a);
    std::optional<AttrValue> v;
    switch (kind) {
      case AttrProto::INT:
        v = a->i();
        break;
      case AttrProto::FLOAT:
        v = a->f();
        break;
      case AttrProto::STRING:
        v = a->s();
        break;
      case AttrProto::INTS:
        v = std::vector<int64_t>(a->ints().begin(), a->ints().end());
        break;
      case AttrProto::FLOATS:
        v = std::vector<float>(a->floats().begin(), a->floats().end());
        break;
      case AttrProto::STRINGS:
        v = std::vector<std::string>(a->strings().begin(), a->strings().end());
        break;
      case AttrProto::GRAPH:
        v = std::make_shared<const Graph>(TRY(LoadGraph(a->mutable_g(), depth + 1)));
        break;
      default:
        return AttrValue(Opaque{a->SerializeAsString()});
    }
    ClearValue(a);
    return *std::move(v);
  }

  // What the tensor has beyond its value (a name, ...) stays in the attribute's remainder.
  Result<AttrValue> LoadTensorAttr(AttrProto* a) {
    Tensor t = TRY(TakeTensor(a->mutable_t(), state_));
    if (!t.defined()) return AttrValue(Opaque{a->SerializeAsString()});
    a->clear_type();
    if (a->t().ByteSizeLong() == 0) a->clear_t();
    return AttrValue(std::move(t));
  }

  Result<AttrValue> LoadSparseAttr(AttrProto* a) {
    std::string whole = a->SerializeAsString();
    Tensor t = TRY(TakeSparse(a->mutable_sparse_tensor(), state_));
    if (!t.defined()) return AttrValue(Opaque{std::move(whole)});
    a->clear_type();
    a->clear_sparse_tensor();
    return AttrValue(std::move(t));
  }

  static void ClearValue(AttrProto* a) {
    a->clear_type();
    a->clear_i();
    a->clear_f();
    a->clear_s();
    a->clear_g();
    a->clear_ints();
    a->clear_floats();
    a->clear_strings();
  }

  LoadState* state_;
};

#undef TAKE

}  // namespace

std::optional<std::vector<DimDecl>> DeclaredShape(const onnx::TypeProto::Tensor& type) {
  if (!type.has_shape()) return std::nullopt;
  std::vector<DimDecl> dims;
  for (const auto& d : type.shape().dim()) {
    DimDecl decl;
    if (d.has_dim_value() && d.dim_value() >= 0)
      decl.value = d.dim_value();  // some exporters write -1
    if (d.has_dim_param()) decl.symbol = d.dim_param();
    dims.push_back(std::move(decl));
  }
  return dims;
}

Result<Model> TakeModel(onnx::ModelProto* proto, LoadState* state) {
  return Loader(state).LoadModel(proto);
}

}  // namespace assay::onnx_io
