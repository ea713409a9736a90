// TensorFlow's record files. Rule: lengths are checked against the file before they are used.
//
// The checksum is taken here: the libraries that have CRC-32C are not in Debian 12 (crc32c), only for some
// processors (isa-l) or far larger (leveldb), and a step has two kilobytes.
#include "tfrecord.h"

#include "growing_file.h"
#include "util/bytes.h"
#include <stdbool.h>

enum { HEAD = 12, TAIL = 4 };

/// CRC-32C: the polynomial 0x1edc6f41, its bits in reverse.
static uint32_t masked_crc(const void *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < size; i++) {
    crc ^= ((const uint8_t *)bytes)[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

Status tfrecord_append(Str *out, const void *bytes, size_t size) {
  uint64_t length = size;
  uint32_t head = masked_crc(&length, sizeof length), tail = masked_crc(bytes, size);
  TRY(str_append(out, (const char *)&length, sizeof length));
  TRY(str_append(out, (const char *)&head, sizeof head));
  TRY(str_append(out, bytes, size));
  return str_append(out, (const char *)&tail, sizeof tail);
}

static Status fail_checksum(void) {
  return status_fail(STATUS_INPUT, "its checksum is not that of its bytes");
}

Status tfrecord_read(const MappedFile *file, size_t offset, TfRecord *out) {
  const uint8_t *record = file->bytes + offset;
  size_t left = file->size - offset;
  *out = (TfRecord){0};
  if (left < HEAD || growing_is_blank(record, left)) return STATUS_OK;
  uint64_t length = load_u64(record);
  if (load_u32(record + 8) != masked_crc(record, 8)) return fail_checksum();
  if (left < HEAD + TAIL || length > left - HEAD - TAIL) return STATUS_OK;
  size_t size = (size_t)length;
  if (load_u32(record + HEAD + size) != masked_crc(record + HEAD, size)) return fail_checksum();
  *out = (TfRecord){record + HEAD, size, offset + HEAD + size + TAIL};
  return STATUS_OK;
}
