// The image formats that libraries read: libjpeg, libpng, libwebp, libtiff and openjpeg. No other
// file sees them. Errors of libjpeg and libpng come by longjmp: what they jump over holds no
// objects with destructors.
#include "interp/image.h"

#if ASSAY_HAS_IMAGES

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include <jpeglib.h>
#include <openjpeg.h>
#include <png.h>
#include <tiffio.h>
#include <webp/decode.h>

namespace assay {
namespace {

using Bytes = std::span<const uint8_t>;

Result<Image> Empty(int64_t height, int64_t width, const Limits& limits) {
  TRY(AllowImage(height, width, limits));
  Image image{height, width, {}};
  image.rgb.resize(static_cast<size_t>(height * width * 3));
  return image;
}

// ---- JPEG

struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void JpegFails(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// Damage that the decoder would gloss over is an error too. Level -1: a warning.
void JpegSays(j_common_ptr info, int level) {
  if (level < 0) JpegFails(info);
}

// A progressive file may ask for any number of passes over the image.
void JpegGoesOn(j_common_ptr info) {
  constexpr int kMostScans = 100;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof(errors->message), "more than %d scans", kMostScans);
  std::longjmp(errors->jump, 1);
}

enum class Found { kDamaged, kImage, kOther };

struct JpegReader {
  jpeg_decompress_struct info = {};
  JpegErrors errors = {};
  jpeg_progress_mgr progress = {};
  ~JpegReader() { jpeg_destroy_decompress(&info); }

  Found Header(Bytes file) {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = JpegFails;
    errors.base.emit_message = JpegSays;
    if (setjmp(errors.jump)) return Found::kDamaged;
    jpeg_create_decompress(&info);
    progress.progress_monitor = JpegGoesOn;
    info.progress = &progress;
    jpeg_mem_src(&info, file.data(), static_cast<unsigned long>(file.size()));
    jpeg_read_header(&info, TRUE);
    const bool known = info.jpeg_color_space == JCS_GRAYSCALE || info.jpeg_color_space == JCS_RGB ||
                       info.jpeg_color_space == JCS_YCbCr;
    return known ? Found::kImage : Found::kOther;
  }
  bool Pixels(uint8_t* rgb) {
    if (setjmp(errors.jump)) return false;
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
      uint8_t* row = rgb + size_t{info.output_scanline} * info.output_width * 3;
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    return true;
  }
};

// ---- PNG

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes rest;
  std::jmp_buf jump;
  char message[128] = "";
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }

  [[noreturn]] static void Fails(png_structp png, png_const_charp what) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->message, sizeof(self->message), "%s", what);
    std::longjmp(self->jump, 1);
  }
  static void Warns(png_structp, png_const_charp) {}
  static void Read(png_structp png, png_bytep to, size_t n) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (self->rest.size() < n) Fails(png, "the file ends too early");
    std::memcpy(to, self->rest.data(), n);
    self->rest = self->rest.subspan(n);
  }

  bool Header(Bytes file) {
    rest = file;
    if (setjmp(jump)) return false;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, Fails, Warns);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) return false;
    png_set_read_fn(png, this, Read);
    png_read_info(png, info);
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return png_get_rowbytes(png, info) == size_t{png_get_image_width(png, info)} * 3;
  }
  bool Pixels(uint8_t** rows) {
    if (setjmp(jump)) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
  }
};

// ---- TIFF

struct MemoryFile {
  Bytes file;
  uint64_t at = 0;
};

tmsize_t TiffRead(thandle_t handle, void* to, tmsize_t size) {
  auto* m = static_cast<MemoryFile*>(handle);
  const uint64_t left = m->at < m->file.size() ? m->file.size() - m->at : 0;
  const uint64_t n = std::min<uint64_t>(left, size > 0 ? static_cast<uint64_t>(size) : 0);
  if (n > 0) std::memcpy(to, m->file.data() + m->at, n);
  m->at += n;
  return static_cast<tmsize_t>(n);
}
tmsize_t TiffWrite(thandle_t, void*, tmsize_t) { return 0; }
toff_t TiffSeek(thandle_t handle, toff_t to, int whence) {
  auto* m = static_cast<MemoryFile*>(handle);
  m->at = to + (whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->file.size() : 0);
  return m->at;
}
int TiffClose(thandle_t) { return 0; }
toff_t TiffSize(thandle_t handle) { return static_cast<MemoryFile*>(handle)->file.size(); }
int TiffQuiet(TIFF*, void*, const char*, const char*, va_list) { return 1; }

struct TiffFree {
  void operator()(TIFF* t) const { TIFFClose(t); }
  void operator()(TIFFOpenOptions* o) const { TIFFOpenOptionsFree(o); }
};

// ---- JPEG 2000

