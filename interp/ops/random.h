// What operators that draw random numbers share. The specification leaves the generator open; here
// it is Choices, so that the same model and inputs give the same bytes everywhere.
#pragma once

#include <bit>

#include "interp/choices.h"
#include "interp/kernels.h"

namespace assay {

// A generator from the node's `seed`; without one from the names of its outputs, so that nodes
// differ.
inline Choices RandomOf(const KernelContext& c) {
  uint64_t seed = 0x9e3779b97f4a7c15;
  if (const AttrValue* v = c.Attr("seed")) {
    if (auto f = std::get_if<float>(v)) seed = MixSeeds(seed, std::bit_cast<uint32_t>(*f));
    if (auto i = std::get_if<int64_t>(v)) seed = MixSeeds(seed, static_cast<uint64_t>(*i));
    return Choices(seed);
  }
  for (const std::string& name : c.node().outputs) {
    for (char letter : name) seed = MixSeeds(seed, static_cast<unsigned char>(letter));
  }
  return Choices(seed);
}

}  // namespace assay
