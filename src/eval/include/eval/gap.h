// The entropy gap between groups on given counterfactual sets, with its interval.
//
//   total gap    own answers: H_g = mean over group g of the mean entropy of its own sampled answers
//   paired gap   every answer of a set is scored under every group's prompt: H_g = mean over all answers of h(y | x_g)
// Two groups: the signed difference H_1 − H_0, t-interval over sets (a set is one observation). More: max −
// min, percentile bootstrap over sets (10,000 draws; max − min is biased upward by noise, so read it beside
// its interval). The chunks in which the sets are measured follow the memory given and leave the numbers as
// they are, but for a vendor's GEMM's rounding.
#pragma once

#include "data/data.h"
#include "gen/generate.h"
#include "track/progress.h"

typedef struct GapOptions {
  SamplingOptions sampling;
  float entropy_tau;
  size_t answers; // per prompt
  size_t sets;    // at most this many sets of the dataset, from its start; 0 = all
  uint64_t seed;
  uint64_t
      memory; // bytes of keys and values to hold at once, which sets how many sets are sampled together; 0: 1 GiB
  const volatile bool *stop; // set by a signal: STATUS_INTERRUPTED; may be NULL
} GapOptions;

typedef struct GapEstimate {
  double gap, low, high; // nats; 95 % interval, NaN where there is one set
  double standard_error;
  double H[DATA_MAX_GROUPS]; // mean entropy per group
} GapEstimate;

typedef struct GapReport {
  GapEstimate total, paired;
  double H_bar; // mean entropy over own answers
  size_t sets, answers, tokens;
} GapReport;

/// Samples `answers` answers to every prompt (partners of a set draw the same random numbers) and reads each
/// under the prompts of its set. The dataset must be counterfactual. `progress` NULL is silent. On a plan Ops
/// only counts memory.
STATUS_CHECKED Status gap_measure(Model *model, const Dataset *dataset, const GapOptions *options,
                                  Progress *progress, GapReport *out);
