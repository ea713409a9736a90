// What a run tells: metrics, samples, what evaluations found, and progress.
#pragma once

#include "step_batch.h"
#include "track/jsonlines.h"
#include "track/tracker.h"
#include "train/train.h"

/// What one step measured.
typedef struct StepReport {
  size_t step;
  LossResult loss;
  double grad_norm, lr;
  size_t extended_from; // TrainState's
  size_t tokens_sampled, tokens_scored, answers_ended;
  double seconds_sampling, seconds_training, seconds_update;
} StepReport;

/// Zero-initialise.
typedef struct Report {
  const TrainJob *job;
  Tracker tracker;
  JsonLines *samples;      // NULL unless asked for
  JsonLines **evaluations; // [job->evaluation_count] <name>.jsonl
  bool open;               // progress is shown
} Report;

/// Opens the files in `folder` and the sinks of metrics. A run that is resumed after `steps` keeps the lines
/// up to there; one that starts anew keeps none. `report` is freed by report_close whatever is returned.
STATUS_CHECKED Status report_open(Report *report, const TrainJob *job, const char *folder, size_t steps,
                                  bool resumed);
/// Safe on a zeroed struct and twice.
void report_close(Report *report);
/// `batch` is the step's.
STATUS_CHECKED Status report_step(Report *report, const StepReport *step, const StepBatch *batch);
/// What evaluation `index` of the job has found after `steps`.
STATUS_CHECKED Status report_evaluation(Report *report, size_t index, size_t steps,
                                        const MetricList *metrics);
/// Whether the run that is resumed had reported it after the same steps.
bool report_has_evaluation(const Report *report, size_t index, size_t steps);
/// Everything written is on the disk.
STATUS_CHECKED Status report_sync(Report *report);
