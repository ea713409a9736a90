// Estimates, intervals and tests of gaps. Rule: a set is one observation, because its answers share prompts
// and random numbers; what is resampled is always whole sets.
#include "gap_stats.h"

#include "student.h"
#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

// With fewer sets there are too few sign patterns to take a 95th percentile of.
enum { FEWEST_SETS_TO_RESAMPLE = 8 };
static const double CONFIDENCE = 0.95;

// ---- one difference ----

/// pair->mean = the mean and standard error of H_of − H_minus, without an interval.
static void estimate_difference(const GapTable *table, const double *means, GapPair *pair) {
  double square = 0, n = (double)table->sets, gap = means[pair->of] - means[pair->minus];
  for (size_t s = 0; s < table->sets; s++) {
    const double *H = table->H + s * table->groups;
    double deviation = H[pair->of] - H[pair->minus] - gap;
    square += deviation * deviation;
  }
  double error = table->sets > 1 ? sqrt(square / (n - 1) / n) : NAN;
  pair->mean = (GapMean){.value = gap, .low = NAN, .high = NAN, .standard_error = error};
}

/// Gives the mean its interval: `critical` standard errors to each side.
static void set_interval(GapMean *mean, double critical) {
  double half_width = critical * mean->standard_error;
  mean->low = mean->value - half_width;
  mean->high = mean->value + half_width;
}

/// The t-interval of a single mean; none for a single set.
static void set_t_interval(GapMean *mean, size_t sets) {
  if (sets > 1) set_interval(mean, student_quantile((1 + CONFIDENCE) / 2, (double)sets - 1));
}

/// The squared t statistic of n differences with this sum and sum of squares: 0 if they are 0 in the mean,
/// infinite if they do not vary, both but for rounding.
static double t_squared(double sum, double squares, double n) {
  double mean = sum / n, variance = (squares - n * mean * mean) / (n - 1);
  if (squares <= 0 || mean * mean * n <= 1e-24 * squares) return 0;
  if (variance <= 1e-14 * squares) return INFINITY;
  return mean * mean * n / variance;
}

// ---- random signs: simultaneous intervals, and the spread ----

/// State of the resampling of one table.
typedef struct Signs {
  double *deviations; // [sets][groups] H_sg − H_g
  double *largest;    // [draws] the largest |t| over the pairs
  double spread;      // Σ over the splits
  size_t splits;
} Signs;

/// sums[groups] = Σ_s ±deviations[s][·], with random signs. Returns how many signs are +.
static size_t sum_with_signs(const GapTable *table, const Signs *signs, const GapResampling *resampling,
                             uint32_t draw, double *sums) {
  size_t positive = 0;
  uint32_t bits = 0;
  for (size_t g = 0; g < table->groups; g++) sums[g] = 0;
  for (size_t s = 0; s < table->sets; s++) {
    if (s % 32 == 0) bits = rng_bits(resampling->seed, RNG_BOOTSTRAP, draw, (uint32_t)(s / 32), 0);
    double sign = (bits >> (s % 32) & 1) != 0 ? 1 : -1;
    positive += sign > 0;
    for (size_t g = 0; g < table->groups; g++) sums[g] += sign * signs->deviations[s * table->groups + g];
  }
  return positive;
}

/// The largest |t| of a draw. Signs do not change a sum of squares, so it is that of the table.
static double largest_t(const GapTable *table, const GapEstimate *estimate, const double *sums) {
  double largest = 0, n = (double)table->sets;
  for (size_t p = 0; p < estimate->pair_count; p++) {
    const GapPair *pair = &estimate->pairs[p];
    double error = pair->mean.standard_error, squares = error * error * (n - 1) * n;
    largest = fmax(largest, t_squared(sums[pair->of] - sums[pair->minus], squares, n));
  }
  return sqrt(largest);
}

