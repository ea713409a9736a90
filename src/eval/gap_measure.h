// Measures the gap; gap_evaluation.c turns the report into metrics.
#pragma once

#include "eval/gap.h"
#include "gap_stats.h"

typedef struct GapReport {
  GapEstimate total, paired;
  double H_bar; // mean entropy over own answers
  size_t sets, answers, tokens;
} GapReport;

/// STATUS_INPUT if the gap cannot be measured on the dataset.
STATUS_CHECKED Status gap_check(const Dataset *dataset, const GapOptions *options);
/// Samples options->answers answers to every prompt (partners of a set draw the same random numbers) and
/// rereads each under the other prompts of its set. The dataset must have passed gap_check. With a model on a
/// plan Ops it only counts memory, and *out is meaningless.
STATUS_CHECKED Status gap_measure(const EvaluationRun *run, const Dataset *dataset, const GapOptions *options,
                                  GapReport *out);
