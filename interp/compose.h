// Kernels made of other kernels: lists and loops slice, stack and join tensors as Gather, Unsqueeze, Split and Concat do.
#pragma once

#include <string>
#include <vector>

#include "interp/exec.h"
#include "interp/kernels.h"

namespace assay {

// Runs one operator of ai.onnx 13 within the kernel's store and limits; its first output.
Result<Tensor> Compose(const KernelContext& c, const std::string& op, const std::vector<Tensor>& inputs,
                       std::vector<Attribute> attrs = {});

// Slice i along an axis, which falls away.
Result<Tensor> SliceAt(const KernelContext& c, const Tensor& t, int64_t axis, int64_t i);
// The items joined along a new axis (negative: counted from the end of the result). There is at least one.
Result<Tensor> Stack(const KernelContext& c, const std::vector<Tensor>& items, int64_t axis);

}  // namespace assay
