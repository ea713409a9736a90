// How often intervals hold the truth, and tests are wrong: 1,000 simulated measurements for each number of
// sets, groups and shape of the entropies. Rule: 930 to 970 of 1,000 intervals hold what they are made for.
// With 99 draws the ranks of a resampled statistic are exact: the tests would be at 95 % whatever the draws.
#include "support/test.h"

#include "gap_stats.h"
#include "util/rng.h"
#include <math.h>
#include <stdlib.h>

enum { REPEATS = 1000, DRAWS = 99, MAX_SETS = 200, MAX_GROUPS = 4 };

/// What differs between the groups of a set beside the true difference.
typedef enum Noise {
  NOISE_NORMAL,
  NOISE_SKEWED,    // exponential: the skewness is 2
  NOISE_OWN_SCALE, // normal, with another scale in each set
  NOISES
} Noise;

typedef struct Simulation {
  size_t sets, groups;
  Noise noise;
  double step;   // true mean of H_g − H_(g − 1)
  double varies; // standard deviation of a set's own step, as a share of it; skewed
} Simulation;

static double uniform(uint32_t repeat, uint32_t a, uint32_t b) {
  return ((double)rng_uniform(99, RNG_DATA, repeat, a, b) + 0x1p-25);
}

static double exponential(uint32_t repeat, uint32_t a, uint32_t b) {
  return -log(uniform(repeat, a, b)) - 1;
}

static double normal(uint32_t repeat, uint32_t a, uint32_t b) {
  double radius = sqrt(-2 * log(uniform(repeat, a, b)));
  return radius * cos(2 * 3.14159265358979323846 * uniform(repeat, a, b + 1000));
}

/// Fills H[sets][groups]. `part` 0, 1, … gives tables that share nothing.
static GapTable simulate(const Simulation *sim, uint32_t repeat, uint32_t part, double *H) {
  for (uint32_t s = 0; s < sim->sets; s++) {
    uint32_t set = part * MAX_SETS + s;
    double level = 2 + normal(repeat, set, 100) / 2;
    double scale = sim->noise == NOISE_OWN_SCALE ? 0.5 + uniform(repeat, set, 101) : 1;
    double step = sim->step * (1 + sim->varies * exponential(repeat, set, 102));
    for (uint32_t g = 0; g < sim->groups; g++) {
      double noise = sim->noise == NOISE_SKEWED ? exponential(repeat, set, g) : normal(repeat, set, g);
      H[s * sim->groups + g] = level + step * g + scale * noise;
    }
  }
  return (GapTable){H, sim->sets, sim->groups};
}

static GapResampling draws_of(uint32_t repeat) {
  return (GapResampling){.seed = repeat, .draws = DRAWS};
}

/// Whether every pair's interval holds the true difference.
static bool all_hold(const GapEstimate *estimate, double step) {
  for (size_t p = 0; p < estimate->pair_count; p++) {
    const GapPair *pair = &estimate->pairs[p];
    double truth = step * (double)(pair->of - pair->minus);
    if (!(pair->mean.low <= truth && truth <= pair->mean.high)) return false;
  }
  return true;
}

static void assert_share(size_t count, double low, double high, const char *what, const Simulation *sim) {
  double share = (double)count / REPEATS;
  print_message("%-28s %3zu sets, %zu groups, noise %d, step %.1f: %.1f %%\n", what, sim->sets, sim->groups,
                (int)sim->noise, sim->step, 100 * share);
  if (!(share >= low && share <= high)) fail_msg("%s: %.3f is not in [%g, %g]", what, share, low, high);
}

static void check_intervals(const Simulation *sim) {
  static double H[MAX_SETS * MAX_GROUPS];
  size_t pairs = 0, spread = 0, rejected = 0;
  for (uint32_t r = 0; r < REPEATS; r++) {
    GapEstimate estimate;
    GapTable table = simulate(sim, r, 0, H);
    GapResampling draws = draws_of(r);
    double truth = sim->step * (double)(sim->groups - 1);
    assert_ok(gap_estimate(&table, &draws, &estimate));
    pairs += all_hold(&estimate, sim->step);
    spread += estimate.gap.low <= truth && truth <= estimate.gap.high;
    rejected += estimate.p <= 0.05;
  }
  assert_share(pairs, 0.93, 0.97, "all pairs", sim);
  // of more than two groups the interval follows from those of the pairs, and holds whenever they do
  if (sim->groups > 2) assert_share(spread, 0.93, 1, "max - min", sim);
  if (sim->step <= 0) assert_share(rejected, 0.03, 0.07, "wrongly said to differ", sim);
}

