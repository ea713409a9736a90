// Finding group words and replacing them by their counterparts. Rule: what is not a group word, or an article
// in front of one, is copied byte for byte.
#include "group_file.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

// Letters of a pattern tried at most; a hostile one must not stop the program.
enum { MATCH_LIMIT = 1000000 };

/// The character at `at` and its size; −1 (size 1) for a byte that is no UTF-8.
static int32_t char_at(const char *text, size_t size, size_t at, size_t *bytes) {
  utf8proc_int32_t code = -1;
  utf8proc_ssize_t read =
      utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
  *bytes = read > 0 ? (size_t)read : 1;
  return read > 0 ? code : -1;
}

/// The character that ends before `at` > 0.
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

/// ( [ { and the quotation marks, straight ones too.
static bool opens(int32_t c) {
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

Status pattern_compile(const char *pattern, uint32_t options, const char *where, pcre2_code **out) {
  int error = 0;
  PCRE2_SIZE at = 0;
  *out = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                       PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C | options,
                       &error, &at, NULL);
  if (*out != NULL) return STATUS_OK;
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(error, why, sizeof why);
  if (error == PCRE2_ERROR_HEAP_FAILED)
    return status_fail(STATUS_FAILED, "%s: a pattern: %s", where, (const char *)why);
  return status_fail(STATUS_INPUT, "%s: the pattern \"%.60s\" is broken at byte %zu: %s", where, pattern,
                     (size_t)at, (const char *)why);
}

/// Matches from `start`; *found false where there is no match, else data holds it.
static Status match_from(const pcre2_code *pattern, const char *text, size_t size, size_t start,
                         pcre2_match_data *data, pcre2_match_context *context, bool *found) {
  int rc = pcre2_match(pattern, (PCRE2_SPTR)text, size, start, 0, data, context);
  *found = rc >= 0;
  if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return STATUS_OK;
  PCRE2_UCHAR why[128] = {0};
  (void)pcre2_get_error_message(rc, why, sizeof why);
  if (rc == PCRE2_ERROR_NOMEMORY) return status_fail(STATUS_FAILED, "a pattern: %s", (const char *)why);
  return status_fail(STATUS_INPUT,
                     "a pattern of the types or groups file cannot be matched: %s; make it simpler",
                     (const char *)why);
}

/// What a search needs beside its pattern.
static Status match_tools(const pcre2_code *pattern, pcre2_match_data **data, pcre2_match_context **context) {
  *data = pcre2_match_data_create_from_pattern(pattern, NULL);
  *context = pcre2_match_context_create(NULL);
  if (*data == NULL || *context == NULL) return status_fail(STATUS_FAILED, "out of memory for a pattern");
  (void)pcre2_set_match_limit(*context, MATCH_LIMIT);
  return STATUS_OK;
}

Status pattern_matches(const pcre2_code *pattern, const char *text, size_t size, bool *found) {
  pcre2_match_data *data = NULL;
  pcre2_match_context *context = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(match_tools(pattern, &data, &context));
  TRY_CLEAN(match_from(pattern, text, size, 0, data, context, found));
cleanup:
  pcre2_match_data_free(data);
  pcre2_match_context_free(context);
  return status;
}

