// Files that are packed as a whole, by gzip or zstd. Rule: a file is unpacked to its end or refused; what it
// unpacks to is limited, because a few bytes can claim any amount.
#include "table_parts.h"

#include "util/memory.h"
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum { STEP_BYTES = 1 << 20 };

/// What is unpacked so far.
typedef struct Unpacked {
  const char *path;
  uint8_t *bytes;
  size_t size, capacity;
} Unpacked;

/// Makes room for STEP_BYTES more.
static Status make_room(Unpacked *out) {
  if (out->size > TABLE_UNPACKED_BYTES - STEP_BYTES)
    return status_fail(STATUS_INPUT, "%s: unpacks to more than %zu MiB; take a part of it", out->path,
                       TABLE_UNPACKED_BYTES >> 20);
  return mem_reserve(&out->bytes, &out->capacity, out->size + STEP_BYTES, "an unpacked file");
}

static Status fail_damaged(const Unpacked *out, const char *codec) {
  return status_fail(STATUS_INPUT, "%s: is packed with %s and damaged or cut off", out->path, codec);
}

static Status fail_memory(const Unpacked *out) {
  return status_fail(STATUS_FAILED, "%s: out of memory to unpack it", out->path);
}

/// Gives zlib, whose counts have 32 bits, the next part of [*next, end).
static void feed_gzip(z_stream *stream, const uint8_t **next, const uint8_t *end) {
  size_t left = (size_t)(end - *next), part = left < STEP_BYTES ? left : STEP_BYTES;
  if (stream->avail_in > 0) return;
  stream->next_in = (Bytef *)(uintptr_t)*next;
  stream->avail_in = (uInt)part;
  *next += part;
}

/// All members of a gzip file, one after the other.
static Status inflate_members(z_stream *stream, const MappedFile *file, Unpacked *out) {
  const uint8_t *next = file->bytes, *end = file->bytes + file->size;
  for (;;) {
    TRY(make_room(out));
    feed_gzip(stream, &next, end);
    stream->next_out = out->bytes + out->size;
    stream->avail_out = STEP_BYTES;
    int code = inflate(stream, Z_NO_FLUSH);
    out->size += STEP_BYTES - stream->avail_out;
    if (code == Z_MEM_ERROR) return fail_memory(out);
    bool is_at_end = stream->avail_in == 0 && next == end;
    if (code == Z_STREAM_END && is_at_end) return STATUS_OK;
    if (code == Z_STREAM_END) code = inflateReset(stream);
    if (code != Z_OK || (is_at_end && stream->avail_out > 0)) return fail_damaged(out, "gzip");
  }
}

static Status unpack_gzip(const MappedFile *file, Unpacked *out) {
  z_stream stream = {0};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return fail_memory(out);
  Status status = inflate_members(&stream, file, out);
  (void)inflateEnd(&stream);
  return status;
}

/// All frames of a zstd file, one after the other.
static Status decompress_frames(ZSTD_DStream *stream, const MappedFile *file, Unpacked *out) {
  ZSTD_inBuffer in = {file->bytes, file->size, 0};
  size_t left = 1; // 0 at the end of a frame
  while (in.pos < in.size || left > 0) {
    TRY(make_room(out));
    ZSTD_outBuffer to = {out->bytes + out->size, STEP_BYTES, 0};
    size_t before = in.pos;
    left = ZSTD_decompressStream(stream, &to, &in);
    out->size += to.pos;
    if (ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation) return fail_memory(out);
    if (ZSTD_isError(left) || (left > 0 && in.pos == before && to.pos == 0)) return fail_damaged(out, "zstd");
  }
  return STATUS_OK;
}

static Status unpack_zstd(const MappedFile *file, Unpacked *out) {
  ZSTD_DStream *stream = ZSTD_createDStream();
  if (stream == NULL) return fail_memory(out);
  Status status = decompress_frames(stream, file, out);
  (void)ZSTD_freeDStream(stream);
  return status;
}

Status table_unpack(Table *table) {
  MappedFile *file = &table->file;
  bool is_gzip = file->size >= 2 && memcmp(file->bytes, "\x1f\x8b", 2) == 0;
  bool is_zstd = file->size >= 4 && memcmp(file->bytes, "\x28\xb5\x2f\xfd", 4) == 0;
  if (!is_gzip && !is_zstd) return STATUS_OK;
  Unpacked out = {.path = file->path};
  Status status = is_gzip ? unpack_gzip(file, &out) : unpack_zstd(file, &out);
  table->unpacked = out.bytes; // freed with the table
  file->bytes = out.bytes;
  file->size = out.size;
  return status;
}
