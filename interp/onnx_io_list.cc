// Sequences and optionals: their declared types, and their values in test data.
#include <onnx/onnx-data_pb.h>
#include <onnx/onnx_pb.h>

#include "interp/onnx_io_internal.h"

namespace assay {
namespace {

// Appends what a type is: {kSequence, kFloat}. False for what Tensor::List does not hold.
bool Describe(const onnx::TypeProto& p, std::vector<DType>* out, std::optional<std::vector<DimDecl>>* shape = nullptr) {
  constexpr size_t kDeepest = 3;  // optional(sequence(tensor))
  if (out->size() >= kDeepest) return false;
  if (p.has_tensor_type()) {
    int element = p.tensor_type().elem_type();
    if (element <= 0 || element >= kDTypeCount) return false;
    out->push_back(static_cast<DType>(element));
    if (!shape || !p.tensor_type().has_shape()) return true;
    shape->emplace();
    for (const auto& d : p.tensor_type().shape().dim()) {
      (*shape)->push_back({d.has_dim_value() && d.dim_value() >= 0 ? d.dim_value() : -1, d.dim_param()});
    }
    return true;
  }
  if (p.has_sequence_type()) {
    out->push_back(kSequence);
    return Describe(p.sequence_type().elem_type(), out, shape);
  }
  if (p.has_optional_type()) {
    out->push_back(kOptional);
    return Describe(p.optional_type().elem_type(), out, shape);
  }
  return false;
}

ListType FromProto(const onnx::TypeProto& p) {
  std::vector<DType> all;
  std::optional<std::vector<DimDecl>> shape;
  if (!Describe(p, &all, &shape) || !IsList(all[0])) return {};
  return {all[0], {all.begin() + 1, all.end()}, std::move(shape)};
}

Result<Tensor> FromProto(onnx::SequenceProto* p, const std::vector<DType>& of, onnx_io::LoadState* state) {
  std::vector<Tensor> items;
  for (auto& t : *p->mutable_tensor_values()) {
    Tensor item = TRY(onnx_io::TakeTensor(&t, state));
    if (!item.defined()) return Unsupported("an item is of an element type that is not supported");
    items.push_back(std::move(item));
  }
  if (p->sequence_values_size() + p->map_values_size() + p->sparse_tensor_values_size() + p->optional_values_size() > 0) {
    return Unsupported("only sequences of tensors are supported");
  }
  return Tensor::List(kSequence, of, std::move(items));
}

// The spelling of an optional changed between releases of ONNX: both are a message whose fields tell what is there.
Result<Tensor> FromProto(onnx::OptionalProto* p, const std::vector<DType>& of, onnx_io::LoadState* state) {
  std::vector<Tensor> items;
  if (p->has_tensor_value()) {
    Tensor item = TRY(onnx_io::TakeTensor(p->mutable_tensor_value(), state));
    if (!item.defined()) return Unsupported("the item is of an element type that is not supported");
    items.push_back(std::move(item));
  } else if (p->has_sequence_value()) {
    std::vector<DType> inner(of.begin() + (of.empty() ? 0 : 1), of.end());
    items.push_back(TRY(FromProto(p->mutable_sequence_value(), inner, state)));
  }
  return Tensor::List(kOptional, of, std::move(items));
}

template <class Proto>
Result<Tensor> Load(const std::string& bytes, const std::vector<DType>& of, const Limits& limits) {
  Proto p;
  if (!p.ParseFromString(bytes)) return Invalid("is not a sequence or optional of ONNX");
  onnx_io::LoadState state{limits};
  return FromProto(&p, of, &state);
}

}  // namespace

ListType ListTypeOf(const ValueInfo& value) {
  onnx::ValueInfoProto p;
  if (value.dtype != DType::kUndefined || !p.ParseFromString(value.extra)) return {};
  return FromProto(p.type());
}

ListType ListTypeOf(const Opaque& attribute) {
  onnx::AttributeProto p;
  if (!p.ParseFromString(attribute.bytes)) return {};
  // An attribute names what an optional holds, which may be a plain tensor.
  std::vector<DType> of;
  if (!Describe(p.tp(), &of)) return {};
  return {kOptional, of};
}

Result<Tensor> LoadList(const std::string& path, const ListType& type, const Limits& limits) {
  std::string bytes = TRY(ReadFile(path));
  Result<Tensor> list = type.kind == kSequence ? Load<onnx::SequenceProto>(bytes, type.of, limits)
                                               : Load<onnx::OptionalProto>(bytes, type.of, limits);
  if (!list.ok()) return list.error().In(path);
  return list;
}

}  // namespace assay
