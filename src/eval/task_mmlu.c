// MMLU (Hendrycks et al., ICLR 2021) without examples in the prompt, scored as lm-evaluation-harness scores
// mmlu_<subject>: which of the letters A to D is likeliest behind the question and its four answers. Rule:
// the question is stripped of blanks at both ends, the answers are not.
//
//   acc             share of questions whose likeliest letter, the first of several, is the right one
//   mean_ll_right   mean log p of the right letter: shows a change of skill long before acc does
//   …_<subject>     the same over the questions of a subject
//
// Data: a CSV file for each subject, as published, whose first row is a question already; or any table with
// the columns question, choices, answer (from 0) and subject, which may be called type.
#include "estimate.h"
#include "task_list.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHOICES = 4, SUBJECT = 3 };

static const char *const FILES[] = {"mmlu/test/*_test.csv|mmlu_stem/test.jsonl", NULL};
static const char *const LETTERS[CHOICES + 1] = {" A", " B", " C", " D"};

/// Begins the item of a question, up to its choices.
static Status begin_item(const TaskData *data, const Table *table, size_t row, size_t index,
                         const char *subject, JsonWriter *json) {
  char *question = NULL;
  TRY(task_text(table, row, 0, &question));
  task_item_begin(data, index, json);
  json_string(json, "subject", subject);
  json_string(json, "question", question);
  json_array_begin(json, "choices");
  free(question);
  return STATUS_OK;
}

static Status end_item(TaskData *data, JsonWriter *json, int64_t answer) {
  json_array_end(json);
  json_integer(json, "answer", answer);
  return task_item_end(data, json);
}

// ---- CSV as published ----

/// *out = the subject of ".../high_school_physics_test.csv".
static Status subject_of(const char *path, char **out) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  const char *end = strstr(name, "_test.csv");
  if (end != NULL && end > name) return str_copy(out, name, (size_t)(end - name));
  return status_fail(STATUS_INPUT, "%s: the file's name must say the subject, as astronomy_test.csv does",
                     path);
}

static Status read_letter(const Table *table, size_t row, int64_t *answer) {
  TableText text;
  TRY(table_text(table, row, CHOICES + 1, &text));
  *answer = text.size == 1 ? text.bytes[0] - 'A' : -1;
  if (*answer >= 0 && *answer < CHOICES) return STATUS_OK;
  return table_context(status_fail(STATUS_INPUT, "the answer must be A, B, C or D, not \"%.*s\"",
                                   (int)size_min(text.size, 40), text.bytes),
                       table, row);
}

static Status add_csv_row(TaskData *data, Table *table, size_t row, size_t index) {
  JsonWriter json = {0};
  char *text = NULL;
  int64_t answer = 0;
  Status status = STATUS_OK;
  TRY(read_letter(table, row, &answer));
  TRY(subject_of(table_path(table), &text));
  TRY_CLEAN(begin_item(data, table, row, index, text, &json));
  for (size_t c = 0; c < CHOICES; c++) {
    free(text);
    TRY_CLEAN(table_string(table, row, 1 + c, &text));
    json_string(&json, NULL, text);
  }
  status = end_item(data, &json, answer);
cleanup:
  free(text);
  json_free(&json);
  return status;
}

static Status add_csv(TaskData *data, const char *path, size_t *index) {
  static const char *const columns[] = {"question", "A", "B", "C", "D", "answer"};
  Table *table = NULL;
  TRY(table_open_unnamed(path, columns, CHOICES + 2, &table));
  Status status = table_select(table, columns, CHOICES + 2);
  if (status == STATUS_OK) status = task_add_rows(data, table, add_csv_row, index);
  table_close(table);
  return status;
}

// ---- tables ----

static Status add_row(TaskData *data, Table *table, size_t row, size_t index) {
  JsonWriter json = {0};
  char *subject = NULL, **choices = NULL;
  size_t count = 0;
  int64_t answer = 0;
  Status status = STATUS_OK;
  TRY(table_integer(table, row, 2, &answer));
  TRY(task_text(table, row, SUBJECT, &subject));
  TRY_CLEAN(table_strings(table, row, 1, &choices, &count));
  if (count != CHOICES || answer < 0 || answer >= CHOICES) {
    status = table_context(
        status_fail(STATUS_INPUT, "there must be 4 choices and an answer from 0 to 3; found %zu and %lld",
                    count, (long long)answer),
        table, row);
    goto cleanup;
  }
  TRY_CLEAN(begin_item(data, table, row, index, subject, &json));
  for (size_t c = 0; c < CHOICES; c++) json_string(&json, NULL, choices[c]);
  status = end_item(data, &json, answer);
cleanup:
  free(subject);
  table_strings_free(choices);
  json_free(&json);
  return status;
}

