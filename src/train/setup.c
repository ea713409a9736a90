// Checks a job, and creates what a run is made of. Rule: all sizes follow from the options and the dataset
// before the first step, so the memory plan, which runs this same code, is exact.
#include "trainer.h"

#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A weight moves by about the learning rate in a step of AdamW. The entropies of a model are computed to
// about this many nats, so a smaller move of its weights cannot be seen.
static const double LEAST_MOVE = 1e-6;

// ---- checks ----

static Status check_train_options(const TrainJob *job) {
  const TrainOptions *o = &job->train;
  if (o->effective_batch == 0)
    return status_fail(STATUS_INPUT, "train.effective_batch = 0 must be at least 1");
  if (!(o->learning_rate >= 0 && isfinite(o->learning_rate))) {
    return status_fail(STATUS_INPUT, "train.learning_rate = %g must be at least 0", (double)o->learning_rate);
  }
  if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1)) {
    return status_fail(STATUS_INPUT,
                       "train.beta1 = %g, train.beta2 = %g: both must be at least 0 and under 1",
                       (double)o->beta1, (double)o->beta2);
  }
  if (!(o->epsilon > 0))
    return status_fail(STATUS_INPUT, "train.epsilon = %g must be above 0", (double)o->epsilon);
  if (o->max_steps > UINT32_MAX / 2) {
    return status_fail(STATUS_INPUT, "train.max_steps = %zu must be at most %u", o->max_steps,
                       UINT32_MAX / 2);
  }
  if (job->train.full && job->dtype != DTYPE_F32) {
    return status_fail(STATUS_INPUT, "train.mode = full trains float32: set model.dtype = f32");
  }
  return STATUS_OK;
}

Status trainer_create_passes(Trainer *t) {
  if (t->sampling_options.max_rows > 0) TRY(pass_create(t->model, &t->sampling_options, &t->sampling_pass));
  return pass_create(t->model, &t->training_options, &t->training_pass);
}

void trainer_free_passes(Trainer *t) {
  pass_free(t->sampling_pass);
  pass_free(t->training_pass);
  t->sampling_pass = t->training_pass = NULL;
}

static Status create_model(Trainer *t) {
  const TrainJob *job = t->job;
  TRY(model_load(job->ops, job->files, job->dtype, &t->model));
  if (job->train.full) return model_train_full(t->model);
  return model_add_lora(t->model, &job->lora, job->train.seed);
}

Status trainer_prepare(Trainer *t) {
  t->state.judged = -1;
  t->objective = t->job->examples != NULL ? &objective_sft : &objective_gee;
  TRY(check_train_options(t->job));
  return t->objective->prepare(t);
}

/// Warns of consequences of the sizes that may surprise.
static void warn_of_sizes(const Trainer *t) {
  const TrainJob *job = t->job;
  if (job->train.warmup_steps > job->train.max_steps)
    log_say(LOG_WARNING,
            "train.warmup_steps = %zu is more than train.max_steps = %zu: the learning rate never reaches "
            "train.learning_rate",
            job->train.warmup_steps, job->train.max_steps);
  double moved = 0;
  for (size_t step = 1; step <= job->train.max_steps && moved < LEAST_MOVE; step++)
    moved += learning_rate_at(&job->train, step);
  if (moved < LEAST_MOVE && job->train.max_steps > 0)
    log_say(
        LOG_WARNING,
        "the learning rates of all steps add up to %.1e, about the most that a weight can move: the model "
        "will stay as it is; raise train.learning_rate",
        moved);
}

Status trainer_create(Trainer *t) {
  t->plan = ops_is_plan(t->job->ops);
  TRY(t->objective->create(t));
  warn_of_sizes(t);
  TRY(create_model(t));
  TRY(optimizer_create(t->job->ops, model_params(t->model), &t->optimizer));
  return trainer_create_passes(t);
}

void trainer_free(Trainer *t) {
  report_close(&t->report);
  run_record_free(&t->record);
  trainer_free_passes(t);
  optimizer_free(&t->optimizer);
  model_free(t->model);
  step_batch_free(&t->batch);
  given_batch_free(&t->given);
  settings_free(&t->settings);
  file_unlock(&t->lock);
  free(t->folder);
  free(t->last_saved);
}
