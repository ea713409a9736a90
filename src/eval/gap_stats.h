// The statistics of gaps: pure functions of a table of observations.
#pragma once

#include "data/data.h"

typedef struct GapEstimate {
  double gap, low, high; // nats; 95 % interval, NaN for a single set
  double standard_error;
  double H[DATA_MAX_GROUPS]; // mean entropy per group
} GapEstimate;

/// The t with P(T ≤ t) = p for Student's distribution with `freedom` > 0 degrees of freedom; 0.5 ≤ p < 1.
double student_quantile(double p, double freedom);

/// Estimates the gap from H[sets][groups], a mean entropy per set and group; eval/gap.h describes the
/// interval. With a single set there is none: low, high and standard_error are NaN. STATUS_FAILED if an
/// entropy is not finite.
STATUS_CHECKED Status gap_estimate(const double *H, size_t sets, size_t groups, uint64_t seed,
                                   GapEstimate *out);
