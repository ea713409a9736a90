// W&B's transaction log: LevelDB's log format behind seven bytes. Blocks of 32 KiB hold pieces: a checksum
// (4 bytes, little-endian: zlib's CRC-32 of the kind and the bytes), the length (2 bytes), a kind (whole,
// first, middle, last) and the bytes. Where less than a head is left in a block there are zeros.
#pragma once

#include "io/file.h"
#include "util/status.h"
#include "util/str.h"
#include <stddef.h>
#include <stdint.h>

/// Appends the seven bytes that a file begins with.
STATUS_CHECKED Status wandb_log_begin(Str *out);
/// Appends a record; `out` begins at byte `base` of the file.
STATUS_CHECKED Status wandb_log_append(Str *out, uint64_t base, const void *bytes, size_t size);

/// STATUS_INPUT unless the file begins as a log does. *offset = where its first record begins.
STATUS_CHECKED Status wandb_log_open(const MappedFile *file, size_t *offset);
/// Reads the record that begins at *offset into `record` (emptied before), and moves *offset behind it. A
/// record that is cut short, or zeros to the end of the file as a power cut leaves them, count as none:
/// *found is false then and *offset stays. STATUS_INPUT if the bytes are no record.
STATUS_CHECKED Status wandb_log_read(const MappedFile *file, size_t *offset, Str *record, bool *found);
