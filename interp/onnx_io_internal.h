// Shared by the files of onnx_io: tensors, and what loading keeps in mind. Not for others.
#pragma once

#include <string>

#include "interp/onnx_io.h"

namespace onnx {
class ModelProto;
class TensorProto;
class TypeProto;
class TypeProto_Tensor;
}  // namespace onnx

namespace assay::onnx_io {

// Budgets and the folder of external data during one load.
struct LoadState {
  Limits limits;
  std::string folder;       // of the model
  bool has_folder = false;  // false: external data is refused
  int64_t bytes = 0;        // of tensors loaded so far
  int64_t nodes = 0;
};

// Takes a model out of `proto`, piece by piece, so that weights are not held twice.
Result<Model> TakeModel(onnx::ModelProto* proto, LoadState* state);

// Takes the value of a tensor out of `proto`, which keeps only what Tensor doesn't model (name, doc
// string). A tensor of an element type or form that we can't hold stays whole in `proto`; the
// result isn't defined(). Errors carry no `where`.
Result<Tensor> TakeTensor(onnx::TensorProto* proto, LoadState* state);

// A sparse tensor as the dense one it stands for (ONNX SparseTensorProto: `values` [NNZ] at
// `indices`, [NNZ] in row-major order or [NNZ,rank], zeros elsewhere). Its name stays in `values`;
// the result isn't defined() where that is so of `values`.
Result<Tensor> TakeSparse(onnx::SparseTensorProto* proto, LoadState* state);

// Writes dims, data_type and data (raw_data; string_data for strings).
void PutTensor(const Tensor& tensor, onnx::TensorProto* proto);
// The same without the data: only dims and data_type.
void PutTensorType(const Tensor& tensor, onnx::TensorProto* proto);
// Bytes of the data as ONNX stores it (4-bit types packed).
std::string RawBytes(const Tensor& tensor);
int64_t RawSize(DType dtype, int64_t elements);

// The declared type of a tensor value; `proto` is empty before.
void PutType(const ValueInfo& value, onnx::TypeProto* proto);
// The shape that a type declares; negative extents count as unknown (some exporters write -1).
std::optional<std::vector<DimDecl>> DeclaredShape(const onnx::TypeProto_Tensor& type);

// True for element types that pack two elements into a byte.
bool IsPacked(DType dtype);

}  // namespace assay::onnx_io
