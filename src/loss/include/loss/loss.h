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
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { LOSS_MAX_GROUPS = 16 };

typedef enum LossForm { LOSS_PAIRWISE, LOSS_CENTRED } LossForm;
typedef enum Pairing { PAIRING_OWN, PAIRING_PAIRED } Pairing;

typedef struct LossOptions {
  float lambda_weight; // λ
  bool use_l1;
  LossForm form;
  float em_weight;
  bool auto_anneal; // λ · clamp(gap / first gap, anneal_min, anneal_max)
  float anneal_min, anneal_max;
  float entropy_temperature; // τ_H; like `pairing`, it is used where the H_i are computed, not here
  Pairing pairing;
  bool unbiased;    // squared gaps minus the variance of their mean
  bool debias_only; // em_weight 0, stop when the gap stays under target_gap
  float target_gap;
  size_t target_steps; // steps in a row
} LossOptions;

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
} LossResult;

/// dH[count] = dL/dH_i. `first_gap` is the gap of the run's first step, or below 0 in that step. The
/// annealing factor is clamp(1) in the first step, and if the first gap is 0. The derivative treats it as a
/// constant. The derivative of |x| at 0 is 0. STATUS_FAILED, naming the sample, on NaN or inf; STATUS_INPUT
/// on options that contradict one another, and if no sample has any weight.
STATUS_CHECKED Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples,
                                   size_t count, double first_gap, LossResult *result, double *dH);

/// Whether a debias-only run has reached its target. *streak counts the steps in a row whose measured gap is
/// under target_gap; it is 0 at the start and saved with checkpoints. A step that measured no gap does not
/// change it. Returns true when it reaches target_steps.
bool loss_target_reached(const LossOptions *options, const LossResult *result, size_t *streak);
