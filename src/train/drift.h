// How far the mean entropy has moved since the first step. Entropy minimisation that goes too far makes a
// model certain of everything (the mean entropy falls to 0), and too large a learning rate makes it babble
// (it rises); the gap falls in both, and neither is debiasing.
//
// A step's H̄ is noisy: it is the mean of few answers. So H̄ is smoothed (each step counts 1 / DRIFT_STEPS),
// and a drift counts only as far as it exceeds DRIFT_ERRORS standard errors of the difference between the
// smoothed H̄ and that of the first step. The variance of a step's H̄ comes from its sets, each of which is one
// observation; with a single set, from how far the steps lie apart. It is averaged over about DRIFT_VARIANCES
// steps, and until DRIFT_FREEDOM differences between observations are known, it is taken as infinite.
//
// The quickstart's 20 sets give H̄ a standard error of 2.5 % of it, so there the noise is 8 %. Simulated runs
// of 500 steps whose entropy does not drift, and varies by 20 % between sets, never reached 0.25 with 2 to 32
// sets; where it varies by 50 %, 2 % of them did with 1 or 2 sets, and none with 16 or more.
#pragma once

#include "loss/loss.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { DRIFT_STEPS = 4, DRIFT_VARIANCES = 16, DRIFT_ERRORS = 3, DRIFT_FREEDOM = 10 };

/// All 0 before the first step.
typedef struct Drift {
  size_t freedom;   // differences between observations that `variance` is made of; stops at DRIFT_FREEDOM
  size_t variances; // steps that it is made of; stops at DRIFT_VARIANCES
  double first;     // H̄ of the first step; nats; 0 before it
  double smoothed;  // H̄, smoothed
  double variance;  // of one step's H̄, averaged over steps; nats²
} Drift;

/// The drift as shares of the first step's H̄: −0.3 has fallen by 30 %.
typedef struct DriftEstimate {
  double relative;
  double noise; // DRIFT_ERRORS standard errors; infinite while unknown
} DriftEstimate;

/// Adds a step whose samples are these; every unit has equally many of them.
STATUS_CHECKED Status drift_add(Drift *drift, const LossSample *samples, size_t count);
DriftEstimate drift_estimate(const Drift *drift);
/// Whether H̄ has moved by more than `limit` beyond the noise. A limit of 0 is off.
bool drift_beyond(const Drift *drift, double limit);
