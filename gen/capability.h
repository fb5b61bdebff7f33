// A capability file: the operators and element types that a target supports. What is not in it is
// never generated, so that "unsupported" is not found again and again. docs/formats.md has the
// format.
#pragma once

#include <map>
#include <string>

#include "interp/op_spec.h"

namespace assay {

struct Capability {
  struct Types {
    DTypeSet input = ~DTypeSet{0}, output = ~DTypeSet{0};  // of the first input and output
  };
  std::map<std::string, Types> operators;  // of ai.onnx

  // Null: not supported.
  const Types* Find(const std::string& op) const;
  // Does it support a node, its bodies included? `input` and `output`: kUndefined for absent.
  bool Supports(const Node& node, DType input, DType output) const;
};

// Errors: Invalid, with the line or the place in the file, for what is no capability file, and for
// names of operators and element types that nobody knows.
Result<Capability> LoadCapability(const std::string& path);
Result<Capability> ParseCapability(const std::string& text, const std::string& where);

}  // namespace assay
