// A node of one operator row as an attacker would write it: attributes, types, shapes and values
// that are huge, negative, zero, of the wrong type or count, beside ones that fit. For fuzz targets
// and contract tests.
#pragma once

#include <vector>

#include "interp/op_spec.h"

namespace assay {

struct HostileNode {
  NodePtr node;
  std::vector<Tensor> inputs;  // undefined: absent
};

// Half of the nodes are what the row's draw callback drafts, with one thing changed; the others are
// drawn freely. Tensors stay below some thousand elements, whatever extents of 0 stand beside. The
// element types are mostly those that the row allows, so that its rule is reached.
HostileNode DrawHostileNode(Choices& choices, const OpSpec& spec);

// The types of its inputs as a dynamic model shows them to inference: some extents, some ranks are
// not known.
std::vector<TypeInfo> PartlyKnown(Choices& choices, const HostileNode& node);

}  // namespace assay
