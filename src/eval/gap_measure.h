// Measures entropies per set and group; gap_evaluation.c turns them into metrics.
#pragma once

#include "eval/gap.h"
#include "gap_stats.h"

/// Free with gap_report_free.
typedef struct GapReport {
  double *total,
      *paired; // [sets][groups] mean entropy of a group's own answers, and of all answers of the set
  size_t sets, groups, answers, tokens;
  size_t distinct_sets; // sets that do not repeat the prompts of an earlier one
  double H_bar;         // mean entropy over own answers
} GapReport;

/// STATUS_INPUT if the gap cannot be measured on the dataset.
STATUS_CHECKED Status gap_check(const Dataset *dataset, const GapOptions *options);
/// Samples options->answers answers to every prompt (partners of a set draw the same random numbers) and
/// rereads each under the other prompts of its set. The dataset must have passed gap_check. With a model on a
/// plan Ops it only counts memory, and the numbers in *out are meaningless. *out is empty after a failure.
STATUS_CHECKED Status gap_measure(const EvaluationRun *run, const Dataset *dataset, const GapOptions *options,
                                  GapReport *out);
/// Safe on a zeroed struct and twice.
void gap_report_free(GapReport *report);
