// Reading, detecting, expanding. Rule: a row becomes a whole set or nothing, and what it becomes depends only
// on the row and its number.
#include "drafts.h"

#include "configs.h"
#include "scripts.h"
#include "util/hash.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// ---- reading ----

/// The prompts of the file, or the built-in ones.
static Status read_records(const DataOptions *options, Records *out) {
  RecordSource source = {
      .path = options->train, .column = options->column, .fallback = options->fallback_column};
  if (!options->use_test_data && (options->train == NULL || options->train[0] == '\0'))
    return status_fail(STATUS_INPUT, "data.train is not set: give a .parquet, .jsonl, .csv or text file, or "
                                     "set data.use_test_data = true");
  if (!options->use_test_data) return records_read(&source, out);
  source.path = DATA_BUILT_IN_PROMPTS;
  source.bytes = config_find(source.path);
  if (source.bytes == NULL) return status_fail(STATUS_FAILED, "the program was built without its prompts");
  source.size = strlen(source.bytes);
  const char *column = options->column != NULL ? options->column : "prompt";
  return status_context(records_read(&source, out), "data.use_test_data with data.column = %s", column);
}

static bool is_user(const RecordMessage *message) {
  return message->role == NULL || strcmp(message->role, "user") == 0;
}

static bool is_blank(const char *text) {
  return text[strspn(text, " \t\r\n")] == '\0';
}

/// Adds a row, unless it has no words of a user.
static void add_row(SourceRows *out, size_t number) {
  const Record *record = &out->records.rows[number];
  size_t last = record->count;
  while (last > 0 && !is_user(&record->messages[last - 1])) last--;
  if (last == 0 || is_blank(record->messages[last - 1].content)) {
    out->counts.without_user++;
    return;
  }
  out->counts.answered += last < record->count;
  out->rows[out->count++] = (SourceRow){
      .record = record, .last_user = last - 1, .messages = last, .number = number, .names = NAMES_NONE};
}

Status rows_read(const DataOptions *options, SourceRows *out) {
  TRY(read_records(options, &out->records));
  const RecordCounts *counts = &out->records.counts;
  out->counts = (ReadCounts){.rows = counts->rows,
                             .empty = counts->empty,
                             .turns = counts->turns,
                             .without_content = counts->without_content};
  TRY(mem_array(&out->rows, out->records.count, "prompts"));
  for (size_t i = 0; i < out->records.count; i++) add_row(out, i);
  if (out->count > 0) return STATUS_OK;
  return status_fail(
      STATUS_INPUT, "%s: the stage \"read\" found no prompt in %zu row%s%s%s: give a file with user texts",
      options->use_test_data ? "built-in prompts" : options->train, counts->rows, str_plural(counts->rows),
      options->column != NULL ? " of column " : "", options->column != NULL ? options->column : "");
}

void rows_free(SourceRows *rows) {
  records_free(&rows->records);
  free(rows->rows);
  *rows = (SourceRows){0};
}

// ---- detecting ----

/// Appends `text` with its group words swapped to group `target`; a text without group words is appended
/// unchanged.
static Status append_swapped(const GroupFile *groups, const char *text, size_t target, WordHits *hits,
                             Str *out) {
  TRY(words_find(groups, text, strlen(text), hits));
  return words_swap(groups, text, strlen(text), hits, target, out);
}

static Status row_key(const GroupFile *groups, SourceRow *row) {
  WordHits hits = {0};
  Str text = {0};
  Status status = STATUS_OK;
  row->key = row->written = HASH_START;
  for (size_t m = 0; m < row->messages; m++) {
    const char *content = row->record->messages[m].content;
    str_clear(&text);
    if (row->swappable)
      TRY_CLEAN(append_swapped(groups, content, 0, &hits, &text));
    else
      TRY_CLEAN(str_append_text(&text, content));
    row->key = hash_bytes(row->key, str_text(&text), text.size + 1); // the terminator separates messages
    if (is_user(&row->record->messages[m]))
      row->written = hash_bytes(row->written, content, strlen(content) + 1);
  }
cleanup:
  words_free(&hits);
  str_free(&text);
  return status;
}

