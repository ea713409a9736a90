// TensorFlow's record files: for each record its length (8 bytes, little-endian), a checksum of the length,
// the bytes, and a checksum of the bytes. A checksum is the masked CRC-32C:
// (crc >> 15 | crc << 17) + 0xa282ead8.
#pragma once

#include "io/file.h"
#include "util/status.h"
#include "util/str.h"
#include <stddef.h>
#include <stdint.h>

/// Appends a record.
STATUS_CHECKED Status tfrecord_append(Str *out, const void *bytes, size_t size);

typedef struct TfRecord {
  const uint8_t *bytes; // inside the file; NULL: there is no further whole record
  size_t size;
  size_t next; // where the next record begins
} TfRecord;

/// Reads the record that begins at `offset` ≤ file->size. A record that is cut short, or zeros to the end of
/// the file as a power cut leaves them, count as none. STATUS_INPUT if a checksum is wrong.
STATUS_CHECKED Status tfrecord_read(const MappedFile *file, size_t offset, TfRecord *out);
