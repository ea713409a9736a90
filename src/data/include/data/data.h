// From files of prompts to balanced counterfactual sets: read → detect groups → expand → tokenise →
// split → balance → target → draw. The groups, the types and their rules are data (configs/groups/*.json,
// configs/types.json; docs/GROUPS.md has the format), never code. Everything is a pure function of the
// options and the files.
#pragma once

#include "text/chat.h"
#include "text/tokenizer.h"
#include "util/hash.h"
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

/// Which part of the data. Prompts that are alike are always on the same side, and so are the prompts of a
/// counterfactual set, so what is measured on DATA_HELD_OUT was not trained on. Depends only on the seed and
/// the prompts.
typedef enum DataSplit { DATA_ALL, DATA_TRAIN, DATA_HELD_OUT } DataSplit;

typedef struct DataOptions {
  const char *train; // data.train: a file; unused with use_test_data
  // data.column, or NULL; with use_test_data one of prompt, story, question, advice.
  const char *column;
  const char *answer_column;   // of examples_build: the column with the answers; NULL: those in the chats
  const char *fallback_column; // if `column` is NULL and the file has columns; NULL: "prompt"
  bool use_test_data;          // built-in synthetic prompts: 80 occupations in four wordings, one per column
  bool balance_dataset;        // the same number of prompts per group
  size_t target_size;          // prompts kept after balancing (whole sets), 0 = all
  size_t max_sets;             // sets kept at last, drawn by the seed, 0 = all
  DataSplit split;
  float held_out;     // share of the distinct sets held out; rounded, at least one stays in training
  const char *chat;   // auto | on | off: wrap in the chat template (auto: if the model has one)
  const char *system; // system prompt for data without one; NULL or empty = the template's own
  // Longer prompts lose the end of the user's text, as truncation in transformers does; the template is never
  // cut. 0 = no limit.
  size_t max_prompt_tokens;
  const char *groups_file; // groups.file: a built-in name, or a path to a .json
  const char *types_file;  // prompt types: NULL or empty = built in, or a path to a .json
  Counterfactual counterfactual;
  uint64_t seed;
} DataOptions;

/// A group file, loaded.
typedef struct GroupFile GroupFile;
/// A built-in name (gender, race, age, gender-zh, ...: embedded in the program) or a path. STATUS_INPUT names
/// the file and the key.
STATUS_CHECKED Status groups_load(const char *name_or_path, GroupFile **out);
/// Safe on NULL.
void groups_free(GroupFile *groups);
size_t groups_count(const GroupFile *groups);
const char *groups_name(const GroupFile *groups, size_t group); // "female"
const char *groups_attribute(const GroupFile *groups);          // "gender"
/// The language of the words and templates as a BCP 47 tag ("en", "zh"); NULL if the file does not say.
const char *groups_language(const GroupFile *groups);
/// Whether the file swaps words of a language in which articles, adjectives or verbs agree with the gender of
/// the person, so that a swapped word leaves the rest of the sentence wrong.
bool groups_swaps_break_agreement(const GroupFile *groups);

/// A message that the model sees before the user's words.
typedef struct PromptMessage {
  char *role, *content;
} PromptMessage;

typedef struct Prompt {
  PromptMessage *earlier; // the chat before `text`, the system message too
  size_t earlier_count;
  char *text;    // the user's words (in a chat: the last user message), cut to fit, without the chat template
  Tokens tokens; // what the model sees, generation prompt included; empty if dataset_build had no tokenizer
  int group;     // index into the group file
  int type;      // index into Dataset.types
  size_t set;    // shared by the prompts of one counterfactual set, which differ in group
  size_t source; // row of the input
  // Index of the first prompt with equal tokens (or text), so that equal prompts are computed once.
  size_t distinct;
  size_t alike; // index of the first prompt that is equal, or differs only in blanks, case or Unicode form
  // Hashes of the user's messages as they were written, and of all messages with their group words as those
  // of the first group. What is put around them (system prompt, templates) or cut changes neither.
  uint64_t written, key;
} Prompt;

/// Counts after a stage of the pipeline, for `gee-cl data` and for errors.
typedef struct StageCount {
  // "read", "detect", "expand", "tokenise", "split", "balance", "target" or "draw". Stages that were not
  // asked for have no entry.
  const char *stage;
  size_t prompts;
  size_t per_group[DATA_MAX_GROUPS]; // from "detect" on
  // At "detect": prompts that name no group; more than one; one, but with a word that cannot be swapped; and
  // prompts, whatever they name, that are mostly in scripts that the group file has no words in.
  size_t unnamed, several, unswappable, foreign;
  // At "detect": prompts that are not swapped and whose system message names a group: they get no template.
  size_t told;
} StageCount;

