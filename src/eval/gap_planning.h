// The statistics of plans, which eval/gap_plan.h explains: pure functions of a pilot's entropies.
#pragma once

#include "eval/gap_plan.h"
#include "util/status.h"

/// H[sets][answers][groups], in nats: of the answers of one number to the prompts of a set; borrowed.
typedef struct GapPilot {
  const double *H;
  size_t sets, answers, groups; // sets ≥ GAP_PILOT_SETS, answers and groups ≥ 2
} GapPilot;

enum { GAP_PILOT_SETS = 3, GAP_PILOT_ANSWERS = 2 };

/// The fewest sets that see ±aim, and whose interval is within ±aim, where a set's difference has this
/// variance; `level` of the test and of the interval.
double gap_sets_to_see(double variance, double aim, double level);
double gap_sets_to_bound(double variance, double aim, double level);

/// Everything of *out but `seconds` and `cheapest`.
STATUS_CHECKED Status gap_plan_kind(const GapPilot *pilot, double aim, size_t available, GapPlanKind *out);
/// The rest, once the plan has all the others.
void gap_plan_price(GapPlan *plan);
