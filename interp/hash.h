// A hash of bytes, for contents that must be told apart within one run; not for untrusted keys.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assay {

// Mixes `n` bytes into `h`.
uint64_t HashBytes(uint64_t h, const void* data, size_t n);

}  // namespace assay
