// Input sets and labels that verify and repair take from files.
#pragma once

#include <string>
#include <vector>

#include "interp/graph.h"

namespace assay {

// `folder` holds input_<j>.pb or <name>.npy, or folders test_data_set_<k> that do. Errors: Invalid with the file.
Result<std::vector<std::vector<Tensor>>> LoadInputSets(const std::string& folder, const Model& model);
// Whole numbers, separated by white space.
Result<std::vector<int64_t>> LoadLabels(const std::string& file);

}  // namespace assay
