#include "interp/lists.h"

namespace assay {

std::vector<DType> Described(DType dtype, const std::vector<DType>& of) {
  std::vector<DType> all = {dtype};
  all.insert(all.end(), of.begin(), of.end());
  return all;
}

namespace {
// Is `optional` an optional of `t`?
bool IsOptionalOf(const TypeInfo& optional, const TypeInfo& t) {
  return optional.dtype == kOptional && optional.of == Described(t.dtype, t.of);
}
}  // namespace

TypeInfo Either(const TypeInfo& a, const TypeInfo& b) {
  if (IsOptionalOf(a, b)) return a;
  if (IsOptionalOf(b, a)) return b;
  if (a.dtype != b.dtype) return {};
  TypeInfo t = a;
  if (IsList(a.dtype)) return a.of == b.of ? a : TypeInfo::ListOf(a.dtype, {});
  if (!a.ranked || !b.ranked || a.dims.size() != b.dims.size()) return {a.dtype, false, {}, {}};
  for (size_t d = 0; d < t.dims.size(); ++d) {
    if ((a.dims[d] == b.dims[d]) != Truth::kTrue) t.dims[d] = Dim::Unknown();
  }
  return t;
}

}  // namespace assay
