// How many sets and answers a measurement needs to see a gap of a given size, planned from a pilot: a
// measurement of some sets, with two answers to each prompt or more.
//
// In set s, let d_sa be the difference of two groups at their answers with number a: of the total gap, H of
// the one's own answer less H of the other's; of the paired gap, that of the mean over all these answers read
// under either prompt. As partners share the random numbers of a number and numbers share none,
//
//   d_sa = gap + B_s + W_sa        B varies between sets, W between the answers of a set, independently
//
// so the gap of n sets with m answers has the variance V_m / n, V_m = var B + var W / m. Both are estimated
// by the analysis of variance (of B, no less than 0). V_m has an interval of 95 %: log V_m to both sides by t
// jackknife errors over sets (Arvesen and Schmitz, Biometrics 26, 1970; docs/DESIGN.md, "Plans", says how
// often it holds). What is planned from it:
//
//   seen    sets whose t-test finds a true gap of `aim` in GAP_PLAN_POWER of measurements at the level
//           GAP_PLAN_LEVEL, two-sided (Student's noncentral distribution)
//   bound   sets whose 95 % interval reaches no further than `aim` to either side, once V_m is known
//
// With more than two groups, for the two whose differences vary the most in the pilot, at Bonferroni's level
// for all pairs; the gap's own simultaneous intervals are no wider. A plan for a change is made in the same
// way from d after − d before.
#pragma once

#include "eval/means.h"
#include <stddef.h>

enum { GAP_PLAN_ROWS = 4 };
extern const double GAP_PLAN_LEVEL, GAP_PLAN_POWER; // 0.05, 0.8

/// What is needed with a number of answers to each prompt. Counts of sets are whole numbers, with the counts
/// that follow from the ends of V's interval; all NaN if the pilot's differences do not vary, infinite beyond
/// ten million.
typedef struct GapPlanRow {
  size_t answers;
  Interval variance; // V, nats²
  Interval seen, bound;
  double seconds; // to measure `seen` sets, without loading the model
} GapPlanRow;

typedef struct GapPlanKind {
  size_t of, minus;       // the groups
  double between, within; // var B and var W, nats²
  GapPlanRow rows[GAP_PLAN_ROWS];
  size_t answers_with_all; // to each prompt, to see the gap with all sets that there are; 0: no number does
  size_t cheapest; // row that sees the gap soonest with the sets that there are; GAP_PLAN_ROWS: none does
} GapPlanKind;

typedef struct GapPlan {
  double aim;                            // nats
  size_t sets, answers;                  // of the pilot: answers to each prompt
  size_t available;                      // sets that the prompts make
  double prompt_seconds, answer_seconds; // of a set: for its prompts, and for an answer to each of them
  GapPlanKind paired, total;
} GapPlan;
