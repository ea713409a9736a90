// The GEE loss on the host: from the mean entropies of answers to the loss and its derivative by each of them.
//
//   H_g = mean of H_i over group g      H̄ = mean of H_i over all      gap = max_g H_g − min_g H_g
//   loss_em = H̄        loss_bias = Σ_{g<h} (H_g − H_h)² or |·|  (pairwise);  Σ_g (H_g − H̄)² or |·|  (centred)
//   loss = em_weight · loss_em + λ · loss_bias
//
// Source: shared design, section 1. With loss.pairing = paired the samples are every answer under every group's prompt; the
// formulas are the same.
//
// Weights. A sample has a weight b_i in the bias term and e_i in the EM term (of its prompt type), and every mean is the
// weighted mean, which is the formula above where all weights are equal:
//
//   H_g = Σ_{i in g} b_i H_i / Σ_{i in g} b_i          a group whose weights add up to 0 is absent and takes no part
//   H̄ (centred) = Σ b_i H_i / Σ b_i over all samples   also those in no group
//   loss_em = Σ e_i H_i / Σ e_i over all samples, 0 where all e_i are 0
//
// With fewer than two groups present there is no gap: gap and loss_bias are 0.
//
// Unbiased squares (loss.unbiased). E[(mean)²] = (true mean)² + variance of the mean, so that variance is estimated and
// subtracted. Observations are units (counterfactual sets), because answers within a set depend on one another. With m_gu
// the weighted mean of unit u's samples in group g, α_gu its share of the group's weight (Σ_u α_gu = 1; 0 where the unit has
// no sample in the group) and r_gu = α_gu (m_gu − H_g), the covariance of two group means is estimated by
//
//   C_gh = c_gh Σ_u r_gu r_hu,     c_gh = S_gh / Σ_u α_gu α_hu (1 − α_gu − α_hu + S_gh),     S_gh = Σ_u α_gu α_hu
//
// c_gh makes it exactly unbiased, whatever the numbers of samples and units per group and however many units two groups
// share, where units are independent and their means have one covariance. Every term of loss_bias is a square (aᵀH)² of a
// contrast a of group means, and becomes (aᵀH)² − aᵀ C a. For two groups and n equal sets this is gap² − s²/n, with s² the
// sample variance of the sets' differences. A group with a single unit has no variance to estimate: its C is 0. The
// derivative includes that of C. loss_bias may be negative; `unbiased` with use_l1 is refused, an absolute value having no
// such correction.
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
  float entropy_temperature; // τ_H; for whoever computes the H_i, as is `pairing`
  Pairing pairing;
  bool unbiased;    // squared gaps minus the variance of their mean
  bool debias_only; // em_weight 0, stop when the gap stays under target_gap
  float target_gap;
  size_t target_steps; // for this many steps in a row
} LossOptions;

typedef struct LossSample {
  int group;        // −1: in no group, takes part in H̄ alone
  double H;         // mean token entropy of the answer, nats
  double weight;    // b_i ≥ 0, of its type in the bias term: 0 takes it out
  double em_weight; // e_i ≥ 0, of its type in the EM term
  size_t unit;      // samples of one counterfactual set share it; any numbers
} LossSample;

typedef struct LossResult {
  double loss, loss_em, loss_bias, gap, lambda; // λ after annealing
  double H_bar;              // plain mean over all samples, whatever their weights: a collapse shows here
  double bias_variance;      // what `unbiased` subtracted from loss_bias, else 0
  double H[LOSS_MAX_GROUPS]; // nats; NaN for an absent group
  size_t present[LOSS_MAX_GROUPS]; // samples of weight > 0 of each group
  size_t groups_present;           // under 2, `gap` was not measured
} LossResult;

/// dH[count] = dL/dH_i. `first_gap` < 0: this is the first step. The annealing factor is clamp(1) then and where the first gap
/// is 0, which gives no scale; it counts as a constant in the derivative, and the derivative of |x| at 0 is 0. Fails with
/// STATUS_FAILED on NaN or inf (names the sample), STATUS_INPUT on options that contradict one another and where no sample
/// has any weight.
STATUS_CHECKED Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples,
                                   size_t count, double first_gap, LossResult *result, double *dH);

/// Debias-only's end: counts in *streak (0 at the start; saved with a checkpoint) the steps in a row whose measured gap is
/// under target_gap, and returns true once they are target_steps. Steps that measured no gap leave the count as it is.
bool loss_target_reached(const LossOptions *options, const LossResult *result, size_t *streak);
