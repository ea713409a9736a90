// Where metrics go. A run's Tracker holds its sinks and gives each of them the same records; a sink turns
// them into a file (metrics.jsonl here). docs/EXTENDING.md says how to add one.
#pragma once

#include "track/metrics.h"
#include "util/status.h"
#include <stddef.h>

/// The run whose metrics a sink gets. Borrowed while a sink opens.
typedef struct TrackedRun {
  const char *folder;      // save_root/run_name, which exists
  const char *name;        // run_name
  const char *config_text; // the config as run; may be NULL
  size_t first_step;       // what is on disk of this step and later ones is to be dropped: they come again
} TrackedRun;

/// Metrics of one step. Borrowed while they are written.
typedef struct MetricRecord {
  size_t step;
  const char *source; // NULL: the training step; else the evaluation that measured after it, by its name
  const MetricList *metrics;
} MetricRecord;

typedef struct MetricSink MetricSink;

/// What a kind of sink provides; no entry may be NULL. A message of failure names the sink's file.
typedef struct MetricSinkType {
  /// *out = a sink of the run, whose `type` the tracker sets.
  Status (*open)(const TrackedRun *run, MetricSink **out);
  /// Records come in order of step. After a kill the last record of an evaluation may come a second time.
  Status (*write)(MetricSink *sink, const MetricRecord *record);
  /// Waits until all that was written is on the disk: a checkpoint is about to be made.
  Status (*sync)(MetricSink *sink);
  void (*close)(MetricSink *sink);
} MetricSinkType;

/// The first member of every sink.
struct MetricSink {
  const MetricSinkType *type;
};

/// metrics.jsonl: {"step": 3, ...} in a line per training step, by metrics_write_json. Evaluations have files
/// of their own, because a line of metrics.jsonl goes out before the step's checkpoint and they come after
/// it.
extern const MetricSinkType metrics_jsonl;

/// Zero-initialise; free with tracker_close.
typedef struct Tracker {
  MetricSink **sinks;
  size_t count, capacity;
} Tracker;

/// Opens a sink of that kind for the run.
STATUS_CHECKED Status tracker_add(Tracker *tracker, const MetricSinkType *type, const TrackedRun *run);
/// Gives the record to every sink, in the order in which they were added; none gets a list that failed.
STATUS_CHECKED Status tracker_write(Tracker *tracker, const MetricRecord *record);
STATUS_CHECKED Status tracker_sync(Tracker *tracker);
/// Safe on NULL and twice.
void tracker_close(Tracker *tracker);
