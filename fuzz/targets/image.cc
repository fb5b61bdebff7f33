// libFuzzer target: the bytes of an image file -> pixels. Whatever they are, the answer is an image
// or an Error within Limits; the libraries that decode are held to it too.
#include <cstddef>
#include <cstdint>

#include "interp/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  Limits limits = Limits::Small();
  limits.elements = 1 << 18;
  Result<Image> image = DecodeImage({data, size}, limits);
  CHECK(image.ok() || image.error().code != Code::kInternal);
  if (image.ok())
    CHECK(static_cast<int64_t>(image->rgb.size()) == image->height * image->width * 3);
  return 0;
}
