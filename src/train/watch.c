// Warnings about steps. Rule: a warning says what was seen and what to change; nothing here changes the run.
#include "watch.h"

#include "util/log.h"
#include <math.h>
#include <string.h>

// ---- answers ----

static bool all_empty(const StepBatch *batch) {
  for (size_t i = 0; i < batch->shape.count; i++) {
    if (batch->answers[i].count != 1 || !batch->answers[i].ended) return false;
  }
  return true;
}

static bool all_same(const StepBatch *batch) {
  const Answer *first = &batch->answers[0];
  for (size_t i = 1; i < batch->shape.count; i++) {
    const Answer *answer = &batch->answers[i];
    if (answer->count != first->count) return false;
    if (memcmp(answer->tokens, first->tokens, first->count * sizeof *first->tokens) != 0) return false;
  }
  // partners draw the same random numbers, so the answers of a single set may well agree
  return batch->shape.count > batch->shape.groups;
}

static void watch_answers(Watch *watch, const StepReport *step, const StepBatch *batch) {
  if (all_empty(batch)) {
    if (!watch->empty_answers)
      log_say(
          LOG_WARNING,
          "step %zu: every answer is empty (its first token ends it), so only the choice of that token is "
          "trained: check data.chat and model.chat_template",
          step->step);
    watch->empty_answers = true;
  } else if (all_same(batch)) {
    if (!watch->same_answers)
      log_say(
          LOG_WARNING,
          "step %zu: all %zu answers are the same, so the step learns from one: raise sampling.sample_temp; "
          "if they differed before, the model has collapsed: lower train.learning_rate",
          step->step, batch->shape.count);
    watch->same_answers = true;
  }
}

// ---- the gap and the gradient ----

static void watch_gap(Watch *watch, const StepReport *step, const StepBatch *batch) {
  if (step->loss.groups_present >= batch->shape.groups || watch->absent_group) return;
  size_t absent = 0;
  while (absent < batch->shape.groups && step->loss.present[absent] > 0) absent++;
  log_say(LOG_WARNING,
          "step %zu: %s: no answer of group \"%s\" has a weight; check [task_weights], or raise "
          "train.effective_batch",
          step->step,
          step->loss.groups_present < 2 ? "no gap was measured" : "a group is left out of the gap",
          groups_name(batch->shape.dataset->groups, absent));
  watch->absent_group = true;
}

static bool trains_gap_alone(const TrainJob *job) {
  return job->loss.debias_only || job->loss.em_weight == 0;
}

static void watch_gradient(Watch *watch, const TrainJob *job, const StepReport *step) {
  if (step->grad_norm != 0 || watch->zero_gradient) return;
  const char *why = step->loss.H_bar == 0                          ? ": every entropy is 0"
                    : trains_gap_alone(job) && step->loss.gap == 0 ? ": the groups' entropies are equal"
                                                                   : "";
  log_say(LOG_WARNING, "step %zu: the gradient is exactly 0%s, so the step trained nothing", step->step, why);
  watch->zero_gradient = true;
}

// ---- drift ----

Status describe_drift(const Drift *drift, Str *out) {
  DriftEstimate drifted = drift_estimate(drift);
  TRY(str_append_format(
      out,
      "the mean entropy has %s by %.0f %% since the first step (%.3f to %.3f nats, smoothed "
      "over the last steps; ",
      drifted.relative < 0 ? "fallen" : "risen", 100 * fabs(drifted.relative), drift->first,
      drift->smoothed));
  if (isinf(drifted.noise)) return str_append_text(out, "how noisy it is is not known yet)");
  return str_append_format(out, "up to %.0f %% may be noise)", 100 * drifted.noise);
}

const char *drift_remedy(const Drift *drift, const TrainJob *job) {
  if (trains_gap_alone(job)) return "lower train.learning_rate or loss.lambda_weight";
  return drift_estimate(drift).relative < 0 ? "lower train.learning_rate or loss.em_weight"
                                            : "lower train.learning_rate or raise loss.em_weight";
}

static void watch_drift(Watch *watch, const TrainJob *job, const StepReport *step, const Drift *drift) {
  double limit = (double)job->train.max_drift;
  if (watch->drift || step->stopped || !drift_beyond(drift, limit / 2)) return;
  Str text = {0};
  if (describe_drift(drift, &text) == STATUS_OK)
    log_say(LOG_WARNING,
            "step %zu: %s; the run goes on: train.max_drift = %g ends it beyond %g %% plus the noise, at "
            "present %.0f %%",
            step->step, str_text(&text), limit, 100 * limit, 100 * (limit + step->drift.noise));
  str_free(&text);
  watch->drift = true;
}

void watch_step(Watch *watch, const TrainJob *job, const StepReport *step, const StepBatch *batch,
                const Drift *drift) {
  watch_answers(watch, step, batch);
  watch_gap(watch, step, batch);
  watch_gradient(watch, job, step);
  watch_drift(watch, job, step, drift);
}
