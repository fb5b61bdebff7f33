// Reductions: transforms that make a model smaller and keep it valid, whatever it then computes.
// The minimizer (fuzz/minimize.h) applies them to a finding as long as its verdict stays. One file
// a family in fuzz/reductions, each defining `std::vector<Transform> reductions_<stem>()`; the
// build lists them.
//
// Names of the values and nodes that stay are kept, so that the steps of a case still find their
// sites.
#pragma once

#include <string>
#include <vector>

#include "interp/transform.h"

namespace assay {

// In the order in which the minimizer should try them: the largest cuts first.
const std::vector<Transform>& AllReductions();
const Transform* FindReduction(const std::string& name);  // null when there is none

// How large a model is, for people and for the promise of a reduction: compared member by member.
struct ModelSize {
  int64_t nodes = 0;
  int64_t ports = 0;     // graph inputs, graph outputs and initializers
  int64_t elements = 0;  // of initializers and of inputs with known extents
  int64_t attributes = 0;
  int64_t detail =
      0;  // of floating-point constants: 0 a zero, 1 a one, 2 a small integer, 3 anything else
  auto operator<=>(const ModelSize&) const = default;
  std::string ToString() const;  // "3 nodes, 64 elements"
};
ModelSize SizeOf(const Model& model);

// Row helpers
// ---------------------------------------------------------------------------------------------

// The position of a row in the table of reductions (smaller: tried earlier), kept in
// Transform::cls.
Transform ReductionRow(std::string name, int order, std::string doc, std::string example);
// Is the value a constant of the model alone (an initializer that is no graph input)?
bool IsPlainInitializer(const Graph& graph, const std::string& value);
// The first `extent` elements along an axis.
Tensor Prefix(const Tensor& tensor, int axis, int64_t extent);
// A declaration with what inference knows of a value; element type undefined when it knows nothing.
ValueInfo Declared(const std::string& value, const TypeInfo* type);

}  // namespace assay