/// More of the user's text is in scripts that the file has no words in than in those it has.
static Status detect_script(const GroupFile *groups, SourceRow *row) {
  size_t counts[SCRIPT_COUNT] = {0}, own = 0, other = 0;
  for (size_t m = 0; m < row->messages; m++) {
    const RecordMessage *message = &row->record->messages[m];
    if (is_user(message))
      TRY(scripts_count(groups->script_runs, message->content, strlen(message->content), counts));
  }
  for (size_t s = 0; s < SCRIPT_COUNT; s++) *(groups->scripts >> s & 1 ? &own : &other) += counts[s];
  row->foreign = other > own;
  return STATUS_OK;
}

/// Whether the words of messages that are not the user's can be swapped along with theirs, to and from group
/// `names`.
static bool agrees(const GroupFile *groups, const WordHits *others, int names) {
  for (size_t g = 0; g < groups->count; g++)
    if (others->named[g] && (int)g != names) return false;
  return !others->unswappable;
}

/// Whether a message of the system names a group.
static Status detect_told(const GroupFile *groups, SourceRow *row) {
  WordHits hits = {0};
  Status status = STATUS_OK;
  for (size_t m = 0; m < row->messages; m++) {
    const RecordMessage *message = &row->record->messages[m];
    if (message->role != NULL && strcmp(message->role, "system") == 0)
      TRY_CLEAN(words_find(groups, message->content, strlen(message->content), &hits));
  }
  for (size_t g = 0; g < groups->count; g++) row->told = row->told || hits.named[g];
cleanup:
  words_free(&hits);
  return status;
}

static Status detect_row(const GroupFile *groups, const TypeRules *types, SourceRow *row) {
  WordHits hits = {0}, others = {0};
  Status status = STATUS_OK;
  for (size_t m = 0; m < row->messages; m++) {
    const RecordMessage *message = &row->record->messages[m];
    TRY_CLEAN(
        words_find(groups, message->content, strlen(message->content), is_user(message) ? &hits : &others));
  }
  row->names = NAMES_NONE;
  for (size_t g = 0; g < groups->count; g++)
    if (hits.named[g]) row->names = row->names == NAMES_NONE ? (int)g : NAMES_SEVERAL;
  row->swappable = row->names >= 0 && !hits.unswappable && agrees(groups, &others, row->names);
  TRY_CLEAN(detect_told(groups, row));
  TRY_CLEAN(detect_script(groups, row));
  const char *asked = row->record->messages[row->last_user].content;
  TRY_CLEAN(types_match(types, asked, strlen(asked), &row->type));
  TRY_CLEAN(row_key(groups, row));
cleanup:
  words_free(&hits);
  words_free(&others);
  return status;
}

Status rows_detect(const GroupFile *groups, const TypeRules *types, SourceRows *rows) {
  for (size_t i = 0; i < rows->count; i++)
    TRY(status_context(detect_row(groups, types, &rows->rows[i]), "prompt %zu", rows->rows[i].number + 1));
  return STATUS_OK;
}

// ---- expanding ----

/// How a row becomes a prompt of a group.
typedef enum Expansion { EXPAND_NONE, EXPAND_PLAIN, EXPAND_SWAP, EXPAND_TEMPLATE } Expansion;

static Expansion choose_expansion(Counterfactual how, const SourceRow *row) {
  switch (how) {
  case COUNTERFACTUAL_OFF:
    return row->names >= 0 ? EXPAND_PLAIN : EXPAND_NONE;
  case COUNTERFACTUAL_SWAP:
    return row->swappable ? EXPAND_SWAP : EXPAND_NONE;
  case COUNTERFACTUAL_TEMPLATE: // a template would contradict what the system says of the user
    return row->told ? EXPAND_NONE : EXPAND_TEMPLATE;
  case COUNTERFACTUAL_AUTO:
    return row->swappable ? EXPAND_SWAP : row->told ? EXPAND_NONE : EXPAND_TEMPLATE;
  }
  return EXPAND_NONE;
}

