// Plans from a pilot. Rule: a set is what is drawn, so the uncertainty of a plan comes from leaving out whole
// sets.
#include "gap_planning.h"

#include "student.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

const double GAP_PLAN_LEVEL = 0.05, GAP_PLAN_POWER = 0.8;
static const double MOST_SETS = 1e7;
enum { MOST_ANSWERS = 8192 };

// ---- sets from a variance ----

typedef struct Need {
  double variance, aim, level;
} Need;

static double critical_t(const Need *need, double sets) {
  return student_quantile(1 - need->level / 2, sets - 1);
}

static bool sees(const Need *need, double sets) {
  double shift = need->aim * sqrt(sets / need->variance);
  return student_power(critical_t(need, sets), shift, sets - 1) >= GAP_PLAN_POWER;
}

static bool bounds(const Need *need, double sets) {
  return critical_t(need, sets) * sqrt(need->variance / sets) <= need->aim;
}

/// The fewest sets, at least 2, that are enough; more always are too.
static double fewest(bool (*enough)(const Need *need, double sets), const Need *need) {
  double low = 1, high = 2;
  if (need->variance <= 0) return high;
  if (!isfinite(need->variance)) return INFINITY;
  while (high <= MOST_SETS && !enough(need, high)) {
    low = high;
    high *= 2;
  }
  if (high > MOST_SETS) return INFINITY;
  while (high - low > 1) {
    double middle = floor((low + high) / 2);
    if (enough(need, middle))
      high = middle;
    else
      low = middle;
  }
  return high;
}

double gap_sets_to_see(double variance, double aim, double level) {
  return fewest(sees, &(Need){variance, aim, level});
}

double gap_sets_to_bound(double variance, double aim, double level) {
  return fewest(bounds, &(Need){variance, aim, level});
}

// ---- the variances of a pilot ----

/// A set's differences: their mean, less that of all sets, and the squares of their deviations from it.
typedef struct SetMoments {
  double mean, inner;
} SetMoments;

/// Sums over some of the sets.
typedef struct Moments {
  double sets, mean, square, inner;
} Moments;

typedef struct Components {
  double between, within;
} Components;

static Moments add_moments(Moments all, SetMoments set, double sign) {
  return (Moments){all.sets + sign, all.mean + sign * set.mean, all.square + sign * set.mean * set.mean,
                   all.inner + sign * set.inner};
}

static Components components_of(Moments all, size_t answers) {
  double m = (double)answers, n = all.sets;
  double within = fmax(0, all.inner) / n / (m - 1);
  double of_means = (all.square - all.mean * all.mean / n) / (n - 1);
  return (Components){.between = fmax(0, of_means - within / m), .within = within};
}

static double variance_of(Components components, size_t answers) {
  return components.between + components.within / (double)answers;
}

/// Fills sets[pilot->sets] for the group `of` less the group `minus`, and returns their sums.
static Moments difference_moments(const GapPilot *pilot, size_t of, size_t minus, SetMoments *sets) {
  double mean = 0;
  Moments all = {0};
  for (size_t s = 0; s < pilot->sets; s++) {
    const double *H = pilot->H + s * pilot->answers * pilot->groups;
    sets[s] = (SetMoments){0};
    for (size_t a = 0; a < pilot->answers; a++)
      sets[s].mean += (H[a * pilot->groups + of] - H[a * pilot->groups + minus]) / (double)pilot->answers;
    for (size_t a = 0; a < pilot->answers; a++) {
      double deviation = H[a * pilot->groups + of] - H[a * pilot->groups + minus] - sets[s].mean;
      sets[s].inner += deviation * deviation;
    }
    mean += sets[s].mean / (double)pilot->sets;
  }
  for (size_t s = 0; s < pilot->sets; s++) {
    sets[s].mean -= mean;
    all = add_moments(all, sets[s], 1);
  }
  return all;
}

