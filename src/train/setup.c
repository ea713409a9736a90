// Checks a job, and creates what a run is made of. Rule: all sizes follow from the options and the dataset
// before the first step, so the memory plan, which runs this same code, is exact.
#include "trainer.h"

#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  SAMPLING_ROWS = 1024, // of prompts or reread answers at a time; more gains nothing
  DEFAULT_TILE = 128,
};

// A weight moves by about the learning rate in a step of AdamW. The entropies of a model are computed to
// about this many nats, so a smaller move of its weights cannot be seen.
static const double LEAST_MOVE = 1e-6;

// ---- checks ----

static Status check_train_options(const TrainOptions *o) {
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
  return STATUS_OK;
}

static Status check_train_job(const TrainJob *job) {
  TRY(check_train_options(&job->train));
  size_t groups = groups_count(job->dataset->groups);
  if (job->train.effective_batch % groups != 0) {
    return status_fail(STATUS_INPUT,
                       "train.effective_batch = %zu must be a multiple of the number of groups, %zu",
                       job->train.effective_batch, groups);
  }
  if (job->loss.pairing == PAIRING_PAIRED && !job->dataset->counterfactual) {
    return status_fail(STATUS_INPUT, "loss.pairing = paired needs the same prompt for every group: set "
                                     "groups.counterfactual = auto, or loss.pairing = own");
  }
  if (job->loss.unbiased && job->train.effective_batch == groups) {
    return status_fail(STATUS_INPUT,
                       "loss.unbiased needs at least two sets in a step to estimate the variance from, and "
                       "train.effective_batch = %zu is one: raise it, or set loss.unbiased = false",
                       groups);
  }
  if (job->loss.debias_only && (job->train.bias_eval_steps == 0 || job->evaluation_count == 0)) {
    return status_fail(STATUS_INPUT, "loss.debias_only ends a run by the held-out gap: set "
                                     "train.bias_eval_steps, which says how often it is measured, as in 10");
  }
  if (job->train.full && job->dtype != DTYPE_F32) {
    return status_fail(STATUS_INPUT, "train.mode = full needs model.dtype = f32");
  }
  return STATUS_OK;
}

/// Refuses weights that leave no gap: fewer than two groups with a prompt that counts.
static Status check_group_weights(const TrainJob *job, const TypeWeights *weights) {
  const Dataset *dataset = job->dataset;
  bool counts[DATA_MAX_GROUPS] = {false};
  size_t groups = 0;
  for (size_t i = 0; i < dataset->count; i++) {
    const Prompt *prompt = &dataset->prompts[i];
    if (prompt->group < 0 || !(weights->bias[prompt->type] > 0) || counts[prompt->group]) continue;
    counts[prompt->group] = true;
    groups++;
  }
  if (groups >= 2) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "[task_weights] leaves %zu of %zu groups with prompts that count in the gap, and a gap "
                     "needs two: raise the weight of a type that they have (`gee-cl data` shows the types)",
                     groups, groups_count(dataset->groups));
}

/// Weights of the prompt types; a type that the config does not name weighs 1.
static Status set_type_weights(const TrainJob *job, TypeWeights *weights) {
  for (size_t i = 0; i < DATA_MAX_TYPES; i++) weights->bias[i] = weights->em[i] = 1;
  for (size_t i = 0; i < job->task_weight_count; i++) {
    const TaskWeight *weight = &job->task_weights[i];
    int type = dataset_type(job->dataset, weight->type);
    if (type < 0) {
      return status_fail(STATUS_INPUT, "[task_weights] %s: there is no such prompt type (the first is %s)",
                         weight->type, job->dataset->type_count > 0 ? job->dataset->types[0] : "none");
    }
    weights->bias[type] = weight->weight;
    if (job->task_weights_em) weights->em[type] = weight->weight;
  }
  return check_group_weights(job, weights);
}

/// *new_tokens = the longest answer with which every sequence stays within max_sequence_tokens and the
/// model's positions.
static Status set_new_tokens(const TrainJob *job, size_t longest_prompt, size_t *new_tokens) {
  size_t positions = model_files_config(job->files)->max_positions;
  size_t limit =
      job->train.max_sequence_tokens > 0 ? size_min(job->train.max_sequence_tokens, positions) : positions;
  if (longest_prompt >= limit) {
    return status_fail(STATUS_INPUT,
                       "the longest prompt has %zu token%s, but a sequence may have only %zu: lower "
                       "data.max_prompt_tokens, or "
                       "raise train.max_sequence_tokens (the model's limit is %zu)",
                       longest_prompt, str_plural(longest_prompt), limit, positions);
  }
  *new_tokens = size_min(job->sampling.max_new_tokens, limit - longest_prompt);
  return STATUS_OK;
}

