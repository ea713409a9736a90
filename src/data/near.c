// The words next to a group word. Rule: only the line counts, opening quotation marks and brackets before a
// word are passed over, and any other punctuation mark means that no word is there.
#include "near.h"

#include "chars.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool is_blank(int32_t c) {
  return is_space(c) && c != '\n' && c != '\r';
}

/// "#" for a currency sign, the sign itself for those that join words, else ".".
static Status sign_word(int32_t c, char **out) {
  bool money = c >= 0 && utf8proc_category(c) == UTF8PROC_CATEGORY_SC;
  char sign[2] = {money ? '#' : c == '/' || c == '&' || c == '+' ? (char)c : '.', '\0'};
  return str_copy(out, sign, 1);
}

/// *out = the word after `at`, and *at = where it ends. It may have hyphens inside; it ends at an apostrophe.
static Status word_after(const char *text, size_t size, size_t *at, char **out, bool *capitals) {
  size_t bytes = 0, start = *at;
  while (start < size) {
    int32_t c = char_at(text, size, start, &bytes);
    if (!is_blank(c) && !(start > *at && is_opening_mark(c))) break;
    start += bytes;
  }
  int32_t first = start < size ? char_at(text, size, start, &bytes) : -1;
  size_t end = start;
  while (end < size && start > *at) {
    int32_t c = char_at(text, size, end, &bytes);
    if (!is_word_char(c) && !(end > start && is_hyphen(c))) break;
    end += bytes;
  }
  if (end == start) return sign_word(first, out);
  *at = end;
  *capitals = all_capitals(text + start, end - start);
  return word_fold(text + start, end - start, out);
}

static Status word_before(const char *text, size_t at, char **out) {
  size_t bytes = 0, end = at;
  int32_t c = -1;
  while (end > 0 && is_blank(c = char_before(text, end, &bytes))) end -= bytes;
  size_t start = end;
  while (start > 0 && is_word_char(char_before(text, start, &bytes))) start -= bytes;
  if (start == end || end == at) return sign_word(end > 0 ? c : -1, out);
  return word_fold(text + start, end - start, out);
}

static Status look(const char *text, size_t size, size_t start, size_t end, NearWords *near) {
  TRY(word_before(text, start, &near->words[PLACE_PREVIOUS]));
  bool loud = all_capitals(text + start, end - start);
  for (size_t p = PLACE_NEXT; p < PLACES; p++) {
    TRY(word_after(text, size, &end, &near->words[p], &near->capitals[p]));
    near->capitals[p] = near->capitals[p] && !loud;
  }
  return STATUS_OK;
}

/// Whether a list has the word, or has it as one in capitals.
static Status list_has(const WordList *list, const char *word, bool capitals, bool *out) {
  *out = word_list_has(list, word);
  if (*out || !capitals) return STATUS_OK;
  char *marked = NULL;
  TRY(str_format(&marked, "^%s", word));
  *out = word_list_has(list, marked);
  free(marked);
  return STATUS_OK;
}

Status near_holds(const SwapRow *row, const char *text, size_t size, size_t start, size_t end,
                  NearWords *near, bool *holds) {
  *holds = true;
  for (size_t p = 0; p < PLACES && *holds; p++) {
    const RowCondition *condition = &row->near[p];
    if (condition->count == 0) continue;
    if (near->words[PLACES - 1] == NULL) TRY(look(text, size, start, end, near));
    const char *word = near->words[p];
    bool in = false;
    for (size_t i = 0; i < condition->count && !in; i++)
      TRY(list_has(condition->lists[i], word, near->capitals[p], &in));
    *holds = condition->in ? in : !in && strcmp(word, ".") != 0;
  }
  return STATUS_OK;
}

void near_free(NearWords *near) {
  for (size_t p = 0; p < PLACES; p++) free(near->words[p]);
  *near = (NearWords){0};
}
