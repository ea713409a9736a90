// Training on given answers: the cross-entropy of their tokens. Rule: the loss is the mean over all tokens
// that count in the step, whatever the micro batch, as in transformers (num_items_in_batch).
#include "trainer.h"

#include "util/clock.h"
#include "util/memory.h"
#include "util/str.h"

// ---- sizes ----

static size_t micro_rows(const TrainOptions *options) {
  size_t micro = options->micro_batch_size, all = options->effective_batch;
  return micro == 0 ? all : size_min(micro, all);
}

static Status check_examples(const TrainJob *job) {
  size_t positions = model_files_config(job->files)->max_positions;
  if (job->examples->count == 0) return status_fail(STATUS_INPUT, "there is no row to train on");
  for (size_t i = 0; i < job->examples->count; i++) {
    const Example *example = &job->examples->list[i];
    if (example->tokens.count > positions)
      return status_fail(STATUS_INPUT,
                         "row %zu has %zu tokens, and the model has %zu positions: lower "
                         "train.max_sequence_tokens",
                         example->row, example->tokens.count, positions);
  }
  return STATUS_OK;
}

static Status prepare(Trainer *t) {
  const TrainJob *job = t->job;
  const TrainOptions *options = &job->train;
  size_t rows = 0;
  TRY(check_examples(job));
  TRY(given_batch_most_rows(job->examples, options->effective_batch, micro_rows(options), &rows));
  t->training_options = (PassOptions){.kind = PASS_TRAINING,
                                      .max_rows = rows,
                                      .head_tile_rows = options->head_tile_rows > 0 ? options->head_tile_rows
                                                                                    : TRAINER_TILE_ROWS,
                                      .targets = true,
                                      .checkpoint = options->activation_checkpointing};
  return STATUS_OK;
}

static Status create(Trainer *t) {
  const TrainOptions *options = &t->job->train;
  return given_batch_create(t->job->examples, options->effective_batch, micro_rows(options),
                            options->share_prompts, &t->given);
}

// ---- a step ----

static Status differentiate_micro(Trainer *t, size_t begin, size_t end, DropoutDraw dropout, GivenSum *sum) {
  const GivenBatch *given = &t->given;
  Batch batch = {0};
  HeadTargets targets = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(given_pack(given->examples, given->rows + begin, end - begin, given->share, &batch));
  TRY_CLEAN(targets_list(&batch, &targets));
  TRY_CLEAN(pass_forward(t->training_pass, &batch, dropout));
  TRY_CLEAN(pass_targets_backward(t->training_pass, &batch, 1.0f / (float)given->answered, &targets));
  given_add(&targets, 0, batch.predictions, sum);
cleanup:
  targets_free(&targets);
  batch_free(&batch);
  return status;
}

static Status gradient(Trainer *t, StepReport *report) {
  const TrainJob *job = t->job;
  GivenBatch *given = &t->given;
  uint32_t step = (uint32_t)(t->state.step + 1);
  bool has_dropout = !job->train.full && job->lora.dropout > 0;
  DropoutDraw dropout = {.on = has_dropout, .seed = job->train.seed, .step = step};
  *report = (StepReport){
      .step = step, .lr = learning_rate_at(&job->train, step), .extended_from = t->state.extended_from};
  double start = clock_seconds();
  TRY(t->plan ? given_batch_draw_largest(given) : given_batch_draw(given, job->train.seed, &t->state.data));
  progress_phase(job->progress, "training");
  TRY(params_zero_grads(model_params(t->model)));
  for (size_t begin = 0, end = 0; begin < given->count; begin = end) {
    end = size_min(begin + given->micro, given->count);
    TRY(differentiate_micro(t, begin, end, dropout, &report->given));
  }
  TRY(ops_finish(job->ops));
  report->tokens_read = given->tokens;
  report->seconds_training = clock_seconds() - start;
  return STATUS_OK;
}

static Status advance(Trainer *t, StepReport *report) {
  t->state.step = report->step;
  report->epoch = (double)t->state.data.cursor / (double)t->job->examples->count;
  TRY(report_given_step(&t->report, report));
  watch_given_step(&t->watch, report);
  return STATUS_OK;
}

const Objective objective_sft = {
    .prepare = prepare, .create = create, .gradient = gradient, .advance = advance};