static void find_ends(const double *means, size_t groups, size_t *low, size_t *high) {
  *low = *high = 0;
  for (size_t g = 1; g < groups; g++) {
    if (means[g] < means[*low]) *low = g;
    if (means[g] > means[*high]) *high = g;
  }
}

/// Which groups are furthest apart in one half of the sets, and how far apart these are in the other half;
/// the mean of both ways round. The positive signs of a draw are the first half.
static double split_spread(const GapTable *table, const double *means, const double *sums, size_t positive) {
  double first[DATA_MAX_GROUPS], second[DATA_MAX_GROUPS];
  for (size_t g = 0; g < table->groups; g++) { // the deviations of the halves have opposite sums: ±sums / 2
    first[g] = means[g] + sums[g] / 2 / (double)positive;
    second[g] = means[g] - sums[g] / 2 / (double)(table->sets - positive);
  }
  size_t low = 0, high = 0;
  find_ends(first, table->groups, &low, &high);
  double spread = second[high] - second[low];
  find_ends(second, table->groups, &low, &high);
  return (spread + first[high] - first[low]) / 2;
}

static void draw_signs(const GapTable *table, const GapResampling *resampling, const GapEstimate *estimate,
                       Signs *signs) {
  double sums[DATA_MAX_GROUPS];
  for (size_t s = 0; s < table->sets * table->groups; s++)
    signs->deviations[s] = table->H[s] - estimate->H[s % table->groups];
  for (uint32_t b = 0; b < resampling->draws; b++) {
    size_t positive = sum_with_signs(table, signs, resampling, b, sums);
    signs->largest[b] = largest_t(table, estimate, sums);
    if (positive == 0 || positive == table->sets) continue;
    signs->spread += split_spread(table, estimate->H, sums, positive);
    signs->splits++;
  }
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// The |t| that no pair exceeds in 95 % of draws, sorted here; Bonferroni's where there are too few sets.
static double critical_t(const GapTable *table, size_t pairs, double *largest, uint32_t draws) {
  double critical = INFINITY;
  if (table->sets >= FEWEST_SETS_TO_RESAMPLE) {
    size_t rank = (size_t)ceil(CONFIDENCE * ((double)draws + 1));
    qsort(largest, draws, sizeof *largest, by_value);
    critical = largest[rank <= draws ? rank - 1 : draws - 1];
  }
  if (isfinite(critical)) return critical;
  return student_quantile(1 - (1 - CONFIDENCE) / 2 / (double)pairs, (double)table->sets - 1);
}

/// The interval of max − min that the pairs' intervals imply: some pair is as far apart as max − min, and
/// none is further.
static void imply_interval(GapEstimate *out) {
  out->gap.low = out->gap.high = 0;
  for (size_t p = 0; p < out->pair_count; p++) {
    const GapMean *mean = &out->pairs[p].mean;
    out->gap.low = fmax(out->gap.low, fmax(mean->low, -mean->high));
    out->gap.high = fmax(out->gap.high, fmax(mean->high, -mean->low));
  }
}

static Status resample_signs(const GapTable *table, const GapResampling *resampling, GapEstimate *out) {
  Signs signs = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&signs.deviations, table->sets * table->groups, "intervals"));
  TRY_CLEAN(mem_array(&signs.largest, resampling->draws, "intervals"));
  draw_signs(table, resampling, out, &signs);
  double critical = critical_t(table, out->pair_count, signs.largest, resampling->draws);
  for (size_t p = 0; p < out->pair_count; p++) set_interval(&out->pairs[p].mean, critical);
  imply_interval(out);
  out->spread = signs.splits > 0 ? signs.spread / (double)signs.splits : NAN;
cleanup:
  free(signs.deviations);
  free(signs.largest);
  return status;
}

// ---- random labels: the test that the groups do not differ ----

