// From answers to the gradient. Rule: the derivatives of the whole effective batch's loss are known before
// the first backward. So the backward of each micro batch starts from the final dL/dH, and the size of the
// micro batches cannot change the result.
#include "gradient.h"

#include "ops/profile.h"
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
  // a forward of the training pass: with dropout it must draw what the gradient's forward draws, partners are
  // compared with the rows that it keeps, and with a single micro batch its activations serve the gradient
  // too
  MEASURED_BY_FORWARD,
} Measuring;

static Measuring choose_measuring(const StepPasses *passes, const StepBatch *batch) {
  if (passes->dropout.on || passes->divergences.partners) return MEASURED_BY_FORWARD;
  if (!batch->shape.paired) return MEASURED_BY_SAMPLING;
  return batch->micro_count == 1 ? MEASURED_BY_FORWARD : MEASURED_IN_CACHE;
}

/// The forward whose activations serve the gradient. The base model's comes first, because it uses the same
/// memory.
static Status forward_for_gradient(const StepPasses *passes, const StepBatch *all, const Batch *batch) {
  if (passes->divergences.base) TRY(divergence_keep_base(passes->training, passes->divergences, all, batch));
  return pass_forward(passes->training, batch, passes->dropout);
}

/// Whether the forward that measures serves the gradient too.
static bool is_forward_shared(const StepPasses *passes, const StepBatch *batch) {
  return choose_measuring(passes, batch) == MEASURED_BY_FORWARD && batch->micro_count == 1;
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
  if (is_forward_shared(passes, all))
    TRY_CLEAN(forward_for_gradient(passes, all, &batch));
  else
    TRY_CLEAN(pass_forward(passes->training, &batch, passes->dropout));
  TRY_CLEAN(pass_statistics(passes->training, &batch, passes->tau, entropy, log_z, NULL));
  if (passes->divergences.partners) TRY_CLEAN(divergence_keep_partners(passes->training, all, micro, &batch));
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
  OPS_PHASE(model_ops(pass_model(passes->training)), "measure");
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

/// Whether the statistics are those of the logits that the gradient's forward makes. Those of a coarser
/// sampling pass are good for the loss, but a gradient with them would not be that of any entropy.
static bool has_same_statistics(const StepPasses *passes, const StepBatch *batch) {
  return choose_measuring(passes, batch) == MEASURED_BY_FORWARD ||
         !ops_inference_differs(model_ops(pass_model(passes->training)));
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

static Status backward_micro(const StepPasses *passes, StepBatch *all, MicroBatch micro) {
  Batch batch = {0};
  DivergenceList list = {0};
  float *weights = NULL, *entropy = NULL, *log_z = NULL;
  TRY(step_batch_pack(all, micro, &batch));
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&weights, batch.head_rows, "gradient weights"));
  TRY_CLEAN(mem_array(&entropy, batch.head_rows, "entropies"));
  TRY_CLEAN(mem_array(&log_z, batch.head_rows, "entropies"));
  TRY_CLEAN(head_weights(all, micro, &batch, weights, entropy, log_z));
  TRY_CLEAN(divergence_list(passes->divergences, all, micro, &batch, &list));
  if (!is_forward_shared(passes, all)) TRY_CLEAN(forward_for_gradient(passes, all, &batch));
  bool same = has_same_statistics(passes, all);
  HeadGradient gradient = {.tau = passes->tau,
                           .weights = weights,
                           .entropy = same ? entropy : NULL,
                           .log_z = same ? log_z : NULL,
                           .links = list.links,
                           .link_count = list.link_count};
  TRY_CLEAN(pass_backward(passes->training, &batch, &gradient));
  divergence_collect(&list, all, micro);
cleanup:
  divergence_free(&list);
  free(weights);
  free(entropy);
  free(log_z);
  batch_free(&batch);
  return status;
}

/// A divergence is measured even where its weight is 0.
static bool has_gradient(const StepPasses *passes, const StepBatch *batch, MicroBatch micro) {
  if (passes->divergences.base || passes->divergences.partners) return true;
  for (size_t s = micro.begin; s < micro.end; s++) {
    if (batch->dH[s] != 0) return true;
  }
  return false;
}

Status compute_gradient(const StepPasses *passes, StepBatch *batch, ParamSet *params) {
  TRY(params_zero_grads(params));
  for (size_t m = 0; m < batch->micro_count; m++) {
    if (has_gradient(passes, batch, batch->micro[m])) TRY(backward_micro(passes, batch, batch->micro[m]));
  }
  return STATUS_OK;
}
