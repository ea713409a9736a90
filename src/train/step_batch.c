// The effective batch of a step: which prompts are drawn, which answer is scored under which prompt, and
// which sequences share a micro batch. Rule: the order of sequences does not depend on the size of a micro
// batch, so neither does any sum over them.
//
//   drawn       set 0: f m | set 1: f m          answers   a0 a1 | a2 a3
//   own         (a0, f0) (a1, m0) (a2, f1) (a3, m1)
//   paired      (a0, f0) (a1, f0) (a0, m0) (a1, m0) (a2, f1) (a3, f1) (a2, m1) (a3, m1)
#include "step_batch.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

Status step_batch_create(const StepShape *shape, StepBatch *batch) {
  size_t count = shape->count, tokens = 0;
  size_t sequences = count * (shape->paired ? shape->groups : 1);
  *batch = (StepBatch){.shape = *shape};
  TRY(mem_product(sequences, shape->new_tokens, &tokens, "a batch"));
  TRY(mem_array(&batch->drawn, count, "a batch"));
  TRY(mem_array(&batch->prompts, count, "a batch"));
  TRY(mem_array(&batch->prompt_dataset, count, "a batch"));
  TRY(mem_array(&batch->requests, count, "a batch"));
  TRY(mem_array(&batch->answers, count, "a batch"));
  TRY(mem_array(&batch->sequences, sequences, "a batch"));
  TRY(mem_array(&batch->micro, sequences, "a batch"));
  TRY(mem_array(&batch->samples, sequences, "a batch"));
  TRY(mem_array(&batch->dH, sequences, "a batch"));
  TRY(mem_array(&batch->readings, sequences, "a batch"));
  TRY(mem_array(&batch->sequence_of, sequences, "a batch"));
  TRY(mem_array(&batch->first_of, count, "a batch"));
  TRY(mem_array(&batch->entropy, tokens, "a batch"));
  return mem_array(&batch->log_z, tokens, "a batch");
}

void step_batch_free(StepBatch *batch) {
  for (size_t i = 0; batch->answers != NULL && i < batch->shape.count; i++) answer_free(&batch->answers[i]);
  free(batch->drawn);
  free(batch->prompts);
  free(batch->prompt_dataset);
  free(batch->requests);
  free(batch->answers);
  free(batch->sequences);
  free(batch->micro);
  free(batch->samples);
  free(batch->dH);
  free(batch->readings);
  free(batch->sequence_of);
  free(batch->first_of);
  free(batch->entropy);
  free(batch->log_z);
  *batch = (StepBatch){0};
}

// ---- drawing ----

/// A prompt of the dataset, for sorting by length.
typedef struct PromptLength {
  size_t tokens, index;
} PromptLength;

