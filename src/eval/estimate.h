// Estimates with 95 % intervals, for the metrics of tasks. Private to eval.
//
//   mean        Student's t over the values (eval/means.h)
//   share       Wilson's score interval (JASA 22, 1927): never beyond 0 or 1, and right near them
//   paired      the difference of two shares of the same items, by Agresti and Min (Statist. Med. 24, 2005):
//   that of
//               Wald with half an item more in each cell, so that it has a width where no item differs
//   statistic   anything else: percentiles of 10,000 bootstrap samples (Efron, Ann. Statist. 7, 1979) of
//   units
//               drawn with replacement. A unit is an item, or a cluster of items that belong together. The
//               draws are a function of the number of the draw and of the units, so results are repeatable.
#pragma once

#include "eval/means.h"
#include <stdbool.h>
#include <stdint.h>

enum { ESTIMATE_DRAWS = 10000 };
/// times[units] = how often bootstrap sample `number` has each unit.
void estimate_draw(uint32_t *times, size_t units, uint32_t number);
/// The p-quantile of sorted values: between the values on both sides, as numpy's default is.
double estimate_quantile(const double *sorted, size_t count, double p);
/// For qsort: doubles in ascending order.
int estimate_by_value(const void *a, const void *b);

/// While it is on, estimates of this thread are values alone, without intervals: what is measured again on
/// parts of the items needs no more, and takes a thousandth of the time.
void estimate_values_only(bool on);

/// hits of count; NaN without any.
Interval estimate_share(size_t hits, size_t count);

/// (first − second) / count, where `first` of `count` items are hits on the first side alone, and `second` on
/// the second alone.
Interval estimate_paired(size_t first, size_t second, size_t count);

/// A statistic of a sample that has unit u times[u] times. NaN if it is not defined for the sample.
typedef double (*Statistic)(const void *user, const uint32_t *times);
/// *out = the statistic of all units once, with its interval. Samples in which it is not defined are left
/// out; if they are the most, or if all samples give the same value, there is no interval.
STATUS_CHECKED Status estimate_statistic(Statistic statistic, const void *user, size_t units, Interval *out);

/// The values of a cluster of items, which are drawn together.
typedef struct ClusterSum {
  double sum, count;
} ClusterSum;

/// *out = the mean over the values of all clusters, with the bootstrap's interval. NaN without values.
STATUS_CHECKED Status estimate_clustered(const ClusterSum *clusters, size_t count, Interval *out);

/// *out = the correlation of x[count] with y[count]: Pearson's, or with `ranks` Spearman's, where equal
/// values have the mean of their ranks. The bootstrap draws pairs. NaN if either does not vary.
STATUS_CHECKED Status estimate_correlation(const double *x, const double *y, size_t count, bool ranks,
                                           Interval *out);
