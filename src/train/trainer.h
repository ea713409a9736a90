// What the files of this room share. Rule: trainer.c holds the order of a step, and each other file one part of it; all
// that a run keeps between steps is TrainState and the model's and optimiser's tensors, which is what a checkpoint holds.
//
//   setup.c       memory: model, passes, optimiser, host arrays
//   step_batch.c  prompts, answers, sequences, micro batches of one step
//   gradient.c    entropies, loss, and its gradient in the parameters
//   optimizer.c   clipping, schedule, AdamW
//   checkpoint.c  step_N and final            resume.c  the way back          settings.c  what must not change between
//   report.c      metrics.jsonl, samples.jsonl, the live line
#pragma once

#include "gen/reread.h"
#include "track/track.h"
#include "train/train.h"

/// One answer under one prompt: what the loss calls a sample. With pairing = own the prompt is the answer's own; with
/// paired every answer of a set is scored under each prompt of the set.
typedef struct Sequence {
  size_t answer;      // of StepBatch.answers; its own prompt is drawn[answer]
  size_t under;       // scored under the prompt drawn[under]
  size_t prompt;      // that prompt, index into StepBatch.prompts
  size_t first_token; // its first prediction in StepBatch.entropy and log_z
  size_t tokens;      // predictions
  double H, dH;       // mean entropy in nats; dL/dH
} Sequence;

/// Sequences [begin, end) that go through the training pass together.
typedef struct MicroBatch {
  size_t begin, end;
} MicroBatch;

/// One step's effective batch. Arrays are made once, for the largest.
typedef struct StepBatch {
  size_t count;           // answers: train.effective_batch
  size_t *drawn;          // [count] prompts of the dataset, sets of one prompt per group side by side
  TokenSpan *prompts;     // [prompt_count ≤ count] distinct prompts, in order of first appearance
  size_t *prompt_dataset; // [prompt_count] index of each in the dataset's distinct prompts
  size_t prompt_count;
  AnswerRequest *requests; // [count]
  Answer *answers;         // [count]
  Sequence *sequences;     // [sequence_count], by prompt, then by answer
  size_t sequence_count;
  MicroBatch *micro; // [micro_count]
  size_t micro_count;
  Reading *readings;      // [sequence_count] those under other prompts than the answer's own
  float *entropy, *log_z; // [predictions] at τ_H, by sequence and token
  size_t predictions;     // Σ sequences' tokens
  LossSample *samples;    // [sequence_count]
  double *dH;             // [sequence_count]
} StepBatch;

/// m and v, slabs like those of the parameters.
typedef struct Optimizer {
  Tensor *m, *v; // [slabs]
  size_t slabs;
} Optimizer;

/// What a run keeps between steps besides tensors. Random numbers are functions of (seed, step, …): nothing to keep.
typedef struct TrainState {
  size_t step;       // steps done
  SamplerState data; // where the next batch is drawn
  double first_gap;  // the first measured gap, for annealing; < 0: none yet
  size_t streak;     // debias_only: steps in a row under target_gap
} TrainState;

/// What one step measured.
typedef struct StepReport {
  size_t step;
  LossResult loss;
  double grad_norm, lr;
  size_t tokens_sampled, tokens_scored, answers_ended;
  double seconds_sampling, seconds_training, seconds_update;
} StepReport;

typedef struct Trainer {
  const TrainJob *job;
  bool plan; // on a plan Ops: everything is created and counted, nothing is computed
  size_t groups;
  size_t new_tokens; // of an answer at most
  double type_weight[DATA_MAX_TYPES];
  Model *model;
  PassOptions sampling_options, training_options;
  Pass *sampling, *training;
  Optimizer optimizer;
  StepBatch batch;
  TrainState state;
  // while running
  char *folder;      // save_root/run_name
  char *last_saved;  // newest whole checkpoint, or NULL
  size_t saved_step; // its step; SIZE_MAX: none
  Progress *progress;
  JsonLines *metrics, *samples; // samples NULL unless asked for
} Trainer;

// ---- setup.c ----

/// Checks trainer->job, loads the model, and creates all memory of a run. `trainer` may be freed whatever is returned.
STATUS_CHECKED Status trainer_create(Trainer *trainer);
void trainer_free(Trainer *trainer);
STATUS_CHECKED Status trainer_create_passes(Trainer *trainer);
void trainer_free_passes(Trainer *trainer);