// Reads and skips within a file; -1 at its end, as openjpeg wants.
OPJ_SIZE_T JpxRead(void* to, OPJ_SIZE_T size, void* user) {
  const tmsize_t n = TiffRead(user, to, static_cast<tmsize_t>(std::min<OPJ_SIZE_T>(size, 1 << 30)));
  return n > 0 ? static_cast<OPJ_SIZE_T>(n) : static_cast<OPJ_SIZE_T>(-1);
}
OPJ_OFF_T JpxSkip(OPJ_OFF_T n, void* user) {
  auto* m = static_cast<MemoryFile*>(user);
  if (n < 0 ||
      static_cast<uint64_t>(n) > m->file.size() - std::min<uint64_t>(m->at, m->file.size()))
    return -1;
  m->at += static_cast<uint64_t>(n);
  return n;
}
OPJ_BOOL JpxSeek(OPJ_OFF_T to, void* user) {
  auto* m = static_cast<MemoryFile*>(user);
  if (to < 0 || static_cast<uint64_t>(to) > m->file.size()) return OPJ_FALSE;
  m->at = static_cast<uint64_t>(to);
  return OPJ_TRUE;
}
void JpxQuiet(const char*, void*) {}

// Codec and stream are both void to the compiler.
struct JpxCodecFree {
  void operator()(opj_codec_t* c) const { opj_destroy_codec(c); }
};
struct JpxStreamFree {
  void operator()(opj_stream_t* s) const { opj_stream_destroy(s); }
};
struct JpxImageFree {
  void operator()(opj_image_t* i) const { opj_image_destroy(i); }
};

uint32_t Big(Bytes b, size_t at, int bytes) {
  uint32_t v = 0;
  for (int i = 0; i < bytes; ++i) v = v << 8 | b[at + static_cast<size_t>(i)];
  return v;
}

// openjpeg makes tables for each tile and component before it knows that they fit: what a file may
// be is decided on its SIZ marker (ISO 15444-1, A.5.1), which follows the SOC marker.
Status AllowCodestreams(Bytes file, const Limits& limits) {
  constexpr size_t kSiz = 42;
  constexpr uint64_t kMostTiles = 4096;
  bool any = false;
  for (size_t at = 0; at + kSiz <= file.size(); ++at) {
    if (Big(file, at, 4) != 0xff4fff51u) continue;
    any = true;
    const uint32_t width = Big(file, at + 8, 4), height = Big(file, at + 12, 4);
    const uint64_t tile_width = Big(file, at + 24, 4), tile_height = Big(file, at + 28, 4);
    if (tile_width == 0 || tile_height == 0) return Invalid("JPEG 2000: a tile has no extent");
    TRY(AllowImage(height, width, limits));
    if ((width / tile_width + 1) * (height / tile_height + 1) > kMostTiles)
      return LimitHit("JPEG 2000: too many tiles");
    if (Big(file, at + 40, 2) > 4) return Unsupported("JPEG 2000 of more than four components");
  }
  return any ? Status() : Invalid("JPEG 2000: no codestream");
}

}  // namespace

bool HasImageLibraries() { return true; }

Result<Image> DecodeJpeg(Bytes file, const Limits& limits) {
  JpegReader reader;
  const Found found = reader.Header(file);
  if (found == Found::kDamaged) return Invalid(std::string("JPEG: ") + reader.errors.message);
  if (found == Found::kOther) return Unsupported("JPEG that is neither grey nor RGB nor YCbCr");
  Image image = TRY(Empty(reader.info.image_height, reader.info.image_width, limits));
  if (!reader.Pixels(image.rgb.data()))
    return Invalid(std::string("JPEG: ") + reader.errors.message);
  return image;
}

Result<Image> DecodePng(Bytes file, const Limits& limits) {
  PngReader reader;
  if (!reader.Header(file)) return Invalid(std::string("PNG: ") + reader.message);
  Image image = TRY(Empty(png_get_image_height(reader.png, reader.info),
                          png_get_image_width(reader.png, reader.info), limits));
  std::vector<uint8_t*> rows(static_cast<size_t>(image.height));
  for (size_t y = 0; y < rows.size(); ++y)
    rows[y] = image.rgb.data() + y * static_cast<size_t>(image.width) * 3;
  if (!reader.Pixels(rows.data())) return Invalid(std::string("PNG: ") + reader.message);
  return image;
}

Result<Image> DecodeWebp(Bytes file, const Limits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(file.data(), file.size(), &features) != VP8_STATUS_OK)
    return Invalid("WebP: the header is damaged");
  if (features.has_animation) return Unsupported("WebP with an animation");
  Image image = TRY(Empty(features.height, features.width, limits));
  if (!WebPDecodeRGBInto(file.data(), file.size(), image.rgb.data(), image.rgb.size(),
                         features.width * 3)) {
    return Invalid("WebP: the file is damaged");
  }
  return image;
}

