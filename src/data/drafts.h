// The pipeline's prompts before they are tokens: chats read from a file, the groups they name, the sets they
// expand to.
#pragma once

#include "group_file.h"
#include "io/records.h"
#include "types.h"

/// What a chat names.
enum { NAMES_NONE = -1, NAMES_SEVERAL = -2 };

/// A row of the input, its user text and what was found in it.
typedef struct SourceRow {
  const Record *record;
  size_t last_user; // index of the message that is asked
  size_t messages;  // up to and with it: answers after it are left out
  size_t number;    // in the file
  int names;        // a group, or one of the above
  bool swappable;   // names one group, and each of its group words has a counterpart
  size_t type;
  uint64_t key; // equal for prompts that differ in nothing but their group
} SourceRow;

typedef struct SourceRows {
  Records records;
  SourceRow *rows;
  size_t count;
} SourceRows;

/// A prompt of the pipeline. Owns its messages.
typedef struct Draft {
  RecordMessage *messages;
  size_t count, last_user;
  int group;
  size_t type, source;
  uint64_t key;
} Draft;

/// Drafts in sets of `per_set`, in order of row, then group.
typedef struct Drafts {
  Draft *list;
  size_t count, capacity;
  size_t per_set; // groups where the sets are counterfactual, else 1
} Drafts;

/// Reads the prompts. Rows without a user text are left out; none at all is STATUS_INPUT.
STATUS_CHECKED Status rows_read(const DataOptions *options, SourceRows *out);
void rows_free(SourceRows *rows);
/// Fills names, swappable, type and key of every row.
STATUS_CHECKED Status rows_detect(const GroupFile *groups, const TypeRules *types, SourceRows *rows);
/// Makes drafts of the rows as `how` says.
STATUS_CHECKED Status rows_expand(const GroupFile *groups, const TypeRules *types, Counterfactual how,
                                  const SourceRows *rows, Drafts *out);
/// Safe on a zeroed struct.
void drafts_free(Drafts *drafts);
/// Keeps the sets whose `keep` is true.
void drafts_keep_sets(Drafts *drafts, const bool *keep);
