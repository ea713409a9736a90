// The GEE loss on the host: from the mean entropies of answers to the loss, and its derivative with respect
// to each of them.
//
//   H_g = mean of H_i over group g      H̄ = mean of H_i over all      gap = max_g H_g − min_g H_g
//   loss_em = H̄
//   loss_bias = Σ_{g<h} (H_g − H_h)² or |·|  (pairwise);  Σ_g (H_g − H̄)² or |·|  (centred);
//               the divergence of partners, below  (symmetric_kl)
//   loss = em_weight · loss_em + λ · loss_bias + kl_weight · kl
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
// factor is clamp(1) until then; afterwards each step counts 1 / LOSS_TREND_STEPS. It follows the gap of the
// entropies whatever loss.form is.
//
// The KL divergence from the base model (loss.kl_weight). K_i is the mean over the answer's tokens of
// KL(p ‖ q) = Σ_v p_v (log p_v − log q_v), where p is the trained model's distribution at the token and q
// that of the base model, both at τ_H; kl is the plain mean of K_i over all samples, as H_bar is of H_i. The
// sum is over the whole vocabulary, where TRL's GRPO and PPO estimate the same divergence from the sampled
// token alone. It is this direction because the answers are sampled from p: by the chain rule, the sum of
// KL(p ‖ q) over a sampled answer's tokens is then an unbiased estimate of the divergence between the two
// models' whole answers (for samples at temperature τ_H without top-p, top-k and repetition penalty), which
// holds of no other. The gradient does not pass through the choice of the samples, as it does not for H_i.
//
// The divergence of partners (loss.form = symmetric_kl, with pairing = paired alone). D_i, of an answer y
// under the prompt of group g, is the mean over its tokens and over the other groups h of KL(p(· | x_g, y) ‖
// p(· | x_h, y)), and loss_bias = Σ b_i D_i / Σ b_i. As every answer is a sample under each prompt, both
// directions of each pair are in it: for two groups it is half of KL(p ‖ q) + KL(q ‖ p) (Jeffreys, Proc. R.
// Soc. A 186, 1946), the mean over positions and answers; for more groups, the mean over all pairs too. It is
// 0 only if the partners' prompts give the same distribution everywhere, and then all H_g are equal.
//
// Both are linear in K_i and D_i, so their derivatives are known before K_i and D_i are: loss_compute gives
// the slopes, and the backward measures K_i and D_i on its way.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { LOSS_MAX_GROUPS = 16, LOSS_TREND_STEPS = 4 };

typedef enum LossForm { LOSS_PAIRWISE, LOSS_CENTRED, LOSS_SYMMETRIC_KL } LossForm;
typedef enum Pairing { PAIRING_OWN, PAIRING_PAIRED } Pairing;

typedef struct LossOptions {
  float lambda_weight; // λ
  bool use_l1;
  LossForm form;
  float em_weight;
  float kl_weight;  // ≥ 0
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
  int group;         // −1: in no group, so it only counts in H̄
  double H;          // mean token entropy of the answer, nats
  double weight;     // b_i ≥ 0, from its type, in the bias term; 0 leaves it out
  double em_weight;  // e_i ≥ 0, from its type, in the EM term
  size_t unit;       // any number; the same for all samples of a counterfactual set
  double kl;         // K_i, nats; read by loss_add_divergences alone
  double partner_kl; // D_i, nats; the same
} LossSample;

typedef struct LossResult {
  double loss, loss_em, loss_bias, gap;
  double lambda;                   // λ after annealing
  double H_bar;                    // unweighted mean over all samples, which shows a collapse
  double bias_variance;            // what `unbiased` subtracted from loss_bias, else 0
  double H[LOSS_MAX_GROUPS];       // nats; NaN for an absent group
  size_t present[LOSS_MAX_GROUPS]; // samples of each group whose weight is above 0
  size_t groups_present;           // if below 2, `gap` was not measured
  double kl;                       // nats; NaN if kl_weight is 0
  double kl_slope;                 // dL/dK_i, the same for every sample
  double partner_slope;            // dL/dD_i = b_i · this
  GapTrend trend;                  // with this step
} LossResult;

/// STATUS_INPUT on options that contradict one another, naming their keys.
STATUS_CHECKED Status loss_check_options(const LossOptions *options, size_t groups);

/// dH[count] = dL/dH_i. What `result` has of the loss is without K_i and D_i. `trend` is that of the steps
/// before. The annealing factor is clamp(1) if the first gap is 0. The derivative treats it as a constant.
/// The derivative of |x| at 0 is 0. STATUS_FAILED, naming the sample, on NaN or inf; STATUS_INPUT on options
/// that contradict one another, and if no sample has any weight.
STATUS_CHECKED Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples,
                                   size_t count, const GapTrend *trend, LossResult *result, double *dH);
/// Once K_i and D_i are measured: adds their terms to the result of loss_compute for the same samples.
/// STATUS_FAILED if the loss is then NaN or inf.
STATUS_CHECKED Status loss_add_divergences(const LossOptions *options, const LossSample *samples,
                                           size_t count, LossResult *result);