Result<Image> DecodeTiff(Bytes file, const Limits& limits) {
  std::unique_ptr<TIFFOpenOptions, TiffFree> options(TIFFOpenOptionsAlloc());
  TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(limits.bytes / 8));
  TIFFOpenOptionsSetErrorHandlerExtR(options.get(), TiffQuiet, nullptr);
  TIFFOpenOptionsSetWarningHandlerExtR(options.get(), TiffQuiet, nullptr);
  MemoryFile memory{file};
  std::unique_ptr<TIFF, TiffFree> tiff(TIFFClientOpenExt("image", "rm", &memory, TiffRead,
                                                         TiffWrite, TiffSeek, TiffClose, TiffSize,
                                                         nullptr, nullptr, options.get()));
  uint32_t width = 0, height = 0;
  if (!tiff || !TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &width) ||
      !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &height)) {
    return Invalid("TIFF: the directory is damaged");
  }
  uint16_t depth = 1;
  TIFFGetFieldDefaulted(tiff.get(), TIFFTAG_BITSPERSAMPLE, &depth);
  if (depth > 8) return Unsupported("TIFF of more than 8 bits");
  if (width == 0 || height == 0) return Invalid("TIFF: width and height are positive");
  Image image = TRY(Empty(height, width, limits));
  std::vector<uint32_t> raster(size_t{width} * height);
  if (!TIFFReadRGBAImageOriented(tiff.get(), width, height, raster.data(), ORIENTATION_TOPLEFT,
                                 1)) {
    return Invalid("TIFF: the pixels are damaged or of an unknown kind");
  }
  for (size_t i = 0; i < raster.size(); ++i) {
    image.rgb[3 * i] = static_cast<uint8_t>(TIFFGetR(raster[i]));
    image.rgb[3 * i + 1] = static_cast<uint8_t>(TIFFGetG(raster[i]));
    image.rgb[3 * i + 2] = static_cast<uint8_t>(TIFFGetB(raster[i]));
  }
  return image;
}

Result<Image> DecodeJpeg2000(Bytes file, const Limits& limits) {
  TRY(AllowCodestreams(file, limits));
  std::unique_ptr<opj_codec_t, JpxCodecFree> codec(
      opj_create_decompress(file[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2));
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  for (auto set : {opj_set_info_handler, opj_set_warning_handler, opj_set_error_handler})
    set(codec.get(), JpxQuiet, nullptr);
  MemoryFile memory{file};
  std::unique_ptr<opj_stream_t, JpxStreamFree> stream(opj_stream_default_create(OPJ_TRUE));
  opj_stream_set_user_data(stream.get(), &memory, nullptr);
  opj_stream_set_user_data_length(stream.get(), file.size());
  opj_stream_set_read_function(stream.get(), JpxRead);
  opj_stream_set_skip_function(stream.get(), JpxSkip);
  opj_stream_set_seek_function(stream.get(), JpxSeek);
  opj_image_t* made = nullptr;
  const bool header = opj_setup_decoder(codec.get(), &parameters) &&
                      opj_read_header(stream.get(), codec.get(), &made);
  std::unique_ptr<opj_image_t, JpxImageFree> jpx(made);
  if (!header) return Invalid("JPEG 2000: the header is damaged");
  const uint32_t count = jpx->numcomps;
  if (count != 1 && count != 3 && count != 4)
    return Unsupported("JPEG 2000 that is neither grey nor RGB");
  if (jpx->color_space == OPJ_CLRSPC_SYCC || jpx->color_space == OPJ_CLRSPC_EYCC)
    return Unsupported("JPEG 2000 in YCC");
  if (!opj_decode(codec.get(), stream.get(), jpx.get()))
    return Invalid("JPEG 2000: the file is damaged");
  const opj_image_comp_t& first = jpx->comps[0];
  Image image = TRY(Empty(first.h, first.w, limits));
  for (uint32_t c = 0; c < count; ++c) {
    const opj_image_comp_t& part = jpx->comps[c];
    if (part.w != first.w || part.h != first.h || part.prec != 8 || part.sgnd || !part.data) {
      return Unsupported("JPEG 2000 with components other than 8 bits of one size");
    }
  }
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] =
        static_cast<uint8_t>(std::clamp(jpx->comps[count == 1 ? 0 : i % 3].data[i / 3], 0, 255));
  }
  return image;
}

}  // namespace assay

#else

namespace assay {
namespace {
Error Lacking(const char* format) {
  return Unsupported(std::string("ImageDecoder: this build has no library for ") + format);
}
}  // namespace

bool HasImageLibraries() { return false; }
Result<Image> DecodeJpeg(std::span<const uint8_t>, const Limits&) { return Lacking("JPEG"); }
Result<Image> DecodePng(std::span<const uint8_t>, const Limits&) { return Lacking("PNG"); }
Result<Image> DecodeWebp(std::span<const uint8_t>, const Limits&) { return Lacking("WebP"); }
Result<Image> DecodeTiff(std::span<const uint8_t>, const Limits&) { return Lacking("TIFF"); }
Result<Image> DecodeJpeg2000(std::span<const uint8_t>, const Limits&) {
  return Lacking("JPEG 2000");
}

}  // namespace assay

#endif
