// GSM8K (Cobbe et al., arXiv:2110.14168): word problems of grade-school arithmetic, scored as
// lm-evaluation-harness scores gsm8k (version 3). Rule: a number is compared as text, so 18.00 is not 18.
//
//   gsm8k        one user message, "Question: …\nAnswer:", in the model's chat template
//   gsm8k:SHOTS  the same text without a chat, behind that many questions with their answers. They are the
//                first rows of the file, which are then not asked: the published shots are of another file
//
// The model writes at most 256 tokens, always the likeliest. Its number is
//
//   strict     what follows the first "#### "
//   flexible   the last number in the text
//
// and right if it is that of the answer in the file, once both have lost commas, dollar signs, everything up
// to their last "#### " and a full stop at the end.
//
// Metrics, shares: strict, flexible.
#include "estimate.h"
#include "task_list.h"
#include "util/str.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const FILES[] = {"gsm8k/test.jsonl", NULL};
static const char *const COLUMNS[] = {"question", "answer"};
static const char *const STOPS[] = {"Question:", "</s>", "<|im_end|>", NULL};
static const char MARK[] = "#### ";
enum { MAX_NEW_TOKENS = 256, MAX_SHOTS = 100 };

// ---- open ----

/// A problem as it is read: texts that the reader owns.
typedef struct Problem {
  char *question, *answer;
} Problem;

static void problem_free(Problem *problem) {
  free(problem->question);
  free(problem->answer);
}

static Status problem_read(const Table *table, size_t row, Problem *out) {
  TRY(task_text(table, row, 0, &out->question));
  TRY(task_text(table, row, 1, &out->answer));
  if (strstr(out->answer, MARK) != NULL) return STATUS_OK;
  return table_context(status_fail(STATUS_INPUT, "the answer has no \"%s\" with the number behind it", MARK),
                       table, row);
}

/// *shots = the number behind the task's name; *chat = whether nothing stands there.
static Status read_shots(const TaskData *data, size_t *shots, bool *chat) {
  const char *text = task_argument(data);
  char *end = NULL;
  *shots = 0;
  *chat = text == NULL;
  if (*chat) return STATUS_OK;
  unsigned long number = strtoul(text, &end, 10);
  if (!isdigit((unsigned char)*text) || *end != '\0' || number > MAX_SHOTS)
    return status_fail(STATUS_INPUT, "gsm8k:%.100s: give a number of solved questions from 0 to %d", text,
                       MAX_SHOTS);
  *shots = number;
  return STATUS_OK;
}

static Status add_problem(TaskData *data, const Problem *problem, size_t index, const Str *shots, bool chat) {
  JsonWriter json = {0};
  Str prompt = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(
      str_append_format(&prompt, "%sQuestion: %s\nAnswer:", chat ? "" : str_text(shots), problem->question));
  task_item_begin(data, index, &json);
  json_string(&json, "question", problem->question);
  json_string(&json, "answer", problem->answer);
  json_bool(&json, "chat", chat);
  json_string(&json, "prompt", str_text(&prompt));
  status = task_item_end(data, &json);
cleanup:
  str_free(&prompt);
  return status;
}

static Status open_problems(TaskData *data) {
  Table *table = NULL;
  Problem problem = {0};
  Str text = {0};
  size_t rows = 0, index = 0, shots = 0;
  bool chat = false;
  Status status = STATUS_OK;
  TRY(read_shots(data, &shots, &chat));
  TRY(task_table(data, 0, COLUMNS, 2, &table));
  do {
    TRY_CLEAN(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++, index++) {
      TRY_CLEAN(problem_read(table, i, &problem));
      if (index < shots)
        TRY_CLEAN(str_append_format(&text, "Question: %s\nAnswer: %s\n\n", problem.question, problem.answer));
      else
        TRY_CLEAN(add_problem(data, &problem, index, &text, chat));
      problem_free(&problem);
      problem = (Problem){0};
    }
  } while (rows > 0);
cleanup:
  problem_free(&problem);
  str_free(&text);
  table_close(table);
  return status;
}

// ---- ask ----

static Status ask_problem(const TaskItem *item, TaskRequests *requests) {
  const char *prompt = NULL;
  Str text = {0};
  Tokens tokens = {0};
  Status status = STATUS_OK;
  TRY(json_get_string(item->row, "prompt", item->name, &prompt));
  bool chat = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item->row, "chat"));
  if (chat && !chat_is_there(requests_chat(requests)))
    return status_fail(STATUS_INPUT, "gsm8k asks in a chat, and the model has no chat template: give one by "
                                     "--chat-template, or ask without a chat, by gsm8k:0");
  if (chat)
    TRY_CLEAN(chat_render(requests_chat(requests), &(ChatMessage){"user", prompt}, 1, &text));
  else
    TRY_CLEAN(str_append_text(&text, prompt));
  TRY_CLEAN(tokenizer_encode(requests_tokenizer(requests), str_text(&text), text.size, !chat, &tokens));
  TRY_CLEAN(request_generation(requests, (TokenSpan){tokens.ids, tokens.count}, MAX_NEW_TOKENS, STOPS));
cleanup:
  tokens_free(&tokens);
  str_free(&text);
  return status;
}

// ---- decide ----

static const char INVALID[] = "[invalid]";

