// zstd, bounded: what corpus files and sequence lists are stored in.
#pragma once

#include <string>
#include <string_view>

#include "interp/result.h"

namespace assay {

// One frame with content size and checksum; the same bytes for the same text and zstd version.
std::string Compress(std::string_view text);
// Errors: Invalid for anything that is not exactly one whole frame, LimitHit when more than
// `max_bytes` come out (memory grows with what does come out, whatever the frame promises).
Result<std::string> Decompress(std::string_view bytes, int64_t max_bytes, const std::string& where);

}  // namespace assay
