// ImageDecoder (ONNX opset 20): the pixels [H,W,C] of an image file, as RGB, BGR or, C = 1, as
// grey.
//
// Grey is that of ITU-R 601, in 16-bit fixed point and rounded: the reference implementation takes
// it from Pillow, which does so.
#include "interp/image.h"
#include "interp/kernels.h"

namespace assay {
namespace {

void Rule(RuleContext& c) {
  c.Require(!c.Ranked(0) || c.Rank(0) == 1, "encoded_stream has one axis");
  const int64_t channels = c.String("pixel_format") == "Grayscale" ? 1 : 3;
  c.Out(0, DType::kUint8, {Dim::Unknown(), Dim::Unknown(), Dim(channels)});
}

Status Eval(KernelContext& c) {
  const Image image = TRY(DecodeImage(c.in(0).span<uint8_t>(), c.limits()));
  const std::string format = c.String("pixel_format");
  const bool grey = format == "Grayscale";
  Tensor* y = TRY(c.Out(0, {image.height, image.width, grey ? 1 : 3}));
  uint8_t* out = y->mutable_data<uint8_t>();
  for (int64_t i = 0; i < image.height * image.width; ++i) {
    const uint8_t* rgb = image.rgb.data() + 3 * i;
    if (grey) {
      out[i] =
          static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + (1 << 15)) >> 16);
      continue;
    }
    for (int k = 0; k < 3; ++k) out[3 * i + k] = rgb[format == "BGR" ? 2 - k : k];
  }
  return {};
}

}  // namespace

std::vector<OpSpec> ops_image_decoder() {
  return {Op("ImageDecoder", 20)
              .In("encoded_stream", "T1", Bit(DType::kUint8))
              .Out("image", "T2", Bit(DType::kUint8))
              .String("pixel_format", "RGB", {.strings = {"RGB", "BGR", "Grayscale"}})
              .Rule(Rule)
              .Eval(Eval)
              .LeftOut("reads files of other formats")
              .Class(Accuracy::kExact)};
}

}  // namespace assay
