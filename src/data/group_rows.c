// Reading the rows of counterparts of a group file. Rule: a row and its conditions are checked whole before
// any of its words counts.
#include "group_read.h"

#include "chars.h"
#include "io/json.h"
#include "util/memory.h"
#include <stdio.h>
#include <string.h>

static const char *const ROW_KEYS[] = {"words",       "from",        "previous_in", "previous_not_in",
                                       "next_in",     "next_not_in", "second_in",   "second_not_in",
                                       "before_name", "unjoined",    "keep",        NULL};

static Status read_flag(const GroupFile *g, const cJSON *row, const char *key, bool *out) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
  if (value != NULL && !cJSON_IsBool(value))
    return status_fail(STATUS_INPUT, "%s: \"%s\" must be true or false", g->path, key);
  *out = cJSON_IsTrue(value);
  return STATUS_OK;
}

/// The condition on the word at `place`, from the keys PLACE_in and PLACE_not_in: a list or several.
static Status read_condition(const GroupFile *g, const cJSON *row, const char *place, RowCondition *out) {
  char in_key[32], not_key[32], where[40];
  (void)snprintf(in_key, sizeof in_key, "%s_in", place);
  (void)snprintf(not_key, sizeof not_key, "%s_not_in", place);
  const cJSON *in = cJSON_GetObjectItemCaseSensitive(row, in_key);
  const cJSON *not_in = cJSON_GetObjectItemCaseSensitive(row, not_key);
  if (in != NULL && not_in != NULL)
    return status_fail(STATUS_INPUT, "%s: a row has both \"%s\" and \"%s\"", g->path, in_key, not_key);
  out->in = in != NULL;
  if (in == NULL && not_in == NULL) return STATUS_OK;
  (void)snprintf(where, sizeof where, "\"%s\"", in != NULL ? in_key : not_key);
  const cJSON *name = in != NULL ? in : not_in;
  if (cJSON_IsArray(name) && (cJSON_GetArraySize(name) == 0 || cJSON_GetArraySize(name) > CONDITION_LISTS))
    return status_fail(STATUS_INPUT, "%s: %s must name 1 to %d lists", g->path, where, CONDITION_LISTS);
  if (!cJSON_IsArray(name)) return group_list(g, name, where, &out->lists[out->count++]);
  for (name = name->child; name != NULL; name = name->next)
    TRY(group_list(g, name, where, &out->lists[out->count++]));
  return STATUS_OK;
}

static Status read_conditions(const GroupFile *g, const cJSON *item, SwapRow *row) {
  static const char *const places[PLACES] = {"previous", "next", "second"};
  TRY(group_check_keys(g, item, "a row of \"swaps\"", ROW_KEYS));
  const cJSON *from = cJSON_GetObjectItemCaseSensitive(item, "from");
  if (from != NULL) {
    const char *name = NULL;
    TRY(group_text(g, from, "\"from\"", MAX_WORD_BYTES, &name));
    row->from = group_index(g, name);
    if (row->from < 0)
      return status_fail(STATUS_INPUT, "%s: \"from\": \"%s\" is not one of the \"groups\"", g->path, name);
  }
  for (size_t p = 0; p < PLACES; p++) TRY(read_condition(g, item, places[p], &row->near[p]));
  TRY(read_flag(g, item, "before_name", &row->before_name));
  TRY(read_flag(g, item, "keep", &row->keep));
  return read_flag(g, item, "unjoined", &row->unjoined);
}

/// A blank at an end of a word would be written into the prompts of its group alone.
static Status check_ends(const GroupFile *g, const char *word) {
  size_t size = strlen(word), bytes = 0;
  if (!is_space(char_at(word, size, 0, &bytes)) && !is_space(char_before(word, size, &bytes)))
    return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: the word \"%s\" begins or ends with a blank; take it away", g->path,
                     word);
}

static Status read_row(GroupFile *g, const cJSON *item, const char *key, bool as_written) {
  SwapRow *row = &g->rows[g->row_count++];
  *row = (SwapRow){.from = -1, .as_written = as_written};
  const cJSON *words = item;
  if (cJSON_IsObject(item)) {
    TRY(read_conditions(g, item, row));
    words = cJSON_GetObjectItemCaseSensitive(item, "words");
  }
  if (!cJSON_IsArray(words) || cJSON_GetArraySize(words) != (int)g->count)
    return status_fail(STATUS_INPUT, "%s: row %zu of \"%s\" must list %zu words, one per group", g->path,
                       g->row_count, key, g->count);
  size_t group = 0;
  for (const cJSON *word = words->child; word != NULL; word = word->next, group++) {
    const char **text = &row->words[group];
    TRY(group_text(g, word, key, MAX_WORD_BYTES, text));
    TRY(check_ends(g, *text));
    if (row->from < 0 || row->from == (int)group)
      TRY(group_add_word(g, *text, row->keep ? WORD_NAMES : WORD_SWAPS, (int)group, row));
  }
  return STATUS_OK;
}

Status group_read_rows(GroupFile *g) {
  static const char *const keys[] = {"swaps", "names"};
  size_t total = 0;
  for (size_t k = 0; k < 2; k++) {
    if (!json_has(g->json, keys[k])) continue;
    const cJSON *rows = NULL;
    TRY(json_get_array(g->json, keys[k], g->path, &rows));
    total += (size_t)cJSON_GetArraySize(rows);
  }
  if (total > MAX_ROWS) return status_fail(STATUS_INPUT, "%s: more than %d rows", g->path, MAX_ROWS);
  TRY(mem_array(&g->rows, total, "swap rows")); // allocated once and never moved: entries point into it
  for (size_t k = 0; k < 2; k++) {
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(g->json, keys[k]);
    const cJSON *row = rows != NULL ? rows->child : NULL;
    for (; row != NULL; row = row->next) TRY(read_row(g, row, keys[k], k == 1));
  }
  return STATUS_OK;
}
