// Estimates of metrics. Rule: what cannot be estimated is NaN, never 0.
#include "estimate.h"

#include "student.h"
#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

static const double z = 1.959963984540054; // of the normal distribution, 97.5 %
enum { BOOTSTRAP_SEED = 1979 };
static _Thread_local bool values_only;

void estimate_values_only(bool on) {
  values_only = on;
}

Interval estimate_mean(const double *values, size_t count) {
  double sum = 0, squares = 0, n = (double)count;
  if (count == 0) return (Interval){NAN, NAN, NAN};
  for (size_t i = 0; i < count; i++) sum += values[i];
  double mean = sum / n;
  if (count == 1) return (Interval){mean, NAN, NAN};
  for (size_t i = 0; i < count; i++) squares += (values[i] - mean) * (values[i] - mean);
  double reach = student_quantile(0.975, n - 1) * sqrt(squares / (n - 1) / n);
  return (Interval){mean, mean - reach, mean + reach};
}

Interval estimate_share(size_t hits, size_t count) {
  if (count == 0) return (Interval){NAN, NAN, NAN};
  double n = (double)count, share = (double)hits / n, weight = 1 + z * z / n;
  double middle = (share + z * z / (2 * n)) / weight;
  double reach = z / weight * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
  return (Interval){share, hits == 0 ? 0 : middle - reach, hits == count ? 1 : middle + reach};
}

Interval estimate_paired(size_t first, size_t second, size_t count) {
  if (count == 0) return (Interval){NAN, NAN, NAN};
  double n = (double)count + 2, a = ((double)first + 0.5) / n, b = ((double)second + 0.5) / n;
  double reach = z * sqrt((a + b - (a - b) * (a - b)) / n),
         value = ((double)first - (double)second) / (double)count;
  return (Interval){value, fmax(-1, a - b - reach), fmin(1, a - b + reach)};
}

int estimate_by_value(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

double estimate_quantile(const double *sorted, size_t count, double p) {
  double place = p * (double)(count - 1);
  size_t below = (size_t)place;
  double part = place - (double)below;
  return below + 1 < count ? sorted[below] + part * (sorted[below + 1] - sorted[below]) : sorted[below];
}

void estimate_draw(uint32_t *times, size_t units, uint32_t number) {
  for (size_t u = 0; u < units; u++) times[u] = 0;
  for (size_t u = 0; u < units; u++)
    times[rng_below((uint32_t)units, BOOTSTRAP_SEED, RNG_BOOTSTRAP, number, (uint32_t)u, 0)]++;
}

Status estimate_statistic(Statistic statistic, const void *user, size_t units, Interval *out) {
  uint32_t *times = NULL;
  double *values = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  *out = (Interval){NAN, NAN, NAN};
  if (units > UINT32_MAX) return status_fail(STATUS_INPUT, "%zu items are too many", units);
  TRY_CLEAN(mem_array(&times, units, "a bootstrap sample"));
  TRY_CLEAN(mem_array(&values, ESTIMATE_DRAWS, "bootstrap samples"));
  for (size_t u = 0; u < units; u++) times[u] = 1;
  out->value = statistic(user, times);
  for (uint32_t i = 0; i < ESTIMATE_DRAWS && units > 1 && !values_only; i++) {
    estimate_draw(times, units, i);
    values[count] = statistic(user, times);
    if (!isnan(values[count])) count++;
  }
  if (count <= ESTIMATE_DRAWS / 2) goto cleanup;
  qsort(values, count, sizeof *values, estimate_by_value);
  if (values[0] == values[count - 1]) goto cleanup;
  out->low = estimate_quantile(values, count, 0.025);
  out->high = estimate_quantile(values, count, 0.975);
cleanup:
  free(times);
  free(values);
  return status;
}

/// What cluster_mean goes over.
typedef struct Clusters {
  const ClusterSum *list;
  size_t count;
} Clusters;

static double cluster_mean(const void *user, const uint32_t *times) {
  const Clusters *clusters = user;
  double sum = 0, count = 0;
  for (size_t i = 0; i < clusters->count; i++) {
    sum += times[i] * clusters->list[i].sum;
    count += times[i] * clusters->list[i].count;
  }
  return count > 0 ? sum / count : NAN;
}

Status estimate_clustered(const ClusterSum *clusters, size_t count, Interval *out) {
  return estimate_statistic(cluster_mean, &(Clusters){clusters, count}, count, out);
}