/// V with `answers` answers, from a pilot with `pilot->answers`. Its interval has no ends where leaving out a
/// set leaves no variance.
static Interval estimate_variance(const GapPilot *pilot, Moments all, const SetMoments *sets,
                                  size_t answers) {
  double n = all.sets, sum = 0, square = 0;
  double variance = variance_of(components_of(all, pilot->answers), answers);
  for (size_t s = 0; s < pilot->sets; s++) {
    Moments others = add_moments(all, sets[s], -1);
    double moved = log(variance_of(components_of(others, pilot->answers), answers) / variance);
    sum += moved;
    square += moved * moved;
  }
  double error = sqrt((n - 1) / n * (square - sum * sum / n));
  double factor = exp(student_quantile(1 - GAP_PLAN_LEVEL / 2, n - 1) * error);
  if (!isfinite(factor)) factor = INFINITY;
  return (Interval){variance, variance / factor, variance * factor};
}

/// The larger a variance, the more sets.
static Interval sets_of(Interval variance, double (*sets)(double, double, double), double aim, double level) {
  if (!(variance.value > 0)) return (Interval){NAN, NAN, NAN};
  return (Interval){sets(variance.value, aim, level), sets(variance.low, aim, level),
                    sets(variance.high, aim, level)};
}

static void find_widest(const GapPilot *pilot, SetMoments *sets, GapPlanKind *out) {
  double largest = -1;
  for (size_t of = 1; of < pilot->groups; of++) {
    for (size_t minus = 0; minus < of; minus++) {
      Components c = components_of(difference_moments(pilot, of, minus, sets), pilot->answers);
      double variance = variance_of(c, pilot->answers);
      if (variance <= largest) continue;
      largest = variance;
      *out = (GapPlanKind){.of = of, .minus = minus, .between = c.between, .within = c.within};
    }
  }
}

/// The fewest answers to each prompt that see the gap with this many sets; 0: no number does.
static size_t answers_with(const GapPlanKind *kind, double aim, double level, size_t sets) {
  size_t low = 0, high = 1;
  Components components = {kind->between, kind->within};
  if (sets < 2 || !(variance_of(components, 1) > 0)) return 0;
  for (; !sees(&(Need){variance_of(components, high), aim, level}, (double)sets); high *= 2) {
    if (high >= MOST_ANSWERS) return 0;
    low = high;
  }
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (sees(&(Need){variance_of(components, middle), aim, level}, (double)sets))
      high = middle;
    else
      low = middle;
  }
  return high;
}

Status gap_plan_kind(const GapPilot *pilot, double aim, size_t available, GapPlanKind *out) {
  SetMoments *sets = NULL;
  double groups = (double)pilot->groups, pairs = groups * (groups - 1) / 2, level = GAP_PLAN_LEVEL / pairs;
  TRY(mem_array(&sets, pilot->sets, "the plan"));
  find_widest(pilot, sets, out);
  Moments all = difference_moments(pilot, out->of, out->minus, sets);
  for (size_t r = 0; r < GAP_PLAN_ROWS; r++) {
    GapPlanRow *row = &out->rows[r];
    row->answers = (size_t)1 << r;
    row->variance = estimate_variance(pilot, all, sets, row->answers);
    row->seen = sets_of(row->variance, gap_sets_to_see, aim, level);
    row->bound = sets_of(row->variance, gap_sets_to_bound, aim, level);
  }
  out->answers_with_all = answers_with(out, aim, level, available);
  free(sets);
  return STATUS_OK;
}

// ---- what it costs ----

static void price_kind(const GapPlan *plan, GapPlanKind *kind) {
  kind->cheapest = GAP_PLAN_ROWS;
  for (size_t r = 0; r < GAP_PLAN_ROWS; r++) {
    GapPlanRow *row = &kind->rows[r];
    double set_seconds = plan->prompt_seconds + (double)row->answers * plan->answer_seconds;
    row->seconds = row->seen.value * set_seconds;
    bool enough = row->seen.value <= (double)plan->available;
    if (enough && (kind->cheapest == GAP_PLAN_ROWS || row->seconds < kind->rows[kind->cheapest].seconds))
      kind->cheapest = r;
  }
}

void gap_plan_price(GapPlan *plan) {
  price_kind(plan, &plan->paired);
  price_kind(plan, &plan->total);
}
