// From answers to the gradient. Rule: the loss is known over the whole effective batch before the first backward, so each
// micro batch's backward has its final weights dL/dH, and their size cannot change the result.
#include "trainer.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// How entropies become known before the loss.
typedef enum Measuring {
  MEASURED_BY_SAMPLING, // every answer is scored under its own prompt, of which sampling kept the entropies
  MEASURED_IN_CACHE, // under the others it is read again while the sampling pass still holds their keys and values
  MEASURED_BY_FORWARD, // with the dropout of the gradient, or in the one forward whose activations serve the gradient
} Measuring;

static bool drops(const TrainJob *job) {
  return !job->train.full && job->lora.dropout > 0;
}

static Measuring measuring(const Trainer *t) {
  if (drops(t->job)) return MEASURED_BY_FORWARD;
  if (t->job->loss.pairing != PAIRING_PAIRED) return MEASURED_BY_SAMPLING;
  return t->batch.micro_count == 1 ? MEASURED_BY_FORWARD : MEASURED_IN_CACHE;
}

static Status forward(Trainer *t, const Batch *batch) {
  const TrainJob *job = t->job;
  DropoutDraw dropout = {.on = drops(job), .seed = job->train.seed, .step = (uint32_t)(t->state.step + 1)};
  return pass_forward(t->training, batch, dropout);
}

/// The statistics of a micro batch's head rows, spread over its predictions.
static Status measure_micro(Trainer *t, MicroBatch micro) {
  StepBatch *all = &t->batch;
  Batch batch = {0};
  float *entropy = NULL, *log_z = NULL;
  size_t first = all->sequences[micro.begin].first_token;
  TRY(step_batch_pack(t, micro, &batch));
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&entropy, batch.head_rows, "entropies"));
  TRY_CLEAN(mem_array(&log_z, batch.head_rows, "entropies"));
  TRY_CLEAN(forward(t, &batch));
  TRY_CLEAN(pass_statistics(t->training, &batch, t->job->loss.entropy_temperature, entropy, log_z, NULL));
  for (size_t i = 0; i < batch.predictions; i++) {
    all->entropy[first + i] = entropy[batch.pred_head[i]];
    all->log_z[first + i] = log_z[batch.pred_head[i]];
  }
cleanup:
  free(entropy);
  free(log_z);
  batch_free(&batch);
  return status;
}

static bool is_own(const Sequence *sequence) {
  return sequence->under == sequence->answer;
}

static void enter(StepBatch *batch, const Sequence *sequence, const float *entropy, const float *log_z) {
  memcpy(batch->entropy + sequence->first_token, entropy, sequence->tokens * sizeof *entropy);
  memcpy(batch->log_z + sequence->first_token, log_z, sequence->tokens * sizeof *log_z);
}

static void take_sampled(StepBatch *batch) {
  for (size_t s = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    const Answer *answer = &batch->answers[sequence->answer];
    if (is_own(sequence)) enter(batch, sequence, answer->entropy, answer->log_z);
  }
}

static Status reread_others(Trainer *t) {
  StepBatch *batch = &t->batch;
  float *entropy = NULL, *log_z = NULL;
  GenerateJob generated = step_batch_sampling(t);
  RereadJob job = {.generated = &generated, .answers = batch->answers, .readings = batch->readings};
  size_t tokens = 0;
  Status status = STATUS_OK;
  for (size_t s = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    if (is_own(sequence)) continue;
    batch->readings[job.count++] = (Reading){sequence->answer, sequence->prompt};
    tokens += sequence->tokens;
  }
  TRY_CLEAN(mem_array(&entropy, tokens, "entropies"));
  TRY_CLEAN(mem_array(&log_z, tokens, "entropies"));
  TRY_CLEAN(reread_answers(t->sampling, &job, entropy, log_z));
  for (size_t s = 0, at = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    if (is_own(sequence)) continue;
    enter(batch, sequence, entropy + at, log_z + at);
    at += sequence->tokens;
  }
cleanup:
  free(entropy);
  free(log_z);
  return status;
}

