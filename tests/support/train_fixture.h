// What tests of training share: a job on a tiny model with generated counterfactual prompts, and readers for
// the files it writes.
#pragma once

#include "support/ops_fixture.h"
// (ops_fixture.h includes what cmocka needs)
#include "train/train.h"

enum { TRAIN_SETS = 5, TRAIN_GROUPS = 2, TRAIN_PROMPT_TOKENS = 8 };

/// A job and everything it borrows. Fields of `job` may be changed between runs.
typedef struct TrainFixture {
  TrainJob job;
  Setting settings[3]; // the job's; one of them is used
  Dataset dataset;
  Prompt prompts[TRAIN_SETS * TRAIN_GROUPS];
  size_t set_start[TRAIN_SETS * TRAIN_GROUPS + 1];
  int32_t tokens[TRAIN_SETS * TRAIN_GROUPS][TRAIN_PROMPT_TOKENS];
  ModelFiles *files;
  ModelIdentity identity;
  char folder[256]; // a fresh one: output.save_root
} TrainFixture;

/// A paired LoRA job of 6 steps on tests/golden/<model>, with the run "run" in a fresh folder. `ops` may be a
/// plan.
void train_fixture_open(TrainFixture *fixture, const char *model, Ops *ops);
void train_fixture_close(TrainFixture *fixture);

/// Sets random adapters in the first slab, as after some training: with B = 0, the gradient of A would be 0.
void train_random_params(ParamSet *params);

/// "<folder>/<run>/<name>" in static memory, valid for the next three calls.
const char *train_path(const TrainFixture *fixture, const char *run, const char *name);
/// The lines of a run's file without their seconds_ fields. The caller frees them.
char *train_lines(const TrainFixture *fixture, const char *run, const char *name);
/// Number `key` of metrics line `index` (0: the first step); NaN if it is null.
double train_metric(const TrainFixture *fixture, const char *run, size_t index, const char *key);
/// Fails unless both files have the same bytes.
void train_same_file(const char *a, const char *b);
/// Fails unless two runs have the same metrics, samples, final weights and optimizer, bit for bit.
void train_same_run(const TrainFixture *a, const char *run_a, const TrainFixture *b, const char *run_b);
