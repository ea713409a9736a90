// Where metrics go. A run's Tracker gives the same records to each of its sinks; a sink turns them into a
// file, such as metrics.jsonl. docs/EXTENDING.md says how to add one.
#pragma once

#include "track/metrics.h"
#include "util/status.h"
#include <stddef.h>

/// A section of the config, for trackers that find runs by it.
typedef struct TrackedSection {
  const char *name; // "train"
  const char *json; // its keys and values, as an object: {"seed":15,…}
} TrackedSection;

/// The run whose metrics a sink receives. Borrowed while the sink opens.
typedef struct TrackedRun {
  const char *folder;             // save_root/run_name, which exists
  const char *name;               // for people
  const char *project;            // what the run belongs to; may be NULL
  const char *config_text;        // the config as run; may be NULL
  const TrackedSection *sections; // the same, in parts; [section_count]
  size_t section_count;
  size_t first_step; // drop what is on the disk of this step and later ones: they will come again
} TrackedRun;

/// The metrics of one step. Borrowed while they are written.
typedef struct MetricRecord {
  size_t step;
  const char *source; // NULL: the training step; else the name of the evaluation that ran after it
  const MetricList *metrics;
} MetricRecord;

typedef struct MetricSink MetricSink;

/// What a kind of sink provides. No entry but `finish` may be NULL. Messages name the sink's file.
typedef struct MetricSinkType {
  /// *out = a sink for the run; the tracker sets its `type`.
  Status (*open)(const TrackedRun *run, MetricSink **out);
  /// Records come in the order of their steps. After a kill, the last record of an evaluation may come a
  /// second time.
  Status (*write)(MetricSink *sink, const MetricRecord *record);
  /// Waits until all records are on the disk: a checkpoint is about to be saved.
  Status (*sync)(MetricSink *sink);
  /// The run has done all its steps. NULL: the sink does not tell that from a run that stopped.
  Status (*finish)(MetricSink *sink);
  void (*close)(MetricSink *sink);
} MetricSinkType;

/// The first member of every sink.
struct MetricSink {
  const MetricSinkType *type;
};

/// metrics.jsonl: a line {"step": 3, ...} per training step, written by metrics_write_json. Evaluations have
/// files of their own, because they run after the checkpoint of a step and its line in metrics.jsonl is
/// written before.
extern const MetricSinkType metrics_jsonl;
/// events.out.tfevents.<number>.gee-cl, for TensorBoard. A metric's name is its tag, behind "<source>/" for
/// an evaluation's; the config is a text.
extern const MetricSinkType metrics_tensorboard;
/// wandb/offline-run-<time>-<id>/run-<id>.wandb, which `wandb sync` uploads. A record is a row with the names
/// of TensorBoard's tags, and "step", which is the horizontal axis.
extern const MetricSinkType metrics_wandb;

/// Zero-initialise; free with tracker_close.
typedef struct Tracker {
  MetricSink **sinks;
  size_t count, capacity;
} Tracker;

/// Opens a sink of that type for the run.
STATUS_CHECKED Status tracker_add(Tracker *tracker, const MetricSinkType *type, const TrackedRun *run);
/// Gives the record to every sink, in the order in which they were added. Refuses a list that failed.
STATUS_CHECKED Status tracker_write(Tracker *tracker, const MetricRecord *record);
STATUS_CHECKED Status tracker_sync(Tracker *tracker);
/// Tells every sink that the run has done all its steps.
STATUS_CHECKED Status tracker_finish(Tracker *tracker);
/// Safe on NULL and twice.
void tracker_close(Tracker *tracker);
