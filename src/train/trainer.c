// Training with GEE: the order of a run and of a step. Rule: a step reads nothing but the model, the
// optimizer and TrainState, and a checkpoint holds all of them. So a resumed run computes the same bits as an
// uninterrupted one.
#include "trainer.h"

#include "io/file.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- a step ----

static Status sample_answers(Pass *pass, const GenerateJob *job, Answer *answers, StepReport *report) {
  for (size_t i = 0; i < job->request_count; i++) answer_free(&answers[i]);
  TRY(generate(pass, job, answers));
  for (size_t i = 0; i < job->request_count; i++) {
    report->tokens_sampled += answers[i].count;
    report->answers_ended += answers[i].ended;
  }
  return STATUS_OK;
}

/// The loss over the whole effective batch, and dL/dH of every sequence.
static Status compute_loss(Trainer *t, LossResult *result) {
  StepBatch *batch = &t->batch;
  step_batch_list_samples(batch, &t->weights);
  TRY(loss_compute(&t->job->loss, batch->shape.groups, batch->samples, batch->sequence_count,
                   t->state.first_gap, result, batch->dH));
  // a plan has no entropies; weights other than 0 make the backward run as in a real step
  for (size_t s = 0; t->plan && s < batch->sequence_count; s++) batch->dH[s] = 1;
  return STATUS_OK;
}

Status trainer_gradient(Trainer *t, StepReport *report) {
  const TrainJob *job = t->job;
  StepBatch *batch = &t->batch;
  uint32_t step = (uint32_t)(t->state.step + 1);
  bool has_dropout = !job->train.full && job->lora.dropout > 0;
  StepPasses passes = {.sampling = t->sampling_pass,
                       .training = t->training_pass,
                       .tau = job->loss.entropy_temperature,
                       .dropout = {.on = has_dropout, .seed = job->train.seed, .step = step}};
  *report = (StepReport){
      .step = step, .lr = learning_rate_at(&job->train, step), .extended_from = t->state.extended_from};
  double start = clock_seconds();
  TRY(t->plan ? step_batch_draw_largest(batch) : step_batch_draw(batch, job->train.seed, &t->state.data));
  progress_phase(job->progress, "sampling");
  GenerateJob sampling = step_batch_sampling(batch, &t->sampling, passes.tau, job->train.seed, step);
  TRY(sample_answers(t->sampling_pass, &sampling, batch->answers, report));
  step_batch_arrange(batch);
  report->tokens_scored = batch->predictions;
  double sampled = clock_seconds();
  progress_phase(job->progress, "training");
  TRY(measure_entropies(&passes, &sampling, batch));
  TRY(compute_loss(t, &report->loss));
  TRY(compute_gradient(&passes, batch, model_params(t->model)));
  TRY(ops_finish(job->ops));
  report->seconds_sampling = sampled - start;
  report->seconds_training = clock_seconds() - sampled;
  return STATUS_OK;
}

/// Computes the gradient and takes a clipped AdamW step.
static Status train_step(Trainer *t, StepReport *report) {
  TRY(trainer_gradient(t, report));
  double start = clock_seconds();
  TRY(optimizer_step(&t->optimizer, model_params(t->model), &t->job->train, report->step,
                     &report->grad_norm));
  TRY(ops_finish(t->job->ops));
  report->seconds_update = clock_seconds() - start;
  return STATUS_OK;
}

static void advance_state(Trainer *t, const StepReport *report) {
  t->state.step = report->step;
  if (t->state.first_gap < 0 && report->loss.groups_present >= 2) t->state.first_gap = report->loss.gap;
  (void)loss_target_reached(&t->job->loss, &report->loss, &t->state.streak);
}

// ---- the state of a run ----

static bool finished(const Trainer *t) {
  const LossOptions *loss = &t->job->loss;
  return t->state.step >= t->job->train.max_steps ||
         (loss->debias_only && loss->target_steps > 0 && t->state.streak >= loss->target_steps);
}

static bool every(size_t steps, size_t step) {
  return steps > 0 && step % steps == 0;
}

static Status save(Trainer *t, const char *name) {
  const TrainJob *job = t->job;
  bool with_tokenizer = job->train.full && job->tokenizer != NULL;
  Checkpoint checkpoint = {.model = t->model,
                           .optimizer = &t->optimizer,
                           .state = &t->state,
                           .settings = &t->settings,
                           .tokenizer_of = with_tokenizer ? model_files_path(job->files) : NULL,
                           .config_text = job->config_text};
  char *path = NULL;
  progress_phase(job->progress, "saving");
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
  Status status = save(t, name);
  free(name);
  return status;
}

