// Judging outputs that are drawn at random. The ONNX specification fixes their types, shapes and
// distribution, not the generator; so expected values are compared with what many runs of the model
// give, each with other seeds.
#pragma once

#include <string>
#include <vector>

#include "interp/exec.h"

namespace assay {

// The model with a seed derived from `round` in every node that takes one; empty when no node does.
std::optional<Model> Reseeded(const Model& model, int round);

// Why `want` can't be a draw of the model's outputs on these inputs; "" when it can. An output that
// is the same in every run is not random: it is left to the caller (`fixed[j]` is set). For the
// others:
// - type and shape are those of our own;
// - an element that takes one or two values in our runs takes one of them;
// - any other lies within three times the range of our draws;
// - the mean over the elements is within 5 standard deviations of ours.
// Errors: those of running.
Result<std::string> DistributionMismatch(const Model& model, const std::vector<Tensor>& inputs,
                                         const ExecOptions& options,
                                         const std::vector<Tensor>& want, std::vector<bool>* fixed);

}  // namespace assay
