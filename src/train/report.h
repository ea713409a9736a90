// What a run reports: metrics, samples, results of evaluations, and progress.
#pragma once

#include "drift.h"
#include "eval/given.h"
#include "step_batch.h"
#include "track/jsonlines.h"
#include "track/tracker.h"
#include "train/train.h"

/// What one step measured.
typedef struct StepReport {
  size_t step;
  LossResult loss;
  DriftEstimate drift; // with this step
  bool stopped;        // the run ends here, because of it
  double grad_norm, lr;
  size_t extended_from; // as in TrainState
  size_t tokens_sampled, tokens_scored, answers_ended;
  double seconds_sampling, seconds_training, seconds_update;
  // of sft
  GivenSum given;
  size_t tokens_read; // of all rows, prompts too
  double epoch;       // drawn so far
} StepReport;

/// Zero-initialise.
typedef struct Report {
  const TrainJob *job;
  Tracker tracker;
  JsonLines *samples;      // NULL unless asked for
  JsonLines **evaluations; // [job->evaluation_count] <name>.jsonl
  bool open;               // progress is shown
} Report;

/// Opens the files in `folder` and the sinks of metrics. A run resumed after `steps` steps keeps their lines;
/// a new run keeps none. Call report_close in any case, also after a failure.
STATUS_CHECKED Status report_open(Report *report, const TrainJob *job, const char *folder, size_t steps,
                                  bool resumed);
/// Safe on a zeroed struct and twice.
void report_close(Report *report);
/// Reports a step; `batch` is the step's batch.
STATUS_CHECKED Status report_step(Report *report, const StepReport *step, const StepBatch *batch);
/// Reports a step on given answers.
STATUS_CHECKED Status report_given_step(Report *report, const StepReport *step);
/// Reports what the job's evaluation `index` measured after `steps` steps.
STATUS_CHECKED Status report_evaluation(Report *report, size_t index, size_t steps,
                                        const MetricList *metrics);
/// Whether the run being resumed had already reported that evaluation after `steps` steps.
bool report_has_evaluation(const Report *report, size_t index, size_t steps);
/// Waits until everything written is on the disk.
STATUS_CHECKED Status report_sync(Report *report);
/// Reports that the run has done all its steps.
STATUS_CHECKED Status report_finish(Report *report);
