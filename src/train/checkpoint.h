// Checkpoints: written by checkpoint.c, found and read back by resume.c.
//
//   step_N/   adapter_config.json, adapter_model.safetensors   or, fully trained, a Hugging Face folder
//             optimiser.safetensors                            m and v of AdamW
//             trainer_state.json                               TrainState and the settings of the run
//             config.ini                                       as run
#pragma once

#include "data/data.h"
#include "optimizer.h"
#include "settings.h"

#define CHECKPOINT_STATE     "trainer_state.json"
#define CHECKPOINT_OPTIMISER "optimiser.safetensors"
#define CHECKPOINT_FORMAT    "gee-cl training state 2"

/// What a run keeps between steps besides tensors. Random numbers are functions of (seed, step, …): nothing
/// to keep.
typedef struct TrainState {
  size_t step;          // steps done
  SamplerState data;    // where the next batch is drawn
  double first_gap;     // the first measured gap, for annealing; < 0: none yet
  size_t streak;        // debias_only: steps in a row under target_gap
  size_t extended_from; // max_steps before the last --extend; 0: never extended
} TrainState;

/// What a checkpoint holds; all borrowed.
typedef struct Checkpoint {
  Model *model;
  const Optimizer *optimizer;
  const TrainState *state;
  const Settings *settings;
  const char *tokenizer_of; // the model whose tokenizer goes with fully trained weights; NULL: none
  const char *config_text;  // NULL: no config.ini
} Checkpoint;

// ---- checkpoint.c ----

/// Writes folder/`name` whole or not at all. *path = folder/name; the caller frees it.
STATUS_CHECKED Status checkpoint_save(const Checkpoint *checkpoint, const char *folder, const char *name,
                                      char **path);

// ---- resume.c ----

/// *path = the newest checkpoint of the run, NULL where there is none; the caller frees it. `warn` logs what
/// is passed over.
STATUS_CHECKED Status checkpoint_find(const char *folder, bool warn, char **path);
/// Reads the state of a checkpoint that was made with these settings; with `extend`, with a smaller
/// SETTING_EXTENDS. STATUS_INPUT names the key that differs, or the format where it is another.
STATUS_CHECKED Status checkpoint_read(const char *path, const Settings *settings, bool extend,
                                      TrainState *state);
/// Restores the tensors, and logs which settings round otherwise than those of the checkpoint.
STATUS_CHECKED Status checkpoint_load(const char *path, const Settings *settings, Model *model,
                                      Optimizer *optimizer);
