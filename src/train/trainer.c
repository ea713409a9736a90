// Training: the order of a run and of a step. Rule: a step reads nothing but the model, the
// optimizer and TrainState, and a checkpoint holds all of them. So a resumed run computes the same bits as an
// uninterrupted one.
#include "trainer.h"

#include "io/file.h"
#include "model_card.h"
#include "ops/profile.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- a step ----

/// Computes the gradient and takes a clipped AdamW step.
static Status train_step(Trainer *t, StepReport *report) {
  OPS_PHASE(t->job->ops, "step");
  TRY(t->objective->gradient(t, report));
  double start = clock_seconds();
  TRY(optimizer_step(&t->optimizer, model_params(t->model), &t->job->train, report->step,
                     &report->grad_norm));
  TRY(ops_finish(t->job->ops));
  report->seconds_update = clock_seconds() - start;
  return STATUS_OK;
}

DriftEstimate trainer_drift(const Trainer *t) {
  return drift_judged(&t->state.drift, trainer_finished(t));
}

bool trainer_drifts(const Trainer *t) {
  return drift_beyond(trainer_drift(t), (double)t->job->train.max_drift);
}

// ---- the state of a run ----

bool trainer_finished(const Trainer *t) {
  return t->state.step >= t->job->train.max_steps || target_reached(&t->job->loss, &t->state);
}

static bool every(size_t steps, size_t step) {
  return steps > 0 && step % steps == 0;
}

Status trainer_name_good_checkpoint(const Trainer *t, Status status) {
  Str message = {0};
  char *good = NULL;
  if (status == STATUS_OK || status == STATUS_INTERRUPTED) return status;
  TRY(str_append_text(&message, status_message()));
  Status found = checkpoint_find_good(t->folder, t->state.step, (double)t->job->train.max_drift, &good);
  bool has_good = found == STATUS_OK && good != NULL;
  status = status_fail(status, "%s%s%s", str_text(&message), has_good ? "; the last good checkpoint is " : "",
                       has_good ? good : "");
  str_free(&message);
  free(good);
  return status;
}

static Status fail_step(const Trainer *t, size_t step, Status status) {
  return trainer_name_good_checkpoint(t, status_context(status, "step %zu", step));
}

/// `card` NULL: a step's checkpoint, which only a resume reads.
static Checkpoint describe(const Trainer *t, const char *card) {
  const TrainJob *job = t->job;
  bool with_tokenizer = job->tokenizer != NULL && (job->train.full || card != NULL);
  return (Checkpoint){.model = t->model,
                      .optimizer = &t->optimizer,
                      .state = &t->state,
                      .settings = &t->settings,
                      .model_path = model_files_path(job->files),
                      .base = job->train.full ? NULL : job->identity,
                      .tokenizer_of = with_tokenizer ? model_files_path(job->files) : NULL,
                      .card = card,
                      .config_text = job->config_text};
}

static Status save(Trainer *t, const char *name, const char *card) {
  Checkpoint checkpoint = describe(t, card);
  char *path = NULL;
  progress_phase(t->job->progress, "saving");
  TRY(fail_step(t, t->state.step, optimizer_check(model_params(t->model))));
  TRY(report_sync(&t->report));
  TRY(checkpoint_save(&checkpoint, t->folder, name, &path));
  free(t->last_saved);
  t->last_saved = path;
  t->saved_step = t->state.step;
  return STATUS_OK;
}

/// step_<N>
static Status save_step(Trainer *t) {
  char *name = NULL;
  TRY(str_format(&name, "step_%zu", t->state.step));
  Status status = save(t, name, NULL);
  free(name);
  return status;
}

/// What the run is for; other programs use it too, so it says what it is.
static Status save_final(Trainer *t) {
  char *path = NULL;
  Str card = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(path_join(&path, t->folder, "final"));
  TRY_CLEAN(model_card_append(t->job, t->state.step, path, &card));
  TRY_CLEAN(save(t, "final", str_text(&card)));
cleanup:
  str_free(&card);
  free(path);
  return status;
}

/// Saves everything that is done before the run ends early.
static Status interrupt(Trainer *t) {
  if (t->saved_step != t->state.step) TRY(save_step(t));
  return status_fail(STATUS_INTERRUPTED, "step %zu of %zu is done and saved as %s: resume with --resume",
                     t->state.step, t->job->train.max_steps, t->last_saved);
}

static bool stopping(const Trainer *t) {
  return t->job->stop != NULL && *t->job->stop;
}

// ---- evaluations ----

static bool is_evaluation_due(const Trainer *t) {
  size_t steps = t->job->train.bias_eval_steps;
  return every(steps, t->state.step) || (steps > 0 && trainer_finished(t));
}

static Status run_evaluation(Trainer *t, size_t index) {
  const TrainJob *job = t->job;
  EvaluationRun run = {.model = t->model, .progress = job->progress, .stop = job->stop};
  MetricList metrics = {0};
  Status status = status_context(evaluation_run(job->evaluations[index], &run, &metrics), "%s",
                                 job->evaluations[index]->name);
  if (status == STATUS_OK) status = target_judge(&job->loss, &metrics, &t->state);
  if (status == STATUS_OK && !report_has_evaluation(&t->report, index, t->state.step))
    status = report_evaluation(&t->report, index, t->state.step, &metrics);
  metrics_free(&metrics);
  return status;
}

