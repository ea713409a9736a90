// What the files of this room share. Rule: trainer.c holds the order of a step, and each other file one part of it; all
// that a run keeps between steps is TrainState and the model's and optimiser's tensors, which is what a checkpoint holds.
// The parts take what they use; only trainer.c, setup.c and report.c know a Trainer.
//
//   setup.c       memory: model, passes, optimiser, host arrays
//   step_batch.c  prompts, answers, sequences, micro batches of one step
//   gradient.c    entropies, and the gradient in the parameters
//   optimizer.c   clipping, schedule, AdamW
//   checkpoint.c  step_N and final            resume.c  the way back          settings.c  what must not change between
//   report.c      metrics, samples.jsonl, what evaluations found, progress
#pragma once

#include "gradient.h"
#include "io/json_write.h"
#include "optimizer.h"
#include "step_batch.h"
#include "track/jsonlines.h"
#include "track/tracker.h"
#include "train/train.h"

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
  bool plan;                // on a plan Ops: everything is created and counted, nothing is computed
  SamplingOptions sampling; // the job's, with answers as long as a sequence may be
  TypeWeights weights;
  Model *model;
  PassOptions sampling_options, training_options;
  Pass *sampling_pass, *training_pass;
  Optimizer optimizer;
  StepBatch batch;
  TrainState state;
  // while running
  char *folder;      // save_root/run_name
  char *last_saved;  // newest whole checkpoint, or NULL
  size_t saved_step; // its step; SIZE_MAX: none
  Tracker tracker;
  JsonLines *samples;      // NULL unless asked for
  JsonLines **evaluations; // [job->evaluation_count] <name>.jsonl
  bool reporting;          // between report_open and report_close
} Trainer;

// ---- setup.c ----

/// Checks trainer->job, loads the model, and creates all memory of a run. `trainer` may be freed whatever is returned.
STATUS_CHECKED Status trainer_create(Trainer *trainer);
void trainer_free(Trainer *trainer);
STATUS_CHECKED Status trainer_create_passes(Trainer *trainer);
void trainer_free_passes(Trainer *trainer);

// ---- trainer.c ----

/// Draw prompts → sample answers → measure H → loss → dL/dH → gradient: a step up to its update.
STATUS_CHECKED Status trainer_gradient(Trainer *trainer, StepReport *report);

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

/// Adds the member "settings": all that decides a run's numbers, by config key. Lengths of runs, micro batches and
/// where to save are not among them.
void settings_write(const Trainer *trainer, JsonWriter *json);
/// Compares saved settings with the trainer's. STATUS_INPUT names the first key that differs; `name` is the file of
/// the saved ones.
STATUS_CHECKED Status settings_compare(const Trainer *trainer, const cJSON *saved, const char *name);

// ---- report.c ----

/// Opens the sinks of metrics and samples.jsonl, cut to the steps that are done.
STATUS_CHECKED Status report_open(Trainer *trainer);
void report_close(Trainer *trainer);
STATUS_CHECKED Status report_step(Trainer *trainer, const StepReport *report);
/// What evaluation `index` of the job has found after the steps that are done.
STATUS_CHECKED Status report_evaluation(Trainer *trainer, size_t index, const MetricList *metrics);
/// Whether the run this one goes on from had reported it after the same step.
bool report_has_evaluation(const Trainer *trainer, size_t index);
/// What is being done now, on the live line.
void report_phase(Trainer *trainer, const char *phase);
/// Everything written is on the disk.
STATUS_CHECKED Status report_sync(Trainer *trainer);
