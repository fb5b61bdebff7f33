#include "interp/hash.h"

#include <cstring>

#include "interp/choices.h"

namespace assay {

uint64_t HashBytes(uint64_t h, const void* data, size_t n) {
  const char* p = static_cast<const char*>(data);
  for (; n >= 8; n -= 8, p += 8) {
    uint64_t x;
    std::memcpy(&x, p, 8);
    h = (h ^ x) * 0x9fb21c651e98df25ULL;
    h ^= h >> 32;
  }
  uint64_t x = 0;
  if (n > 0) std::memcpy(&x, p, n);  // nothing may lie nowhere
  return Mix(h ^ x ^ (uint64_t{n} << 56));
}

}  // namespace assay