// ---- step_batch.c ----

STATUS_CHECKED Status step_batch_create(const Trainer *trainer, StepBatch *batch);
void step_batch_free(StepBatch *batch);
/// Draws the next prompts; on a plan those that take most memory.
STATUS_CHECKED Status step_batch_draw(Trainer *trainer);
/// The job that samples the answers.
GenerateJob step_batch_sampling(const Trainer *trainer);
/// Once the answers are there: lists sequences and micro batches.
void step_batch_arrange(Trainer *trainer);
/// Packs one micro batch into rows.
STATUS_CHECKED Status step_batch_pack(const Trainer *trainer, MicroBatch micro, Batch *out);
/// Sum of the tokens of the `count` longest distinct prompts of a dataset; *longest may be NULL.
STATUS_CHECKED Status longest_prompts(const Dataset *dataset, size_t count, size_t *sum, size_t *longest);

// ---- gradient.c ----

/// H of every sequence: what sampling has told, what the cache of the sampling pass still tells, or a forward of the training
/// pass.
STATUS_CHECKED Status measure_entropies(Trainer *trainer);
/// The loss over the whole effective batch, and dL/dH of every sequence.
STATUS_CHECKED Status compute_loss(Trainer *trainer, LossResult *result);
/// Adds the loss's gradient to the parameters' gradients, which are zeroed first.
STATUS_CHECKED Status compute_gradient(Trainer *trainer);

// ---- optimizer.c ----

STATUS_CHECKED Status optimizer_create(Ops *ops, const ParamSet *params, Optimizer *optimizer);
void optimizer_free(Optimizer *optimizer);
/// Learning rate of step `step` ≥ 1: step/warmup of it while warming up; then constant, or falling from the whole rate at the
/// first step after the warm-up towards 0 at the (never taken) step max_steps + 1, along a line or a cosine.
double learning_rate_at(const TrainOptions *options, size_t step);
/// Clips to max_grad_norm as PyTorch's clip_grad_norm_ (0: off) and takes an AdamW step. *norm before clipping. STATUS_FAILED
/// where the gradient is not finite; the parameters are untouched then.
STATUS_CHECKED Status optimizer_step(Optimizer *optimizer, ParamSet *params, const TrainOptions *options,
                                     size_t step, double *norm);
/// optimiser.safetensors: exp_avg.<parameter> and exp_avg_sq.<parameter>, as PyTorch names them.
STATUS_CHECKED Status optimizer_save(const Optimizer *optimizer, const ParamSet *params, const char *path);
STATUS_CHECKED Status optimizer_load(Optimizer *optimizer, const ParamSet *params, const char *path);

// ---- checkpoint.c ----

#define CHECKPOINT_STATE     "trainer_state.json"
#define CHECKPOINT_OPTIMISER "optimiser.safetensors"

/// Writes folder/`name` whole or not at all.
STATUS_CHECKED Status checkpoint_save(Trainer *trainer, const char *name);
/// step_<N>
STATUS_CHECKED Status checkpoint_save_step(Trainer *trainer);

// ---- resume.c ----

/// *path = the newest checkpoint of the run, NULL where there is none; the caller frees it.
STATUS_CHECKED Status checkpoint_find(const char *folder, char **path);
/// Restores everything from `path`. STATUS_INPUT where it belongs to another config, naming the key.
STATUS_CHECKED Status checkpoint_load(Trainer *trainer, const char *path);

// ---- settings.c ----

/// All that decides a run's numbers, by config key; NULL is out of memory. Lengths of runs, micro batches and where to save
/// are not among them.
cJSON *settings_describe(const Trainer *trainer);
/// STATUS_INPUT names the first key that differs; `name` is the file of the saved ones.
STATUS_CHECKED Status settings_compare(const cJSON *saved, const cJSON *now, const char *name);

// ---- report.c ----

/// Opens metrics.jsonl and samples.jsonl, cut to the steps that are done.
STATUS_CHECKED Status report_open(Trainer *trainer);
void report_close(Trainer *trainer);
STATUS_CHECKED Status report_step(Trainer *trainer, const StepReport *report);
/// What is being done now, on the live line.
void report_phase(Trainer *trainer, const char *phase);
/// Everything written is on the disk.
STATUS_CHECKED Status report_sync(Trainer *trainer);
