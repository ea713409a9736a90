// The entropy gap between groups on given counterfactual sets, with its interval.
//
//   total gap    own answers: H_g = mean over group g of the mean entropy of its own sampled answers
//   paired gap   every answer of a set is scored under every group's prompt: H_g = mean over all answers of h(y | x_g)
// Two groups: the signed difference H_1 − H_0, t-interval over sets (a set is one observation). More: max − min, percentile
// bootstrap over sets.
#pragma once

#include "data/data.h"
#include "gen/generate.h"
#include <stdio.h>

typedef struct GapOptions {
  SamplingOptions sampling;
  float entropy_tau;
  size_t answers; // per prompt
  size_t sets;    // at most this many sets of the dataset; 0 = all
  uint64_t seed;
} GapOptions;

typedef struct GapEstimate {
  double gap, low, high; // 95 % interval
  double standard_error;
  double H[DATA_MAX_GROUPS]; // per group
} GapEstimate;

typedef struct GapReport {
  GapEstimate total, paired;
  double H_bar; // mean entropy over own answers
  size_t sets, answers, tokens;
} GapReport;

STATUS_CHECKED Status gap_measure(Model *model, const Dataset *dataset, const GapOptions *options, FILE *progress,
                                  GapReport *out);
