// What a device computed in the self-test, as a file, so that another device, anywhere, can be compared with
// it.
//
//   {"format": "gee-cl selftest", "version": 1, "program": "gee-cl 0.1.0 ...",
//    "device": {"name": ..., "platform": ..., "driver": ...},
//    "operations": [{"operation": "linear", "outputs": [{"elements": 165, "norm": 45.1, "values": [...]}]}]}
#pragma once

#include "io/json_write.h"
#include <stdbool.h>
#include <stddef.h>

enum { RECORD_VALUES = 64 }; // of an output

/// A result: its Euclidean norm, which any wrong element changes, and values spread evenly over it, all of
/// them if they are few.
typedef struct RecordOutput {
  size_t elements;
  float norm;
  float values[RECORD_VALUES];
} RecordOutput;

typedef struct RecordOperation {
  char *name;
  size_t first, count; // of the record's outputs
  double tolerance;    // the self-test's, of a record of this device
} RecordOperation;

/// Zero-initialise; free with selftest_record_free.
typedef struct SelftestRecord {
  char *program; // that made it
  char *device;  // of a record that was read: on what; else NULL
  RecordOperation *operations;
  RecordOutput *outputs;
  size_t count, capacity, output_count, output_capacity;
  Status status; // the first failure to keep something
} SelftestRecord;

/// Keeps an output of the operation that runs, and ends the operation. A failure stays in record->status.
void selftest_keep_output(SelftestRecord *record, const float *values, size_t count);
void selftest_keep_operation(SelftestRecord *record, const char *name, double tolerance);

/// Adds the record's members to an object, to which the caller adds "device" (provenance_write_device).
void selftest_record_write(const SelftestRecord *record, JsonWriter *json);
/// STATUS_INPUT if the file is not whole, or has what no record has.
STATUS_CHECKED Status selftest_record_read(const char *path, SelftestRecord *out);
/// Called for each operation of both: the largest difference of an output from the reference's, as a share of
/// its norm.
typedef void (*RecordCompared)(void *user, const char *operation, double difference, double tolerance,
                               bool passed);
/// Compares this device's record with a reference, `path`. STATUS_INPUT if they are not of the same checks,
/// but for those that a device may lack; STATUS_FAILED names the first operation that differs by more than
/// the self-test's tolerance.
STATUS_CHECKED Status selftest_record_compare(const SelftestRecord *own, const SelftestRecord *reference,
                                              const char *path, RecordCompared compared, void *user);
void selftest_record_free(SelftestRecord *record);