/// What was read, and what was left out.
typedef struct ReadCounts {
  size_t rows;            // of the file
  size_t empty;           // left out: without text
  size_t without_user;    // left out: chats without words of a user
  size_t answered;        // chats that go on after the user's last words, with what is left out
  size_t turns;           // lists of texts, read as turns of user and assistant
  size_t without_content; // messages that have none and are left out
} ReadCounts;

typedef struct Dataset {
  Prompt *prompts; // ordered by set, then group
  size_t count;
  size_t sets;
  size_t available;    // sets that max_sets drew from
  size_t *set_start;   // [sets + 1] first prompt of each set
  bool counterfactual; // every set has one prompt of each group; else every set is one prompt
  GroupFile *groups;
  const char *types[DATA_MAX_TYPES]; // "math", "factual", "open": owned by the dataset
  size_t type_count;
  StageCount stages[DATA_MAX_STAGES];
  size_t stage_count;
  ReadCounts read;
  size_t shortened; // prompts cut to max_prompt_tokens
  // Sets left out, as two of their groups have equal tokens (or texts): the gap of these is always 0.
  size_t equal_sets;
} Dataset;

/// Runs the pipeline. If a stage leaves a group empty, fails with STATUS_INPUT and names the stage, the group
/// and what to set. `tokenizer` NULL: prompts get no tokens (to look at data without a model).
STATUS_CHECKED Status dataset_build(const DataOptions *options, const Tokenizer *tokenizer,
                                    const ChatTemplate *template, Dataset *out);
/// Safe on a zeroed struct and twice.
void dataset_free(Dataset *dataset);
/// The number of prompts that differ from all before them.
size_t dataset_distinct(const Dataset *dataset);
/// The number of sets none of whose prompts is like one of an earlier set.
size_t dataset_distinct_sets(const Dataset *dataset);
/// *out = how many prompts of `dataset` have the tokens of a prompt of `other`, or come from the same
/// words of the user or from a text that differs only in its group.
STATUS_CHECKED Status dataset_overlap(const Dataset *dataset, const Dataset *other, size_t *out);
/// Of the prompts as a model sees them: tokens, groups, types, sets, and which prompts are equal.
uint64_t dataset_hash(const Dataset *dataset);
/// Whether the split of DATA_TRAIN left prompts for DATA_HELD_OUT.
bool dataset_holds_out(const Dataset *dataset);
/// Index of a prompt type by name; −1 if the dataset has no type of that name (Dataset.types lists those it
/// has).
int dataset_type(const Dataset *dataset, const char *name);

/// A file that prompts are made from, of the user's or built into the program.
typedef struct DataSource {
  const char *what; // "prompts", "groups" or "types"
  const char *path; // of what is built in its name below configs/
  bool built_in;
  char sha256[SHA256_TEXT]; // of its bytes
} DataSource;
typedef Status (*DataSourceVisit)(void *user, const DataSource *source);
/// Passes on the files that dataset_build reads, in the order of `what`.
STATUS_CHECKED Status data_list_sources(const DataOptions *options, DataSourceVisit visit, void *user);
/// STATUS_INPUT if there is no such file, or this program has none of that name built in.
STATUS_CHECKED Status data_source_sha256(const char *path, bool built_in, char out[SHA256_TEXT]);

/// Draws batches of prompts: balanced over groups, whole counterfactual sets together, an epoch's order
/// shuffled by seed. A pure function of (seed, cursor), so a resumed run draws the same.
typedef struct SamplerState {
  // Sets drawn so far; without counterfactuals, how often one prompt of each group was drawn.
  uint64_t cursor;
} SamplerState;
/// indices[count] = prompts of the next batch, as count / groups sets, each ordered by group; without
/// counterfactuals a "set" is one prompt of each group, drawn independently. STATUS_INPUT if `count` is not a
/// multiple of the number of groups. When the sets run out, a new epoch begins, in the same batch if need be.
STATUS_CHECKED Status sampler_next(const Dataset *dataset, uint64_t seed, SamplerState *state, size_t count,
                                   size_t *indices);
