// One regular expression for all words of a group file. Rule: at every place the longest word matches,
// whether its accents are written as parts of letters or behind them, and only where its borders fit.
//
// A word of a script with blanks (Latin, Cyrillic, Hangul, ...) has no word character next to it; the letters
// of a script without blanks are none, so that "Mary" is found in 她叫Mary吗. A word of a script without
// blanks (UNSPACED_CHARS) may stand anywhere. There only a character must not be torn apart: vowel signs and
// tone marks belong to the consonant before them, and Thai and Lao write some vowels before or after their
// consonant.
#include "group_file.h"
#include "scripts.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#define WORD_CHAR "(?![" UNSPACED_CHARS "])[\\p{L}\\p{M}\\p{N}_]"
static const char SPACED_START[] = "(?<!" WORD_CHAR ")", SPACED_END[] = "(?!" WORD_CHAR ")";
// Vowels that are written before their consonant (Thai, Lao), signs that join the next one (Khmer, Myanmar);
// then vowels that are written after it.
static const char UNSPACED_START[] = "(?<![เแโใไເແໂໃໄ\\x{17D2}\\x{1039}])",
                  UNSPACED_END[] = "(?![\\p{M}ะาำๅະາຳ])";

/// A word and which borders it has.
typedef struct Alternative {
  const char *key;
  bool spaced_start, spaced_end;
} Alternative;

static int by_length(const void *a, const void *b) {
  const Alternative *x = a, *y = b;
  size_t n = strlen(x->key), m = strlen(y->key);
  return n != m ? (n < m ? 1 : -1) : strcmp(x->key, y->key);
}

static Status append_quoted(Str *pattern, const char *word) {
  for (const char *c = word; *c != '\0'; c++) {
    bool plain = ((unsigned char)*c & 0x80) != 0 || (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');
    if (*c == ' ') {
      TRY(str_append_text(pattern, "\\s++"));
      continue;
    }
    if (!plain) TRY(str_append(pattern, "\\", 1));
    TRY(str_append(pattern, c, 1));
  }
  return STATUS_OK;
}

/// Fills the borders of `count` words from the script of their first and last characters.
static Status find_borders(Alternative *words, size_t count) {
  pcre2_code *first = NULL, *last = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(pattern_compile("^[" UNSPACED_CHARS "]", 0, "the start of a word", &first));
  TRY_CLEAN(pattern_compile("[" UNSPACED_CHARS "]\\p{M}*$", 0, "the end of a word", &last));
  for (size_t i = 0; i < count; i++) {
    bool unspaced = false;
    TRY_CLEAN(pattern_matches(first, words[i].key, strlen(words[i].key), &unspaced));
    words[i].spaced_start = !unspaced;
    TRY_CLEAN(pattern_matches(last, words[i].key, strlen(words[i].key), &unspaced));
    words[i].spaced_end = !unspaced;
  }
cleanup:
  pcre2_code_free(first);
  pcre2_code_free(last);
  return status;
}

static bool same_borders(const Alternative *a, const Alternative *b) {
  return a->spaced_start == b->spaced_start && a->spaced_end == b->spaced_end;
}

/// Appends words[0, count), which have the same borders.
static Status append_words(const Alternative *words, size_t count, Str *pattern) {
  TRY(str_append_text(pattern, words->spaced_start ? SPACED_START : UNSPACED_START));
  TRY(str_append_text(pattern, "(?:"));
  for (size_t i = 0; i < count; i++) {
    if (i > 0) TRY(str_append_text(pattern, "|"));
    TRY(append_quoted(pattern, words[i].key));
  }
  TRY(str_append_text(pattern, ")"));
  return str_append_text(pattern, words->spaced_end ? SPACED_END : UNSPACED_END);
}

/// Borders are written once for a run of words that share them, and not for every word: a file has thousands.
static Status append_runs(const Alternative *words, size_t count, Str *pattern) {
  for (size_t start = 0, end; start < count; start = end) {
    for (end = start + 1; end < count && same_borders(&words[start], &words[end]);) end++;
    if (start > 0) TRY(str_append_text(pattern, "|"));
    TRY(append_words(words + start, end - start, pattern));
  }
  return STATUS_OK;
}

/// *out = the word with its accents as characters of their own, in fresh memory; NULL if that changes
/// nothing.
static Status decompose(const char *key, char **out) {
  utf8proc_uint8_t *text = NULL;
  utf8proc_ssize_t size =
      utf8proc_map((const utf8proc_uint8_t *)key, 0, &text,
                   (utf8proc_option_t)(UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
  *out = NULL;
  if (size < 0) return status_fail(STATUS_FAILED, "a group word: %s", utf8proc_errmsg(size));
  if (strcmp((const char *)text, key) != 0)
    *out = (char *)text;
  else
    free(text);
  return STATUS_OK;
}

Status word_pattern(const WordEntry *entries, size_t count, const char *path, pcre2_code **out) {
  Alternative *words = NULL; // borrows the entries' keys, and those of `decomposed`
  char **decomposed = NULL;
  size_t words_count = 0, decomposed_count = 0;
  Str pattern = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&words, 2 * count, "group words")); // count <= MAX_WORDS
  TRY_CLEAN(mem_array(&decomposed, count, "group words"));
  for (size_t i = 0; i < count; i++) { // sorted by key
    if (i > 0 && strcmp(entries[i].key, entries[i - 1].key) == 0) continue;
    words[words_count++].key = entries[i].key;
    TRY_CLEAN(decompose(entries[i].key, &decomposed[decomposed_count]));
    if (decomposed[decomposed_count] != NULL) words[words_count++].key = decomposed[decomposed_count++];
  }
  TRY_CLEAN(find_borders(words, words_count));
  qsort(words, words_count, sizeof *words, by_length);
  TRY_CLEAN(append_runs(words, words_count, &pattern));
  TRY_CLEAN(pattern_compile(str_text(&pattern), PCRE2_CASELESS, path, out));
  (void)pcre2_jit_compile(*out, PCRE2_JIT_COMPLETE); // ten times as fast; matches are the same without it
cleanup:
  for (size_t i = 0; i < decomposed_count; i++) free(decomposed[i]);
  free(decomposed);
  free(words);
  str_free(&pattern);
  return status;
}
