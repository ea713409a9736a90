// The target of debias_only: the interval of the held-out paired gap lies within ±target_gap. Rule: only what
// is measured on held-out prompts can end a run; the gap of a step is mostly noise, and a run that trained
// nothing would soon look done.
//
// The interval is looked at many times, and noise will put it within the target sooner or later. So it must
// lie there in target_evals measurements in a row. In runs of 20 measurements a true gap of exactly
// target_gap is then taken for reached in up to 6 % with three in a row, in up to 10 % with two, and in up to
// 40 % with one, whatever the correlation of the noise from one measurement to the next. Before the first
// step there is one look only, and it is enough.
//
// A gap that says nothing (gap_void) is not within the target, however near to 0 it is.
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
