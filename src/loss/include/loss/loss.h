// The GEE loss on the host: from the mean entropies of answers to the loss, and its derivative with respect
// to each of them.
//
//   H_g = mean of H_i over group g      H̄ = mean of H_i over all      gap = max_g H_g − min_g H_g
//   loss_em = H̄
//   loss_bias = Σ_{g<h} (H_g − H_h)² or |·|  (pairwise);  Σ_g (H_g − H̄)² or |·|  (centred)
//   loss = em_weight · loss_em + λ · loss_bias
//
// docs/DESIGN.md, section 1, explains the method. With loss.pairing = paired every answer under every group's
// prompt is a sample; the formulas are the same.
//
// Weights. A sample's prompt type gives it a weight b_i in the bias term and e_i in the EM term. Every mean
// is a weighted mean, which is the formula above if all weights are equal:
//
//   H_g = Σ_{i in g} b_i H_i / Σ_{i in g} b_i          a group whose weights sum to 0 is absent and ignored
//   H̄ (centred) = Σ b_i H_i / Σ b_i over all samples   also those in no group
//   loss_em = Σ e_i H_i / Σ e_i over all samples       0 if all e_i are 0
//
// With fewer than two groups present there is no gap: gap and loss_bias are 0.
//
// Unbiased squares (loss.unbiased). E[(mean)²] = (true mean)² + variance of the mean, so an estimate of this
// variance is subtracted. The observations are units (counterfactual sets), because the answers of a set
// depend on one another. Let m_gu be the weighted mean of unit u's samples in group g, let α_gu be the unit's
// share of the group's weight (Σ_u α_gu = 1; 0 if the unit has no sample in the group), and let r_gu = α_gu
// (m_gu − H_g). Then the covariance of two group means is estimated by
//
//   C_gh = c_gh Σ_u r_gu r_hu
//   c_gh = S_gh / Σ_u α_gu α_hu (1 − α_gu − α_hu + S_gh),     S_gh = Σ_u α_gu α_hu
//
// If units are independent and all unit means have the same covariance, c_gh makes this estimate exactly
// unbiased, for any numbers of samples and units per group and any number of units that two groups share.
// Every term of loss_bias is the square (aᵀH)² of a contrast a of group means, and becomes (aᵀH)² − aᵀ C a.
// For two groups and n equal sets this is gap² − s²/n, where s² is the sample variance of the sets'
// differences. For a group with a single unit no variance can be estimated, so its C is 0. The derivative
// includes that of C. loss_bias may be negative. `unbiased` is refused with use_l1, because an absolute value
// has no such correction.
//
// Annealing (loss.auto_anneal). λ is scaled by smoothed gap / first gap, within anneal_min and anneal_max. A
// single step's gap is mostly noise, so each group's H_g, less the mean of the groups, is smoothed over steps
// before max − min is taken: the noise has both signs and cancels, which it would not in a mean of gaps. The
// smoothed value is the plain mean of the first LOSS_TREND_STEPS steps, whose gap is the first gap, so the
// factor is clamp(1) until then; afterwards each step counts 1 / LOSS_TREND_STEPS.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { LOSS_MAX_GROUPS = 16, LOSS_TREND_STEPS = 4 };

typedef enum LossForm { LOSS_PAIRWISE, LOSS_CENTRED } LossForm;
typedef enum Pairing { PAIRING_OWN, PAIRING_PAIRED } Pairing;

typedef struct LossOptions {
  float lambda_weight; // λ
  bool use_l1;
  LossForm form;
  float em_weight;
  bool auto_anneal; // λ · clamp(smoothed gap / first gap, anneal_min, anneal_max)
  float anneal_min, anneal_max;
  float entropy_temperature; // τ_H; like `pairing`, it is used where the H_i are computed, not here
  Pairing pairing;
  bool unbiased;    // squared gaps minus the variance of their mean
  bool debias_only; // em_weight 0; the trainer ends the run once the held-out gap is within ±target_gap
  float target_gap;
  size_t target_evals; // measurements in a row
} LossOptions;

/// The smoothed gap of a run, for annealing. All 0 before the first step.
typedef struct GapTrend {
  size_t steps;                      // that measured a gap
  size_t groups;                     // of the run
  double first;                      // nats
  double deviation[LOSS_MAX_GROUPS]; // of each group's H from the mean of the groups, smoothed; nats
} GapTrend;

typedef struct LossSample {
  int group;        // −1: in no group, so it only counts in H̄
  double H;         // mean token entropy of the answer, nats
  double weight;    // b_i ≥ 0, from its type, in the bias term; 0 leaves it out
  double em_weight; // e_i ≥ 0, from its type, in the EM term
  size_t unit;      // any number; the same for all samples of a counterfactual set
} LossSample;

typedef struct LossResult {
  double loss, loss_em, loss_bias, gap;
  double lambda;                   // λ after annealing
  double H_bar;                    // unweighted mean over all samples, which shows a collapse
  double bias_variance;            // what `unbiased` subtracted from loss_bias, else 0
  double H[LOSS_MAX_GROUPS];       // nats; NaN for an absent group
  size_t present[LOSS_MAX_GROUPS]; // samples of each group whose weight is above 0
  size_t groups_present;           // if below 2, `gap` was not measured
  GapTrend trend;                  // with this step
} LossResult;

/// dH[count] = dL/dH_i. `trend` is that of the steps before. The annealing factor is clamp(1) if the first
/// gap is 0. The derivative treats it as a constant. The derivative of |x| at 0 is 0. STATUS_FAILED, naming
/// the sample, on NaN or inf; STATUS_INPUT on options that contradict one another, and if no sample has any
/// weight.
STATUS_CHECKED Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples,
                                   size_t count, const GapTrend *trend, LossResult *result, double *dH);
