// The GEE loss on the host: from the mean entropies of answers to the loss and its derivative by each of them.
//
//   H_g = mean of H_i over group g      H̄ = mean of H_i over all      gap = max_g H_g − min_g H_g
//   loss_em = H̄        loss_bias = Σ_{g<h} (H_g − H_h)² or |·|  (pairwise);  Σ_g (H_g − H̄)² or |·|  (centred)
//   loss = em_weight · loss_em + λ · loss_bias
//
// Source: shared design, section 1. With loss.pairing = paired the samples are every answer under every group's prompt; the
// formulas are the same.
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
  bool auto_anneal;            // λ · clamp(gap / first gap, anneal_min, anneal_max)
  float anneal_min, anneal_max;
  float entropy_temperature;   // τ_H
  Pairing pairing;
  bool unbiased;               // squared gaps minus the variance of their mean
  bool debias_only;            // em_weight 0, stop when the gap stays under target_gap
  float target_gap;
  size_t target_steps;         // for this many steps in a row
} LossOptions;

typedef struct LossSample {
  int group;      // −1: in no group, takes part in H̄ alone
  double H;       // mean token entropy of the answer, nats
  double weight;  // of its type in the bias term: 0 takes it out
  double em_weight; // of its type in the EM term
  size_t unit;    // samples of one counterfactual set share it; differences of a unit are one observation (variance)
} LossSample;

typedef struct LossResult {
  double loss, loss_em, loss_bias, gap, H_bar, lambda; // λ after annealing
  double H[LOSS_MAX_GROUPS];      // NaN for an absent group
  size_t present[LOSS_MAX_GROUPS]; // samples of each group
} LossResult;

/// dH[count] = dL/dH_i. `first_gap` < 0: this is the first step (anneals by 1). Fails with STATUS_FAILED on NaN or inf
/// (names the sample), STATUS_INPUT where no sample counts.
STATUS_CHECKED Status loss_compute(const LossOptions *options, size_t groups, const LossSample *samples, size_t count,
                                   double first_gap, LossResult *result, double *dH);
