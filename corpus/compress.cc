#include "corpus/compress.h"

#include <zstd.h>

#include <memory>

namespace assay {
namespace {
constexpr int kLevel = 19;         // entries are small and written once
constexpr int kMaxWindowLog = 27;  // 128 MiB of window: what `zstd` itself accepts without --long
}  // namespace

std::string Compress(std::string_view text) {
  std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  CHECK(context != nullptr);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  size_t size = ZSTD_compress2(context.get(), out.data(), out.size(), text.data(), text.size());
  CHECK(!ZSTD_isError(size));
  out.resize(size);
  return out;
}

Result<std::string> Decompress(std::string_view bytes, int64_t max_bytes,
                               const std::string& where) {
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  CHECK(context != nullptr);
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  std::string out, chunk(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  for (;;) {
    ZSTD_outBuffer to{chunk.data(), chunk.size(), 0};
    size_t left = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(left))
      return Invalid(std::string("not a zstd frame: ") + ZSTD_getErrorName(left), where);
    if (static_cast<int64_t>(out.size() + to.pos) > max_bytes) {
      return LimitHit("unpacks to more than " + std::to_string(max_bytes) + " bytes", where);
    }
    out.append(chunk, 0, to.pos);
    if (left == 0) break;
    if (to.pos < to.size && in.pos == in.size) return Invalid("a truncated zstd frame", where);
  }
  if (in.pos != in.size) return Invalid("bytes after the zstd frame", where);
  return out;
}

}  // namespace assay
