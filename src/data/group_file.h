// A group file in memory: words, how they are swapped, templates. docs/GROUPS.md describes the format.
#pragma once

#include "data/data.h"
#include "pattern.h"
#include "util/str.h"
#include <cjson/cJSON.h>

/// A list that conditions refer to: words, folded and sorted. "*ly" stands for every word that ends so, "#"
/// for every number, "^it" for "IT" beside a group word that is not in capitals, and "." for no word at all.
typedef struct WordList {
  const char *name; // borrowed from the JSON
  char **words;
  size_t count;
} WordList;

/// Where a condition looks: the word before a group word, the one after it, and the one after that.
typedef enum Place { PLACE_PREVIOUS, PLACE_NEXT, PLACE_SECOND, PLACES } Place;

enum { CONDITION_LISTS = 8 };

/// A word is there and is in one of the lists (`in`), or is there and is in none; no lists: always true.
typedef struct RowCondition {
  const WordList *lists[CONDITION_LISTS];
  size_t count;
  bool in;
} RowCondition;

/// One row of counterparts: a word per group.
typedef struct SwapRow {
  const char *words[DATA_MAX_GROUPS]; // [groups], borrowed from the JSON
  int from;                  // the row replaces only this group's word; −1: the word of every group
  RowCondition near[PLACES]; // the row applies only if all of them hold
  bool keep;                 // where the row applies, its words name their groups but are not swapped
  bool before_name;          // applies only if the next word may be a name: a title
  bool unjoined;             // applies only if no hyphen is next to the word
  bool as_written;           // a name: applies only to the file's capitals, or all capitals
} SwapRow;

/// What a word of the file tells of a prompt.
typedef enum WordKind {
  WORD_SWAPS,    // names a group and has counterparts
  WORD_NAMES,    // names a group and has no counterpart
  WORD_NEUTRAL,  // names no group, although a word that does is a part of it ("grandmaster", 其他)
  WORD_DOUBTFUL, // may name a group or not: alone it names none, but no prompt that has it is swapped
  WORD_PARTNER,  // names no group, but a word is swapped to it ("actor"): not where both are in a prompt
} WordKind;

/// A word of the file.
typedef struct WordEntry {
  char *key;      // folded
  const char *as; // as the file writes it
  size_t order;   // in the file
  WordKind kind;
  int group;          // −1 if it names none
  const SwapRow *row; // that the word is from; NULL for the words of other lists
} WordEntry;

/// Templates of one prompt type: text of template t for group g at [t * groups + g].
typedef struct TemplateList {
  const char *type; // "default" serves every type without a list of its own
  const char **texts;
  size_t count;
} TemplateList;

struct GroupFile {
  char *path; // for messages
  bool built_in;
  cJSON *json;
  const char *attribute;
  const char *language; // a BCP 47 tag ("en", "zh-Hant"); NULL if the file does not say
  size_t count;         // G
  const char *names[DATA_MAX_GROUPS];
  WordList *lists;
  size_t list_count;
  SwapRow *rows;
  size_t row_count;
  WordEntry *entries; // sorted by key, then order; equal keys have the same kind or name the same group
  size_t entry_count, entry_capacity;
  TemplateList *templates;
  size_t template_count;
  const WordList *joins;               // words that join two others ("and"), or NULL
  const WordList *common;              // words that are no part of names; NULL: names are not looked for
  const char *article, *vowel_article; // "a", "an"; NULL if the file has no "articles"
  pcre2_code *vowel;                   // matches a word that takes vowel_article
  pcre2_code *pattern;                 // any of the words, longest first
  pcre2_code *script_runs;             // for scripts_count
  uint64_t scripts;                    // bit s: a word or a template has letters of script s
};

/// *out = the case-folded text in Unicode's composed form, with every run of white space as one blank and
/// none at the ends. Invalid UTF-8 is STATUS_INPUT.
STATUS_CHECKED Status text_fold(const char *text, size_t size, char **out);
/// The same for a word: a blank text is STATUS_INPUT too.
STATUS_CHECKED Status word_fold(const char *text, size_t size, char **out);

/// Whether the list has the word, which word_fold made.
bool word_list_has(const WordList *list, const char *folded);

/// *out = one pattern for all `count` entries, whatever their kind.
STATUS_CHECKED Status word_pattern(const WordEntry *entries, size_t count, const char *path,
                                   pcre2_code **out);

/// A group word in a text.
typedef struct WordHit {
  size_t start, end; // bytes
  const WordEntry *entry;
} WordHit;

typedef struct WordHits {
  WordHit *list;
  size_t count, capacity;
  bool named[DATA_MAX_GROUPS];
  bool unswappable; // one of the words has no counterpart, or is doubtful
} WordHits;

/// *out = whether the hit may mean something else where it stands: a part of a name, or an abbreviation.
/// False if the file does not ask for it ("proper_names").
STATUS_CHECKED Status word_use_doubtful(const GroupFile *g, const char *text, size_t size, const WordHit *hit,
                                        bool *out);
/// *out = whether a word that may be a name follows `at` on the line.
STATUS_CHECKED Status word_use_name_follows(const GroupFile *g, const char *text, size_t size, size_t at,
                                            bool *out);
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
