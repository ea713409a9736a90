// From files of prompts to balanced counterfactual sets: read → detect groups → expand → split → balance →
// target → tokenise. The groups, the types and their rules are data (configs/groups/*.json,
// configs/types.json; docs/GROUPS.md has the format), never code. Everything is a pure function of the
// options and the files.
#pragma once

#include "text/chat.h"
#include "text/tokenizer.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DATA_MAX_GROUPS = 16, DATA_MAX_STAGES = 8, DATA_MAX_TYPES = 16 };

/// How prompts become counterfactuals (config groups.counterfactual).
typedef enum Counterfactual {
  COUNTERFACTUAL_OFF,      // prompts as they are; those that name no group, or several, are left out
  COUNTERFACTUAL_SWAP,     // group words swapped; prompts that name none, or several, are left out
  COUNTERFACTUAL_TEMPLATE, // a template puts each group in front
  COUNTERFACTUAL_AUTO,     // swap where one group is named, else template
} Counterfactual;

/// Which part of the data. Prompts of equal text are always on one side, and so is a whole counterfactual
/// set, so what is measured on DATA_HELD_OUT was not trained on. Depends on the seed and the prompts alone.
typedef enum DataSplit { DATA_ALL, DATA_TRAIN, DATA_HELD_OUT } DataSplit;

typedef struct DataOptions {
  const char *train;    // data.train: a file; unused with use_test_data
  const char *column;   // data.column; with use_test_data one of prompt, story, question, advice
  bool use_test_data;   // synthetic prompts built in: 80 occupations, in four wordings, one a column
  bool balance_dataset; // the same number of prompts per group
  size_t target_size;   // prompts kept after balancing (whole sets), 0 = all
  DataSplit split;
  float held_out;   // share of the distinct prompts that is held out; rounded, at least one stays in training
  const char *chat; // auto | on | off: wrap in the chat template (auto: where the model has one)
  const char *system; // system prompt where the data has none; NULL or empty = the template's own
  // longer user texts lose their end (as truncation in transformers does), the template never; 0: no limit
  size_t max_prompt_tokens;
  const char *groups_file; // groups.file: gender | race | age, or a path to a .json
  const char *types_file;  // prompt types: NULL or empty = built in, or a path to a .json
  Counterfactual counterfactual;
  uint64_t seed;
} DataOptions;

/// A group file, loaded.
typedef struct GroupFile GroupFile;
/// A built-in name (gender, race, age: embedded in the program) or a path. STATUS_INPUT names the file and
/// the key.
STATUS_CHECKED Status groups_load(const char *name_or_path, GroupFile **out);
/// Safe on NULL.
void groups_free(GroupFile *groups);
size_t groups_count(const GroupFile *groups);
const char *groups_name(const GroupFile *groups, size_t group); // "female"
const char *groups_attribute(const GroupFile *groups);          // "gender"

typedef struct Prompt {
  char *text; // the user's words (of a chat: the last user message), before the chat template, after the cut
  Tokens
      tokens; // as the model sees it, generation prompt included; empty where dataset_build had no tokenizer
  int group;  // index into the group file
  int type;   // index into Dataset.types
  size_t set; // prompts of one counterfactual set share it and differ in group
  size_t source;   // row of the input
  size_t distinct; // index of the first prompt of equal tokens (or text): what need be computed only once
} Prompt;

/// Counts after a stage of the pipeline, for `gee-cl data` and for errors.
typedef struct StageCount {
  // "read", "detect", "expand", "split", "balance", "target", "tokenise"; stages not asked for are left out
  const char *stage;
  size_t prompts;
  size_t per_group[DATA_MAX_GROUPS]; // from "detect" on
  size_t unnamed, several;           // at "detect": prompts that name no group, or more than one
} StageCount;

typedef struct Dataset {
  Prompt *prompts; // ordered by set, then group
  size_t count;
  size_t sets;
  size_t *set_start;   // [sets + 1] first prompt of each set
  bool counterfactual; // every set has one prompt of each group; else every set is one prompt
  GroupFile *groups;
  const char *types[DATA_MAX_TYPES]; // "math", "factual", "open": owned by the dataset
  size_t type_count;
  StageCount stages[DATA_MAX_STAGES];
  size_t stage_count;
  size_t shortened; // prompts cut to max_prompt_tokens
} Dataset;

/// Runs the pipeline. STATUS_INPUT where a stage leaves a group empty: names the stage, the group and what to
/// set. `tokenizer` NULL: leaves the tokens out (to look at data without a model).
STATUS_CHECKED Status dataset_build(const DataOptions *options, const Tokenizer *tokenizer, ChatFamily family,
                                    Dataset *out);
/// Safe on a zeroed struct and twice.
void dataset_free(Dataset *dataset);
/// Index of a prompt type by name; −1 where the dataset's types have none of that name (then Dataset.types
/// lists them).
int dataset_type(const Dataset *dataset, const char *name);

/// Draws batches of prompts: balanced over groups, whole counterfactual sets together, an epoch's order
/// shuffled by seed. A pure function of (seed, cursor), so a resumed run draws the same.
typedef struct SamplerState {
  uint64_t cursor; // sets drawn so far (without counterfactuals: times one prompt of each group was drawn)
} SamplerState;
/// indices[count] = prompts of the next batch, as count / groups sets, each ordered by group; without
/// counterfactuals a "set" is one prompt of each group, drawn independently. STATUS_INPUT where `count` is no
/// multiple of the number of groups. Short data repeats.
STATUS_CHECKED Status sampler_next(const Dataset *dataset, uint64_t seed, SamplerState *state, size_t count,
                                   size_t *indices);
