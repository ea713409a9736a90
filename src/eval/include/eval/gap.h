// The entropy gap between groups on given counterfactual sets, with its interval, as an Evaluation.
//
//   total gap    own answers: H_g = mean over group g of the mean entropy of its own sampled answers
//   paired gap   every answer of a set is scored under every group's prompt: H_g = mean over all answers of
//                h(y | x_g)
// Two groups: the signed difference H_1 − H_0 with a t-interval over sets (a set is one observation). More
// groups: max − min with a percentile bootstrap over sets (10,000 draws; noise biases max − min upward, so
// read it with its interval). How many sets are measured at once depends on the memory given. It does not
// change the numbers, except for rounding in a vendor's GEMM.
//
// Its metrics, in nats, for total and paired each:
//   total_gap (95 % interval, NaN for a single set), total_standard_error, total_H_<group>
// and H_bar (mean entropy over own answers), sets, answers, tokens. As JSON:
//   {"total": {"gap", "low", "high", "standard_error", "H": {"<group>"}}, "paired": {the same},
//    "H_bar", "sets", "answers", "tokens"}
#pragma once

#include "data/data.h"
#include "eval/evaluation.h"
#include "gen/generate.h"

typedef struct GapOptions {
  SamplingOptions sampling;
  float entropy_tau;
  size_t answers; // per prompt
  size_t sets;    // the first so many sets of the dataset; 0: all
  uint64_t seed;
  // bytes of keys and values to hold at once, which decides how many sets are sampled together; 0: 1 GiB
  uint64_t memory;
} GapOptions;

/// *out = the evaluation, called `name`. The dataset, which must be counterfactual, is borrowed. STATUS_INPUT
/// if the gap cannot be measured on it.
STATUS_CHECKED Status gap_evaluation_create(const char *name, const Dataset *dataset,
                                            const GapOptions *options, Evaluation **out);