// ---- sizes ----

static StepShape batch_shape(const TrainJob *job, size_t new_tokens) {
  const TrainOptions *o = &job->train;
  return (StepShape){.dataset = job->dataset,
                     .groups = groups_count(job->dataset->groups),
                     .total = o->effective_batch,
                     .first = 0, // all of the batch is computed here
                     .count = o->effective_batch,
                     .new_tokens = new_tokens,
                     .micro = o->micro_batch_size,
                     .paired = job->loss.pairing == PAIRING_PAIRED,
                     .share_prompts = o->share_prompts};
}

/// Finds the rows of both passes, and how long answers may be.
static Status plan_passes(Trainer *t) {
  const TrainJob *job = t->job;
  const TrainOptions *o = &job->train;
  bool paired = job->loss.pairing == PAIRING_PAIRED;
  size_t sequences = o->effective_batch * (paired ? groups_count(job->dataset->groups) : 1);
  size_t micro = o->micro_batch_size == 0 ? sequences : size_min(o->micro_batch_size, sequences);
  size_t drawn_tokens = 0, micro_tokens = 0, longest = 0, new_tokens = 0;
  TRY(longest_prompts(job->dataset, o->effective_batch, &drawn_tokens, &longest));
  TRY(longest_prompts(job->dataset, size_min(micro, o->effective_batch), &micro_tokens, NULL));
  TRY(set_new_tokens(job, longest, &new_tokens));
  if (!o->share_prompts) micro_tokens = micro * longest;
  size_t read_again = paired ? sequences * new_tokens : 0;
  size_t read_rows = drawn_tokens > read_again ? drawn_tokens : read_again;
  size_t longest_row = longest > new_tokens ? longest : new_tokens; // a prompt or an answer goes in whole
  size_t rows = size_min(read_rows, longest_row > SAMPLING_ROWS ? longest_row : SAMPLING_ROWS);
  t->sampling = job->sampling;
  t->sampling.max_new_tokens = new_tokens;
  t->sampling_options = generate_pass_options(drawn_tokens, rows, o->effective_batch, new_tokens);
  t->training_options =
      (PassOptions){.kind = PASS_TRAINING,
                    .max_rows = micro_tokens + micro * (new_tokens - 1),
                    .head_tile_rows = o->head_tile_rows > 0 ? o->head_tile_rows : DEFAULT_TILE,
                    .checkpoint = o->activation_checkpointing};
  return STATUS_OK;
}

Status trainer_create_passes(Trainer *t) {
  TRY(pass_create(t->model, &t->sampling_options, &t->sampling_pass));
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
  TRY(check_train_job(t->job));
  TRY(set_type_weights(t->job, &t->weights));
  return plan_passes(t);
}

/// Warns of consequences of the sizes that may surprise.
static void warn_of_sizes(const Trainer *t) {
  const TrainJob *job = t->job;
  if (t->sampling.max_new_tokens < job->sampling.max_new_tokens)
    log_say(LOG_WARNING,
            "answers are cut to %zu token%s: with the longest prompt, that is all that "
            "train.max_sequence_tokens or the model allows",
            t->sampling.max_new_tokens, str_plural(t->sampling.max_new_tokens));
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
  warn_of_sizes(t);
  StepShape shape = batch_shape(t->job, t->sampling.max_new_tokens);
  TRY(step_batch_create(&shape, &t->batch));
  TRY(create_model(t));
  TRY(optimizer_create(t->job->ops, model_params(t->model), &t->optimizer));
  return trainer_create_passes(t);
}

void trainer_free(Trainer *t) {
  report_close(&t->report);
  trainer_free_passes(t);
  optimizer_free(&t->optimizer);
  model_free(t->model);
  step_batch_free(&t->batch);
  settings_free(&t->settings);
  file_unlock(&t->lock);
  free(t->folder);
  free(t->last_saved);
}
