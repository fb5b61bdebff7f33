// Image files as ImageDecoder (ONNX opset 20) reads them: BMP, JPEG, JPEG 2000, PNG, PNM, TIFF,
// WebP. BMP and PNM are read here, the others by their libraries, which a build may lack
// (ASSAY_IMAGES in CMake).
//
// Files are untrusted. Extents are checked against limits before pixels take memory: elements
// against limits.elements, and what decoders take besides, some bytes a pixel, against
// limits.bytes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "interp/limits.h"
#include "interp/result.h"

namespace assay {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> rgb;  // [height,width,3]
};

// A file in one of the formats, known by its first bytes. Transparency is left out; grey becomes
// equal parts. Errors: Invalid for a file that breaks its format or belongs to none; LimitHit;
// Unsupported for what a format can hold beyond 8 bits of grey or RGB (CMYK, animations, ..) and
// for a format whose library the build lacks.
Result<Image> DecodeImage(std::span<const uint8_t> file, const Limits& limits);

// Of images of these extents.
Status AllowImage(int64_t height, int64_t width, const Limits& limits);

// The formats that libraries read. For image.cc.
Result<Image> DecodeJpeg(std::span<const uint8_t> file, const Limits& limits);
Result<Image> DecodePng(std::span<const uint8_t> file, const Limits& limits);
Result<Image> DecodeWebp(std::span<const uint8_t> file, const Limits& limits);
Result<Image> DecodeTiff(std::span<const uint8_t> file, const Limits& limits);
Result<Image> DecodeJpeg2000(std::span<const uint8_t> file, const Limits& limits);
// Can this build read these?
bool HasImageLibraries();

}  // namespace assay
