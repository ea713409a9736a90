// Words that stand for two groups in one phrase. Rule: swapping one of the two would say the other twice
// ("Black and Black people"), so such a text is not swapped.
//
// A row with a condition has the word of one group only where it counts: in "young and old people", "old"
// stands before a person and "young" does not. A word that does not count names its group all the same if
// "and" or a comma joins it to one that does, with few words between.
#include "word_pairs.h"

#include "chars.h"
#include "util/memory.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_GAP_WORDS = 4, MAX_GAP_BYTES = 64 };

Status word_pairs_begin(const GroupFile *g, WordPairs *out) {
  TRY(mem_array(&out->swapped, g->row_count + 1, "rows of a group file"));
  return mem_array(&out->partner, g->row_count + 1, "rows of a group file");
}

/// Whether what stands between two words joins them: a joining word or mark, and no end of a sentence.
static Status is_joint(const GroupFile *g, const char *gap, size_t size, bool *out) {
  size_t words = 0, bytes = 0, next = 0;
  bool joint = false;
  *out = false;
  if (size > MAX_GAP_BYTES) return STATUS_OK;
  for (size_t at = 0; at < size; at = next) {
    int32_t c = char_at(gap, size, at, &bytes);
    next = at + bytes;
    if (c > 0 && c < 0x80 && strchr(".!?;:\n\r", c) != NULL) return STATUS_OK;
    joint = joint || (c > 0 && c < 0x80 && strchr(",/&+", c) != NULL);
    if (!is_word_char(c)) continue;
    while (next < size && is_word_char(char_at(gap, size, next, &bytes))) next += bytes;
    char *word = NULL;
    TRY(word_fold(gap + at, next - at, &word));
    joint = joint || (g->joins != NULL && word_list_has(g->joins, word));
    free(word);
    words++;
  }
  *out = joint && words <= MAX_GAP_WORDS;
  return STATUS_OK;
}

/// Names the group of the stray word of two neighbours that are joined.
static Status see_joint(const GroupFile *g, const char *text, const WordHit *first, const WordHit *second,
                        const WordHit *stray, WordHits *out) {
  bool joint = false;
  if (first->entry == NULL || second->entry == NULL) return STATUS_OK;
  TRY(is_joint(g, text + first->end, second->start - first->end, &joint));
  if (!joint) return STATUS_OK;
  out->named[stray->entry->group] = true;
  out->unswappable = true;
  return STATUS_OK;
}

static void see_partner(const GroupFile *g, const WordEntry *first, WordPairs *pairs, WordHits *out) {
  for (const WordEntry *e = first; e < g->entries + g->entry_count && strcmp(e->key, first->key) == 0; e++) {
    size_t row = (size_t)(e->row - g->rows);
    pairs->partner[row] = true;
    out->unswappable = out->unswappable || pairs->swapped[row];
  }
}

Status word_pairs_see(const GroupFile *g, const char *text, const WordHit *word, bool stray, WordPairs *pairs,
                      WordHits *out) {
  if (word->entry->kind == WORD_PARTNER) {
    see_partner(g, word->entry, pairs, out);
  } else if (stray) {
    pairs->stray = *word;
    TRY(see_joint(g, text, &pairs->hit, word, word, out));
  } else if (word->entry->group >= 0) {
    pairs->hit = *word;
    TRY(see_joint(g, text, &pairs->stray, word, &pairs->stray, out));
    if (word->entry->kind != WORD_SWAPS) return STATUS_OK;
    size_t row = (size_t)(word->entry->row - g->rows);
    pairs->swapped[row] = true;
    out->unswappable = out->unswappable || pairs->partner[row];
  }
  return STATUS_OK;
}

void word_pairs_end(WordPairs *pairs) {
  free(pairs->swapped);
  free(pairs->partner);
  *pairs = (WordPairs){0};
}