/// The word after `at` on the same line: blanks and opening marks are stepped over, what follows an
/// apostrophe is cut off. *out = it, folded; NULL where there is none.
static Status next_word(const char *text, size_t size, size_t at, char **out) {
  size_t bytes = 0, start = at;
  *out = NULL;
  while (start < size) {
    int32_t c = char_at(text, size, start, &bytes);
    bool blank = is_space(c) && c != '\n' && c != '\r';
    if (!blank && !(start > at && opens(c))) break;
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

/// Whether every letter is a capital, of at least two.
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

/// Names count where they are written as in the file, or all in capitals (three letters at least: "MS" is no
/// Ms).
static bool written_right(const WordEntry *entry, const char *word, size_t size) {
  if (entry->row == NULL || !entry->row->as_written) return true;
  if (strlen(entry->as) == size && memcmp(entry->as, word, size) == 0) return true;
  return size >= 3 && all_capitals(word, size);
}

static bool joined(const char *text, size_t size, size_t start, size_t end) {
  size_t bytes = 0;
  return (start > 0 && is_hyphen(char_before(text, start, &bytes))) ||
         (end < size && is_hyphen(char_at(text, size, end, &bytes)));
}

/// The first entry for the word text[start, end) whose conditions hold; NULL where none does.
static Status choose_entry(const GroupFile *g, const char *text, size_t size, size_t start, size_t end,
                           const WordEntry **out) {
  char *key = NULL;
  Status status = STATUS_OK;
  size_t low = 0, high = g->entry_count;
  *out = NULL;
  TRY_CLEAN(word_fold(text + start, end - start, &key));
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(g->entries[middle].key, key) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < g->entry_count && strcmp(g->entries[low].key, key) == 0; low++) {
    const WordEntry *entry = &g->entries[low];
    bool holds = true;
    if (!written_right(entry, text + start, end - start)) continue;
    if (entry->row != NULL) {
      if (entry->row->unjoined && joined(text, size, start, end)) continue;
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
  pcre2_match_data *data = NULL;
  pcre2_match_context *context = NULL;
  Status status = STATUS_OK;
  out->count = 0;
  TRY_CLEAN(match_tools(groups->pattern, &data, &context));
  for (size_t at = 0; at <= size;) {
    bool found = false;
    TRY_CLEAN(match_from(groups->pattern, text, size, at, data, context, &found));
    if (!found) break;
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
    WordHit hit = {span[0], span[1], NULL};
    TRY_CLEAN(choose_entry(groups, text, size, hit.start, hit.end, &hit.entry));
    at = hit.end; // a word is never empty
    if (hit.entry == NULL) continue;
    TRY_CLEAN(mem_reserve(&out->list, &out->capacity, out->count + 1, "group words of a prompt"));
    out->list[out->count++] = hit;
    out->named[hit.entry->group] = true;
    out->unswappable = out->unswappable || hit.entry->row == NULL;
  }
cleanup:
  pcre2_match_data_free(data);
  pcre2_match_context_free(context);
  return status;
}

void words_free(WordHits *hits) {
  free(hits->list);
  *hits = (WordHits){0};
}

static bool sentence_starts(const char *text, size_t at) {
  while (at > 0) {
    size_t bytes = 0;
    int32_t c = char_before(text, at, &bytes);
    if (c == '.' || c == '!' || c == '?' || c == ':' || c == '\n') return true;
    if (!is_space(c) && !opens(c)) return false;
    at -= bytes;
  }
  return true;
}

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

/// Appends `to` in the case in which `word` stands for `as` (the file's spelling).
static Status append_in_case(const char *text, const WordHit *hit, const char *to, Str *out) {
  const char *word = text + hit->start, *as = hit->entry->as;
  size_t size = hit->end - hit->start;
  if (all_capitals(word, size) && !all_capitals(as, strlen(as))) return append_upper(out, to, SIZE_MAX);
  bool capital = first_is_capital(word, size);
  if (capital && (!first_is_capital(as, strlen(as)) || sentence_starts(text, hit->start)))
    return append_upper(out, to, 1);
  return str_append_text(out, to);
}

static bool same_word(const char *text, size_t size, const char *word) {
  if (strlen(word) != size) return false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
    if (c != word[i]) return false;
  }
  return true;
}

/// Mends "a" and "an" at the end of `out`, of which the last `copied` bytes stand before `hit` in the text,
/// where the word that comes wants the other one.
static Status mend_article(const GroupFile *g, const char *text, const WordHit *hit, const char *to,
                           size_t copied, Str *out) {
  if (g->vowel == NULL || copied == 0) return STATUS_OK;
  size_t end = out->size, low = out->size - copied;
  while (end > low && out->data[end - 1] == ' ') end--;
  size_t start = end, bytes = 0;
  while (start > low && is_word_char(char_before(out->data, start, &bytes)) && bytes <= start - low)
    start -= bytes;
  size_t size = end - start, blanks = out->size - end;
  bool plain = same_word(out->data + start, size, g->article),
       vowel = same_word(out->data + start, size, g->vowel_article);
  if (size == 0 || blanks == 0 || (!plain && !vowel)) return STATUS_OK;
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
  size_t at = 0;
  for (size_t i = 0; i < hits->count; i++) {
    const WordHit *hit = &hits->list[i];
    if (hit->entry->row == NULL || hit->entry->group == (int)target) continue;
    const char *to = hit->entry->row->words[target];
    TRY(str_append(out, text + at, hit->start - at));
    TRY(mend_article(groups, text, hit, to, hit->start - at, out));
    TRY(append_in_case(text, hit, to, out));
    at = hit->end;
  }
  return str_append(out, text + at, size - at);
}
