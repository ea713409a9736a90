// The target of debias_only: the interval of the held-out paired gap lies within ±target_gap. Rule: only what
// is measured on held-out prompts can end a run; the gap of a step is mostly noise, and a run that trained
// nothing would soon look done.
//
// The interval is looked at many times, and noise will put it within the target sooner or later. So it must
// lie there in target_evals measurements in a row. A true gap of exactly target_gap is then taken for reached
// in at most 5 % of all runs of 20 measurements with two in a row, however alike their noise is; with a
// single one it could be 40 %. Before the first step there is one look only, and it is enough.
#pragma once

#include "checkpoint.h"
#include "track/metrics.h"

/// Counts what an evaluation measured after state->step steps, in state->within and state->judged. Metrics
/// without a paired_gap, and a job without debias_only, change nothing. STATUS_INPUT if the gap has no
/// interval.
STATUS_CHECKED Status target_judge(const LossOptions *options, const MetricList *metrics, TrainState *state);
/// Whether the state's step still has to be judged: a resumed run may find its measurement done, but not
/// counted.
bool target_needs_judging(const LossOptions *options, const TrainState *state);
bool target_reached(const LossOptions *options, const TrainState *state);
