// Measures entropies per set and group; gap_evaluation.c turns them into metrics.
#pragma once

#include "eval/gap.h"
#include "gap_stats.h"

// The step that answers are sampled for: no training step has it, so none draws the same random numbers.
#define GAP_STEP UINT32_MAX

/// Free with gap_report_free.
typedef struct GapReport {
  double *total,
      *paired; // [sets][groups] mean entropy of a group's own answers, and of all answers of the set
  double *kl;  // [sets] mean KL from the base model over the set's own answers; NULL: not measured
  // [sets][answers to a prompt][groups] the same as total and paired, of the answers of one number alone;
  // NULL: not kept
  double *answer_total, *answer_paired;
  double prompt_seconds, answer_seconds; // spent on prompts, and on answers and their readings
  size_t sets, groups, answers, tokens;
  size_t distinct_sets; // sets none of whose prompts is like one of an earlier set
  double H_bar;         // mean entropy over own answers
  size_t empty;         // own answers that are the end token alone
  bool equal;           // all own answers are the same tokens
} GapReport;

/// Who hears of every reading; listen is NULL if nobody does.
typedef struct GapListener {
  GapListen listen;
  void *user;
} GapListener;

/// What a measurement does besides the gap.
typedef struct GapExtras {
  GapListener listener;
  bool kl; // compares own answers with the base model, if the model has adapters and its base is still there
  bool by_answer; // keeps answer_total and answer_paired
} GapExtras;

/// STATUS_INPUT if the gap cannot be measured on the dataset.
STATUS_CHECKED Status gap_check(const Dataset *dataset, const GapOptions *options);
/// Samples options->answers answers to every prompt (partners of a set draw the same random numbers) and
/// rereads each under the other prompts of its set. The dataset must have passed gap_check. With a model on a
/// plan Ops it only counts memory, and the numbers in *out are meaningless. *out is empty after a failure.
STATUS_CHECKED Status gap_measure(const EvaluationRun *run, const Dataset *dataset, const GapOptions *options,
                                  const GapExtras *extras, GapReport *out);
/// Safe on a zeroed struct and twice.
void gap_report_free(GapReport *report);