/// The bytes of `text` that are digits, commas and full stops, or one of `more`.
static size_t number_size(const char *text, const char *more) {
  size_t size = 0;
  while (text[size] != '\0' &&
         (strchr("0123456789.,", text[size]) != NULL || strchr(more, text[size]) != NULL))
    size++;
  return size;
}

/// Appends what `#### (\-?[0-9\.\,]+)` finds first.
static Status find_strict(const char *text, Str *out) {
  for (const char *mark = strstr(text, MARK); mark != NULL; mark = strstr(mark + 1, MARK)) {
    const char *number = mark + strlen(MARK);
    size_t sign = *number == '-', size = number_size(number + sign, "");
    if (size > 0) return str_append(out, number, sign + size);
  }
  return str_append_text(out, INVALID);
}

/// The bytes at `text` that `(-?[$0-9.,]{2,})|(-?[0-9]+)` matches, or 0. A run of one that is a digit is
/// matched by the second half alone.
static size_t flexible_size(const char *text) {
  size_t sign = *text == '-', size = number_size(text + sign, "$");
  return size >= 2 || (size == 1 && isdigit((unsigned char)text[sign])) ? sign + size : 0;
}

/// Appends the last number that flexible_size finds, from left to right.
static Status find_flexible(const char *text, Str *out) {
  const char *last = NULL;
  size_t last_size = 0, size = 0;
  for (const char *c = text; *c != '\0'; c += size > 0 ? size : 1) {
    size = flexible_size(c);
    if (size == 0) continue;
    last = c;
    last_size = size;
  }
  return last == NULL ? str_append_text(out, INVALID) : str_append(out, last, last_size);
}

/// Appends a number as it is compared.
static Status append_compared(const char *text, Str *out) {
  bool stop = false; // a full stop that is kept only if something follows it
  for (const char *mark = strstr(text, MARK); mark != NULL; mark = strstr(text, MARK))
    text = mark + strlen(MARK);
  for (; *text != '\0'; text++) {
    char letter = (char)tolower((unsigned char)*text);
    if (letter == ',' || letter == '$') continue;
    if (stop) TRY(str_append(out, ".", 1));
    stop = letter == '.';
    if (!stop) TRY(str_append(out, &letter, 1));
  }
  return STATUS_OK;
}

/// Adds the number that `find` finds, and whether it is right.
static Status add_number(JsonWriter *row, const char *name, Status (*find)(const char *, Str *),
                         const char *text, const char *answer) {
  Str number = {0}, found = {0}, right = {0}, key = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(find(text, &number));
  TRY_CLEAN(append_compared(str_text(&number), &found));
  TRY_CLEAN(append_compared(answer, &right));
  TRY_CLEAN(str_append_format(&key, "%s_right", name));
  json_string(row, name, str_text(&number));
  json_bool(row, str_text(&key), strcmp(str_text(&found), str_text(&right)) == 0);
cleanup:
  str_free(&number);
  str_free(&found);
  str_free(&right);
  str_free(&key);
  return status;
}

/// *out = the text with a letter for each NUL: neither is part of a number or of the mark before it.
static Status copy_searched(const TaskGeneration *written, char **out) {
  TRY(str_copy(out, written->text, written->size));
  for (size_t i = 0; i < written->size; i++)
    if ((*out)[i] == '\0') (*out)[i] = 'x';
  return STATUS_OK;
}

static Status decide_problem(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row) {
  const TaskGeneration *written = answers->generations;
  const char *answer = NULL;
  char *text = NULL;
  TRY(json_get_string(item->row, "answer", item->name, &answer));
  TRY(copy_searched(written, &text));
  json_integers(row, "ids", written->ids, written->count);
  json_bytes(row, "generation", written->text, written->size);
  Status status = add_number(row, "strict", find_strict, text, answer);
  if (status == STATUS_OK) status = add_number(row, "flexible", find_flexible, text, answer);
  free(text);
  return status;
}

// ---- measure ----

static Status measure(const TaskItems *items, MetricList *metrics) {
  static const char *const names[] = {"strict", "flexible"}, *const keys[] = {"strict_right",
                                                                              "flexible_right"};
  for (size_t k = 0; k < 2; k++) {
    size_t hits = 0;
    for (size_t i = 0; i < items->count; i++) {
      bool right = false;
      TRY(item_boolean(&items->list[i], keys[k], &right));
      hits += right;
    }
    metrics_add_estimate(metrics, estimate_share(hits, items->count), items->count, "%s", names[k]);
  }
  return STATUS_OK;
}

static const TaskAim AIMS[] = {{"strict", INFINITY}, {"flexible", INFINITY}, {NULL, 0}};

const TaskType task_gsm8k = {
    .name = "gsm8k",
    .help = "word problems of grade-school arithmetic, answered in full (1,319 questions)",
    .limits = "It is a measure of skill, and a hard one for small models: below a few per cent right, a "
              "change says nothing. Its questions are public, so a model may have been trained on them.",
    .published = "https://github.com/openai/grade-school-math (grade_school_math/data/test.jsonl)",
    .files = FILES,
    .argument = "SHOTS",
    .argument_help = "asks behind that many solved problems",
    .aims = AIMS,
    .open = open_problems,
    .ask = ask_problem,
    .decide = decide_problem,
    .measure = measure,
};
