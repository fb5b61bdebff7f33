// ONNX files to Model and back, and single tensors (TensorProto). The only room that knows
// protobuf.
//
// What we do not interpret survives load + save: doc strings, functions, training info,
// quantization annotations, unknown attribute kinds, unknown fields, non-tensor types
// and tensors of element types that DType does not name (kept whole in `extra`, their Tensor is not
// defined()). Rewritten on the way: tensor data is always saved as raw_data, external data moves
// to where SaveOptions says, and sparse initializers and constants become dense.
//
// Files are untrusted. Errors are Invalid (broken format, sizes that disagree, external data
// outside the model's folder) or LimitHit; sizes are checked before memory is taken. Everything
// here is thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "interp/graph.h"
#include "interp/limits.h"
#include "interp/result.h"

namespace assay {

// Subgraphs may be nested this deep.
inline constexpr int kMaxGraphDepth = 32;

// Reads a model; its external data lies beside it. Peak memory: about the file plus its largest
// tensor.
Result<Model> LoadModel(const std::string& path, const Limits& limits = Limits{});
// The same from memory; `where` names the bytes in errors. External data is refused: there is no
// folder.
Result<Model> ParseModel(std::string_view bytes, const std::string& where,
                         const Limits& limits = Limits{});

struct SaveOptions {
  // Initializers of at least this many bytes go to `<file>.data` beside the model; -1: none, unless
  // the model would not fit into the 2 GB of a protobuf message.
  int64_t external_bytes = -1;
};
// Writes a model. Errors: Usage when the file can't be written.
Status SaveModel(const Model& model, const std::string& path, const SaveOptions& options = {});
// The bytes of a model without external data; equal models give equal bytes. LimitHit from 2 GB on.
Result<std::string> SerializeModel(const Model& model);

// One TensorProto, as in the ONNX backend test data.
Result<Tensor> LoadTensor(const std::string& path, const Limits& limits = Limits{});
Result<Tensor> ParseTensor(std::string_view bytes, const std::string& where,
                           const Limits& limits = Limits{});
// Floating-point tensors in another store are converted to their own element type.
Status SaveTensor(const Tensor& tensor, const std::string& name, const std::string& path);
Result<std::string> SerializeTensor(const Tensor& tensor, const std::string& name);

// What a declared value is. Only kTensor has a dtype (kUndefined when the file names one that we
// don't know).
enum class ValueKind { kTensor, kSequence, kOptional, kMap, kSparseTensor, kUnknown };
ValueKind KindOf(const ValueInfo& value);
const char* ValueKindName(ValueKind kind);  // "tensor", "sequence", ...

// A declared sequence or optional of tensors: kSequence or kOptional, and what its items are (Tensor::List);
// kUndefined for anything else.
struct ListType {
  DType kind = DType::kUndefined;
  std::vector<DType> of;
  std::optional<std::vector<DimDecl>> shape = {};  // of its tensors; absent: unknown rank
};
ListType ListTypeOf(const ValueInfo& value);
ListType ListTypeOf(const Opaque& attribute);  // a type attribute

// A SequenceProto or OptionalProto, as in the ONNX backend test data.
Result<Tensor> LoadList(const std::string& path, const ListType& type, const Limits& limits = Limits{});

// A whole file. Errors: Invalid when it is missing, a folder or unreadable,
// LimitHit when it is longer than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, int64_t max_bytes = int64_t{1} << 31);
// Errors: Usage when the file can't be written.
Status WriteFile(const std::string& path, std::string_view bytes);

}  // namespace assay
