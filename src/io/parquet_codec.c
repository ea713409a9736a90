// Unpacking of Parquet pages. Rule: a page that does not unpack to exactly the size in its header is refused.
#include "parquet.h"

#include <snappy-c.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

typedef enum Codec { CODEC_NONE = 0, CODEC_SNAPPY = 1, CODEC_GZIP = 2, CODEC_ZSTD = 6 } Codec;

const char *parquet_codec_name(int codec) {
  static const char *const names[] = {"uncompressed", "snappy", "gzip", "LZO",
                                      "brotli",       "LZ4",    "zstd", "LZ4_RAW"};
  return codec >= 0 && (size_t)codec < sizeof names / sizeof names[0] ? names[codec] : "an unknown codec";
}

Status parquet_check_codec(int codec) {
  if (codec == CODEC_NONE || codec == CODEC_SNAPPY || codec == CODEC_GZIP || codec == CODEC_ZSTD)
    return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "compressed with %s (codec %d), which is not supported; write it with snappy, gzip, zstd or none",
      parquet_codec_name(codec), codec);
}

static Status fail_damaged(int codec) {
  return status_fail(STATUS_INPUT, "a %s page does not unpack to the size it claims; it is damaged",
                     parquet_codec_name(codec));
}

static Status fail_memory(int codec) {
  return status_fail(STATUS_FAILED, "out of memory to unpack a %s page", parquet_codec_name(codec));
}

static Status unpack_snappy(ByteSpan in, uint8_t *out, size_t size) {
  size_t length = 0;
  if (snappy_uncompressed_length((const char *)in.bytes, in.size, &length) != SNAPPY_OK || length != size ||
      snappy_uncompress((const char *)in.bytes, in.size, (char *)out, &length) != SNAPPY_OK || length != size)
    return fail_damaged(CODEC_SNAPPY);
  return STATUS_OK;
}

/// gzip or zlib, also several members in a row, as some writers make them.
static Status unpack_gzip(ByteSpan in, uint8_t *out, size_t size) {
  z_stream stream = {0};
  if (inflateInit2(&stream, 15 + 32) != Z_OK) return fail_memory(CODEC_GZIP);
  uint8_t nothing;
  stream.next_in = (Bytef *)(uintptr_t)in.bytes;
  stream.avail_in = (uInt)in.size; // pages are below 2^31 bytes
  stream.next_out = size > 0 ? out : &nothing;
  stream.avail_out = (uInt)size;
  int code = Z_OK;
  do {
    code = inflate(&stream, Z_FINISH);
  } while (code == Z_STREAM_END && stream.avail_in > 0 && inflateReset(&stream) == Z_OK);
  bool whole = code == Z_STREAM_END && stream.avail_out == 0;
  (void)inflateEnd(&stream);
  if (code == Z_MEM_ERROR) return fail_memory(CODEC_GZIP);
  return whole ? STATUS_OK : fail_damaged(CODEC_GZIP);
}

static Status unpack_zstd(ByteSpan in, uint8_t *out, size_t size) {
  size_t result = ZSTD_decompress(out, size, in.bytes, in.size);
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) return fail_memory(CODEC_ZSTD);
  return result == size ? STATUS_OK : fail_damaged(CODEC_ZSTD);
}

Status parquet_unpack(int codec, ByteSpan in, uint8_t *out, size_t size) {
  if (codec == CODEC_SNAPPY) return unpack_snappy(in, out, size);
  if (codec == CODEC_GZIP) return unpack_gzip(in, out, size);
  if (codec == CODEC_ZSTD) return unpack_zstd(in, out, size);
  return parquet_check_codec(codec);
}
