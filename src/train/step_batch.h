// The effective batch of a step: prompts, answers, sequences and micro batches. Rule: an answer is identified
// by its number in the whole batch, `first` + its index here. Its random numbers (sampling, dropout) and its
// unit in the loss follow from that number. So a process that computes part of the batch draws what a process
// that computes all of it draws.
#pragma once

#include "data/data.h"
#include "gen/reread.h"
#include "loss/loss.h"

/// What the batches of all steps have in common.
typedef struct StepShape {
  const Dataset *dataset; // borrowed
  size_t groups;          // of the dataset
  size_t total;           // answers of a step: train.effective_batch
  size_t first, count;    // computed here: [first, first + count), whole sets (multiples of `groups`)
  size_t new_tokens;      // most tokens of an answer
  size_t micro;           // most sequences in the training pass at a time; 0: all
  bool paired;            // every answer is scored under each prompt of its set, not only under its own
  bool share_prompts;     // rows of a prompt are computed once for all its answers in a micro batch
} StepShape;

/// One answer under one prompt: what the loss calls a sample. Indices are into this part of the batch.
typedef struct Sequence {
  size_t answer;      // of StepBatch.answers; its own prompt is drawn[answer]
  size_t under;       // scored under the prompt drawn[under]
  size_t prompt;      // that prompt, index into StepBatch.prompts
  size_t first_token; // its first prediction in StepBatch.entropy and log_z
  size_t tokens;      // predictions
  double H;           // mean entropy in nats
  double kl;          // mean KL from the base model in nats, if loss.kl_weight is above 0
  double partner_kl;  // mean KL from the answer's other sequences, with loss.form = symmetric_kl
} Sequence;

/// Sequences [begin, end) that go through the training pass together.
typedef struct MicroBatch {
  size_t begin, end;
} MicroBatch;

/// How much a prompt of each type counts in the bias term and in the entropy term.
typedef struct TypeWeights {
  double bias[DATA_MAX_TYPES], em[DATA_MAX_TYPES];
} TypeWeights;

/// The arrays are allocated once, for the largest batch of the shape.
typedef struct StepBatch {
  StepShape shape;
  size_t *drawn;          // [count] prompts of the dataset, sets of one prompt per group side by side
  TokenSpan *prompts;     // [prompt_count ≤ count] distinct prompts, in order of first appearance
  size_t *prompt_dataset; // [prompt_count] index of each in the dataset's distinct prompts
  size_t prompt_count;
  AnswerRequest *requests; // [count]
  Answer *answers;         // [count]
  Sequence *sequences;     // [sequence_count], by prompt, then by answer
  size_t sequence_count;
  size_t *sequence_of; // [sequence_count] paired: of answer a under drawn[set + g] at a · groups + g
  size_t *first_of;    // [prompt_count] the first sequence of each prompt
  MicroBatch *micro;   // [micro_count]
  size_t micro_count;
  Reading *readings;      // [sequence_count] those under other prompts than the answer's own
  float *entropy, *log_z; // [predictions] at τ_H, by sequence and token
  size_t predictions;     // Σ sequences' tokens
  LossSample *samples;    // [sequence_count]
  double *dH;             // [sequence_count] dL/dH
  double kl_slope;        // dL/dkl of every sequence
  double partner_slope;   // dL/dpartner_kl of a sequence = its sample's weight · this
} StepBatch;

/// Call step_batch_free in any case, also after a failure.
STATUS_CHECKED Status step_batch_create(const StepShape *shape, StepBatch *batch);
/// Safe on a zeroed struct and twice.
void step_batch_free(StepBatch *batch);
/// Draws this part's prompts from `state` on, and advances `state` past the whole batch.
STATUS_CHECKED Status step_batch_draw(StepBatch *batch, uint64_t seed, SamplerState *state);
/// For a memory plan, instead of a draw: takes the prompts that need the most memory.
STATUS_CHECKED Status step_batch_draw_largest(StepBatch *batch);
/// The job that samples the answers of step `step` ≥ 1; it borrows from the batch. `tau` is the temperature
/// of the entropy.
GenerateJob step_batch_sampling(const StepBatch *batch, const SamplingOptions *sampling, float tau,
                                uint64_t seed, uint32_t step);
/// Lists sequences and micro batches; call it when the answers are sampled.
void step_batch_arrange(StepBatch *batch);
/// Fills `samples`; call it when the entropies are measured.
void step_batch_list_samples(StepBatch *batch, const TypeWeights *weights);
/// Packs one micro batch into rows; free with batch_free.
STATUS_CHECKED Status step_batch_pack(const StepBatch *batch, MicroBatch micro, Batch *out);
/// *sum = the tokens of the dataset's `count` longest distinct prompts together; *longest = those of the
/// longest (may be NULL).
STATUS_CHECKED Status longest_prompts(const Dataset *dataset, size_t count, size_t *sum, size_t *longest);