static Status select_columns(Table *table) {
  const char *names[] = {"question", "choices", "answer", "subject"};
  const TableColumn *columns = NULL;
  size_t count = 0;
  bool has_subject = false;
  TRY(table_columns(table, &columns, &count));
  for (size_t i = 0; i < count; i++) has_subject |= strcmp(columns[i].name, "subject") == 0;
  if (!has_subject) names[SUBJECT] = "type";
  return table_select(table, names, SUBJECT + 1);
}

static Status add_table(TaskData *data, const char *path, size_t *index) {
  Table *table = NULL;
  TRY(table_open(path, "question", &table));
  Status status = select_columns(table);
  if (status == STATUS_OK) status = task_add_rows(data, table, add_row, index);
  table_close(table);
  return status;
}

static Status open_questions(TaskData *data) {
  size_t index = 0;
  for (size_t i = 0; i < task_path_count(data); i++) {
    const char *path = task_path(data, i);
    TRY(str_ends(path, ".csv") ? add_csv(data, path, &index) : add_table(data, path, &index));
  }
  return STATUS_OK;
}

// ---- asking ----

/// The first line names the subject, with blanks for its underscores.
static Status write_task(const char *subject, Str *out) {
  TRY(str_append_text(out, "The following are multiple choice questions (with answers) about "));
  for (const char *c = subject; *c != '\0'; c++) TRY(str_append(out, *c == '_' ? " " : c, 1));
  return str_append_text(out, ".\n\n");
}

static Status write_context(const TaskItem *item, Str *out) {
  const char *subject = NULL, *question = NULL;
  const cJSON *choices = NULL, *choice = NULL;
  char letter = 'A';
  TRY(json_get_string(item->row, "subject", item->name, &subject));
  TRY(json_get_string(item->row, "question", item->name, &question));
  TRY(json_get_array(item->row, "choices", item->name, &choices));
  TRY(write_task(subject, out));
  size_t size = strlen(question);
  utf8_strip(&question, &size);
  TRY(str_append(out, question, size));
  cJSON_ArrayForEach(choice, choices)
      TRY(str_append_format(out, "\n%c. %s", letter++, cJSON_GetStringValue(choice)));
  return str_append_text(out, "\nAnswer:");
}

static Status ask_question(const TaskItem *item, TaskRequests *requests) {
  Str context = {0};
  Status status = write_context(item, &context);
  if (status == STATUS_OK) status = request_continuations(requests, str_text(&context), LETTERS, CHOICES);
  str_free(&context);
  return status;
}

static Status decide_question(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  int64_t answer = 0;
  size_t choice = row_add_choice(row, answers->loglikelihoods, answers->count);
  TRY(json_get_integer(item->row, "answer", item->name, 0, CHOICES - 1, &answer));
  json_bool(row, "correct", choice == (size_t)answer);
  return STATUS_OK;
}

// ---- metrics ----

static Status measure_questions(const TaskItems *items, const char *suffix, MetricList *metrics) {
  double *right = NULL, logs[CHOICES];
  size_t hits = 0, n = items->count;
  Status status = STATUS_OK;
  TRY(mem_array(&right, n, "questions"));
  for (size_t i = 0; i < n; i++) {
    bool correct = false;
    int64_t answer = 0;
    const TaskItem *item = &items->list[i];
    TRY_CLEAN(item_boolean(item, "correct", &correct));
    TRY_CLEAN(json_get_integer(item->row, "answer", item->name, 0, CHOICES - 1, &answer));
    TRY_CLEAN(item_numbers(item, "loglikelihoods", logs, CHOICES));
    hits += correct;
    right[i] = logs[answer];
  }
  metrics_add_estimate(metrics, estimate_share(hits, n), n, "acc%s", suffix);
  metrics_add_estimate(metrics, estimate_mean(right, n), n, "mean_ll_right%s", suffix);
cleanup:
  free(right);
  return status;
}

static Status measure(const TaskItems *items, MetricList *metrics) {
  TRY(measure_questions(items, "", metrics));
  return measure_by(items, "subject", "_", measure_questions, metrics);
}

static const char *const HEADLINES[] = {"acc", "mean_ll_right", NULL};
static const TaskAim AIMS[] = {{"acc", INFINITY}, {"mean_ll_right", INFINITY}, {NULL, 0}};

const TaskType task_mmlu = {
    .name = "mmlu",
    .help = "questions of knowledge with four answers, by subject, without examples",
    .limits = "A small model answers nearly all questions with the same letter, so that its accuracy says "
              "little. The questions are public and may have been trained on, and some 6 % are faulty "
              "(Gema et al., NAACL 2025).",
    .published =
        "https://people.eecs.berkeley.edu/~hendrycks/data.tar (test/*_test.csv, put into mmlu/test); "
        "https://huggingface.co/datasets/cais/mmlu is read as mmlu:FILE",
    .files = FILES,
    .argument = "FILE",
    .argument_help = "reads these data",
    .aims = AIMS,
    .headlines = HEADLINES,
    .open = open_questions,
    .ask = ask_question,
    .decide = decide_question,
    .measure = measure,
};
