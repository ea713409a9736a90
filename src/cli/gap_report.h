// The gap as a config asks for it, and the table that shows it to a person.
#pragma once

#include "eval/gap.h"
#include "trained_on.h"

/// How the config measures a gap on the dataset: as gap_evaluation_open says.
GapOptions gap_options(const Config *config, const ModelFiles *files, const Dataset *dataset);
/// *out = the gap on `dataset` with the config's sampling, entropy temperature,
/// data.eval_answers and train.max_drift. The seed is the config's, so that measurements before and after
/// training draw the same random numbers. Answers are cut to what the model, whose files are given, has room
/// for after every prompt, with a warning.
STATUS_CHECKED Status gap_evaluation_open(const Config *config, const ModelFiles *files, const char *name,
                                          const Dataset *dataset, Evaluation **out);

/// What the gap's evaluation measured on a model.
typedef struct GapModel {
  const char *name; // the model's path or the adapter's
  MetricList metrics;
  TrainedOn trained_on;
} GapModel;

/// The models that were measured on the same sets; all borrowed.
typedef struct GapComparison {
  const GapModel *models;
  size_t count;  // ≥ 1
  bool has_base; // the first is the base model, and the metrics of the others say what changed since
  const GroupFile *groups;
  size_t available; // sets that the measured ones were drawn from
  double max_drift; // of the mean entropy since the first step of a model's training; 0: any
} GapComparison;

/// Prints the models side by side, and what follows for each that is compared with the base.
STATUS_CHECKED Status gap_print(const GapComparison *gaps);