static Status fail_step(const Trainer *t, size_t step, Status status) {
  if (status == STATUS_OK) return status;
  return status_fail(status, "step %zu: %s%s%s", step, status_message(),
                     t->last_saved != NULL ? "; the last good checkpoint is " : "",
                     t->last_saved != NULL ? t->last_saved : "");
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
  return every(steps, t->state.step) || (steps > 0 && finished(t));
}

static Status run_evaluation(Trainer *t, size_t index) {
  const TrainJob *job = t->job;
  EvaluationRun run = {.model = t->model, .progress = job->progress, .stop = job->stop};
  MetricList metrics = {0};
  Status status = status_context(evaluation_run(job->evaluations[index], &run, &metrics), "%s",
                                 job->evaluations[index]->name);
  if (status == STATUS_OK) status = report_evaluation(&t->report, index, t->state.step, &metrics);
  metrics_free(&metrics);
  return status;
}

/// Runs the evaluations of this step that have not run yet, so a run stopped between two of them resumes with
/// the second. They create passes of their own; the trainer's are freed meanwhile to make room.
static Status run_evaluations(Trainer *t) {
  trainer_free_passes(t);
  for (size_t i = 0; i < t->job->evaluation_count; i++) {
    if (!report_has_evaluation(&t->report, i, t->state.step)) TRY(run_evaluation(t, i));
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

static Status run_steps(Trainer *t) {
  TRY(evaluate_if_due(t));
  while (!finished(t)) {
    if (stopping(t)) return interrupt(t);
    StepReport report;
    TRY(fail_step(t, t->state.step + 1, train_step(t, &report)));
    advance_state(t, &report);
    TRY(report_step(&t->report, &report, &t->batch));
    if (every(t->job->output.save_steps, report.step)) TRY(save_step(t));
    TRY(evaluate_if_due(t));
  }
  return save(t, "final");
}

/// *found = the checkpoint to resume, or NULL. Refuses to overwrite an earlier run.
static Status find_start(Trainer *t, bool warn, char **found) {
  const TrainJob *job = t->job;
  TRY(path_join(&t->folder, job->output.save_root, job->output.run_name));
  if (file_is_directory(t->folder)) TRY(checkpoint_find(t->folder, warn, found));
  if (*found != NULL && !job->resume) {
    return status_fail(STATUS_INPUT,
                       "%s is from an earlier run: resume with --resume, or set another output.run_name",
                       *found);
  }
  if (*found != NULL || !job->extend) return STATUS_OK;
  return status_fail(STATUS_INPUT, "--extend: %s has no checkpoint to extend: drop --extend", t->folder);
}

/// Finds sizes and settings, and reads the state of the checkpoint. Creates and changes nothing.
static Status prepare_start(Trainer *t, bool warn, char **found) {
  TRY(find_start(t, warn, found));
  TRY(trainer_prepare(t));
  TRY(settings_collect(t->job, t->sampling.max_new_tokens, t->weights.bias, &t->settings));
  if (*found == NULL) return STATUS_OK;
  TRY(checkpoint_read(*found, &t->settings, t->job->extend, &t->state));
  if (t->state.step <= t->job->train.max_steps) return STATUS_OK;
  return status_fail(
      STATUS_INPUT, "%s is at step %zu, past train.max_steps = %zu: raise it, or set another output.run_name",
      *found, t->state.step, t->job->train.max_steps);
}

static Status restore(Trainer *t, const char *found) {
  TRY(checkpoint_load(found, &t->settings, t->model, &t->optimizer));
  log_say(LOG_NOTE, "resuming from %s", found);
  t->saved_step = t->state.step;
  return str_copy(&t->last_saved, found, strlen(found));
}

Status train_check(const TrainJob *job) {
  Trainer t = {.job = job};
  char *found = NULL;
  Status status = prepare_start(&t, false, &found); // train_run warns
  trainer_free(&t);
  free(found);
  return status;
}

Status train_run(const TrainJob *job) {
  Trainer t = {.job = job, .saved_step = SIZE_MAX};
  char *found = NULL;
  Status status = STATUS_OK;
  if (ops_is_plan(job->ops)) return status_fail(STATUS_FAILED, "a plan cannot train");
  TRY_CLEAN(prepare_start(&t, true, &found));
  TRY_CLEAN(directory_create(t.folder));
  if (found == NULL && job->resume)
    log_say(LOG_NOTE, "%s has no checkpoint yet: starting at step 1", t.folder);
  TRY_CLEAN(trainer_create(&t));
  if (found != NULL) TRY_CLEAN(restore(&t, found));
  TRY_CLEAN(report_open(&t.report, job, t.folder, t.state.step, found != NULL));
  if (job->output.save_initial && t.state.step == 0 && found == NULL) TRY_CLEAN(save_step(&t));
  TRY_CLEAN(run_steps(&t));
cleanup:
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
