// Values that may be tensors, sequences or optionals: the types that rows allow, shared by control flow and lists.
#pragma once

#include "interp/kernels.h"

namespace assay {

inline constexpr DTypeSet kTensors = (DTypeSet{1} << kDTypeCount) - 2;
inline constexpr DTypeSet kSequences = Bit(kSequence), kOptionals = Bit(kOptional);

// The type of a list's item in the words of the list: {kFloat} or {kSequence, kFloat}.
std::vector<DType> Described(DType dtype, const std::vector<DType>& of);

// The type of a list of such items, and of a list's items. What is known of the shape of a list's tensors, the same for all
// of them, stands in the `dims` of its type (TypeInfo); how many items it has is not known.
TypeInfo ListOfItems(DType kind, const TypeInfo& item);
TypeInfo ItemOf(const TypeInfo& list);

// What holds for either of two types, an optional where one of them is what it may hold; unknown where they differ. kUndefined: no such type.
TypeInfo Either(const TypeInfo& a, const TypeInfo& b);

}  // namespace assay
