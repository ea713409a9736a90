// What the files of this room share. Rule: trainer.c holds the order of a step, and each other file one part
// of it. Between steps a run keeps TrainState and the tensors of the model and the optimizer, nothing else:
// that is what a checkpoint holds. The parts are passed what they use; only trainer.c and setup.c know
// Trainer.
//
//   setup.c       memory: model, passes, optimizer, host arrays
//   step_batch.c  prompts, answers, sequences, micro batches of one step
//   gradient.c    entropies, and the gradient in the parameters
//   optimizer.c   clipping, schedule, AdamW
//   checkpoint.c  step_N and final
//   resume.c      finding and reading them
//   settings.c    what must not change on a resume
//   report.c      metrics, samples.jsonl, results of evaluations, progress
//   drift.c       how far the mean entropy has moved
//   watch.c       warnings about steps that train nothing
//   target.c      when debias_only has what it wants
#pragma once

#include "checkpoint.h"
#include "gradient.h"
#include "report.h"
#include "target.h"
#include "watch.h"

typedef struct Trainer {
  const TrainJob *job;
  bool plan;                // on a plan Ops: everything is created and counted, nothing is computed
  SamplingOptions sampling; // the job's, with max_new_tokens cut to what fits a sequence
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
  char *last_saved;  // newest complete checkpoint, or NULL
  size_t saved_step; // its step; SIZE_MAX: none
  Report report;
  Watch watch;
} Trainer;

// ---- setup.c ----

/// Checks trainer->job and finds all sizes, without a device. Call trainer_free in any case, also after a
/// failure.
STATUS_CHECKED Status trainer_prepare(Trainer *trainer);
/// Loads the model and creates all memory of a run; call it after trainer_prepare.
STATUS_CHECKED Status trainer_create(Trainer *trainer);
void trainer_free(Trainer *trainer);
STATUS_CHECKED Status trainer_create_passes(Trainer *trainer);
void trainer_free_passes(Trainer *trainer);

// ---- trainer.c ----

/// A step up to its update: draw prompts → sample answers → measure H → loss → dL/dH → gradient.
STATUS_CHECKED Status trainer_gradient(Trainer *trainer, StepReport *report);
