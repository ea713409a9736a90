// Estimates and intervals. Rule: a set is one observation, because its answers share prompts and random
// numbers.
#include "gap_stats.h"

#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

enum { BOOTSTRAP_DRAWS = 10000 };

/// The continued fraction of the incomplete beta function (Lentz's method; DLMF 8.17.22). Converges fast for
/// x < (a + 1) / (a + b + 2).
static double beta_fraction(double a, double b, double x) {
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (fabs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m <= 10000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (int part = 0; part < 2; part++) {
      double term = part == 0 ? even : odd;
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (fabs(d) < tiny ? tiny : d);
      if (fabs(c) < tiny) c = tiny;
      step = d * c;
      value *= step;
    }
    if (fabs(step - 1) < 1e-15) break;
  }
  return value;
}

/// The regularised incomplete beta function I_x(a, b). y = 1 − x is passed too, so that no digits are lost
/// near x = 1.
static double beta_regularised(double a, double b, double x, double y) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, y) / b;
}

/// P(T > t), t ≥ 0.
static double student_tail(double t, double freedom) {
  double square = t * t;
  return 0.5 * beta_regularised(freedom / 2, 0.5, freedom / (freedom + square), square / (freedom + square));
}

double student_quantile(double p, double freedom) {
  double low = 0, high = 1;
  while (student_tail(high, freedom) > 1 - p && high < 1e300) high *= 2;
  for (int i = 0; i < 200; i++) {
    double middle = low + (high - low) / 2;
    if (student_tail(middle, freedom) > 1 - p)
      low = middle;
    else
      high = middle;
  }
  return low + (high - low) / 2;
}

/// Estimates the signed difference and its t-interval.
static void estimate_pair(const double *H, size_t sets, GapEstimate *out) {
  double square = 0, n = (double)sets;
  out->gap = out->H[1] - out->H[0];
  out->standard_error = out->low = out->high = NAN;
  if (sets < 2) return;
  for (size_t s = 0; s < sets; s++) {
    double deviation = H[2 * s + 1] - H[2 * s] - out->gap;
    square += deviation * deviation;
  }
  out->standard_error = sqrt(square / (n - 1) / n);
  double half_width = student_quantile(0.975, n - 1) * out->standard_error;
  out->low = out->gap - half_width;
  out->high = out->gap + half_width;
}

static double spread(const double *means, size_t groups) {
  double low = INFINITY, high = -INFINITY;
  for (size_t g = 0; g < groups; g++) {
    low = fmin(low, means[g]);
    high = fmax(high, means[g]);
  }
  return high - low;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// Interpolates between the two nearest of `count` sorted values, as numpy does by default.
static double percentile(const double *sorted, size_t count, double share) {
  double position = share * (double)(count - 1);
  size_t below = (size_t)position;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}

static Status estimate_many(const double *H, size_t sets, size_t groups, uint64_t seed, GapEstimate *out) {
  out->gap = spread(out->H, groups);
  out->standard_error = out->low = out->high = NAN;
  if (sets < 2) return STATUS_OK;
  double *draws = NULL, sum = 0, square = 0;
  TRY(mem_array(&draws, BOOTSTRAP_DRAWS, "bootstrap"));
  for (uint32_t b = 0; b < BOOTSTRAP_DRAWS; b++) {
    double means[DATA_MAX_GROUPS] = {0};
    for (size_t i = 0; i < sets; i++) {
      size_t s = rng_below((uint32_t)sets, seed, RNG_BOOTSTRAP, b, (uint32_t)i, 0);
      for (size_t g = 0; g < groups; g++) means[g] += H[s * groups + g] / (double)sets;
    }
    draws[b] = spread(means, groups);
    sum += draws[b];
  }
  for (size_t b = 0; b < BOOTSTRAP_DRAWS; b++) square += pow(draws[b] - sum / BOOTSTRAP_DRAWS, 2);
  out->standard_error = sqrt(square / (BOOTSTRAP_DRAWS - 1));
  qsort(draws, BOOTSTRAP_DRAWS, sizeof *draws, by_value);
  out->low = percentile(draws, BOOTSTRAP_DRAWS, 0.025);
  out->high = percentile(draws, BOOTSTRAP_DRAWS, 0.975);
  free(draws);
  return STATUS_OK;
}

Status gap_estimate(const double *H, size_t sets, size_t groups, uint64_t seed, GapEstimate *out) {
  *out = (GapEstimate){0};
  for (size_t i = 0; i < sets * groups; i++) {
    if (!isfinite(H[i]))
      return status_fail(STATUS_FAILED,
                         "the entropy of set %zu, group %zu is %g: the model's numbers are broken",
                         i / groups, i % groups, H[i]);
    out->H[i % groups] += H[i] / (double)sets;
  }
  if (groups != 2) return estimate_many(H, sets, groups, seed, out);
  estimate_pair(H, sets, out);
  return STATUS_OK;
}