/// order[groups] = a random order of the groups, of each set's own. A draw gives the places of up to eight
/// groups, as the digits of a fraction: 8! of 2³² values keep the bias below 1e-5.
static void shuffle_groups(uint8_t *order, size_t groups, const GapResampling *resampling, uint32_t draw,
                           size_t set) {
  uint32_t fraction = 0;
  order[0] = 0;
  for (size_t g = 1; g < groups; g++) {
    if (g % 8 == 1) fraction = rng_bits(resampling->seed, RNG_PERMUTE, draw, (uint32_t)set, (uint32_t)g);
    uint64_t scaled = (uint64_t)fraction * (g + 1);
    size_t place = (size_t)(scaled >> 32);
    fraction = (uint32_t)scaled;
    order[g] = order[place];
    order[place] = (uint8_t)g;
  }
}

/// The largest t² over all pairs of groups, with the labels of each set in the order orders[sets][groups].
static double largest_relabelled(const GapTable *table, const uint8_t *orders) {
  double largest = 0;
  for (size_t of = 1; of < table->groups; of++) {
    for (size_t minus = 0; minus < of; minus++) {
      double sum = 0, squares = 0;
      for (size_t s = 0; s < table->sets; s++) {
        const double *H = table->H + s * table->groups;
        const uint8_t *order = orders + s * table->groups;
        double difference = H[order[of]] - H[order[minus]];
        sum += difference;
        squares += difference * difference;
      }
      largest = fmax(largest, t_squared(sum, squares, (double)table->sets));
    }
  }
  return largest;
}

static Status permutation_test(const GapTable *table, const GapResampling *resampling, double *p) {
  uint8_t *orders = NULL;
  uint32_t as_large = 0;
  TRY(mem_array(&orders, table->sets * table->groups, "permutation test"));
  for (size_t i = 0; i < table->sets * table->groups; i++) orders[i] = (uint8_t)(i % table->groups);
  double measured = largest_relabelled(table, orders);
  for (uint32_t b = 0; b < resampling->draws; b++) {
    for (size_t s = 0; s < table->sets; s++)
      shuffle_groups(orders + s * table->groups, table->groups, resampling, b, s);
    // an order that is as good as the measured one may differ from it by rounding
    as_large += largest_relabelled(table, orders) >= measured * (1 - 1e-9);
  }
  *p = ((double)as_large + 1) / ((double)resampling->draws + 1);
  free(orders);
  return STATUS_OK;
}

// ---- an estimate ----

static Status find_means(const GapTable *table, double *means) {
  for (size_t i = 0; i < table->sets * table->groups; i++) {
    if (!isfinite(table->H[i]))
      return status_fail(STATUS_FAILED,
                         "the entropy of set %zu, group %zu is %g: the model computes numbers that are not "
                         "finite",
                         i / table->groups, i % table->groups, table->H[i]);
    means[i % table->groups] += table->H[i] / (double)table->sets;
  }
  return STATUS_OK;
}

/// *out = the estimate without the test.
static Status estimate_intervals(const GapTable *table, const GapResampling *resampling, GapEstimate *out) {
  *out = (GapEstimate){.p = NAN, .spread = NAN};
  size_t low = 0, high = 1;
  TRY(find_means(table, out->H));
  if (table->groups > 2) find_ends(out->H, table->groups, &low, &high);
  for (size_t of = 1; of < table->groups; of++) {
    for (size_t minus = 0; minus < of; minus++) {
      GapPair *pair = &out->pairs[out->pair_count++];
      *pair = (GapPair){.of = of, .minus = minus};
      estimate_difference(table, out->H, pair);
    }
  }
  GapPair widest = {.of = high, .minus = low};
  estimate_difference(table, out->H, &widest);
  out->gap = widest.mean;
  if (table->groups > 2) return table->sets > 1 ? resample_signs(table, resampling, out) : STATUS_OK;
  set_t_interval(&out->gap, table->sets);
  out->pairs[0].mean = out->gap;
  return STATUS_OK;
}

