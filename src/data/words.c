// Finding group words and replacing them by their counterparts. Rule: everything but group words and articles
// in front of them is copied byte for byte. What carries it: hits are byte ranges [start, end) of the text,
// in order, never empty and never overlapping, and both ends lie between characters. So the text is copied in
// the gaps between hits, each byte once.
#include "group_file.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/// The character at `at` < size and its bytes; −1 (one byte) if it is not valid UTF-8. Never 0 bytes, so
/// every loop that steps by it ends.
static int32_t char_at(const char *text, size_t size, size_t at, size_t *bytes) {
  utf8proc_int32_t code = -1;
  utf8proc_ssize_t read =
      utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
  *bytes = read > 0 ? (size_t)read : 1;
  return read > 0 ? code : -1;
}

/// The character that ends at `at` > 0, and its bytes (1 to `at`); −1 (one byte) if it is not valid UTF-8.
static int32_t char_before(const char *text, size_t at, size_t *bytes) {
  size_t start = at - 1;
  while (start > 0 && at - start < 4 && ((unsigned char)text[start] & 0xC0) == 0x80) start--;
  int32_t code = char_at(text, at, start, bytes);
  if (*bytes != at - start) *bytes = 1, code = -1;
  return code;
}

static bool is_space(int32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_ZS);
}

static bool is_word_char(int32_t c) {
  if (c < 0) return false;
  utf8proc_category_t category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO;
}

/// An opening bracket or quotation mark; a straight quotation mark counts as opening.
static bool is_opening_mark(int32_t c) {
  if (c < 0) return false;
  utf8proc_category_t category = utf8proc_category(c);
  return c == '"' || c == '\'' || category == UTF8PROC_CATEGORY_PS || category == UTF8PROC_CATEGORY_PI;
}

static bool is_hyphen(int32_t c) {
  return c == '-' || c == 0x2010 || c == 0x2011;
}

static Status append_char(Str *out, int32_t c) {
  utf8proc_uint8_t bytes[4];
  utf8proc_ssize_t size = utf8proc_encode_char(c, bytes);
  return str_append(out, (const char *)bytes, (size_t)size);
}

Status word_fold(const char *text, size_t size, char **out) {
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
  Status status =
      to > 0 ? str_copy(out, (const char *)folded, to) : status_fail(STATUS_INPUT, "a word is blank");
  free(folded);
  return status;
}

/// *out = the word after `at`, folded; NULL if the line has none. Skips blanks, then opening marks; the word
/// ends at an apostrophe.
static Status next_word(const char *text, size_t size, size_t at, char **out) {
  size_t bytes = 0, start = at;
  *out = NULL;
  while (start < size) {
    int32_t c = char_at(text, size, start, &bytes);
    bool blank = is_space(c) && c != '\n' && c != '\r';
    if (!blank && !(start > at && is_opening_mark(c))) break;
    start += bytes;
  }
  size_t end = start;
  while (end < size) {
    int32_t c = char_at(text, size, end, &bytes);
    if (!is_word_char(c) && !(end > start && is_hyphen(c))) break;
    end += bytes;
  }
  if (start == at || end == start) return STATUS_OK;
  return word_fold(text + start, end - start, out);
}

static int by_word(const void *key, const void *entry) {
  return strcmp(key, *(char *const *)entry);
}

/// Whether the row's condition on the next word is true for a word that ends at `end`.
static Status condition_holds(const SwapRow *row, const char *text, size_t size, size_t end, bool *holds) {
  *holds = true;
  if (row->list == NULL) return STATUS_OK;
  char *word = NULL;
  TRY(next_word(text, size, end, &word));
  bool in =
      word != NULL && bsearch(word, row->list->words, row->list->count, sizeof(char *), by_word) != NULL;
  *holds = word != NULL && in == row->next_in;
  free(word);
  return STATUS_OK;
}

