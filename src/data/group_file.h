// A group file in memory: words, how they are swapped, templates. docs/GROUPS.md has the format of the file.
#pragma once

#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/data.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <pcre2.h>

/// Words that conditions name, folded, sorted, NULL-terminated.
typedef struct WordList {
  const char *name; // borrowed from the JSON
  char **words;
  size_t count;
} WordList;

/// One row of counterparts: a word per group.
typedef struct SwapRow {
  const char *words[DATA_MAX_GROUPS]; // [groups], borrowed from the JSON
  int from;                           // the one group whose word the row replaces; −1: every group's
  const WordList *list;               // of the condition on the next word; NULL: none
  bool next_in;                       // the next word is in the list; false: there is one, and it is not
  bool unjoined;                      // not next to a hyphen
  bool as_written;                    // a name: capitals matter
} SwapRow;

/// A word that names a group: sorted by `key`, then by order in the file.
typedef struct WordEntry {
  char *key;      // folded
  const char *as; // as the file writes it
  size_t order;
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
  WordEntry *entries;
  size_t entry_count, entry_capacity;
  TemplateList *templates;
  size_t template_count;
  const char *article, *vowel_article; // "a", "an"; NULL where the file has no "articles"
  pcre2_code *vowel;                   // matches a word that wants vowel_article
  pcre2_code *pattern;                 // any of the words, longest first
};

/// *out = the case-folded text, every run of white space one blank. Invalid UTF-8 is STATUS_INPUT.
STATUS_CHECKED Status word_fold(const char *text, size_t size, char **out);

/// Compiles `pattern` for UTF-8 text that may be broken. `where` (file and key) stands in the message.
STATUS_CHECKED Status pattern_compile(const char *pattern, uint32_t options, const char *where,
                                      pcre2_code **out);
/// *found = whether `pattern` matches; a pattern that needs too long is STATUS_INPUT.
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
  bool unswappable; // a word without a counterpart is among them
} WordHits;

/// Finds the group words of a text. Zero-initialise `out`; calls add up, with hits of the last text in
/// `list`.
STATUS_CHECKED Status words_find(const GroupFile *groups, const char *text, size_t size, WordHits *out);
void words_free(WordHits *hits);
/// Appends the text with every hit replaced by its counterpart in group `target`.
STATUS_CHECKED Status words_swap(const GroupFile *groups, const char *text, size_t size, const WordHits *hits,
                                 size_t target, Str *out);
/// The templates for prompts of `type`.
const TemplateList *templates_for(const GroupFile *groups, const char *type);