/// Runs the evaluations of this step that have not run yet, so a run stopped between two of them resumes with
/// the second. They create passes of their own; the trainer's are freed meanwhile to make room.
static Status run_evaluations(Trainer *t) {
  bool again = target_needs_judging(&t->job->loss, &t->state);
  trainer_free_passes(t);
  for (size_t i = 0; i < t->job->evaluation_count; i++) {
    if (again || !report_has_evaluation(&t->report, i, t->state.step)) TRY(run_evaluation(t, i));
  }
  return trainer_create_passes(t);
}

static Status evaluate_if_due(Trainer *t) {
  if (!is_evaluation_due(t)) return STATUS_OK;
  if (stopping(t)) return interrupt(t);
  Status status = run_evaluations(t);
  return status == STATUS_INTERRUPTED ? interrupt(t) : fail_step(t, t->state.step, status);
}

static Status plan_evaluations(Trainer *t) {
  if (t->job->train.bias_eval_steps == 0) return STATUS_OK;
  trainer_free_passes(t);
  for (size_t i = 0; i < t->job->evaluation_count; i++)
    TRY(evaluation_plan(t->job->evaluations[i], t->model));
  return STATUS_OK;
}

// ---- a run ----

/// Ends a run whose mean entropy has drifted too far. The step is saved, so that a larger max_drift can go on
/// from it.
static Status stop_drifting(Trainer *t) {
  DriftEstimate drifted = trainer_drift(t);
  Str text = {0};
  Status status = STATUS_OK;
  if (t->saved_step != t->state.step) TRY_CLEAN(save_step(t));
  TRY_CLEAN(describe_drift(&t->state.drift, drifted, &text));
  status = status_fail(STATUS_FAILED,
                       "stopped after step %zu: %s, beyond train.max_drift = %g: %s under another "
                       "output.run_name, or raise train.max_drift and --resume",
                       t->state.step, str_text(&text), (double)t->job->train.max_drift,
                       drift_remedy(drifted, t->job));
  status = trainer_name_good_checkpoint(t, status);
cleanup:
  str_free(&text);
  return status;
}

static Status run_step(Trainer *t) {
  StepReport report;
  TRY(fail_step(t, t->state.step + 1, train_step(t, &report)));
  TRY(t->objective->advance(t, &report));
  if (report.stopped) return stop_drifting(t);
  if (every(t->job->output.save_steps, report.step)) TRY(save_step(t));
  return evaluate_if_due(t);
}

static Status run_steps(Trainer *t, TrainOutcome *outcome) {
  size_t before = t->state.step;
  TRY(evaluate_if_due(t));
  while (!trainer_finished(t)) {
    if (stopping(t)) return interrupt(t);
    TRY(run_step(t));
  }
  // an evaluation may have ended it, after which the step before it is the last
  if (t->state.step > before && trainer_drifts(t)) return stop_drifting(t);
  bool reached = target_reached(&t->job->loss, &t->state);
  *outcome = (TrainOutcome){.end = reached ? TRAIN_TARGET : TRAIN_ALL_STEPS,
                            .before = before,
                            .step = t->state.step,
                            .answers = t->answers};
  if (t->finished_before) return STATUS_OK;
  if (!reached || t->state.step > 0) return save_final(t);
  outcome->end = TRAIN_NOTHING_TO_DO;
  return STATUS_OK;
}

Status train_check(const TrainJob *job) {
  Trainer t = {.job = job};
  char *found = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(start_find_folder(&t));
  TRY_CLEAN(start_check_lock(&t));
  TRY_CLEAN(start_prepare(&t, false, &found)); // train_run warns
cleanup:
  trainer_free(&t);
  free(found);
  return status;
}

Status train_run(const TrainJob *job, TrainOutcome *outcome) {
  TrainOutcome ended = {0};
  Trainer t = {.job = job, .saved_step = SIZE_MAX};
  char *found = NULL;
  Status status = STATUS_OK;
  if (ops_is_plan(job->ops)) return status_fail(STATUS_FAILED, "a plan cannot train");
  TRY_CLEAN(start_find_folder(&t));
  TRY_CLEAN(start_lock(&t));
  TRY_CLEAN(start_prepare(&t, true, &found));
  if (found == NULL && job->resume)
    log_say(LOG_NOTE, "%s has no checkpoint yet: starting at step 1", t.folder);
  TRY_CLEAN(trainer_create(&t));
  if (found != NULL) TRY_CLEAN(start_restore(&t, found));
  if (!t.finished_before) TRY_CLEAN(run_record_begin(&t.record, job, t.folder, t.state.step));
  TRY_CLEAN(report_open(&t.report, job, t.folder, t.state.step, found != NULL));
  if (job->output.save_initial && t.state.step == 0 && found == NULL) TRY_CLEAN(save_step(&t));
  TRY_CLEAN(run_steps(&t, &ended));
  TRY_CLEAN(report_finish(&t.report));
  if (outcome != NULL) *outcome = ended;
cleanup:
  status = run_record_end(&t.record, ended.end, t.state.step, status);
  trainer_free(&t);
  free(found);
  return status;
}

Status train_plan(const TrainJob *job) {
  Trainer t = {.job = job};
  StepReport report;
  Status status = STATUS_OK;
  if (!ops_is_plan(job->ops)) return status_fail(STATUS_FAILED, "planning needs a plan");
  TRY_CLEAN(trainer_prepare(&t));
  TRY_CLEAN(trainer_create(&t));
  // running steps counts what operations allocate; the second one samples while the first one's training
  // buffers exist
  for (int step = 0; step < 2; step++) TRY_CLEAN(train_step(&t, &report));
  TRY_CLEAN(plan_evaluations(&t));
cleanup:
  trainer_free(&t);
  return status;
}
