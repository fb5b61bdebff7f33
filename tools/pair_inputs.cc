#include "tools/pair_inputs.h"

#include <sstream>

#include "interp/onnx_io.h"
#include "interp/testcase.h"

namespace assay {

Result<std::vector<std::vector<Tensor>>> LoadInputSets(const std::string& folder,
                                                       const Model& model) {
  std::vector<std::string> folders = FindDataSets(folder);
  if (folders.empty()) folders.push_back(folder);
  std::vector<std::vector<Tensor>> sets;
  for (const std::string& f : folders)
    sets.push_back(TRY(LoadTensors(f, "input", model.graph.RequiredInputs())));
  return sets;
}

Result<std::vector<int64_t>> LoadLabels(const std::string& file) {
  std::string text = TRY(ReadFile(file));
  std::istringstream in(text);
  std::vector<int64_t> labels;
  for (std::string word; in >> word;) {
    char* end = nullptr;
    labels.push_back(std::strtoll(word.c_str(), &end, 10));
    if (*end != 0) return Invalid("'" + word + "' is not a class number", file);
  }
  return labels;
}

}  // namespace assay