static int longest_first(const void *a, const void *b) {
  const PromptLength *x = a, *y = b;
  if (x->tokens != y->tokens) return x->tokens > y->tokens ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

/// *list = the distinct prompts of `group` (−1: of all groups), longest first; the caller frees it.
static Status list_distinct(const Dataset *dataset, int group, PromptLength **list, size_t *count) {
  *count = 0;
  TRY(mem_array(list, dataset->count, "prompts by length"));
  for (size_t p = 0; p < dataset->count; p++) {
    const Prompt *prompt = &dataset->prompts[p];
    if (prompt->distinct != p || (group >= 0 && prompt->group != group)) continue;
    (*list)[(*count)++] = (PromptLength){prompt->tokens.count, p};
  }
  qsort(*list, *count, sizeof **list, longest_first);
  return STATUS_OK;
}

Status longest_prompts(const Dataset *dataset, size_t count, size_t *sum, size_t *longest) {
  PromptLength *list = NULL;
  size_t listed = 0;
  TRY(list_distinct(dataset, -1, &list, &listed));
  *sum = 0;
  for (size_t i = 0; i < listed && i < count; i++) *sum += list[i].tokens;
  if (longest != NULL) *longest = listed > 0 ? list[0].tokens : 0;
  free(list);
  return STATUS_OK;
}

/// The index of a drawn prompt in batch->prompts, where equal prompts appear once; adds it if it is new.
static size_t place_prompt(const Dataset *dataset, StepBatch *batch, size_t drawn) {
  size_t distinct = dataset->prompts[drawn].distinct;
  for (size_t p = 0; p < batch->prompt_count; p++) {
    if (batch->prompt_dataset[p] == distinct) return p;
  }
  const Tokens *tokens = &dataset->prompts[distinct].tokens;
  batch->prompt_dataset[batch->prompt_count] = distinct;
  batch->prompts[batch->prompt_count] = (TokenSpan){tokens->ids, tokens->count};
  return batch->prompt_count++;
}

/// Lists the distinct prompts and requests an answer for each drawn one.
static void request_answers(StepBatch *batch) {
  const StepShape *shape = &batch->shape;
  batch->prompt_count = 0;
  for (size_t i = 0; i < shape->count; i++) {
    size_t answer = shape->first + i;
    // counterfactual partners draw the same numbers, so their answers stay alike until the prompts make them
    // differ
    size_t stream = shape->dataset->counterfactual ? answer / shape->groups : answer;
    batch->requests[i] =
        (AnswerRequest){place_prompt(shape->dataset, batch, batch->drawn[i]), (uint32_t)stream};
  }
}

Status step_batch_draw(StepBatch *batch, uint64_t seed, SamplerState *state) {
  const StepShape *shape = &batch->shape;
  SamplerState part = {state->cursor + shape->first / shape->groups};
  TRY(sampler_next(shape->dataset, seed, &part, shape->count, batch->drawn));
  state->cursor += shape->total / shape->groups;
  request_answers(batch);
  return STATUS_OK;
}

/// The prompts of a set may come from different sets here: only their lengths matter.
Status step_batch_draw_largest(StepBatch *batch) {
  const StepShape *shape = &batch->shape;
  const size_t sets = shape->count / shape->groups;
  for (size_t g = 0; g < shape->groups; g++) {
    PromptLength *list = NULL;
    size_t listed = 0;
    TRY(list_distinct(shape->dataset, (int)g, &list, &listed));
    for (size_t d = 0; d < sets && listed > 0; d++) {
      batch->drawn[d * shape->groups + g] = list[d % listed].index;
    }
    free(list);
    if (listed == 0) {
      return status_fail(STATUS_INPUT, "no prompt of the group \"%s\" to draw from",
                         groups_name(shape->dataset->groups, g));
    }
  }
  request_answers(batch);
  return STATUS_OK;
}

GenerateJob step_batch_sampling(const StepBatch *batch, const SamplingOptions *sampling, float tau,
                                uint64_t seed, uint32_t step) {
  return (GenerateJob){.prompts = batch->prompts,
                       .prompt_count = batch->prompt_count,
                       .requests = batch->requests,
                       .request_count = batch->shape.count,
                       .sampling = *sampling,
                       .entropy_tau = tau,
                       .seed = seed,
                       .step = step};
}

// ---- sequences ----

static int by_prompt(const void *a, const void *b) {
  const Sequence *x = a, *y = b;
  if (x->prompt != y->prompt) return x->prompt < y->prompt ? -1 : 1;
  if (x->answer != y->answer) return x->answer < y->answer ? -1 : 1;
  return x->under < y->under ? -1 : x->under > y->under;
}

void step_batch_arrange(StepBatch *batch) {
  const StepShape *shape = &batch->shape;
  size_t count = 0, predictions = 0;
  for (size_t a = 0; a < shape->count; a++) {
    size_t set = a / shape->groups * shape->groups;
    size_t first = shape->paired ? set : a, end = shape->paired ? set + shape->groups : a + 1;
    for (size_t under = first; under < end; under++) {
      batch->sequences[count++] = (Sequence){.answer = a,
                                             .under = under,
                                             .prompt = batch->requests[under].prompt,
                                             .tokens = batch->answers[a].count};
    }
  }
  qsort(batch->sequences, count, sizeof *batch->sequences, by_prompt);
  for (size_t s = 0; s < count; s++) {
    Sequence *sequence = &batch->sequences[s];
    sequence->first_token = predictions;
    predictions += sequence->tokens;
    if (s == 0 || sequence->prompt != sequence[-1].prompt) batch->first_of[sequence->prompt] = s;
    if (shape->paired)
      batch->sequence_of[sequence->answer * shape->groups + sequence->under % shape->groups] = s;
  }
  batch->sequence_count = count;
  batch->predictions = predictions;
  size_t size = shape->micro;
  if (size == 0 || size > count) size = count;
  batch->micro_count = 0;
  for (size_t begin = 0; begin < count; begin += size) {
    size_t end = begin + size < count ? begin + size : count;
    batch->micro[batch->micro_count++] = (MicroBatch){begin, end};
  }
}

void step_batch_list_samples(StepBatch *batch, const TypeWeights *weights) {
  const StepShape *shape = &batch->shape;
  for (size_t s = 0; s < batch->sequence_count; s++) {
    const Sequence *sequence = &batch->sequences[s];
    const Prompt *prompt = &shape->dataset->prompts[batch->drawn[sequence->under]];
    batch->samples[s] = (LossSample){.group = prompt->group,
                                     .H = sequence->H,
                                     .weight = weights->bias[prompt->type],
                                     .em_weight = weights->em[prompt->type],
                                     .unit = (shape->first + sequence->under) / shape->groups};
  }
}

Status step_batch_pack(const StepBatch *batch, MicroBatch micro, Batch *out) {
  size_t count = micro.end - micro.begin, prompt_count = 0;
  TokenSpan *prompts = NULL;
  BatchAnswer *answers = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&prompts, count, "a micro batch"));
  TRY_CLEAN(mem_array(&answers, count, "a micro batch"));
  for (size_t i = 0; i < count; i++) {
    const Sequence *sequence = &batch->sequences[micro.begin + i];
    const Answer *answer = &batch->answers[sequence->answer];
    if (i == 0 || sequence->prompt != sequence[-1].prompt)
      prompts[prompt_count++] = batch->prompts[sequence->prompt];
    // named after the answer, so it draws the same dropout under every prompt of its set
    answers[i] = (BatchAnswer){.prompt = prompt_count - 1,
                               .tokens = {answer->tokens, answer->count},
                               .row_id = (uint32_t)(batch->shape.first + sequence->answer)};
  }
  TRY_CLEAN(batch_build(prompts, prompt_count, answers, count, batch->shape.share_prompts, out));
cleanup:
  free(prompts);
  free(answers);
  return status;
}
