// What a lab needs to know of two models before it runs them: do their interfaces agree, how are open extents
// bound, how many contexts tell them apart.
#include "oracle/lab.h"

#include <algorithm>

namespace assay {

int ContextsFor(const Model& source, int base) {
  constexpr int64_t kFew = 8;
  constexpr int kForFewValues = 16;
  constexpr size_t kSmallGraph = 64;
  // So does an operand that only sometimes is the largest.
  for (const NodePtr& n : source.graph.nodes) {
    const OpSpec* row = source.graph.nodes.size() <= kSmallGraph ? FindOp(n->domain, n->op, source.Opset(n->domain)) : nullptr;
    if (row && row->Has(kDiscontinuous)) return std::max(base, kForFewValues);
  }
  for (const ValueInfo& v : source.graph.RequiredInputs()) {
    bool discrete = v.dtype == DType::kBool || IsInt(v.dtype);
    if (discrete && v.Static() && ElementCount(v.StaticShape()) <= kFew) return std::max(base, kForFewValues);
  }
  return base;
}

namespace {
std::string Declared(const ValueInfo& v) {
  std::string s = DTypeName(v.dtype);
  if (!v.shape) return s + "[*]";
  s += "[";
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const DimDecl& d = (*v.shape)[i];
    s += (i ? "," : "") + (d.value >= 0       ? std::to_string(d.value)
                           : d.symbol.empty() ? "?"
                                              : d.symbol);
  }
  return s + "]";
}
// Extents agree when equal, or when either side leaves both open.
bool SameDeclaration(const ValueInfo& a, const ValueInfo& b) {
  if (a.dtype != b.dtype || a.shape.has_value() != b.shape.has_value()) return false;
  if (!a.shape) return true;
  if (a.shape->size() != b.shape->size()) return false;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    if ((*a.shape)[i].value != (*b.shape)[i].value) return false;
  }
  return true;
}
}  // namespace

Status SameInterface(const Model& source, const Model& target) {
  std::vector<ValueInfo> a = source.graph.RequiredInputs(), b = target.graph.RequiredInputs();
  if (a.size() != b.size()) {
    return Invalid("the source has " + std::to_string(a.size()) + " inputs, the target " +
                   std::to_string(b.size()));
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (!SameDeclaration(a[i], b[i])) {
      return Invalid("input " + std::to_string(i) + " is " + Declared(a[i]) +
                         " in the source and " + Declared(b[i]) + " in the target",
                     b[i].name);
    }
  }
  if (source.graph.outputs.size() != target.graph.outputs.size()) {
    return Invalid("the source has " + std::to_string(source.graph.outputs.size()) +
                   " outputs, the target " + std::to_string(target.graph.outputs.size()));
  }
  return {};
}

}  // namespace assay
