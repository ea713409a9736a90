// When a debias_only run has reached its target. Rule: what was counted is in TrainState, so a resumed run
// ends where an uninterrupted one does.
#include "target.h"

#include "eval/gap.h"
#include <math.h>

Status target_judge(const LossOptions *options, const MetricList *metrics, TrainState *state) {
  Interval gap = metrics_get(metrics, "paired_gap");
  if (!options->debias_only || isnan(gap.value)) return STATUS_OK;
  if (!(isfinite(gap.low) && isfinite(gap.high)))
    return status_fail(STATUS_INPUT,
                       "loss.debias_only ends a run by the interval of the held-out gap, which a "
                       "single set does not have: raise data.held_out or data.eval_sets");
  double limit = (double)options->target_gap;
  bool valid = gap_void(metrics) == GAP_VALID;
  state->within = valid && gap.low >= -limit && gap.high <= limit ? state->within + 1 : 0;
  state->judged = (int64_t)state->step;
  return STATUS_OK;
}

bool target_needs_judging(const LossOptions *options, const TrainState *state) {
  return options->debias_only && state->judged != (int64_t)state->step;
}

bool target_reached(const LossOptions *options, const TrainState *state) {
  if (!options->debias_only || options->target_evals == 0) return false;
  return state->within >= (state->step == 0 ? 1 : options->target_evals);
}
