#include "interp/image.h"

#include <algorithm>
#include <string_view>

#include "interp/tensor.h"

namespace assay {
namespace {

using Bytes = std::span<const uint8_t>;

bool Begins(Bytes file, std::string_view magic, size_t at = 0) {
  return file.size() >= at + magic.size() &&
         std::equal(magic.begin(), magic.end(), file.begin() + static_cast<ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

// ---- PNM: P2 and P5 are grey, P3 and P6 RGB, the former two of each in decimal digits

class PnmReader {
 public:
  explicit PnmReader(Bytes file) : file_(file) {}

  // The next number; -1 where there is none, or none below 2^20.
  int64_t Number() {
    while (at_ < file_.size() && (IsSpace(file_[at_]) || file_[at_] == '#')) {
      if (file_[at_] == '#') {
        while (at_ < file_.size() && file_[at_] != '\n') ++at_;
      } else {
        ++at_;
      }
    }
    int64_t n = -1;
    for (; at_ < file_.size() && file_[at_] >= '0' && file_[at_] <= '9'; ++at_) {
      n = std::max<int64_t>(n, 0) * 10 + (file_[at_] - '0');
      if (n >= 1 << 20) return -1;
    }
    return n;
  }
  void Skip(size_t n) { at_ = std::min(file_.size(), at_ + n); }
  Bytes Rest() const { return file_.subspan(at_); }

 private:
  static bool IsSpace(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
  Bytes file_;
  size_t at_ = 0;
};

Result<Image> DecodePnm(Bytes file, const Limits& limits) {
  const int kind = file[1] - '0';
  const bool colour = kind == 3 || kind == 6, digits = kind < 4;
  PnmReader in(file);
  in.Skip(2);
  Image image;
  image.width = in.Number();
  image.height = in.Number();
  const int64_t most = in.Number();
  if (image.width < 1 || image.height < 1 || most < 1)
    return Invalid("PNM: width, height and maximum are positive");
  if (most > 255) return Unsupported("PNM of more than 8 bits");
  TRY(AllowImage(image.height, image.width, limits));
  const int64_t samples = image.height * image.width * (colour ? 3 : 1);
  in.Skip(1);
  if (!digits && static_cast<int64_t>(in.Rest().size()) < samples)
    return Invalid("PNM: the file ends within the pixels");
  Bytes raw = in.Rest();
  for (int64_t i = 0; i < samples; ++i) {
    const int64_t v = digits ? in.Number() : raw[static_cast<size_t>(i)];
    if (v < 0 || v > most) return Invalid("PNM: a sample is between 0 and the maximum");
    image.rgb.insert(image.rgb.end(), colour ? 1 : 3,
                     static_cast<uint8_t>((v * 255 * 2 + most) / (2 * most)));
  }
  return image;
}

// ---- BMP: uncompressed, 8 bits with a palette, 24 or 32 bits; rows from the bottom unless the
// height is negative

int64_t Little(Bytes file, size_t at, int bytes) {
  uint64_t v = 0;
  for (int i = 0; i < bytes; ++i) v |= uint64_t{file[at + static_cast<size_t>(i)]} << (8 * i);
  return bytes == 4 ? int64_t{static_cast<int32_t>(static_cast<uint32_t>(v))}
                    : static_cast<int64_t>(v);
}

Result<Image> DecodeBmp(Bytes file, const Limits& limits) {
  constexpr size_t kHeaders = 54;
  if (file.size() < kHeaders) return Invalid("BMP: the file ends within its headers");
  const int64_t begin = Little(file, 10, 4), header = Little(file, 14, 4),
                depth = Little(file, 28, 2);
  const int64_t compression = Little(file, 30, 4), size = static_cast<int64_t>(file.size());
  if (header < 40 || compression != 0 || (depth != 8 && depth != 24 && depth != 32)) {
    return Unsupported("BMP that is compressed or not of 8, 24 or 32 bits");
  }
  Image image;
  image.width = Little(file, 18, 4);
  const int64_t rows = Little(file, 22, 4);
  image.height = rows < 0 ? -rows : rows;
  if (image.width < 1 || image.height < 1) return Invalid("BMP: width and height are positive");
  TRY(AllowImage(image.height, image.width, limits));
  const int64_t stride = (image.width * depth + 31) / 32 * 4;
  if (begin < 0 || begin > size || (size - begin) / stride < image.height)
    return Invalid("BMP: the file ends within the pixels");
  const int64_t palette = 14 + header, named = Little(file, 46, 4),
                colours = named == 0 ? 256 : named;
  if (depth == 8 && (colours < 1 || colours > 256 || palette + 4 * colours > size))
    return Invalid("BMP: the file ends within the palette");
  image.rgb.resize(static_cast<size_t>(image.height * image.width * 3));
  size_t to = 0;
  for (int64_t y = 0; y < image.height; ++y) {
    const int64_t row = begin + (rows < 0 ? y : image.height - 1 - y) * stride;
    for (int64_t x = 0; x < image.width; ++x) {
      int64_t from = row + x * (depth / 8);
      if (depth == 8) {
        const int64_t index = file[static_cast<size_t>(from)];
        if (index >= colours) return Invalid("BMP: a pixel is outside the palette");
        from = palette + 4 * index;
      }
      for (int64_t channel : {2, 1, 0}) image.rgb[to++] = file[static_cast<size_t>(from + channel)];
    }
  }
  return image;
}

}  // namespace

Status AllowImage(int64_t height, int64_t width, const Limits& limits) {
  constexpr int64_t kBytes = 32;  // a pixel: its samples, and what decoders keep of it
  const int64_t elements = ElementCount({height, width, 3}),
                bytes = ElementCount({height, width, kBytes});
  if (elements < 0 || bytes < 0 || elements > limits.elements || bytes > limits.bytes) {
    return LimitHit("an image of " + std::to_string(height) + " x " + std::to_string(width) +
                    " exceeds the limits");
  }
  return {};
}

Result<Image> DecodeImage(Bytes file, const Limits& limits) {
  if (Begins(file, "\xff\xd8\xff")) return DecodeJpeg(file, limits);
  if (Begins(file, "\x89PNG\r\n\x1a\n")) return DecodePng(file, limits);
  if (Begins(file, "RIFF") && Begins(file, "WEBP", 8)) return DecodeWebp(file, limits);
  const std::string_view little("II*\0", 4), big("MM\0*", 4), jp2("\0\0\0\x0cjP  \r\n\x87\n", 12);
  if (Begins(file, little) || Begins(file, big)) return DecodeTiff(file, limits);
  if (Begins(file, jp2) || Begins(file, "\xff\x4f\xff\x51")) return DecodeJpeg2000(file, limits);
  if (Begins(file, "BM")) return DecodeBmp(file, limits);
  for (const char* magic : {"P2", "P3", "P5", "P6"}) {
    if (Begins(file, magic)) return DecodePnm(file, limits);
  }
  return Invalid("the bytes are no image: not BMP, JPEG, JPEG 2000, PNG, PNM, TIFF or WebP");
}

}  // namespace assay
