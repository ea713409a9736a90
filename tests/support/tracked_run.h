// Small runs of trackers for tests: begun, resumed, and read back by support/tracker_files.h.
#pragma once

#include "support/tracker_files.h"

/// A kind of tracker with its reader.
typedef struct TrackerKind {
  const MetricSinkType *type;
  void (*read)(const char *folder, Str *out);
  const char *(*path)(const char *folder);
} TrackerKind;

enum { TRACKER_KINDS = 2 };
/// TensorBoard, W&B.
extern const TrackerKind *const tracker_kinds[TRACKER_KINDS];

/// The folder of the run, which tracked_new_run changes to a fresh one.
extern char tracked_folder[512];
void tracked_new_run(void);

/// The run "a run" of the project "gee", with a config of two sections.
TrackedRun tracked_run(size_t first_step);
Tracker tracked_open(const TrackerKind *kind, size_t first_step);
/// Writes "loss", which is half the step.
Status tracked_write_step(Tracker *tracker, size_t step);
/// Writes "gap" of the evaluation "bias_eval": 0.25 from -0.5 to NaN.
Status tracked_write_evaluation(Tracker *tracker, size_t step);
/// Opens the run, writes the steps from `first_step` to below `end`, and closes it.
void tracked_write_steps(const TrackerKind *kind, size_t first_step, size_t end);

/// Fails unless the reader's text of the run is `expected`.
void tracked_expect(const TrackerKind *kind, const char *expected);
/// Fails unless the file has these bytes.
void tracked_expect_bytes(const char *bytes, size_t size, const char *path);
/// The whole file; the caller frees it.
char *tracked_bytes(const char *path, size_t *size);
/// How often `part` is in the reader's text of the run.
size_t tracked_count(const TrackerKind *kind, const char *part);
