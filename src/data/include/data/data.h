// From files of prompts to balanced counterfactual sets: read → detect groups → expand → filter → balance → tokenise.
// The groups are data (configs/groups/*.json), never code.
#pragma once

#include "text/chat.h"
#include "text/tokenizer.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// How prompts become counterfactuals (config groups.counterfactual).
typedef enum Counterfactual {
  COUNTERFACTUAL_OFF,      // prompts as they are; those that name no group, or several, are left out
  COUNTERFACTUAL_SWAP,     // group words swapped; prompts that name none are left out
  COUNTERFACTUAL_TEMPLATE, // a template puts each group in front
  COUNTERFACTUAL_AUTO,     // swap where there are group words, else template
} Counterfactual;

typedef struct DataOptions {
  const char *train;  // data.train: a file; NULL with use_test_data
  const char *column; // data.column
  bool use_test_data; // synthetic prompts built in
  bool balance_dataset;
  size_t target_size;    // prompts kept after balancing, 0 = all
  const char *chat;      // auto | on | off: wrap in the chat template (auto: where the model has one)
  const char *system;    // system prompt, NULL = the template's own
  size_t max_prompt_tokens;
  const char *groups_file; // groups.file: gender | race | age, or a path to a .json
  Counterfactual counterfactual;
  uint64_t seed;
} DataOptions;

/// A group file, loaded.
typedef struct GroupFile GroupFile;
STATUS_CHECKED Status groups_load(const char *name_or_path, GroupFile **out);
void groups_free(GroupFile *groups);
size_t groups_count(const GroupFile *groups);
const char *groups_name(const GroupFile *groups, size_t group);     // "female"
const char *groups_attribute(const GroupFile *groups);              // "gender"

typedef struct Prompt {
  char *text;      // the user's words, before the chat template
  Tokens tokens;   // as the model sees it, generation prompt included
  int group;       // index into the group file
  int type;        // index into Dataset.types
  size_t set;      // prompts of one counterfactual set share it and differ in group
  size_t source;   // row of the input
} Prompt;

/// Counts after a stage of the pipeline, for `gee-cl data` and for errors.
typedef struct StageCount {
  const char *stage; // "read", "detect", "expand", "balance", …
  size_t prompts;
  size_t per_group[16];
} StageCount;

enum { DATA_MAX_GROUPS = 16, DATA_MAX_STAGES = 8, DATA_MAX_TYPES = 16 };

typedef struct Dataset {
  Prompt *prompts; // ordered by set, then group
  size_t count;
  size_t sets;
  GroupFile *groups;
  const char *types[DATA_MAX_TYPES]; // "open", "factual", …
  size_t type_count;
  StageCount stages[DATA_MAX_STAGES];
  size_t stage_count;
} Dataset;

/// Runs the pipeline. STATUS_INPUT where a stage leaves a group empty: names the stage, the group and what to set.
STATUS_CHECKED Status dataset_build(const DataOptions *options, const Tokenizer *tokenizer, ChatFamily family,
                                    Dataset *out);
void dataset_free(Dataset *dataset);

/// Draws batches of prompts: balanced over groups, whole counterfactual sets together, an epoch's order shuffled by seed.
/// A pure function of (seed, cursor), so a resumed run draws the same.
typedef struct SamplerState {
  uint64_t cursor; // sets drawn so far
} SamplerState;
/// indices[count] = prompts of the next batch; `count` a multiple of the number of groups where sets are counterfactual.
/// The prompts of a set lie together. Short data repeats.
STATUS_CHECKED Status sampler_next(const Dataset *dataset, uint64_t seed, SamplerState *state, size_t count,
                                   size_t *indices);