/// Whether there are at least two capitals and no small letters.
static bool all_capitals(const char *text, size_t size) {
  size_t letters = 0, bytes = 0;
  for (size_t at = 0; at < size; at += bytes) {
    int32_t c = char_at(text, size, at, &bytes);
    if (c < 0) return false;
    utf8proc_category_t category = utf8proc_category(c);
    if (category == UTF8PROC_CATEGORY_LL) return false;
    letters += category == UTF8PROC_CATEGORY_LU;
  }
  return letters >= 2;
}

static bool first_is_capital(const char *text, size_t size) {
  size_t bytes = 0;
  int32_t c = char_at(text, size, 0, &bytes);
  return c >= 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_LU;
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

/// The first entry for the word text[start, end), in the file's order, whose conditions hold; NULL if none
/// does.
static Status choose_entry(const GroupFile *g, const char *text, size_t size, size_t start, size_t end,
                           const WordEntry **out) {
  char *key = NULL;
  Status status = STATUS_OK;
  size_t low = 0, high = g->entry_count;
  *out = NULL;
  TRY_CLEAN(word_fold(text + start, end - start, &key));
  while (low < high) { // entries before `low` have smaller keys, those from `high` on do not
    size_t middle = low + (high - low) / 2;
    if (strcmp(g->entries[middle].key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < g->entry_count && strcmp(g->entries[low].key, key) == 0; low++) {
    const WordEntry *entry = &g->entries[low];
    bool holds = true;
    if (!case_fits(entry, text + start, end - start)) continue;
    if (entry->row != NULL) {
      if (entry->row->unjoined && next_to_hyphen(text, size, start, end)) continue;
      TRY_CLEAN(condition_holds(entry->row, text, size, end, &holds));
    }
    if (!holds) continue;
    *out = entry;
    break;
  }
cleanup:
  free(key);
  return status;
}

Status words_find(const GroupFile *groups, const char *text, size_t size, WordHits *out) {
  PatternSearch search = {0};
  Status status = STATUS_OK;
  out->count = 0;
  TRY_CLEAN(pattern_search_begin(groups->pattern, &search));
  for (size_t at = 0; at <= size;) {
    bool found = false;
    TRY_CLEAN(pattern_search_from(&search, text, size, at, &found));
    if (!found) break;
    WordHit hit = {search.span[0], search.span[1], NULL};
    TRY_CLEAN(choose_entry(groups, text, size, hit.start, hit.end, &hit.entry));
    at = hit.end; // > hit.start, because keys are never empty: the loop ends, and hits do not overlap
    if (hit.entry == NULL) continue;
    out->unswappable = out->unswappable || hit.entry->kind == WORD_NAMES || hit.entry->kind == WORD_DOUBTFUL;
    if (hit.entry->group < 0) continue;
    TRY_CLEAN(mem_reserve(&out->list, &out->capacity, out->count + 1, "group words of a prompt"));
    out->list[out->count++] = hit;
    out->named[hit.entry->group] = true;
  }
cleanup:
  pattern_search_end(&search);
  return status;
}

void words_free(WordHits *hits) {
  free(hits->list);
  *hits = (WordHits){0};
}

/// Whether a sentence begins at `at`, opening marks before it aside.
static bool starts_sentence(const char *text, size_t at) {
  while (at > 0) {
    size_t bytes = 0;
    int32_t c = char_before(text, at, &bytes);
    if (c == '.' || c == '!' || c == '?' || c == ':' || c == '\n') return true;
    if (!is_space(c) && !is_opening_mark(c)) return false;
    at -= bytes;
  }
  return true;
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
    if (hit->entry->row == NULL || hit->entry->group == (int)target) continue;
    const char *to = hit->entry->row->words[target];
    TRY(str_append(out, text + at, hit->start - at));
    TRY(fix_article(groups, text, hit, to, hit->start - at, out));
    TRY(append_in_case(text, hit, to, out));
    at = hit->end;
  }
  return str_append(out, text + at, size - at);
}
