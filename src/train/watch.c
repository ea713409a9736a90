// Warnings about steps. Rule: a warning says what was seen and what to change; nothing here changes the run.
#include "watch.h"

#include "eval/gap.h"
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

static void watch_answers(Watch *watch, const StepReport *step, const StepBatch *batch, const Drift *drift) {
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
  } else if (step->loss.H_bar < GAP_LEAST_ENTROPY && drift->first < GAP_LEAST_ENTROPY) {
    if (!watch->certain)
      log_say(
          LOG_WARNING,
          "step %zu: the mean entropy is %.2g nats: the model is sure of every token, so no gap can be seen "
          "or trained: check data.chat and model.chat_template",
          step->step, step->loss.H_bar);
    watch->certain = true;
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

/// What explains a gradient of 0, as the rest of a sentence.
static const char *why_zero(const TrainJob *job, const LossResult *loss) {
  bool distributions = job->loss.form == LOSS_SYMMETRIC_KL;
  if (loss->H_bar == 0) return ": every entropy is 0";
  if (!trains_gap_alone(job) || (distributions ? loss->loss_bias : loss->gap) != 0) return "";
  return distributions ? ": the groups' prompts give the same distributions"
                       : ": the groups' entropies are equal";
}

static void watch_gradient(Watch *watch, const StepReport *step, const char *why) {
  if (step->grad_norm != 0 || watch->zero_gradient) return;
  log_say(LOG_WARNING, "step %zu: the gradient is exactly 0%s, so the step trained nothing", step->step, why);
  watch->zero_gradient = true;
}

void watch_given_step(Watch *watch, const StepReport *step) {
  watch_gradient(watch, step, "");
}

// ---- drift ----

Status describe_drift(const Drift *drift, DriftEstimate drifted, Str *out) {
  TRY(str_append_format(out,
                        "the mean entropy has %s by %.0f %% since the first step (%.3f to %.3f nats, %s; ",
                        drifted.relative < 0 ? "fallen" : "risen", 100 * fabs(drifted.relative), drift->first,
                        drifted.of_last ? drift->last : drift->smoothed,
                        drifted.of_last ? "in the last step" : "smoothed over the last steps"));
  if (isinf(drifted.noise)) return str_append_text(out, "how noisy it is is not known yet)");
  return str_append_format(out, "up to %.0f %% may be noise)", 100 * drifted.noise);
}

const char *drift_remedy(DriftEstimate drifted, const TrainJob *job) {
  if (trains_gap_alone(job)) return "lower train.learning_rate or loss.lambda_weight";
  return drifted.relative < 0 ? "lower train.learning_rate or loss.em_weight"
                              : "lower train.learning_rate or raise loss.em_weight";
}

static void watch_drift(Watch *watch, const TrainJob *job, const StepReport *step, const Drift *drift) {
  double limit = (double)job->train.max_drift;
  bool ends = step->step >= job->train.max_steps;
  DriftEstimate drifted = drift_judged(drift, ends);
  if (watch->drift || step->stopped || !drift_beyond(drifted, limit / 2)) return;
  Str text = {0};
  if (describe_drift(drift, drifted, &text) == STATUS_OK)
    log_say(LOG_WARNING,
            "step %zu: %s; %s: train.max_drift = %g ends it beyond %g %% plus the noise, at present %.0f %%",
            step->step, str_text(&text), ends ? "the run counts as done" : "the run goes on", limit,
            100 * limit, 100 * (limit + drifted.noise));
  str_free(&text);
  watch->drift = true;
}

void watch_step(Watch *watch, const TrainJob *job, const StepReport *step, const StepBatch *batch,
                const Drift *drift) {
  watch_answers(watch, step, batch, drift);
  watch_gap(watch, step, batch);
  watch_gradient(watch, step, why_zero(job, &step->loss));
  watch_drift(watch, job, step, drift);
}
