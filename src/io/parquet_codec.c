// Unpacking of Parquet pages. Rule: a page that does not unpack to exactly the size in its header is refused.
#include "parquet.h"

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <stdint.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

typedef enum Codec {
  CODEC_NONE = 0,
  CODEC_SNAPPY = 1,
  CODEC_GZIP = 2,
  CODEC_LZO = 3,
  CODEC_BROTLI = 4,
  CODEC_LZ4 = 5,
  CODEC_ZSTD = 6,
  CODEC_LZ4_RAW = 7
} Codec;

const char *parquet_codec_name(int codec) {
  static const char *const names[] = {"uncompressed", "snappy", "gzip", "LZO",
                                      "brotli",       "LZ4",    "zstd", "LZ4_RAW"};
  return codec >= 0 && (size_t)codec < sizeof names / sizeof names[0] ? names[codec] : "an unknown codec";
}

Status parquet_check_codec(int codec) {
  if (codec >= CODEC_NONE && codec <= CODEC_LZ4_RAW && codec != CODEC_LZO) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "compressed with %s (codec %d), which is not supported; write it with zstd or snappy",
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

static Status unpack_brotli(ByteSpan in, uint8_t *out, size_t size) {
  BrotliDecoderState *stream = BrotliDecoderCreateInstance(NULL, NULL, NULL);
  if (stream == NULL) return fail_memory(CODEC_BROTLI);
  const uint8_t *next = in.bytes;
  uint8_t *to = out;
  size_t left = in.size, room = size;
  BrotliDecoderResult result = BrotliDecoderDecompressStream(stream, &left, &next, &room, &to, NULL);
  BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(stream);
  BrotliDecoderDestroyInstance(stream);
  if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
    return fail_memory(CODEC_BROTLI);
  return result == BROTLI_DECODER_RESULT_SUCCESS && left == 0 && room == 0 ? STATUS_OK
                                                                           : fail_damaged(CODEC_BROTLI);
}

/// A raw block of LZ4. Pages are below 2^31 bytes.
static bool unpack_block(ByteSpan in, uint8_t *out, size_t size) {
  return LZ4_decompress_safe((const char *)in.bytes, (char *)out, (int)in.size, (int)size) == (int)size;
}

static size_t load_big_endian(const uint8_t *bytes) {
  return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

/// Hadoop's blocks, one after the other: unpacked and packed size as big-endian u32, then a raw block.
static bool unpack_hadoop(ByteSpan in, uint8_t *out, size_t size) {
  while (in.size >= 8) {
    size_t unpacked = load_big_endian(in.bytes), packed = load_big_endian(in.bytes + 4);
    if (packed > in.size - 8 || unpacked > size ||
        !unpack_block((ByteSpan){in.bytes + 8, packed}, out, unpacked))
      return false;
    in = (ByteSpan){in.bytes + 8 + packed, in.size - 8 - packed};
    out += unpacked;
    size -= unpacked;
  }
  return in.size == 0 && size == 0;
}

/// The codec LZ4 is Hadoop's form by the standard, but old writers of Arrow stored a raw block under it.
static Status unpack_lz4(int codec, ByteSpan in, uint8_t *out, size_t size) {
  bool is_whole = (codec == CODEC_LZ4 && unpack_hadoop(in, out, size)) || unpack_block(in, out, size);
  return is_whole ? STATUS_OK : fail_damaged(codec);
}

Status parquet_unpack(int codec, ByteSpan in, uint8_t *out, size_t size) {
  if (codec == CODEC_SNAPPY) return unpack_snappy(in, out, size);
  if (codec == CODEC_GZIP) return unpack_gzip(in, out, size);
  if (codec == CODEC_ZSTD) return unpack_zstd(in, out, size);
  if (codec == CODEC_BROTLI) return unpack_brotli(in, out, size);
  if (codec == CODEC_LZ4 || codec == CODEC_LZ4_RAW) return unpack_lz4(codec, in, out, size);
  return parquet_check_codec(codec);
}
