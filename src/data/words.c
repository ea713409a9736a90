// Finding group words and replacing them by their counterparts. Rule: everything but group words and articles
// in front of them is copied byte for byte. What carries it: hits are byte ranges [start, end) of the text,
// in order, never empty and never overlapping, and both ends lie between characters. So the text is copied in
// the gaps between hits, each byte once.
#include "chars.h"
#include "group_file.h"
#include "near.h"
#include "word_pairs.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static Status append_char(Str *out, int32_t c) {
  utf8proc_uint8_t bytes[4];
  utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);
  return str_append(out, (const char *)bytes, (size_t)size);
}

Status text_fold(const char *text, size_t size, char **out) {
  utf8proc_uint8_t *folded = NULL;
  utf8proc_ssize_t length =
      utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &folded,
                   (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
  if (length == UTF8PROC_ERROR_NOMEM) return status_fail(STATUS_FAILED, "out of memory for a word");
  if (length < 0) return status_fail(STATUS_INPUT, "a word is not valid UTF-8");
  size_t to = 0;
  bool space = false;
  for (size_t at = 0; at < (size_t)length;) {
    size_t bytes = 0;
    if (is_space(char_at((const char *)folded, (size_t)length, at, &bytes))) {
      space = to > 0;
    } else {
      if (space) folded[to++] = ' ';
      space = false;
      // In place: `to` <= `at`, because the blank just written replaces at least one byte that was read.
      memmove(folded + to, folded + at, bytes);
      to += bytes;
    }
    at += bytes;
  }
  Status status = str_copy(out, (const char *)folded, to);
  free(folded);
  return status;
}

Status word_fold(const char *text, size_t size, char **out) {
  TRY(text_fold(text, size, out));
  if (**out != '\0') return STATUS_OK;
  free(*out);
  *out = NULL;
  return status_fail(STATUS_INPUT, "a word is blank");
}

static int by_word(const void *key, const void *entry) {
  return strcmp(key, *(char *const *)entry);
}

bool word_list_has(const WordList *list, const char *folded) {
  size_t size = strlen(folded);
  // '#' and '*' are less than any letter, so what is not a plain word stands first.
  for (size_t i = 0; i < list->count && list->words[i][0] <= '*'; i++) {
    const char *word = list->words[i], *suffix = word + 1;
    if (strcmp(word, "#") == 0 && folded[0] >= '0' && folded[0] <= '9') return true;
    if (word[0] == '*' && size > strlen(suffix) && str_ends(folded, suffix)) return true;
  }
  return bsearch(folded, list->words, list->count, sizeof *list->words, by_word) != NULL;
}

/// Any case will do, but a name must have the file's capitals or be all capitals (at least three bytes: "MS"
/// is not Ms).
static bool case_fits(const WordEntry *entry, const char *word, size_t size) {
  if (entry->row == NULL || !entry->row->as_written) return true;
  if (strlen(entry->as) == size && memcmp(entry->as, word, size) == 0) return true;
  return size >= 3 && all_capitals(word, size);
}

static bool next_to_hyphen(const char *text, size_t size, size_t start, size_t end) {
  size_t bytes = 0;
  return (start > 0 && is_hyphen(char_before(text, start, &bytes))) ||
         (end < size && is_hyphen(char_at(text, size, end, &bytes)));
}

/// The index of the first entry with the key `key`, or of the first after it.
static size_t first_entry(const GroupFile *g, const char *key) {
  size_t low = 0, high = g->entry_count;
  while (low < high) { // entries before `low` have smaller keys, those from `high` on do not
    size_t middle = low + (high - low) / 2;
    if (strcmp(g->entries[middle].key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static Status entry_applies(const GroupFile *g, const WordEntry *entry, const char *text, size_t size,
                            const WordHit *hit, NearWords *near, bool *applies) {
  const SwapRow *row = entry->row;
  *applies = true;
  if (row == NULL || entry->kind == WORD_PARTNER) return STATUS_OK;
  *applies = !row->unjoined || !next_to_hyphen(text, size, hit->start, hit->end);
  if (*applies && row->before_name) TRY(word_use_name_follows(g, text, size, hit->end, applies));
  return *applies ? near_holds(row, text, size, hit->start, hit->end, near, applies) : STATUS_OK;
}

/// hit->entry = the first entry for the hit's word, in the file's order, whose conditions hold. If none does,
/// *stray = true, and it is the first whose case fits; NULL if there is none.
static Status choose_entry(const GroupFile *g, const char *text, size_t size, WordHit *hit, bool *stray) {
  char *key = NULL;
  NearWords near = {0};
  Status status = STATUS_OK;
  bool applies = false;
  hit->entry = NULL;
  TRY_CLEAN(word_fold(text + hit->start, hit->end - hit->start, &key));
  for (size_t i = first_entry(g, key); i < g->entry_count && strcmp(g->entries[i].key, key) == 0; i++) {
    const WordEntry *entry = &g->entries[i];
    if (!case_fits(entry, text + hit->start, hit->end - hit->start)) continue;
    if (hit->entry == NULL) hit->entry = entry;
    TRY_CLEAN(entry_applies(g, entry, text, size, hit, &near, &applies));
    if (applies) hit->entry = entry;
    if (applies) break;
  }
  *stray = !applies;
cleanup:
  near_free(&near);
  free(key);
  return status;
}

/// Counts a word whose conditions hold, and which has the meaning that the file gives it.
static Status add_hit(const WordHit *hit, WordHits *out) {
  WordKind kind = hit->entry->kind;
  out->unswappable = out->unswappable || kind == WORD_NAMES || kind == WORD_DOUBTFUL;
  if (hit->entry->group < 0) return STATUS_OK;
  TRY(mem_reserve(&out->list, &out->capacity, out->count + 1, "group words of a prompt"));
  out->list[out->count++] = *hit;
  out->named[hit->entry->group] = true;
  return STATUS_OK;
}

Status words_find(const GroupFile *groups, const char *text, size_t size, WordHits *out) {
  PatternSearch search = {0};
  WordPairs pairs = {0};
  Status status = STATUS_OK;
  out->count = 0;
  TRY_CLEAN(word_pairs_begin(groups, &pairs));
  TRY_CLEAN(pattern_search_begin(groups->pattern, &search));
  for (size_t at = 0; at <= size;) {
    bool found = false, stray = false, doubtful = false;
    TRY_CLEAN(pattern_search_from(&search, text, size, at, &found));
    if (!found) break;
    WordHit hit = {search.span[0], search.span[1], NULL};
    TRY_CLEAN(choose_entry(groups, text, size, &hit, &stray));
    at = hit.end; // > hit.start, because keys are never empty: the loop ends, and hits do not overlap
    if (hit.entry == NULL) continue;
    TRY_CLEAN(word_pairs_see(groups, text, &hit, stray, &pairs, out));
    if (stray) continue;
    if (hit.entry->group >= 0) TRY_CLEAN(word_use_doubtful(groups, text, size, &hit, &doubtful));
    out->unswappable = out->unswappable || doubtful;
    if (!doubtful) TRY_CLEAN(add_hit(&hit, out));
  }
cleanup:
  word_pairs_end(&pairs);
  pattern_search_end(&search);
  return status;
}

void words_free(WordHits *hits) {
  free(hits->list);
  *hits = (WordHits){0};
}

/// Appends `text` with its first `limit` characters in upper case.
static Status append_upper(Str *out, const char *text, size_t limit) {
  size_t size = strlen(text), bytes = 0, done = 0;
  for (size_t at = 0; at < size; at += bytes, done++) {
    int32_t c = char_at(text, size, at, &bytes);
    if (done < limit)
      TRY(append_char(out, utf8proc_toupper(c)));
    else
      TRY(str_append(out, text + at, bytes));
  }
  return STATUS_OK;
}

/// Appends the counterpart `to` with the capitals that the hit has and the file's spelling of its word does
/// not. A word with a capital in the file too ("Ms.") says nothing of the case, unless it begins a sentence.
static Status append_in_case(const char *text, const WordHit *hit, const char *to, Str *out) {
  const char *word = text + hit->start, *as = hit->entry->as;
  size_t size = hit->end - hit->start;
  if (all_capitals(word, size) && !all_capitals(as, strlen(as))) return append_upper(out, to, SIZE_MAX);
  bool capital = first_is_capital(word, size);
  if (capital && (!first_is_capital(as, strlen(as)) || starts_sentence(text, hit->start)))
    return append_upper(out, to, 1);
  return str_append_text(out, to);
}

/// Whether text[0, size) is `word`; capitals A to Z equal small letters.
static bool same_word(const char *text, size_t size, const char *word) {
  if (strlen(word) != size) return false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    if (c != word[i]) return false;
  }
  return true;
}

/// If `out` ends with an article and the word `to`, which comes next, takes the other one ("a", "an"),
/// replaces it. Reads and rewrites only the last `copied` bytes of `out`, the text between the last hit and
/// this one: a counterpart that was put in is never taken for an article.
static Status fix_article(const GroupFile *g, const char *text, const WordHit *hit, const char *to,
                          size_t copied, Str *out) {
  if (g->vowel == NULL || copied == 0) return STATUS_OK;
  size_t end = out->size, low = out->size - copied; // low <= start <= end below
  while (end > low && out->data[end - 1] == ' ') end--;
  size_t start = end, bytes = 0;
  while (start > low && is_word_char(char_before(out->data, start, &bytes)) && bytes <= start - low)
    start -= bytes;
  size_t size = end - start, blanks = out->size - end;
  bool is_plain = same_word(out->data + start, size, g->article),
       is_vowel = same_word(out->data + start, size, g->vowel_article);
  if (size == 0 || blanks == 0 || (!is_plain && !is_vowel)) return STATUS_OK;
  bool before = false, after = false;
  TRY(pattern_matches(g->vowel, text + hit->start, hit->end - hit->start, &before));
  TRY(pattern_matches(g->vowel, to, strlen(to), &after));
  if (before == after) return STATUS_OK;
  bool capital = first_is_capital(out->data + start, size);
  bool capitals = capital && all_capitals(text + hit->start, hit->end - hit->start);
  out->size = start;
  TRY(append_upper(out, after ? g->vowel_article : g->article, capitals ? SIZE_MAX : capital ? 1 : 0));
  for (size_t i = 0; i < blanks; i++) TRY(str_append(out, " ", 1));
  return STATUS_OK;
}

Status words_swap(const GroupFile *groups, const char *text, size_t size, const WordHits *hits, size_t target,
                  Str *out) {
  size_t at = 0; // text[0, at) has been copied or replaced; the hits still to come begin at `at` or later
  for (size_t i = 0; i < hits->count; i++) {
    const WordHit *hit = &hits->list[i];
    if (hit->entry->kind != WORD_SWAPS || hit->entry->group == (int)target) continue;
    const char *to = hit->entry->row->words[target];
    TRY(str_append(out, text + at, hit->start - at));
    TRY(fix_article(groups, text, hit, to, hit->start - at, out));
    TRY(append_in_case(text, hit, to, out));
    at = hit->end;
  }
  return str_append(out, text + at, size - at);
}
