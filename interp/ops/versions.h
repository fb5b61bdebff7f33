// Later versions of rows that differ from an earlier one in their element types alone.
#pragma once

#include <initializer_list>

#include "interp/op_spec.h"

namespace assay {

// Every element type that an operator set knows, from opset 13 on.
constexpr DTypeSet AllTypesAt(int opset) {
  if (opset >= 25) return kAll25;
  if (opset >= 24) return kAll24;
  if (opset >= 23) return kAll23;
  if (opset >= 21) return kAll21;
  return opset >= 19 ? kAll19 : kAll13;
}

// Versions of an operator that moves elements, whatever they are.
inline void PushAllTypes(std::vector<OpSpec>& rows, const OpSpec& row, const char* type,
                         std::initializer_list<int> versions) {
  for (int v : versions) rows.push_back(row.Since(v).Types(type, AllTypesAt(v)));
}

// Opset 22 gave bfloat16 to operators that had the other floats and not yet it: appends that
// version of those whose last row in `rows` lacks it.
inline void PushBfloat16(std::vector<OpSpec>& rows, const char* type) {
  const size_t end = rows.size();
  for (size_t i = 0; i < end; ++i) {
    if (i + 1 < end && rows[i + 1].name == rows[i].name) continue;
    for (const Formal& f : rows[i].inputs) {
      if (f.type != type || !Contains(f.types, DType::kFloat16) ||
          Contains(f.types, DType::kBfloat16))
        continue;
      OpSpec row = rows[i].Since(22);
      row.Types(type, f.types | Bit(DType::kBfloat16));
      rows.push_back(std::move(row));
      break;
    }
  }
}

}  // namespace assay
