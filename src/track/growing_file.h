// A file that grows by whole pieces. Rule: a piece goes out in one write() if the system takes it at once,
// and a failed one is taken back, so a kill leaves at most one partial piece, at the end.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Zero-initialise; free with growing_close.
typedef struct GrowingFile {
  char *path; // NULL: not open
  int descriptor;
  uint64_t size; // where the next piece begins
} GrowingFile;

/// Opens `path` for appending, and creates it if it is missing. STATUS_FAILED with the system's reason.
STATUS_CHECKED Status growing_open(const char *path, GrowingFile *out);
/// STATUS_FAILED with the system's reason; nothing of the piece remains then.
STATUS_CHECKED Status growing_append(GrowingFile *file, const void *bytes, size_t size);
/// Waits until everything is on the disk.
STATUS_CHECKED Status growing_sync(const GrowingFile *file);
/// Safe on a zeroed struct and twice.
void growing_close(GrowingFile *file);

/// Whether all the bytes are zero, as a power cut leaves the end of a file.
bool growing_is_blank(const uint8_t *bytes, size_t size);
/// Completes the message about a resumed run's file of which something is wrong at byte `offset`: adds where,
/// and what to do. Returns `status`; does nothing unless that is STATUS_INPUT.
Status growing_refuse(Status status, const char *path, size_t offset);
