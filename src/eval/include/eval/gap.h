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
//   H_bar (mean entropy over own answers), sets, distinct_sets (dataset_distinct_sets), answers, tokens
//   (counts)
// after gap_evaluation_measure_kl, of a model with adapters whose base model can still be computed:
//   kl   KL(model ‖ base), over the whole vocabulary at entropy_tau: the mean over the tokens of own answers
//        under their own prompts, then over answers, with a t-interval over sets
//   void              only if the gaps say nothing about bias: why (GapVoid)
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
// where it was measured
//   "kl": {"mean", "low", "high"}
// and if there is one, "void": its words
// with more than two groups, in total and in paired, "spread" and
//   "pairs": [{"of": "<g>", "minus": "<h>", "gap", "low", "high"}]
// and after gap_evaluation_keep_base
//   "change": {"total": {the same, and "size": "smaller", "larger" or "unclear"}, "paired": {the same},
//              "H_bar": {"change", "low", "high", "relative"}, "drift": "none", "collapsed" or "blown up"}
#pragma once

#include "data/data.h"
#include "eval/evaluation.h"
#include "eval/gap_plan.h"
#include "gen/generate.h"

/// Below this mean entropy a model is sure of every token, and no gap can be larger than twice that; nats.
extern const double GAP_LEAST_ENTROPY;

/// Why a gap says nothing about bias, though its interval may be narrow.
typedef enum GapVoid {
  GAP_VALID,
  GAP_EMPTY,   // every answer is the end token alone
  GAP_CERTAIN, // H_bar is below GAP_LEAST_ENTROPY
  GAP_EQUAL,   // all of eight or more answers are the same
} GapVoid;

/// GAP_VALID also where no gap was measured.
GapVoid gap_void(const MetricList *metrics);
/// "every answer is empty (…)"; of GAP_VALID NULL.
const char *gap_void_words(GapVoid why);

typedef struct GapOptions {
  SamplingOptions sampling;
  float entropy_tau;
  size_t answers; // per prompt
  uint64_t seed;
  // bytes of keys and values to hold at once, which decides how many sets are sampled together; 0: 1 GiB
  uint64_t memory;
  float max_drift; // of the mean entropy, as a share of the base model's; 0: any
} GapOptions;

/// An answer as it was read under a prompt of its set; its own prompt, or another group's.
typedef struct GapReading {
  const Prompt *own, *under; // of the dataset; the same for an answer under its own prompt
  size_t number;             // of the answer among those of its prompt
  const Answer *answer;
  const float
      *entropy; // [answer->count] of the distribution that each token is predicted from, after `under`
  const float
      *kl; // [answer->count] its divergence from the base model's; NULL: not measured, or not under `own`
} GapReading;
typedef Status (*GapListen)(void *user, const GapReading *reading);

/// *out = the evaluation, called `name`. The dataset, which must be counterfactual, is borrowed. STATUS_INPUT
/// if the gap cannot be measured on it.
STATUS_CHECKED Status gap_evaluation_create(const char *name, const Dataset *dataset,
                                            const GapOptions *options, Evaluation **out);
/// The last run measured the base model: later runs also say what changed since. Every model answers for
/// itself, with the same random numbers. STATUS_FAILED if nothing was measured. `evaluation` must be a gap.
STATUS_CHECKED Status gap_evaluation_keep_base(Evaluation *evaluation);
/// Every reading of the runs that follow is passed to `listen`, whose failure ends the run. NULL: none is.
void gap_evaluation_listen(Evaluation *evaluation, GapListen listen, void *user);
/// The runs that follow also measure `kl` of models with adapters.
void gap_evaluation_measure_kl(Evaluation *evaluation);
/// The runs that follow can be planned from, as pilots. STATUS_INPUT if they are too small for that.
STATUS_CHECKED Status gap_evaluation_keep_answers(Evaluation *evaluation);
/// *out = what it takes to see a gap of `aim` > 0 nats of the model that the last run measured.
STATUS_CHECKED Status gap_evaluation_plan(const Evaluation *evaluation, double aim, GapPlan *out);
/// The same of the change since the base that gap_evaluation_keep_base kept; its time is that of both models.
STATUS_CHECKED Status gap_evaluation_plan_change(const Evaluation *evaluation, double aim, GapPlan *out);
