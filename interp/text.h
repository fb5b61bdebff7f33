// The readable form of a model, in which tests and examples are written. Grammar: docs/formats.md.
//
//   opset 17
//   graph(float[1,3,N,8] x) -> (y) {
//     w = float[4,3,3,3] random(7)
//     h = Conv(x, w) {pads=[1,1,1,1]} @first
//     y = Relu(h)
//   }
//
// ParseText(ToText(m)) equals m in everything: bits of floats, order, names, what `extra` keeps.
#pragma once

#include <string>
#include <string_view>

#include "interp/graph.h"
#include "interp/limits.h"

namespace assay {

std::string ToText(const Model& model);
// One node as a line without its subgraphs' bodies, for messages and reports: "y = Conv(x, w)
// {group=2} @c".
std::string NodeText(const Node& node);
// A tensor as it stands in the text: "float[2] {1, 0.5}"; more than `max_elements` elements end in
// "...".
std::string TensorText(const Tensor& tensor, int64_t max_elements);

// Outputs written without a type get the inferred one, if inference succeeds. Without an opset line
// the model imports opset 17. Errors: Invalid or LimitHit at "<where>:<line>:<column>".
Result<Model> ParseText(std::string_view input, const std::string& where = "text",
                        const Limits& limits = Limits{});

// Words that name no value unless quoted.
bool IsReservedWord(std::string_view word);
// Characters of an unquoted name or number.
bool IsWordChar(char c);

}  // namespace assay
