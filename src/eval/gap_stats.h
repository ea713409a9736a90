// The statistics of gaps: pure functions of tables with a mean entropy per set and group. A set is one
// observation. eval/gap.h says which intervals and tests these are, and where they come from.
#pragma once

#include "data/data.h"

enum { GAP_MAX_PAIRS = DATA_MAX_GROUPS * (DATA_MAX_GROUPS - 1) / 2 };

/// H[sets][groups], in nats; borrowed.
typedef struct GapTable {
  const double *H;
  size_t sets, groups;
} GapTable;

/// How often to resample, and from which random numbers. The same numbers give the same bits.
typedef struct GapResampling {
  uint64_t seed;
  uint32_t draws;
} GapResampling;

/// The mean of one difference over the sets, in nats, with its 95 % interval. The interval and the standard
/// error are NaN for a single set.
typedef struct GapMean {
  double value, low, high, standard_error;
} GapMean;

/// H of the group `of` less H of the group `minus`; of > minus. The intervals of all pairs of an estimate
/// hold together in 95 % of measurements.
typedef struct GapPair {
  size_t of, minus;
  GapMean mean;
} GapPair;

/// What cannot be had from a single set is NaN.
typedef struct GapEstimate {
  // Two groups: H_1 − H_0. More: max − min, with the interval that the pairs' intervals imply (low ≥ 0), and
  // the standard error of the pair that is furthest apart.
  GapMean gap;
  double p;                  // of the test that the groups do not differ
  double spread;             // max − min, with its bias removed; NaN for two groups
  double H[DATA_MAX_GROUPS]; // mean entropy per group
  size_t pair_count;         // 1 for two groups
  GapPair pairs[GAP_MAX_PAIRS];
} GapEstimate;

/// Whether gaps came closer to 0, as far as the sets show.
typedef enum GapSize { GAP_SMALLER = -1, GAP_UNCLEAR = 0, GAP_LARGER = 1 } GapSize;

/// STATUS_FAILED if an entropy is not finite.
STATUS_CHECKED Status gap_estimate(const GapTable *table, const GapResampling *resampling, GapEstimate *out);

/// What changed between two measurements of the same sets: *change estimates the table after − before. *size
/// is GAP_SMALLER if a pair's difference has come closer to 0 and none has moved away, GAP_LARGER if the
/// reverse holds.
STATUS_CHECKED Status gap_change(const GapTable *before, const GapTable *after,
                                 const GapResampling *resampling, GapEstimate *change, GapSize *size);
/// The mean of a number of each set.
STATUS_CHECKED Status gap_mean(const double *values, size_t sets, GapMean *out);
/// The change of the mean entropy over all groups.
STATUS_CHECKED Status gap_change_of_mean(const GapTable *before, const GapTable *after, GapMean *out);
