// Warnings about a step that trains nothing, or not what it seems to: the run goes on, but it should not look
// right. Each is given once.
#pragma once

#include "drift.h"
#include "report.h"

/// The warnings given so far. Zero-initialise.
typedef struct Watch {
  bool empty_answers, same_answers, certain, absent_group, zero_gradient, drift;
} Watch;

/// Looks at a finished step; `drift` includes it.
void watch_step(Watch *watch, const TrainJob *job, const StepReport *step, const StepBatch *batch,
                const Drift *drift);
/// The same for a step on given answers.
void watch_given_step(Watch *watch, const StepReport *step);
/// Appends "the mean entropy has fallen by 31 % since the first step (2.388 to 1.650 nats, smoothed over the
/// last steps; up to 8 % may be noise)".
STATUS_CHECKED Status describe_drift(const Drift *drift, DriftEstimate drifted, Str *out);
/// What to change against a drift in this direction: "lower train.learning_rate or loss.em_weight".
const char *drift_remedy(DriftEstimate drifted, const TrainJob *job);
