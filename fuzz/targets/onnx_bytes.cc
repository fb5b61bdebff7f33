// libFuzzer target: the bytes of an ONNX file -> load, infer, run, save. Whatever the bytes are,
// the answer is a value or an Error within Limits, and what was loaded survives a save.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "interp/exec.h"
#include "interp/onnx_io.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  const Limits limits = Limits::Small();
  Result<Model> model =
      ParseModel(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz", limits);
  if (!model.ok()) return 0;
  Result<std::string> bytes = SerializeModel(*model);
  if (bytes.ok()) {
    Result<Model> again = ParseModel(*bytes, "again", limits);
    CHECK(again.ok());
    Result<std::string> same = SerializeModel(*again);
    CHECK(same.ok() && *same == *bytes);
  }
  (void)Validate(*model, limits).ok();
  // Inputs are declared by the file: their size is as hostile as the rest.
  int64_t elements = 0;
  for (const ValueInfo& v : model->graph.RequiredInputs()) {
    Shape shape;
    if (v.shape) {
      for (const DimDecl& d : *v.shape) shape.push_back(d.value >= 0 ? d.value : 2);
    }
    int64_t n = ElementCount(shape);
    if (n < 0 || n > limits.elements) return 0;
    elements += n;
  }
  if (elements > (int64_t{1} << 18)) return 0;
  Result<std::vector<Tensor>> inputs = RandomInputs(*model, 1);
  if (!inputs.ok()) return 0;
  for (Store store : {Store::kNative, Store::kDouble}) {
    ExecOptions options;
    options.limits = limits;
    options.store = store;
    (void)Run(*model, *inputs, options).ok();
  }
  return 0;
}
