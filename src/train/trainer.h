// What the files of this room share. Rule: trainer.c holds the order of a step, and each other file one part
// of it; all that a run keeps between steps is TrainState and the model's and optimiser's tensors, which is
// what a checkpoint holds. The parts take what they use; only trainer.c and setup.c know a Trainer.
//
//   setup.c       memory: model, passes, optimiser, host arrays
//   step_batch.c  prompts, answers, sequences, micro batches of one step
//   gradient.c    entropies, and the gradient in the parameters
//   optimizer.c   clipping, schedule, AdamW
//   checkpoint.c  step_N and final
//   resume.c      the way back
//   settings.c    what must not change on it
//   report.c      metrics, samples.jsonl, what evaluations found, progress
#pragma once

#include "checkpoint.h"
#include "gradient.h"
#include "report.h"

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
  Settings settings; // empty on a plan
  // while running
  char *folder;      // save_root/run_name
  char *last_saved;  // newest whole checkpoint, or NULL
  size_t saved_step; // its step; SIZE_MAX: none
  Report report;
} Trainer;

// ---- setup.c ----

/// Checks trainer->job and finds the sizes of everything, without a device. `trainer` may be freed whatever
/// is returned.
STATUS_CHECKED Status trainer_prepare(Trainer *trainer);
/// After trainer_prepare: loads the model and creates all memory of a run.
STATUS_CHECKED Status trainer_create(Trainer *trainer);
void trainer_free(Trainer *trainer);
STATUS_CHECKED Status trainer_create_passes(Trainer *trainer);
void trainer_free_passes(Trainer *trainer);

// ---- trainer.c ----

/// Draw prompts → sample answers → measure H → loss → dL/dH → gradient: a step up to its update.
STATUS_CHECKED Status trainer_gradient(Trainer *trainer, StepReport *report);
