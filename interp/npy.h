// NumPy's .npy format (NEP 1, versions 1 to 3): little-endian numeric and bool arrays.
#pragma once

#include <string>
#include <string_view>

#include "interp/tensor.h"

namespace assay {

// Errors: Invalid (not an .npy file, sizes that disagree), Unsupported (an element type that ONNX
// or we don't have: big-endian, strings, objects), LimitHit.
Result<Tensor> LoadNpy(const std::string& path, const Limits& limits = Limits{});
Result<Tensor> ParseNpy(std::string_view bytes, const std::string& where,
                        const Limits& limits = Limits{});
// Version 1.0, C order. Unsupported for strings, bfloat16, 8-bit floats and 4-bit types, which
// NumPy lacks.
Result<std::string> SerializeNpy(const Tensor& tensor);
Status SaveNpy(const Tensor& tensor, const std::string& path);

}  // namespace assay