Status measure_entropies(Trainer *t) {
  StepBatch *batch = &t->batch;
  Measuring how = measuring(t);
  if (how == MEASURED_BY_FORWARD) {
    for (size_t m = 0; m < batch->micro_count; m++) TRY(measure_micro(t, batch->micro[m]));
  } else {
    take_sampled(batch);
    if (how == MEASURED_IN_CACHE) TRY(reread_others(t));
  }
  for (size_t s = 0; s < batch->sequence_count; s++) {
    Sequence *sequence = &batch->sequences[s];
    double sum = 0;
    for (size_t i = 0; i < sequence->tokens; i++) sum += (double)batch->entropy[sequence->first_token + i];
    sequence->H = sum / (double)sequence->tokens;
  }
  return STATUS_OK;
}

Status compute_loss(Trainer *t, LossResult *result) {
  const TrainJob *job = t->job;
  StepBatch *batch = &t->batch;
  for (size_t s = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    const Prompt *prompt = &job->dataset->prompts[batch->drawn[sequence->under]];
    double weight = t->type_weight[prompt->type];
    batch->samples[s] = (LossSample){.group = prompt->group,
                                     .H = sequence->H,
                                     .weight = weight,
                                     .em_weight = job->task_weights_em ? weight : 1,
                                     .unit = sequence->under / t->groups};
  }
  TRY(loss_compute(&job->loss, t->groups, batch->samples, batch->sequence_count, t->state.first_gap, result,
                   batch->dH));
  // a plan has no entropies: any weight that is not 0 makes the backward run as it will
  for (size_t s = 0; s < batch->sequence_count; s++) batch->sequences[s].dH = t->plan ? 1 : batch->dH[s];
  return STATUS_OK;
}

/// By head row: dL/dH_t = Σ dL/dH_i / T_i over the predictions made from it, and its statistics.
static Status head_weights(const StepBatch *all, MicroBatch micro, const Batch *batch, float *weights,
                           float *entropy, float *log_z) {
  double *sums = NULL;
  TRY(mem_array(&sums, batch->head_rows, "gradient weights"));
  for (size_t s = micro.begin, prediction = 0; s < micro.end; s++) {
    const Sequence *sequence = &all->sequences[s];
    for (size_t i = 0; i < sequence->tokens; i++, prediction++) {
      size_t row = (size_t)batch->pred_head[prediction];
      sums[row] += sequence->dH / (double)sequence->tokens;
      entropy[row] = all->entropy[sequence->first_token + i];
      log_z[row] = all->log_z[sequence->first_token + i];
    }
  }
  for (size_t r = 0; r < batch->head_rows; r++) weights[r] = (float)sums[r];
  free(sums);
  return STATUS_OK;
}

/// `forward_done`: the pass still holds this micro batch's activations.
static Status backward_micro(Trainer *t, MicroBatch micro, bool forward_done) {
  Batch batch = {0};
  float *weights = NULL, *entropy = NULL, *log_z = NULL;
  TRY(step_batch_pack(t, micro, &batch));
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&weights, batch.head_rows, "gradient weights"));
  TRY_CLEAN(mem_array(&entropy, batch.head_rows, "entropies"));
  TRY_CLEAN(mem_array(&log_z, batch.head_rows, "entropies"));
  TRY_CLEAN(head_weights(&t->batch, micro, &batch, weights, entropy, log_z));
  if (!forward_done) TRY_CLEAN(forward(t, &batch));
  TRY_CLEAN(pass_backward(t->training, &batch, t->job->loss.entropy_temperature, weights, entropy, log_z));
cleanup:
  free(weights);
  free(entropy);
  free(log_z);
  batch_free(&batch);
  return status;
}

static bool counts(const StepBatch *batch, MicroBatch micro) {
  for (size_t s = micro.begin; s < micro.end; s++) {
    if (batch->sequences[s].dH != 0) return true;
  }
  return false;
}

Status compute_gradient(Trainer *t) {
  const StepBatch *batch = &t->batch;
  bool forward_done = measuring(t) == MEASURED_BY_FORWARD && batch->micro_count == 1;
  TRY(params_zero_grads(model_params(t->model)));
  for (size_t m = 0; m < batch->micro_count; m++) {
    if (counts(batch, batch->micro[m])) TRY(backward_micro(t, batch->micro[m], forward_done));
  }
  return STATUS_OK;
}
