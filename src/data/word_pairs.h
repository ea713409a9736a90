// Words that stand for two groups in one phrase: "Black and white people", "actors and actresses".
#pragma once

#include "group_file.h"

/// What has been seen of a text.
typedef struct WordPairs {
  bool *swapped, *partner; // [rows] a word of the row is swapped; the word it would become is in the text
  WordHit hit, stray;      // the last of each; `entry` NULL: none yet
} WordPairs;

STATUS_CHECKED Status word_pairs_begin(const GroupFile *g, WordPairs *out);
/// Looks at the next word of a text, in order. `stray`: none of the conditions of its rows holds. Where it
/// makes a swap wrong, sets out->unswappable, and names the group of a stray word that is joined to one that
/// counts.
STATUS_CHECKED Status word_pairs_see(const GroupFile *g, const char *text, const WordHit *word, bool stray,
                                     WordPairs *pairs, WordHits *out);
/// Safe on a zeroed struct.
void word_pairs_end(WordPairs *pairs);