Status gap_estimate(const GapTable *table, const GapResampling *resampling, GapEstimate *out) {
  TRY(estimate_intervals(table, resampling, out));
  return table->sets < 2 ? STATUS_OK : permutation_test(table, resampling, &out->p);
}

// ---- a change ----

/// An interval of no width says nothing: what differs alike in every set is rounding.
static bool excludes_zero(const GapMean *mean) {
  return mean->low < mean->high && (mean->low > 0 || mean->high < 0);
}

/// Whether a came closer to 0 than b: |a| < |b| if and only if a − b and a + b differ in sign. Both are known
/// for certain only if neither interval holds 0 (an intersection-union test).
static GapSize compare_size(const GapMean *difference, const GapMean *sum) {
  if (!excludes_zero(difference) || !excludes_zero(sum)) return GAP_UNCLEAR;
  return (difference->low > 0) == (sum->low > 0) ? GAP_LARGER : GAP_SMALLER;
}

static GapSize compare_sizes(const GapEstimate *difference, const GapEstimate *sum) {
  bool smaller = false, larger = false;
  for (size_t p = 0; p < difference->pair_count; p++) {
    GapSize size = compare_size(&difference->pairs[p].mean, &sum->pairs[p].mean);
    smaller = smaller || size == GAP_SMALLER;
    larger = larger || size == GAP_LARGER;
  }
  if (smaller == larger) return GAP_UNCLEAR;
  return smaller ? GAP_SMALLER : GAP_LARGER;
}

Status gap_change(const GapTable *before, const GapTable *after, const GapResampling *resampling,
                  GapEstimate *change, GapSize *size) {
  size_t cells = before->sets * before->groups;
  double *difference = NULL, *sum = NULL;
  GapEstimate *sums = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&difference, cells, "change of the gap"));
  TRY_CLEAN(mem_array(&sum, cells, "change of the gap"));
  TRY_CLEAN(mem_array(&sums, 1, "change of the gap"));
  for (size_t i = 0; i < cells; i++) {
    difference[i] = after->H[i] - before->H[i];
    sum[i] = after->H[i] + before->H[i];
  }
  TRY_CLEAN(gap_estimate(&(GapTable){difference, before->sets, before->groups}, resampling, change));
  TRY_CLEAN(estimate_intervals(&(GapTable){sum, before->sets, before->groups}, resampling, sums));
  *size = compare_sizes(change, sums);
cleanup:
  free(difference);
  free(sum);
  free(sums);
  return status;
}

/// The mean of the second column less the first, of columns[sets][2].
static Status mean_difference(const double *columns, size_t sets, GapMean *out) {
  double means[2] = {0};
  GapTable table = {columns, sets, 2};
  GapPair pair = {.of = 1, .minus = 0};
  TRY(find_means(&table, means));
  estimate_difference(&table, means, &pair);
  set_t_interval(&pair.mean, sets);
  *out = pair.mean;
  return STATUS_OK;
}

Status gap_mean(const double *values, size_t sets, GapMean *out) {
  double *columns = NULL; // [sets][2] 0 and the value
  TRY(mem_array(&columns, 2 * sets, "mean of the sets"));
  for (size_t s = 0; s < sets; s++) columns[2 * s + 1] = values[s];
  Status status = mean_difference(columns, sets, out);
  free(columns);
  return status;
}

Status gap_change_of_mean(const GapTable *before, const GapTable *after, GapMean *out) {
  double *columns = NULL; // [sets][2] the mean over groups before and after
  TRY(mem_array(&columns, 2 * before->sets, "change of the mean entropy"));
  double groups = (double)before->groups;
  for (size_t i = 0; i < before->sets * before->groups; i++) {
    columns[i / before->groups * 2] += before->H[i] / groups;
    columns[i / before->groups * 2 + 1] += after->H[i] / groups;
  }
  Status status = mean_difference(columns, before->sets, out);
  free(columns);
  return status;
}
