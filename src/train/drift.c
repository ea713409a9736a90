// The drift of the mean entropy. Rule: it follows from a few numbers that checkpoints keep, so a resumed run
// stops where an uninterrupted one does.
#include "drift.h"

#include "util/memory.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

// A smoothed value has this share of the variance of one step's.
static const double smoothed_share = (1.0 / DRIFT_STEPS) / (2 - 1.0 / DRIFT_STEPS);

/// Standard errors that count as noise, by degrees of freedom: Student's t at the probability of 3 with ten,
/// 0.67 % on each side.
static const double errors_of_noise[DRIFT_FREEDOM + 1] = {INFINITY, 47.7, 8.57, 5.27, 4.23, 3.75,
                                                          3.47,     3.29, 3.16, 3.07, 3};

/// What a step says about H̄.
typedef struct Observation {
  double H_bar;
  double variance; // of H̄ over the units; 0 with a single one
  size_t freedom;  // units − 1
} Observation;

static Status observe(const LossSample *samples, size_t count, Observation *out) {
  size_t first = SIZE_MAX, last = 0;
  double *sums = NULL;
  for (size_t i = 0; i < count; i++) {
    first = samples[i].unit < first ? samples[i].unit : first;
    last = samples[i].unit > last ? samples[i].unit : last;
    out->H_bar += samples[i].H / (double)count;
  }
  size_t units = last - first + 1;
  TRY(mem_array(&sums, units, "units of a step"));
  double share = (double)units / (double)count, squares = 0;
  for (size_t i = 0; i < count; i++) sums[samples[i].unit - first] += share * samples[i].H;
  for (size_t u = 0; u < units; u++) squares += pow(sums[u] - out->H_bar, 2);
  out->freedom = units - 1;
  if (units > 1) out->variance = squares / (double)(units - 1) / (double)units;
  free(sums);
  return STATUS_OK;
}

static size_t at_most(size_t value, size_t limit) {
  return value < limit ? value : limit;
}

static void add_variance(Drift *drift, double variance, size_t freedom) {
  drift->freedom = at_most(drift->freedom + at_most(freedom, DRIFT_FREEDOM), DRIFT_FREEDOM);
  drift->variances = at_most(drift->variances + 1, DRIFT_VARIANCES);
  drift->variance += (variance - drift->variance) / (double)drift->variances;
}

Status drift_add(Drift *drift, const LossSample *samples, size_t count) {
  Observation step = {0};
  TRY(observe(samples, count, &step));
  drift->last = step.H_bar;
  double away = step.H_bar - drift->smoothed;
  if (step.freedom > 0) {
    add_variance(drift, step.variance, step.freedom);
  } else if (drift->first > 0) {
    add_variance(drift, away * away / (1 + smoothed_share), 1);
  }
  if (drift->first > 0) {
    drift->smoothed += away / DRIFT_STEPS;
  } else {
    drift->first = drift->smoothed = step.H_bar;
  }
  return STATUS_OK;
}

/// Of H, whose variance is `share` of a step's.
static DriftEstimate estimate(const Drift *drift, double H, double share, bool of_last) {
  if (!(drift->first > 0)) return (DriftEstimate){.noise = INFINITY, .of_last = of_last};
  DriftEstimate out = {.relative = H / drift->first - 1, .noise = INFINITY, .of_last = of_last};
  double error = sqrt(drift->variance * (1 + share));
  if (drift->freedom > 0) out.noise = errors_of_noise[drift->freedom] * error / drift->first;
  return out;
}

DriftEstimate drift_estimate(const Drift *drift) {
  return estimate(drift, drift->smoothed, smoothed_share, false);
}

/// How far it has moved beyond the noise; below 0 if the noise may explain it.
static double certain_move(DriftEstimate drifted) {
  return fabs(drifted.relative) - drifted.noise;
}

DriftEstimate drift_judged(const Drift *drift, bool ends) {
  DriftEstimate smoothed = drift_estimate(drift), last = estimate(drift, drift->last, 1, true);
  return ends && certain_move(last) > certain_move(smoothed) ? last : smoothed;
}

bool drift_beyond(DriftEstimate drifted, double limit) {
  return limit > 0 && certain_move(drifted) > limit;
}

bool drift_is_good(const Drift *drift, double limit) {
  if (drift_beyond(drift_estimate(drift), limit / 2)) return false;
  return !(limit > 0 && drift->first > 0 && fabs(drift->last / drift->first - 1) > limit);
}
