// Correlations of samples that have each pair of values any number of times.
#include "estimate.h"

#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

typedef struct Pairs {
  const double *x, *y;
  size_t count;
  bool ranks;
  size_t *by_x, *by_y;     // [count] places in ascending order
  double *rank_x, *rank_y; // [count] of a sample
} Pairs;

static double pearson(const double *x, const double *y, size_t count, const uint32_t *times) {
  double n = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < count; i++) {
    n += times[i];
    mean_x += times[i] * x[i];
    mean_y += times[i] * y[i];
  }
  mean_x /= n;
  mean_y /= n;
  for (size_t i = 0; i < count; i++) {
    double dx = x[i] - mean_x, dy = y[i] - mean_y;
    xx += times[i] * dx * dx;
    yy += times[i] * dy * dy;
    xy += times[i] * dx * dy;
  }
  return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

/// Equal values have the mean of their ranks.
static void rank(const double *values, const size_t *order, size_t count, const uint32_t *times,
                 double *ranks) {
  double before = 0;
  for (size_t first = 0, end = 0; first < count; first = end) {
    double same = 0;
    for (; end < count && !(values[order[end]] > values[order[first]]); end++) same += times[order[end]];
    for (size_t i = first; i < end; i++) ranks[order[i]] = before + (same + 1) / 2;
    before += same;
  }
}

static double correlation(const void *user, const uint32_t *times) {
  const Pairs *p = user;
  if (!p->ranks) return pearson(p->x, p->y, p->count, times);
  rank(p->x, p->by_x, p->count, times, p->rank_x);
  rank(p->y, p->by_y, p->count, times, p->rank_y);
  return pearson(p->rank_x, p->rank_y, p->count, times);
}

static void sort_by(const double *values, size_t count, size_t *order) {
  for (size_t i = 0; i < count; i++) {
    size_t at = i;
    for (; at > 0 && values[order[at - 1]] > values[i]; at--) order[at] = order[at - 1];
    order[at] = i;
  }
}

Status estimate_correlation(const double *x, const double *y, size_t count, bool ranks, Interval *out) {
  Pairs p = {.x = x, .y = y, .count = count, .ranks = ranks};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&p.by_x, count, "ranks"));
  TRY_CLEAN(mem_array(&p.by_y, count, "ranks"));
  TRY_CLEAN(mem_array(&p.rank_x, count, "ranks"));
  TRY_CLEAN(mem_array(&p.rank_y, count, "ranks"));
  sort_by(x, count, p.by_x);
  sort_by(y, count, p.by_y);
  TRY_CLEAN(estimate_statistic(correlation, &p, count, out));
cleanup:
  free(p.by_x);
  free(p.by_y);
  free(p.rank_x);
  free(p.rank_y);
  return status;
}
