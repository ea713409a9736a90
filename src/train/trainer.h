// What the files of this room share. Rule: trainer.c holds the order of a step, and each other file one part
// of it. Between steps a run keeps TrainState and the tensors of the model and the optimizer, nothing else:
// that is what a checkpoint holds. The parts are passed what they use; only trainer.c and setup.c know
// Trainer.
//
//   setup.c       memory: model, passes, optimizer
//   gee.c, sft.c  what a step does, and its sizes: an Objective each
//   given_batch.c examples and micro batches of one step of sft
//   step_batch.c  prompts, answers, sequences, micro batches of one step
//   gradient.c    entropies, and the gradient in the parameters
//   divergence.c  which distributions are compared
//   optimizer.c   clipping, schedule, AdamW
//   checkpoint.c  step_N and final
//   resume.c      finding and reading them
//   bound_files.c which files belong to a checkpoint
//   start.c       the folder of a run, its lock, and where it begins
//   settings.c    what must not change on a resume
//   report.c      metrics, samples.jsonl, results of evaluations, progress
//   drift.c       how far the mean entropy has moved
//   run_record.c  run.json: what the run was made with, and when
//   watch.c       warnings about steps that train nothing
//   target.c      when debias_only has what it wants
#pragma once

#include "checkpoint.h"
#include "given_batch.h"
#include "gradient.h"
#include "io/file.h"
#include "report.h"
#include "run_record.h"
#include "target.h"
#include "watch.h"

typedef struct Trainer Trainer;

/// What a run trains for (train.objective): how a step comes to its gradient, and what of it is kept and
/// told. Everything else is the same for all.
typedef struct Objective {
  /// Checks the job, and finds the sizes of all memory, without a device.
  Status (*prepare)(Trainer *trainer);
  /// Creates what a step needs besides the passes.
  Status (*create)(Trainer *trainer);
  /// A step up to its update.
  Status (*gradient)(Trainer *trainer, StepReport *report);
  /// Takes the step, whose update is done, into the state, and reports it.
  Status (*advance)(Trainer *trainer, StepReport *report);
} Objective;
extern const Objective objective_gee, objective_sft;

enum { TRAINER_TILE_ROWS = 128 }; // of the head, if train.head_tile_rows is 0

struct Trainer {
  const TrainJob *job;
  const Objective *objective;
  bool plan;                // on a plan Ops: everything is created and counted, nothing is computed
  SamplingOptions sampling; // the job's, with max_new_tokens cut to what fits a sequence
  AnswerLimit answers;      // why it is cut
  TypeWeights weights;
  Model *model;
  PassOptions sampling_options, training_options; // no rows to sample: no such pass
  Pass *sampling_pass, *training_pass;
  Optimizer optimizer;
  StepBatch batch;  // of gee
  GivenBatch given; // of sft
  TrainState state;
  Settings settings; // empty on a plan
  // while running
  char *folder;         // save_root/run_name
  FileLock lock;        // on the folder's RUN_LOCK
  char *last_saved;     // newest complete checkpoint, or NULL
  size_t saved_step;    // its step; SIZE_MAX: none
  bool finished_before; // the run had been finished when it was resumed
  Report report;
  RunRecord record;
  Watch watch;
};

// ---- setup.c ----

/// Checks trainer->job and finds all sizes, without a device. Call trainer_free in any case, also after a
/// failure.
STATUS_CHECKED Status trainer_prepare(Trainer *trainer);
/// Loads the model and creates all memory of a run; call it after trainer_prepare.
STATUS_CHECKED Status trainer_create(Trainer *trainer);
void trainer_free(Trainer *trainer);
STATUS_CHECKED Status trainer_create_passes(Trainer *trainer);
/// The divergences that the job's loss has.
Divergences trainer_divergences(const TrainJob *job);
void trainer_free_passes(Trainer *trainer);

// ---- start.c ----

/// In the folder of a run: held by the process that trains there.
#define RUN_LOCK "run.lock"

/// Sets trainer->folder. With --resume it must be there: STATUS_INPUT lists the runs that are.
STATUS_CHECKED Status start_find_folder(Trainer *trainer);
/// STATUS_INPUT if another process trains in the folder.
STATUS_CHECKED Status start_check_lock(const Trainer *trainer);
/// Creates the folder, takes its lock, and removes what a killed run left half written. STATUS_INPUT if
/// another process trains there.
STATUS_CHECKED Status start_lock(Trainer *trainer);
/// Finds sizes and settings, and reads the state of the checkpoint *found, or NULL if the run begins at
/// step 1. Creates and changes nothing. Refuses an earlier run without --resume, and one with other settings.
STATUS_CHECKED Status start_prepare(Trainer *trainer, bool warn, char **found);
/// Loads the tensors of the checkpoint `found`. Says so if the run was finished.
STATUS_CHECKED Status start_restore(Trainer *trainer, const char *found);

// ---- trainer.c ----

/// No step is left to do.
bool trainer_finished(const Trainer *trainer);
/// The drift that the run is judged by after its last step so far.
DriftEstimate trainer_drift(const Trainer *trainer);
/// The run has drifted too far.
bool trainer_drifts(const Trainer *trainer);
/// Appends the last good checkpoint to the message of a failure. One of this very step is not it: if numbers
/// have broken, its weights are those that broke them.
STATUS_CHECKED Status trainer_name_good_checkpoint(const Trainer *trainer, Status status);

// ---- gee.c ----

/// A step up to its update: draw prompts → sample answers → measure H → loss → dL/dH → gradient.
STATUS_CHECKED Status trainer_gradient(Trainer *trainer, StepReport *report);
/// What of it follows the answers in trainer->batch, which `sampled` has sampled and which are arranged.
STATUS_CHECKED Status trainer_differentiate(Trainer *trainer, const GenerateJob *sampled, LossResult *result);
