// Prompts before they are tokenised: chats read from a file, the groups they name, the sets they expand to.
#pragma once

#include "group_file.h"
#include "io/records.h"
#include "types.h"

/// What SourceRow.names is if a chat does not name exactly one group.
enum { NAMES_NONE = -1, NAMES_SEVERAL = -2 };

/// A row of the input and what was found in it.
typedef struct SourceRow {
  const Record *record;
  size_t last_user; // index of the last user message, the one to be answered
  size_t messages;  // last_user + 1: messages after it are ignored
  size_t number;    // in the file
  int names;        // a group, or one of the above
  bool swappable;   // names one group, as do all its messages, and each group word has a counterpart
  bool told;        // a message of the system names a group
  bool foreign;     // mostly in scripts that the group file has no words in
  size_t type;
  uint64_t key;     // equal for prompts that differ only in their group
  uint64_t written; // equal for the same words of the user
} SourceRow;

typedef struct SourceRows {
  Records records;
  ReadCounts counts;
  SourceRow *rows;
  size_t count;
} SourceRows;

/// A prompt in the making. Owns its messages and tokens.
typedef struct Draft {
  RecordMessage *messages;
  size_t count, last_user;
  Tokens tokens;   // empty without a tokenizer
  bool shortened;  // to max_prompt_tokens, in `messages` too
  size_t identity; // the same number for drafts that are equal to the model
  size_t likeness; // the same number for drafts that differ at most in blanks, case and Unicode form
  int group;
  size_t type, source;
  uint64_t key, written; // of its row
} Draft;

/// Drafts in sets of `per_set`, in order of row, then group.
typedef struct Drafts {
  Draft *list;
  size_t count, capacity;
  size_t per_set;    // groups where the sets are counterfactual, else 1
  size_t identities; // Draft.identity is less than that
  size_t likenesses; // Draft.likeness is less than that
} Drafts;

/// Reads the prompts. Skips rows without user text; STATUS_INPUT if no row has any.
STATUS_CHECKED Status rows_read(const DataOptions *options, SourceRows *out);
void rows_free(SourceRows *rows);
/// Fills names, swappable, told, foreign, type and key of every row.
STATUS_CHECKED Status rows_detect(const GroupFile *groups, const TypeRules *types, SourceRows *rows);
/// Makes drafts of the rows. Skips rows of which `how` makes none.
STATUS_CHECKED Status rows_expand(const GroupFile *groups, const TypeRules *types, Counterfactual how,
                                  const SourceRows *rows, Drafts *out);
/// Safe on a zeroed struct.
void drafts_free(Drafts *drafts);
/// Keeps the sets whose `keep` is true.
void drafts_keep_sets(Drafts *drafts, const bool *keep);
