// From answers to the gradient. Rule: the loss of the whole effective batch is known before the first
// backward. So the backward of each micro batch starts from the final dL/dH, and the size of the micro
// batches cannot change the result.
#include "gradient.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// Where the entropies that the loss needs come from.
typedef enum Measuring {
  // answers are scored under their own prompts only: sampling kept those entropies
  MEASURED_BY_SAMPLING,
  // answers are also scored under other prompts: they are read again while the sampling pass still caches the
  // prompts
  MEASURED_IN_CACHE,
  // a forward of the training pass: with dropout it must draw what the gradient's forward draws, and with a
  // single micro batch its activations serve the gradient too
  MEASURED_BY_FORWARD,
} Measuring;

static Measuring choose_measuring(const StepPasses *passes, const StepBatch *batch) {
  if (passes->dropout.on) return MEASURED_BY_FORWARD;
  if (!batch->shape.paired) return MEASURED_BY_SAMPLING;
  return batch->micro_count == 1 ? MEASURED_BY_FORWARD : MEASURED_IN_CACHE;
}

/// Runs a micro batch forward and copies the statistics of its head rows to its predictions.
static Status measure_micro(const StepPasses *passes, MicroBatch micro, StepBatch *all) {
  Batch batch = {0};
  float *entropy = NULL, *log_z = NULL;
  size_t first = all->sequences[micro.begin].first_token;
  TRY(step_batch_pack(all, micro, &batch));
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&entropy, batch.head_rows, "entropies"));
  TRY_CLEAN(mem_array(&log_z, batch.head_rows, "entropies"));
  TRY_CLEAN(pass_forward(passes->training, &batch, passes->dropout));
  TRY_CLEAN(pass_statistics(passes->training, &batch, passes->tau, entropy, log_z, NULL));
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

static void set_statistics(StepBatch *batch, const Sequence *sequence, const float *entropy,
                           const float *log_z) {
  memcpy(batch->entropy + sequence->first_token, entropy, sequence->tokens * sizeof *entropy);
  memcpy(batch->log_z + sequence->first_token, log_z, sequence->tokens * sizeof *log_z);
}

static void copy_sampled(StepBatch *batch) {
  for (size_t s = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    const Answer *answer = &batch->answers[sequence->answer];
    if (is_own(sequence)) set_statistics(batch, sequence, answer->entropy, answer->log_z);
  }
}

static Status reread_others(Pass *pass, const GenerateJob *sampled, StepBatch *batch) {
  float *entropy = NULL, *log_z = NULL;
  RereadJob job = {.generated = sampled, .answers = batch->answers, .readings = batch->readings};
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
  TRY_CLEAN(reread_answers(pass, &job, entropy, log_z));
  for (size_t s = 0, offset = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    if (is_own(sequence)) continue;
    set_statistics(batch, sequence, entropy + offset, log_z + offset);
    offset += sequence->tokens;
  }
cleanup:
  free(entropy);
  free(log_z);
  return status;
}

Status measure_entropies(const StepPasses *passes, const GenerateJob *sampled, StepBatch *batch) {
  Measuring measuring = choose_measuring(passes, batch);
  if (measuring == MEASURED_BY_FORWARD) {
    for (size_t m = 0; m < batch->micro_count; m++) TRY(measure_micro(passes, batch->micro[m], batch));
  } else {
    copy_sampled(batch);
    if (measuring == MEASURED_IN_CACHE) TRY(reread_others(passes->sampling, sampled, batch));
  }
  for (size_t s = 0; s < batch->sequence_count; s++) {
    Sequence *sequence = &batch->sequences[s];
    double sum = 0;
    for (size_t i = 0; i < sequence->tokens; i++) sum += (double)batch->entropy[sequence->first_token + i];
    sequence->H = sum / (double)sequence->tokens;
  }
  return STATUS_OK;
}

/// Fills, for each head row, dL/dH_t = Σ dL/dH_i / T_i over the predictions made from it, and its statistics.
static Status head_weights(const StepBatch *all, MicroBatch micro, const Batch *batch, float *weights,
                           float *entropy, float *log_z) {
  double *sums = NULL;
  TRY(mem_array(&sums, batch->head_rows, "gradient weights"));
  for (size_t s = micro.begin, prediction = 0; s < micro.end; s++) {
    const Sequence *sequence = &all->sequences[s];
    for (size_t i = 0; i < sequence->tokens; i++, prediction++) {
      size_t row = (size_t)batch->pred_head[prediction];
      sums[row] += all->dH[s] / (double)sequence->tokens;
      entropy[row] = all->entropy[sequence->first_token + i];
      log_z[row] = all->log_z[sequence->first_token + i];
    }
  }
  for (size_t r = 0; r < batch->head_rows; r++) weights[r] = (float)sums[r];
  free(sums);
  return STATUS_OK;
}

/// With `forward_done` the pass still holds this micro batch's activations.
static Status backward_micro(const StepPasses *passes, const StepBatch *all, MicroBatch micro,
                             bool forward_done) {
  Batch batch = {0};
  float *weights = NULL, *entropy = NULL, *log_z = NULL;
  TRY(step_batch_pack(all, micro, &batch));
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&weights, batch.head_rows, "gradient weights"));
  TRY_CLEAN(mem_array(&entropy, batch.head_rows, "entropies"));
  TRY_CLEAN(mem_array(&log_z, batch.head_rows, "entropies"));
  TRY_CLEAN(head_weights(all, micro, &batch, weights, entropy, log_z));
  if (!forward_done) TRY_CLEAN(pass_forward(passes->training, &batch, passes->dropout));
  TRY_CLEAN(pass_backward(passes->training, &batch, passes->tau, weights, entropy, log_z));
cleanup:
  free(weights);
  free(entropy);
  free(log_z);
  batch_free(&batch);
  return status;
}

static bool has_gradient(const StepBatch *batch, MicroBatch micro) {
  for (size_t s = micro.begin; s < micro.end; s++) {
    if (batch->dH[s] != 0) return true;
  }
  return false;
}

Status compute_gradient(const StepPasses *passes, const StepBatch *batch, ParamSet *params) {
  bool forward_done = choose_measuring(passes, batch) == MEASURED_BY_FORWARD && batch->micro_count == 1;
  TRY(params_zero_grads(params));
  for (size_t m = 0; m < batch->micro_count; m++) {
    if (has_gradient(batch, batch->micro[m]))
      TRY(backward_micro(passes, batch, batch->micro[m], forward_done));
  }
  return STATUS_OK;
}
