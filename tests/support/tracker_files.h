// What trackers wrote, decoded by another reader than the one that resumes a run: the files' frames,
// checksums and protobuf fields by their numbers, as the formats define them. It fails the test at the first
// byte that is not right.
#pragma once

#include "support/test.h"
#include "track/tracker.h"
#include "util/str.h"

/// Appends a line for each record of the run's event file; beside it there may be earlier ones, emptied:
///   "version brain.Event:2", "start 0", "0 config (text) <first line>", "3 loss=0.5 H_a=nan"
void tensorboard_read(const char *folder, Str *out);
/// Appends a line for each record of the run's W&B log, of which there must be one:
///   "1 header gee-cl", "2 run <project>/<name> train={…}", "3 metric * step", "5 config train={…}",
///   "6 row 0 step=3 loss=0.5", "7 summary step=3 loss=0.5", "8 exit 0". _timestamp and _runtime are checked
///   and left out.
void wandb_read(const char *folder, Str *out);

/// The run's event file; its W&B log; in static memory.
const char *tensorboard_path(const char *folder);
const char *wandb_path(const char *folder);

/// CRC of that polynomial, whose bits are in reverse: 0x82f63b78 is CRC-32C, 0xedb88320 is zlib's.
uint32_t tracker_crc(uint32_t polynomial, const uint8_t *bytes, size_t size);

/// Puts test_folder in memory, if the system has such a folder: opening a run waits for the disk.
void tracker_files_in_memory(void);