static Status append_template(const char *template, const char *prompt, Str *out) {
  const char *slot = strstr(template, "{prompt}"); // read_template_list checked that it is there
  TRY(str_append(out, template, (size_t)(slot - template)));
  TRY(str_append_text(out, prompt));
  return str_append_text(out, slot + strlen("{prompt}"));
}

static Status draft_message(const GroupFile *groups, const TypeRules *types, const SourceRow *row,
                            Expansion how, size_t group, size_t m, RecordMessage *out) {
  const RecordMessage *message = &row->record->messages[m];
  WordHits hits = {0};
  Str text = {0};
  Status status = STATUS_OK;
  const char *role = message->role != NULL ? message->role : "user";
  TRY_CLEAN(str_copy(&out->role, role, strlen(role)));
  if (how == EXPAND_SWAP && (int)group != row->names) {
    TRY_CLEAN(append_swapped(groups, message->content, group, &hits, &text));
  } else if (how == EXPAND_TEMPLATE && m == row->last_user) {
    const TemplateList *list = templates_for(groups, types->rules[row->type].name);
    const char *template = list->texts[row->number % list->count * groups->count + group];
    TRY_CLEAN(append_template(template, message->content, &text));
  } else {
    TRY_CLEAN(str_append_text(&text, message->content));
  }
  TRY_CLEAN(str_copy(&out->content, str_text(&text), text.size));
cleanup:
  words_free(&hits);
  str_free(&text);
  return status;
}

static Status add_draft(const GroupFile *groups, const TypeRules *types, const SourceRow *row, Expansion how,
                        size_t group, Drafts *out) {
  TRY(mem_reserve(&out->list, &out->capacity, out->count + 1, "prompts"));
  Draft *draft = &out->list[out->count++];
  *draft = (Draft){.last_user = row->last_user,
                   .group = (int)group,
                   .type = row->type,
                   .source = row->number,
                   .key = row->key,
                   .written = row->written};
  TRY(mem_array(&draft->messages, row->messages, "prompt"));
  draft->count = row->messages;
  for (size_t m = 0; m < row->messages; m++)
    TRY(draft_message(groups, types, row, how, group, m, &draft->messages[m]));
  return STATUS_OK;
}

Status rows_expand(const GroupFile *groups, const TypeRules *types, Counterfactual how,
                   const SourceRows *rows, Drafts *out) {
  out->per_set = how == COUNTERFACTUAL_OFF ? 1 : groups->count;
  for (size_t i = 0; i < rows->count; i++) {
    const SourceRow *row = &rows->rows[i];
    Expansion expansion = choose_expansion(how, row);
    if (expansion == EXPAND_NONE) continue;
    if (expansion == EXPAND_PLAIN) {
      TRY(add_draft(groups, types, row, expansion, (size_t)row->names, out));
      continue;
    }
    for (size_t g = 0; g < groups->count; g++) TRY(add_draft(groups, types, row, expansion, g, out));
  }
  return STATUS_OK;
}

static void draft_free(Draft *draft) {
  for (size_t m = 0; m < draft->count; m++) {
    free(draft->messages[m].role);
    free(draft->messages[m].content);
  }
  free(draft->messages);
  tokens_free(&draft->tokens);
}

void drafts_free(Drafts *drafts) {
  for (size_t i = 0; i < drafts->count; i++) draft_free(&drafts->list[i]);
  free(drafts->list);
  *drafts = (Drafts){0};
}

void drafts_keep_sets(Drafts *drafts, const bool *keep) {
  size_t to = 0;
  for (size_t i = 0; i < drafts->count; i++) {
    if (keep[i / drafts->per_set])
      drafts->list[to++] = drafts->list[i];
    else
      draft_free(&drafts->list[i]);
  }
  drafts->count = to;
}
