// What the specification allows but runtimes share no meaning of, or refuse as a whole: left out of
// generated graphs, so that a difference seen there is a finding and not a matter of opinion. Each
// entry says why.
#pragma once

#include <span>

#include "interp/op_spec.h"

namespace assay {

// Element types of input 0 that are not generated for a row. `anything`: those that runtimes merely
// lack are.
DTypeSet RestrictedTypes(const OpSpec& spec, bool anything = false);
// Bit r: rank r of input 0 is generated.
uint32_t GeneratedRanks(const OpSpec& spec);
// Outputs that may be asked for.
int MaxGeneratedOutputs(const OpSpec& spec);
// Attributes that are left at their default.
bool RestrictedAttribute(const OpSpec& spec, const std::string& attr);
// A combination of attributes that is not generated. `inputs`: static types.
bool Restricted(const OpSpec& spec, const Node& node, std::span<const TypeInfo> inputs);

}  // namespace assay
