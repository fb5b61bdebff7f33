#include "interp/lists.h"

namespace assay {

std::vector<DType> Described(DType dtype, const std::vector<DType>& of) {
  std::vector<DType> all = {dtype};
  all.insert(all.end(), of.begin(), of.end());
  return all;
}

TypeInfo ListOfItems(DType kind, const TypeInfo& item) {
  if (item.dtype == DType::kUndefined) return TypeInfo::ListOf(kind, {});
  return {kind, item.ranked, item.dims, Described(item.dtype, item.of)};
}

TypeInfo ItemOf(const TypeInfo& list) {
  if (!IsList(list.dtype) || list.of.empty()) return {};
  return {list.of[0], list.ranked, list.dims, {list.of.begin() + 1, list.of.end()}};
}

namespace {
// Is `optional` an optional of `t`?
bool IsOptionalOf(const TypeInfo& optional, const TypeInfo& t) {
  return optional.dtype == kOptional && optional.of == Described(t.dtype, t.of);
}
}  // namespace

TypeInfo Either(const TypeInfo& a, const TypeInfo& b) {
  if (IsOptionalOf(a, b)) return Either(a, ListOfItems(kOptional, b));
  if (IsOptionalOf(b, a)) return Either(ListOfItems(kOptional, a), b);
  if (a.dtype != b.dtype) return {};
  TypeInfo t = a;
  if (IsList(a.dtype) && a.of != b.of) return TypeInfo::ListOf(a.dtype, {});
  if (!a.ranked || !b.ranked || a.dims.size() != b.dims.size()) return {a.dtype, false, {}, a.of};
  for (size_t d = 0; d < t.dims.size(); ++d) {
    if ((a.dims[d] == b.dims[d]) != Truth::kTrue) t.dims[d] = Dim::Unknown();
  }
  return t;
}

}  // namespace assay