/// 200 sets are simulated with skewed noise alone, because they take the longest.
static void check_all(double step, double varies) {
  static const size_t sets[] = {8, 20, 40, 200};
  for (size_t groups = 2; groups <= 4; groups += 2) {
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
      for (int noise = 0; noise < NOISES; noise++) {
        Simulation sim = {sets[i], groups, (Noise)noise, step, varies};
        if (sim.sets < MAX_SETS || sim.noise == NOISE_SKEWED) check_intervals(&sim);
      }
    }
  }
}

static void test_no_difference(void **state) {
  (void)state;
  check_all(0, 0);
}

/// The difference varies from set to set, and not evenly to both sides.
static void test_true_difference(void **state) {
  (void)state;
  check_all(0.3, 1);
}

// ---- max − min without its bias ----

/// The means of `spread` and of max − min, less the truth, in standard errors of a difference.
static void biases_of(const Simulation *sim, double *corrected, double *raw) {
  static double H[MAX_SETS * MAX_GROUPS];
  double truth = sim->step * (double)(sim->groups - 1), error = sqrt(2 / (double)sim->sets);
  *corrected = *raw = 0;
  for (uint32_t r = 0; r < REPEATS; r++) {
    GapEstimate estimate;
    GapTable table = simulate(sim, r, 0, H);
    GapResampling draws = draws_of(r);
    assert_ok(gap_estimate(&table, &draws, &estimate));
    *corrected += (estimate.spread - truth) / error / REPEATS;
    *raw += (estimate.gap.value - truth) / error / REPEATS;
  }
  print_message("%3zu sets, step %.2f: bias %+.2f standard errors, of max - min %+.2f\n", sim->sets,
                sim->step, *corrected, *raw);
}

/// Its standard deviation is about 1, so a mean of 1,000 is within 0.13.
static void test_bias(void **state) {
  (void)state;
  static const size_t sets[] = {8, 40};
  for (size_t i = 0; i < 2; i++) {
    double corrected = 0, raw = 0, error = sqrt(2 / (double)sets[i]);
    biases_of(&(Simulation){sets[i], 4, NOISE_SKEWED, 0, 0}, &corrected, &raw);
    assert_true(fabs(corrected) <= 0.13 && raw > 1);
    biases_of(&(Simulation){sets[i], 4, NOISE_SKEWED, error * 0.6, 0}, &corrected, &raw);
    assert_true(corrected <= 0.13 && corrected > -1);
    biases_of(&(Simulation){sets[i], 4, NOISE_SKEWED, error * 4, 0}, &corrected, &raw);
    assert_true(fabs(corrected) <= 0.13);
  }
}

// ---- changes ----

/// Two measurements of the same sets, of which half the noise is the same: how often the change is in its
/// interval, and how often a size is said to have changed.
static void check_change(double before, double after, size_t *held, size_t *smaller, size_t *larger) {
  static double H[3][MAX_SETS * 2];
  Simulation sim = {.sets = 20, .groups = 2, .noise = NOISE_SKEWED};
  *held = *smaller = *larger = 0;
  for (uint32_t r = 0; r < REPEATS; r++) {
    GapEstimate change;
    GapSize size = GAP_UNCLEAR;
    GapTable tables[3];
    GapResampling draws = draws_of(r);
    for (uint32_t part = 0; part < 3; part++) tables[part] = simulate(&sim, r, part, H[part]);
    for (size_t i = 0; i < sim.sets * 2; i++) {
      H[0][i] += H[2][i] + (i % 2 == 1 ? before : 0);
      H[1][i] += H[2][i] + (i % 2 == 1 ? after : 0);
    }
    assert_ok(gap_change(&tables[0], &tables[1], &draws, &change, &size));
    *held += change.gap.low <= after - before && after - before <= change.gap.high;
    *smaller += size == GAP_SMALLER;
    *larger += size == GAP_LARGER;
  }
  print_message("gap %+.1f, then %+.1f: the change is held by %zu, smaller %zu, larger %zu of %d\n", before,
                after, *held, *smaller, *larger, REPEATS);
  assert_true(*held >= 930 && *held <= 970);
}

static void test_changes(void **state) {
  (void)state;
  size_t held = 0, smaller = 0, larger = 0;
  check_change(0, 0, &held, &smaller, &larger);
  assert_true(smaller + larger <= 50);
  check_change(2, 2, &held, &smaller, &larger);
  assert_true(smaller + larger <= 70);
  check_change(2, -2, &held, &smaller, &larger); // moved, and its size is the same
  assert_true(smaller + larger <= 70);
  check_change(3, 0.5, &held, &smaller, &larger);
  assert_true(smaller >= 950 && larger == 0);
  check_change(0.5, -4, &held, &smaller, &larger);
  assert_true(larger >= 950 && smaller == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_difference),
                                     cmocka_unit_test(test_true_difference), cmocka_unit_test(test_bias),
                                     cmocka_unit_test(test_changes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
