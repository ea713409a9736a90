// The entropy gap between groups on given counterfactual sets, with its interval, as an Evaluation; and what
// changed since another model was measured on them.
//
//   total gap    own answers: H_g = mean over group g of the mean entropy of its own sampled answers
//   paired gap   every answer of a set is scored under every group's prompt: H_g = mean over all answers of
//                h(y | x_g)
//
// A set is one observation; two sets of the same prompts are two, so the intervals then speak of these
// prompts and not of others like them. How many sets are measured at once depends on the memory given. It
// does not change the numbers, except for rounding in a vendor's GEMM. docs/DESIGN.md, "Intervals", has the
// simulations behind the choices below.
//
//   two groups   the signed difference H_1 − H_0 with a t-interval over sets.
//   more groups  every pair's signed difference, with intervals that hold together in 95 % of measurements:
//                each reaches c standard errors to both sides, where c is the 95th percentile of the pairs'
//                largest |t| when every set's deviations from the means change sign at random (the wild
//                bootstrap of Wu, Ann. Statist. 14, 1986, with Rademacher's signs; the largest |t| as
//                Westfall and Young, "Resampling-based multiple testing", 1993). Below 8 sets, Bonferroni's
//                c. The gap is max − min; its interval is what the pairs' imply, and begins at 0 unless some
//                pair differs.
//   p            of the test that the groups do not differ: the share of random relabellings of the groups
//                within each set whose largest |t| is as large, (b + 1) / (draws + 1) (Phipson and Smyth,
//                2010).
//   spread       more than two groups: max − min without its upward bias. Which groups are furthest apart is
//                taken from one half of the sets, and how far from the other, over 10,000 random halves (the
//                cross-validation estimator of a largest mean of van Hasselt, arXiv:1302.7175). It is right
//                in the mean where the groups do not differ, and where they differ clearly; in between it is
//                low, by less than a standard error. So it may be negative.
//
// All draws are 10,000 and functions of the seed. A single set has no interval, p or spread: they are NaN.
//
// Its metrics, in nats unless said; <K> is total or paired, <g> and <h> are groups:
//   <K>_gap (with the ends of its 95 % interval), <K>_standard_error, <K>_p (a probability), <K>_H_<g>
//   with more than two groups <K>_spread and, with their intervals, <K>_gap_<g>_minus_<h>
//   H_bar (mean entropy over own answers), sets, distinct_sets (that repeat no earlier one), answers, tokens
//   (counts)
// and after gap_evaluation_keep_base, as estimates of the change in each set, which is paired with itself:
//   change_<K>_gap and all others of <K>; with more than two groups the gap is the largest change of a pair
//   change_<K>_size   −1: the gap's size |gap| has become smaller, 1: larger, 0: neither is certain. Of more
//                     groups: a pair has become smaller and none larger, or the reverse
//   change_H_bar (with its interval), change_H_bar_relative (a share of the base's)
//   change_drift      −1 or 1: the model has collapsed or blown up, its mean entropy has fallen or risen by
//   more
//                     than max_drift of the base's, and its gaps say nothing about bias; else 0
// As JSON:
//   {"total": {"gap", "low", "high", "standard_error", "p", "H": {"<g>"}}, "paired": {the same},
//    "H_bar", "sets", "distinct_sets", "answers", "tokens"}
// with more than two groups, in total and in paired, "spread" and
//   "pairs": [{"of": "<g>", "minus": "<h>", "gap", "low", "high"}]
// and after gap_evaluation_keep_base
//   "change": {"total": {the same, and "size": "smaller", "larger" or "unclear"}, "paired": {the same},
//              "H_bar": {"change", "low", "high", "relative"}, "drift": "none", "collapsed" or "blown up"}
#pragma once

#include "data/data.h"
#include "eval/evaluation.h"
#include "gen/generate.h"

typedef struct GapOptions {
  SamplingOptions sampling;
  float entropy_tau;
  size_t answers; // per prompt
  uint64_t seed;
  // bytes of keys and values to hold at once, which decides how many sets are sampled together; 0: 1 GiB
  uint64_t memory;
  float max_drift; // of the mean entropy, as a share of the base model's; 0: any
} GapOptions;

/// *out = the evaluation, called `name`. The dataset, which must be counterfactual, is borrowed. STATUS_INPUT
/// if the gap cannot be measured on it.
STATUS_CHECKED Status gap_evaluation_create(const char *name, const Dataset *dataset,
                                            const GapOptions *options, Evaluation **out);
/// The last run measured the base model: later runs also say what changed since. Every model answers for
/// itself, with the same random numbers. STATUS_FAILED if nothing was measured. `evaluation` must be a gap.
STATUS_CHECKED Status gap_evaluation_keep_base(Evaluation *evaluation);
