// GEE: sample, measure, differentiate. Rule: everything that a step draws or computes follows from the job,
// the model and TrainState.
#include "trainer.h"

#include "util/clock.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"

enum { SAMPLING_ROWS = 1024 }; // of prompts or reread answers at a time; more gains nothing

// ---- checks ----

static Status check_job(const TrainJob *job) {
  size_t groups = groups_count(job->dataset->groups);
  if (job->train.effective_batch % groups != 0) {
    return status_fail(STATUS_INPUT,
                       "train.effective_batch = %zu must be a multiple of the number of groups, %zu",
                       job->train.effective_batch, groups);
  }
  TRY(loss_check_options(&job->loss, groups));
  if (job->loss.kl_weight > 0 && job->train.full)
    return status_fail(STATUS_INPUT, "loss.kl_weight needs the base model, whose weights train.mode = full "
                                     "changes: set train.mode = lora, or loss.kl_weight = 0");
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

/// *answers = the longest with which every sequence stays within max_sequence_tokens and the model's
/// positions.
static Status limit_answers(const TrainJob *job, size_t longest_prompt, AnswerLimit *answers) {
  size_t positions = model_files_config(job->files)->max_positions;
  size_t wanted = job->sampling.max_new_tokens, most = job->train.max_sequence_tokens;
  bool by_option = most > 0 && most < positions;
  size_t limit = by_option ? most : positions;
  if (longest_prompt >= limit) {
    return status_fail(STATUS_INPUT,
                       "the longest prompt has %zu token%s, but a sequence may have only %zu: lower "
                       "data.max_prompt_tokens, or "
                       "raise train.max_sequence_tokens (the model's limit is %zu)",
                       longest_prompt, str_plural(longest_prompt), limit, positions);
  }
  bool cut = limit - longest_prompt < wanted;
  *answers = (AnswerLimit){cut ? limit - longest_prompt : wanted,
                           !cut        ? "sampling.max_new_tokens"
                           : by_option ? "the longest prompt leaves no more of train.max_sequence_tokens"
                                       : "the longest prompt leaves no more of the model's positions"};
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

Divergences trainer_divergences(const TrainJob *job) {
  return (Divergences){.base = job->loss.kl_weight > 0, .partners = job->loss.form == LOSS_SYMMETRIC_KL};
}

/// Finds the rows of both passes, and how long answers may be.
static Status plan_passes(Trainer *t) {
  const TrainJob *job = t->job;
  const TrainOptions *o = &job->train;
  bool paired = job->loss.pairing == PAIRING_PAIRED;
  size_t sequences = o->effective_batch * (paired ? groups_count(job->dataset->groups) : 1);
  size_t micro = o->micro_batch_size == 0 ? sequences : size_min(o->micro_batch_size, sequences);
  size_t drawn_tokens = 0, micro_tokens = 0, longest = 0;
  TRY(longest_prompts(job->dataset, o->effective_batch, &drawn_tokens, &longest));
  TRY(longest_prompts(job->dataset, size_min(micro, o->effective_batch), &micro_tokens, NULL));
  TRY(limit_answers(job, longest, &t->answers));
  size_t new_tokens = t->answers.tokens;
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
                    .head_tile_rows = o->head_tile_rows > 0 ? o->head_tile_rows : TRAINER_TILE_ROWS,
                    .kept_rows = divergence_rows(trainer_divergences(job), sequences, micro, new_tokens),
                    .checkpoint = o->activation_checkpointing};
  return STATUS_OK;
}

static Status prepare(Trainer *t) {
  TRY(check_job(t->job));
  TRY(set_type_weights(t->job, &t->weights));
  return plan_passes(t);
}

static Status create(Trainer *t) {
  if (t->sampling.max_new_tokens < t->job->sampling.max_new_tokens)
    log_say(LOG_WARNING, "answers are cut to %zu token%s: %s", t->answers.tokens,
            str_plural(t->answers.tokens), t->answers.set_by);
  StepShape shape = batch_shape(t->job, t->sampling.max_new_tokens);
  return step_batch_create(&shape, &t->batch);
}

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
  TRY(loss_compute(&t->job->loss, batch->shape.groups, batch->samples, batch->sequence_count, &t->state.trend,
                   result, batch->dH));
  batch->kl_slope = result->kl_slope;
  batch->partner_slope = result->partner_slope;
  // a plan has no entropies; weights other than 0 make the backward run as in a real step
  for (size_t s = 0; t->plan && s < batch->sequence_count; s++) batch->dH[s] = 1;
  return STATUS_OK;
}

/// Completes the loss by what the backward has measured.
static Status add_divergences(Trainer *t, LossResult *result) {
  StepBatch *batch = &t->batch;
  for (size_t s = 0; s < batch->sequence_count; s++) {
    batch->samples[s].kl = batch->sequences[s].kl;
    batch->samples[s].partner_kl = batch->sequences[s].partner_kl;
  }
  return loss_add_divergences(&t->job->loss, batch->samples, batch->sequence_count, result);
}

Status trainer_differentiate(Trainer *t, const GenerateJob *sampled, LossResult *result) {
  const TrainJob *job = t->job;
  bool has_dropout = !job->train.full && job->lora.dropout > 0;
  StepPasses passes = {.sampling = t->sampling_pass,
                       .training = t->training_pass,
                       .tau = job->loss.entropy_temperature,
                       .dropout = {.on = has_dropout, .seed = job->train.seed, .step = sampled->step},
                       .divergences = trainer_divergences(job)};
  TRY(measure_entropies(&passes, sampled, &t->batch));
  TRY(compute_loss(t, result));
  TRY(compute_gradient(&passes, &t->batch, model_params(t->model)));
  return add_divergences(t, result);
}

Status trainer_gradient(Trainer *t, StepReport *report) {
  const TrainJob *job = t->job;
  StepBatch *batch = &t->batch;
  uint32_t step = (uint32_t)(t->state.step + 1);
  *report = (StepReport){
      .step = step, .lr = learning_rate_at(&job->train, step), .extended_from = t->state.extended_from};
  double start = clock_seconds();
  TRY(t->plan ? step_batch_draw_largest(batch) : step_batch_draw(batch, job->train.seed, &t->state.data));
  progress_phase(job->progress, "sampling");
  GenerateJob sampling =
      step_batch_sampling(batch, &t->sampling, job->loss.entropy_temperature, job->train.seed, step);
  TRY(sample_answers(t->sampling_pass, &sampling, batch->answers, report));
  step_batch_arrange(batch);
  report->tokens_scored = batch->predictions;
  double sampled = clock_seconds();
  progress_phase(job->progress, "training");
  TRY(trainer_differentiate(t, &sampling, &report->loss));
  TRY(ops_finish(job->ops));
  report->seconds_sampling = sampled - start;
  report->seconds_training = clock_seconds() - sampled;
  return STATUS_OK;
}

static Status advance(Trainer *t, StepReport *report) {
  t->state.step = report->step;
  t->state.trend = report->loss.trend;
  TRY(drift_add(&t->state.drift, t->batch.samples, t->batch.sequence_count));
  report->drift = drift_estimate(&t->state.drift);
  report->stopped = trainer_drifts(t);
  TRY(report_step(&t->report, report, &t->batch));
  watch_step(&t->watch, t->job, report, &t->batch, &t->state.drift);
  return STATUS_OK;
}

const Objective objective_gee = {
    .prepare = prepare, .create = create, .gradient = trainer_gradient, .advance = advance};
