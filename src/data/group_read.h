// What the readers of the parts of a group file share. Messages name the file and the key.
#pragma once

#include "group_file.h"

enum { MAX_ROWS = 10000, MAX_WORDS = 20000, MAX_WORD_BYTES = 64 };

/// Refuses a key of `object` that is not among `known`, whose end is NULL.
STATUS_CHECKED Status group_check_keys(const GroupFile *g, const cJSON *object, const char *where,
                                       const char *const *known);
/// A text that is not empty and has at most `limit` bytes.
STATUS_CHECKED Status group_text(const GroupFile *g, const cJSON *value, const char *where, size_t limit,
                                 const char **out);
/// The index of a group by its name; −1 if there is none.
int group_index(const GroupFile *g, const char *name);
/// The list of "lists" that `name`, the value of the key `where`, names.
STATUS_CHECKED Status group_list(const GroupFile *g, const cJSON *name, const char *where,
                                 const WordList **out);
/// Adds a word; `group` and `row` as in WordEntry. A word that stands for two things is refused later.
STATUS_CHECKED Status group_add_word(GroupFile *g, const char *word, WordKind kind, int group,
                                     const SwapRow *row);
/// Reads "swaps" and "names".
STATUS_CHECKED Status group_read_rows(GroupFile *g);
