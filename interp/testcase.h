// Test data in the layout of the ONNX backend tests: <case>/model.onnx and
// <case>/test_data_set_<k>/ {input,output}_<j>.pb, j counting the model's required inputs and its
// outputs. Errors as in onnx_io.h.
#pragma once

#include <string>
#include <vector>

#include "interp/graph.h"

namespace assay {

struct DataSet {
  std::vector<Tensor> inputs, outputs;
};

// Folders below `root` (itself included) that hold a model.onnx, sorted.
Result<std::vector<std::string>> FindCases(const std::string& root);
// The test_data_set_<k> folders of a case, by k.
std::vector<std::string> FindDataSets(const std::string& case_folder);

// Reads `<role>_<j>.pb` or `<name>.npy` for each of `values`; role is "input" or "output". bfloat16
// stored as uint16 (release 1.12 does) counts as bfloat16. Errors: Unsupported for a value that is
// not a tensor.
Result<std::vector<Tensor>> LoadTensors(const std::string& folder, const std::string& role,
                                        const std::vector<ValueInfo>& values,
                                        const Limits& limits = Limits{});
Result<DataSet> LoadDataSet(const std::string& folder, const Model& model,
                            const Limits& limits = Limits{});

// Writes `<role>_<j>.pb`, making the folder.
Status SaveTensors(const std::string& folder, const std::string& role,
                   const std::vector<ValueInfo>& values, const std::vector<Tensor>& tensors);
// Writes model.onnx and test_data_set_0.
Status SaveCase(const std::string& folder, const Model& model, const DataSet& data);

// The file name of a value as .npy: characters that don't belong into a file name become '_'.
std::string NpyName(const std::string& value);

// Why `got` does not match `want`; "" when it does. Floats: |got - want| <= atol + rtol * |want|,
// NaN matches NaN, bfloat16 may be a unit in the last place off; everything else exactly.
std::string Mismatch(const Tensor& got, const Tensor& want, double rtol, double atol);

}  // namespace assay
