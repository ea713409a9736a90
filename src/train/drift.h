// How far the mean entropy has moved since the first step. Entropy minimisation that goes too far makes a
// model certain of everything (the mean entropy falls to 0), and too large a learning rate makes it babble
// (it rises); the gap falls in both, and neither is debiasing.
//
// A step's H̄ is noisy: it is the mean of few answers. So H̄ is smoothed (each step counts 1 / DRIFT_STEPS),
// and a drift counts only as far as it exceeds 3 standard errors of the difference between the smoothed H̄ and
// that of the first step. The variance of a step's H̄ comes from its sets, each of which is one observation;
// with a single set, from how far the steps lie apart. It is averaged over about DRIFT_VARIANCES steps. Until
// DRIFT_FREEDOM differences between observations are known, the errors are more than 3: as many as Student's
// t makes as unlikely as 3 with DRIFT_FREEDOM. So a small batch is watched from its first steps on too, and
// only before the first difference the noise is infinite.
//
// When a run ends, the last step's own H̄ is judged too: a collapse in the last steps has not reached the
// smoothed one yet. The noise is then that of two steps. It is one look, so it costs few healthy runs. Of
// 20,000 simulated runs of 2 to 100 steps whose entropy varies by 20 % between sets, 0.15 % ended at 0.25
// with 2 sets, 0.01 % with 4 and none with 8 or more; where it varies by 50 %, 0.6 %, 0.2 % and 0.02 %. A
// fall to 0.3 in the last two steps ended all runs of 20 sets, 70 to 90 % of those of 4, and 20 to 30 % of
// those of 2.
//
// The quickstart's 20 sets give H̄ a standard error of 2.5 % of it, so there the noise is 8 %. Of 4000
// simulated runs of 500 steps whose entropy does not drift, and varies by 20 % between sets, 0.1 % reached
// 0.25 with 1 or 2 sets, and none with 4 or more; where it varies by 50 %, 3 % did with 1 or 2 sets, 0.5 %
// with 4, and none with 16. That is what it is without the steps before DRIFT_FREEDOM, of which at most 0.4 %
// come.
#pragma once

#include "loss/loss.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

enum { DRIFT_STEPS = 4, DRIFT_VARIANCES = 16, DRIFT_FREEDOM = 10 };

/// All 0 before the first step.
typedef struct Drift {
  size_t freedom;   // differences between observations that `variance` is made of; stops at DRIFT_FREEDOM
  size_t variances; // steps that it is made of; stops at DRIFT_VARIANCES
  double first;     // H̄ of the first step; nats; 0 before it
  double smoothed;  // H̄, smoothed
  double last;      // H̄ of the last step
  double variance;  // of one step's H̄, averaged over steps; nats²
} Drift;

/// The drift as shares of the first step's H̄: −0.3 has fallen by 30 %.
typedef struct DriftEstimate {
  double relative;
  double noise; // 3 standard errors, or more of few observations; infinite while unknown
  bool of_last; // of the last step's own H̄, not of the smoothed one
} DriftEstimate;

/// Adds a step whose samples are these; every unit has equally many of them.
STATUS_CHECKED Status drift_add(Drift *drift, const LossSample *samples, size_t count);
/// Of the smoothed H̄.
DriftEstimate drift_estimate(const Drift *drift);
/// What a step is judged by: the smoothed H̄, and if the run ends with it (`ends`), the last step's own too,
/// whichever is further beyond its noise.
DriftEstimate drift_judged(const Drift *drift, bool ends);
/// Whether H̄ has moved by more than `limit` beyond the noise. A limit of 0 is off.
bool drift_beyond(DriftEstimate drifted, double limit);
/// Whether training can go on well from here: the smoothed H̄ has not moved by more than half of `limit`
/// beyond the noise, and the last step's own H̄, which shows a sudden move first, by no more than `limit`.
bool drift_is_good(const Drift *drift, double limit);
