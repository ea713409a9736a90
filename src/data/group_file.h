// A group file in memory: words, how they are swapped, templates. docs/GROUPS.md describes the format.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/data.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <pcre2.h>

/// A list that conditions refer to: words, folded and sorted.
typedef struct WordList {
  const char *name; // borrowed from the JSON
  char **words;
  size_t count;
} WordList;

/// One row of counterparts: a word per group.
typedef struct SwapRow {
  const char *words[DATA_MAX_GROUPS]; // [groups], borrowed from the JSON
  int from; // the row replaces only this group's word; −1: the word of every group
  // The row applies only if a word follows that is in the list (next_in) or is not; list NULL: always.
  const WordList *list;
  bool next_in;
  bool unjoined;   // applies only if no hyphen is next to the word
  bool as_written; // a name: applies only to the file's capitals, or all capitals
} SwapRow;

/// A word that names a group.
typedef struct WordEntry {
  char *key;      // folded
  const char *as; // as the file writes it
  size_t order;   // in the file
  int group;
  const SwapRow *row; // NULL: the word has no counterpart
} WordEntry;

/// Templates of one prompt type: text of template t for group g at [t * groups + g].
typedef struct TemplateList {
  const char *type; // "default" serves every type without a list of its own
  const char **texts;
  size_t count;
} TemplateList;

struct GroupFile {
  char *path; // for messages
  cJSON *json;
  const char *attribute;
  size_t count; // G
  const char *names[DATA_MAX_GROUPS];
  WordList *lists;
  size_t list_count;
  SwapRow *rows;
  size_t row_count;
  WordEntry *entries; // sorted by key, then order; equal keys name the same group
  size_t entry_count, entry_capacity;
  TemplateList *templates;
  size_t template_count;
  const char *article, *vowel_article; // "a", "an"; NULL if the file has no "articles"
  pcre2_code *vowel;                   // matches a word that takes vowel_article
  pcre2_code *pattern;                 // any of the words, longest first
};

/// *out = the case-folded text, with every run of white space as one blank. Invalid UTF-8 or a blank text is
/// STATUS_INPUT.
STATUS_CHECKED Status word_fold(const char *text, size_t size, char **out);

/// Compiles `pattern` for text that may be invalid UTF-8. Messages begin with `where` (file and key).
STATUS_CHECKED Status pattern_compile(const char *pattern, uint32_t options, const char *where,
                                      pcre2_code **out);
/// *found = whether `pattern` matches anywhere in the text; STATUS_INPUT if that takes too many attempts.
STATUS_CHECKED Status pattern_matches(const pcre2_code *pattern, const char *text, size_t size, bool *found);

/// A group word in a text.
typedef struct WordHit {
  size_t start, end; // bytes
  const WordEntry *entry;
} WordHit;

typedef struct WordHits {
  WordHit *list;
  size_t count, capacity;
  bool named[DATA_MAX_GROUPS];
  bool unswappable; // one of the words has no counterpart
} WordHits;

/// Finds the group words of a text. Zero-initialise `out`. `list` has the hits of this text, in order and
/// without overlap; `named` and `unswappable` add up over calls.
STATUS_CHECKED Status words_find(const GroupFile *groups, const char *text, size_t size, WordHits *out);
void words_free(WordHits *hits);
/// Appends the text with each hit (of words_find on the same text) replaced by its counterpart in group
/// `target`.
STATUS_CHECKED Status words_swap(const GroupFile *groups, const char *text, size_t size, const WordHits *hits,
                                 size_t target, Str *out);
/// The templates for prompts of `type`; those of "default" if it has none. Never NULL once the file is
/// loaded.
const TemplateList *templates_for(const GroupFile *groups, const char *type);
