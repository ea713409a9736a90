// W&B's transaction log. Rule: lengths are checked against the file and the block before they are used.
#include "wandb_log.h"

#include "growing_file.h"
#include "util/bytes.h"
#include "util/memory.h"
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

enum { BLOCK = 32768, HEAD = 7 };
enum { PIECE_WHOLE = 1, PIECE_FIRST = 2, PIECE_MIDDLE = 3, PIECE_LAST = 4 };

static const char magic[HEAD] = {':', 'W', '&', 'B', (char)0xe1, (char)0xbe, 0};

static uint32_t checksum(uint8_t kind, const void *bytes, size_t size) {
  return (uint32_t)crc32(crc32(0, &kind, 1), bytes, (uInt)size); // a piece fits into a block
}

static size_t left_in_block(uint64_t offset) {
  return BLOCK - (size_t)(offset % BLOCK);
}

// ---- writing ----

Status wandb_log_begin(Str *out) {
  return str_append(out, magic, sizeof magic);
}

static Status append_piece(Str *out, uint8_t kind, const char *bytes, size_t size) {
  uint32_t sum = checksum(kind, bytes, size);
  uint16_t length = (uint16_t)size;
  TRY(str_append(out, (const char *)&sum, sizeof sum));
  TRY(str_append(out, (const char *)&length, sizeof length));
  TRY(str_append(out, (const char *)&kind, sizeof kind));
  return str_append(out, bytes, size);
}

Status wandb_log_append(Str *out, uint64_t base, const void *bytes, size_t size) {
  static const char zeros[HEAD] = {0};
  const char *rest = bytes;
  bool is_first = true, is_last = false;
  size_t left = left_in_block(base + out->size);
  if (left < HEAD) TRY(str_append(out, zeros, left));
  while (!is_last) {
    size_t room = left_in_block(base + out->size) - HEAD, part = size_min(size, room);
    is_last = part == size;
    uint8_t kind = is_first ? (is_last ? PIECE_WHOLE : PIECE_FIRST) : is_last ? PIECE_LAST : PIECE_MIDDLE;
    TRY(append_piece(out, kind, rest, part));
    rest += part;
    size -= part;
    is_first = false;
  }
  return STATUS_OK;
}

// ---- reading ----

Status wandb_log_open(const MappedFile *file, size_t *offset) {
  *offset = 0;
  if (file->size < sizeof magic || memcmp(file->bytes, magic, sizeof magic) != 0)
    return status_fail(STATUS_INPUT, "the version of W&B's format is not there");
  *offset = sizeof magic;
  return STATUS_OK;
}

typedef struct Piece {
  uint8_t kind; // 0: there is no further whole piece
  const uint8_t *bytes;
  size_t size, next;
} Piece;

static Status read_piece(const MappedFile *file, size_t offset, Piece *out) {
  size_t block = left_in_block(offset), skip = block < HEAD ? block : 0;
  size_t left = file->size - offset;
  *out = (Piece){0};
  if (left < skip + HEAD || growing_is_blank(file->bytes + offset, left)) return STATUS_OK;
  const uint8_t *head = file->bytes + offset + skip;
  size_t size = load_u16(head + 4);
  if (!growing_is_blank(head - skip, skip))
    return status_fail(STATUS_INPUT, "there is no zero at the end of a block");
  if (size > left_in_block(offset + skip) - HEAD)
    return status_fail(STATUS_INPUT, "its length goes beyond its block");
  if (size > left - skip - HEAD) return STATUS_OK;
  if (head[6] < PIECE_WHOLE || head[6] > PIECE_LAST)
    return status_fail(STATUS_INPUT, "it is of no known kind");
  if (load_u32(head) != checksum(head[6], head + HEAD, size))
    return status_fail(STATUS_INPUT, "its checksum is not that of its bytes");
  *out = (Piece){head[6], head + HEAD, size, offset + skip + HEAD + size};
  return STATUS_OK;
}

Status wandb_log_read(const MappedFile *file, size_t *offset, Str *record, bool *found) {
  bool is_first = true;
  size_t next = *offset;
  *found = false;
  str_clear(record);
  for (;;) {
    Piece piece;
    TRY(read_piece(file, next, &piece));
    if (piece.kind == 0) return STATUS_OK;
    bool begins = piece.kind == PIECE_WHOLE || piece.kind == PIECE_FIRST;
    if (begins != is_first) return status_fail(STATUS_INPUT, "its pieces are not in their order");
    TRY(str_append(record, (const char *)piece.bytes, piece.size));
    next = piece.next;
    is_first = false;
    if (piece.kind == PIECE_WHOLE || piece.kind == PIECE_LAST) break;
  }
  *offset = next;
  *found = true;
  return STATUS_OK;
}
