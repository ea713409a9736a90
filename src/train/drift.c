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

DriftEstimate drift_estimate(const Drift *drift) {
  if (!(drift->first > 0)) return (DriftEstimate){0, INFINITY};
  if (drift->freedom == 0) return (DriftEstimate){drift->smoothed / drift->first - 1, INFINITY};
  double error = sqrt(drift->variance * (1 + smoothed_share));
  return (DriftEstimate){.relative = drift->smoothed / drift->first - 1,
                         .noise = errors_of_noise[drift->freedom] * error / drift->first};
}

bool drift_beyond(const Drift *drift, double limit) {
  DriftEstimate drifted = drift_estimate(drift);
  return limit > 0 && fabs(drifted.relative) - drifted.noise > limit;
}

bool drift_is_good(const Drift *drift, double limit) {
  if (drift_beyond(drift, limit / 2)) return false;
  return !(limit > 0 && drift->first > 0 && fabs(drift->last / drift->first - 1) > limit);
}
