// Checkpoints: written by checkpoint.c, found and read back by resume.c.
//
//   step_N/   adapter_config.json, adapter_model.safetensors   or, fully trained, a Hugging Face folder
//             optimizer.safetensors                            AdamW's m and v
//             trainer_state.json                               TrainState, the settings of the run, and the
//                                                              SHA-256 of the files above (bound_files.h)
//             config.ini                                       the config as run
//   final/    the same, and for those who use it its tokenizer and README.md
//             adapter_base.json                                for an adapter: the model it was made for
//             (identity.h)
#pragma once

#include "data/data.h"
#include "drift.h"
#include "optimizer.h"
#include "settings.h"
#include "train/bound_files.h"

#define CHECKPOINT_STATE     BOUND_FILES_STATE
#define CHECKPOINT_OPTIMIZER "optimizer.safetensors"
#define CHECKPOINT_TREND     "gap_trend"
#define CHECKPOINT_DRIFT     "entropy_drift"
#define CHECKPOINT_FORMAT    "gee-cl training state 3"

/// What a run keeps between steps besides tensors. Random numbers are functions of (seed, step, …), so they
/// need no state.
typedef struct TrainState {
  size_t step;          // steps done
  SamplerState data;    // where the next batch is drawn from
  GapTrend trend;       // for annealing
  Drift drift;          // of the mean entropy
  size_t within;        // debias_only: measurements in a row within target_gap
  int64_t judged;       // step of the last measurement counted there; −1: none
  size_t extended_from; // max_steps before the last --extend; 0: never extended
} TrainState;

/// What a checkpoint holds; all borrowed.
typedef struct Checkpoint {
  Model *model;
  const Optimizer *optimizer;
  const TrainState *state;
  const Settings *settings;
  const char *model_path;    // the model that is trained
  const char *tokenizer_of;  // path of the model whose tokenizer is saved too; NULL: none
  const char *card;          // README.md; NULL: none
  const ModelIdentity *base; // what an adapter is made for; NULL: the whole model is saved
  const char *config_text;   // NULL: no config.ini
} Checkpoint;

// ---- checkpoint.c ----

/// Writes folder/`name`, completely or not at all. *path = folder/name; the caller frees it.
STATUS_CHECKED Status checkpoint_save(const Checkpoint *checkpoint, const char *folder, const char *name,
                                      char **path);

// ---- resume.c ----

/// Puts right or removes what a killed process left of checkpoints that it was writing. Nobody may be writing
/// there.
STATUS_CHECKED Status checkpoint_recover(const char *folder);
/// *path = the run's newest checkpoint, or NULL if it has none; the caller frees it. With `warn`, checkpoints
/// that cannot be read are logged.
STATUS_CHECKED Status checkpoint_find(const char *folder, bool warn, char **path);
/// *path = the newest checkpoint of fewer than `before` steps whose mean entropy is good (drift_is_good) by
/// `max_drift`, or NULL if there is none; the caller frees it. Those that cannot be read are passed over.
STATUS_CHECKED Status checkpoint_find_good(const char *folder, size_t before, double max_drift, char **path);
/// Reads the state of a checkpoint. It must have been made with these settings; if they extend, its
/// SETTING_EXTENDS must be smaller. Its files must be those that were saved with it. STATUS_INPUT names the
/// key that differs, the unknown format, or the file.
STATUS_CHECKED Status checkpoint_read(const char *path, Settings *settings, TrainState *state);
/// Restores the tensors, and logs the settings that make this run round differently than the checkpoint's run
/// did.
STATUS_CHECKED Status checkpoint_load(const char *path, const Settings *settings, Model *model,
                                      Optimizer *optimizer);
