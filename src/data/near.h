// The words next to a group word, for the conditions of a row.
#pragma once

#include "group_file.h"

/// The folded word at each Place. Where there is none, "." (the line or the sentence begins or ends, or a
/// punctuation mark stands there); a sign of its own such as "/" or "&" is a word; a currency sign is "#".
typedef struct NearWords {
  char *words[PLACES];   // NULL: not looked at yet
  bool capitals[PLACES]; // the word is written in capitals, and the group word is not
} NearWords;

/// *holds = whether the row's conditions on the words next to text[start, end) are true. `near` is filled
/// when it is needed: zero-initialise it for each group word, and call near_free.
STATUS_CHECKED Status near_holds(const SwapRow *row, const char *text, size_t size, size_t start, size_t end,
                                 NearWords *near, bool *holds);
/// Safe on a zeroed struct.
void near_free(NearWords *near);
