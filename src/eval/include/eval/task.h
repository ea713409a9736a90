// Benchmarks: what a task provides, and what it is given. docs/EXTENDING.md, "A benchmark task", has the
// steps.
//
//   open      the data files → items. An item is a row of items.jsonl, so far with its inputs alone
//   ask       an item → requests: log-likelihoods of texts or of continuations, or texts to generate
//   decide    the answers to an item's requests → the rest of its row: loglikelihoods, the decision
//   measure   all rows → metrics
//
// Rule: the rows are the truth. `ask`, `decide` and `measure` see nothing but rows, so a run that was killed
// goes on from the rows there are, and `gee-cl verify` computes the metrics again from the file alone.
#pragma once

#include "io/json.h"
#include "io/json_write.h"
#include "io/table.h"
#include "model/batch.h"
#include "text/chat.h"
#include "text/tokenizer.h"
#include "track/metrics.h"

typedef struct TaskType TaskType;

/// A row of items.jsonl.
typedef struct TaskItem {
  const char *name; // "item 12 of crows_pairs": the name for json_get_string and its like
  const cJSON *row;
} TaskItem;

/// All rows of a task, in the order in which it added them.
typedef struct TaskItems {
  const TaskType *type;
  const TaskItem *list;
  size_t count;
} TaskItems;

typedef struct TaskData TaskData;         // the data files, and the items made of them
typedef struct TaskRequests TaskRequests; // what a model is asked

/// A text that the model wrote.
typedef struct TaskGeneration {
  char *text; // [size] without special tokens, cut before the first stop string; it may hold NUL
  size_t size;
  int32_t *ids; // [count] as drawn, the end token included
  size_t count;
} TaskGeneration;

/// The answers to an item's requests, in their order.
typedef struct TaskAnswers {
  const double *loglikelihoods; // [count] nats, summed over the tokens of each text or continuation
  const size_t *tokens;         // [count] how many tokens that are
  size_t count;
  const TaskGeneration *generations; // [generation_count]; with entropies, [own prompt][answer]
  size_t generation_count;
  const double
      *entropies; // [own prompt][answer][prompt it was read under] nats, means over the answer's tokens
} TaskAnswers;

/// Where a metric should be. A value is better than another if it is nearer to `target`: INFINITY is as high
/// as can be, −INFINITY as low.
typedef struct TaskAim {
  const char *metric; // its name begins so
  double target;
} TaskAim;

struct TaskType {
  const char *name;      // "crows_pairs"
  const char *help;      // one line, for --help
  const char *limits;    // what it cannot show, in a sentence or two: printed with its results
  const char *published; // where its data are published, for a file that is missing; may be NULL
  // The files it reads, below the data folder; ends with NULL. "a.json|b.json" is the first of these that is
  // there; "a/*.csv" is every file of the folder with that ending, in the order of their names.
  const char *const *files;
  // What may stand behind its name, as in perplexity:FILE; "FILE" is a file in place of files[0], anything
  // else is for `open` to read. NULL: nothing may.
  const char *argument;
  const char *argument_help; // what the argument does, as "reads these data"; for --help
  bool prompts; // it is made of the config's counterfactual prompts; the argument is a group file
  // Rows with the same text under this key belong together, and are drawn together where results are
  // compared; NULL: each row stands for itself.
  const char *unit;
  const TaskAim
      *aims; // the first that fits counts; ends with a NULL name. Other metrics have no better value
  const char *const *headlines; // the metrics to look at first; ends with NULL. NULL: all
  size_t summed;                // a row has the sum of so many answers for each log-likelihood; 0: of one
  bool by_token; // metrics are a token or over tokens: models with other tokenizers are not compared
  Status (*open)(TaskData *data);
  Status (*ask)(const TaskItem *item, TaskRequests *requests);
  Status (*decide)(const TaskItem *item, const TaskAnswers *answers, JsonWriter *row);
  Status (*measure)(const TaskItems *items, MetricList *metrics);
};

/// Every task; ends with NULL.
extern const TaskType *const task_types[];
/// *out = the task that `text` names ("crows_pairs", "perplexity:my.txt"); *argument points behind the colon
/// of `text`, or is NULL. STATUS_INPUT suggests the nearest task.
STATUS_CHECKED Status task_find(const char *text, const TaskType **out, const char **argument);

/// Whether the metric is one to look at first.
bool task_is_headline(const TaskType *type, const char *metric);

// ---- open ----

/// The files that were found, at least one for each entry of `files` and in their order.
size_t task_path_count(const TaskData *data);
const char *task_path(const TaskData *data, size_t index);
/// What stood behind the task's name, or NULL.
const char *task_argument(const TaskData *data);
/// Opens task_path(index) as a table and selects columns.
STATUS_CHECKED Status task_table(const TaskData *data, size_t index, const char *const *columns, size_t count,
                                 Table **out);
/// Makes an item of a row of a table: `row` of its current group, `index` of all files.
typedef Status (*AddRow)(TaskData *data, Table *table, size_t row, size_t index);
/// Calls `add` for each row that is left in the table. *index is that of the next row, and goes on.
STATUS_CHECKED Status task_add_rows(TaskData *data, Table *table, AddRow add, size_t *index);
/// STATUS_INPUT if two rows have the same text from the member `key` on: an item that stands in two files, or
/// twice in one.
STATUS_CHECKED Status task_refuse_twins(const TaskData *data, const char *key);
/// *out = a copy of a cell's text, which the caller frees. STATUS_INPUT if it is empty.
STATUS_CHECKED Status task_text(const Table *table, size_t row, size_t column, char **out);
/// Begins the row of an item: "task" and "index", the row of the data file from 0. The task adds the inputs.
void task_item_begin(const TaskData *data, size_t index, JsonWriter *row);
/// Ends the row and keeps it, unless there are as many as --limit allows. Frees the writer in any case.
STATUS_CHECKED Status task_item_end(TaskData *data, JsonWriter *row);

// ---- ask ----

/// log p(text) with nothing in front but a start token (lm-evaluation-harness with an empty context).
STATUS_CHECKED Status request_text(TaskRequests *requests, const char *text);
/// The same of a text that is given as tokens.
STATUS_CHECKED Status request_encoded(TaskRequests *requests, TokenSpan tokens);
/// log p(continuation | context) for each of the continuations. Blanks at the end of the context count as the
/// start of the continuations; STATUS_INPUT if nothing is left that has tokens.
STATUS_CHECKED Status request_continuations(TaskRequests *requests, const char *context,
                                            const char *const *continuations, size_t count);
/// The same, given as tokens; both have one or more. The tokens are copied.
STATUS_CHECKED Status request_tokens(TaskRequests *requests, TokenSpan context, TokenSpan continuation);
/// What the model writes behind `prompt`, taking the likeliest token each time, until its end token, a stop
/// string (a NULL-terminated list that lives as long as the task) or max_new_tokens.
STATUS_CHECKED Status request_generation(TaskRequests *requests, TokenSpan prompt, size_t max_new_tokens,
                                         const char *const *stops);
/// Answers to each of the prompts, which draw the same random numbers (those of set `set`), and their
/// entropies under every one of them. How they are sampled is the run's own (BenchmarkOptions.gap).
STATUS_CHECKED Status request_readings(TaskRequests *requests, const TokenSpan *prompts, size_t count,
                                       size_t set);
/// For requests of tokens.
const Tokenizer *requests_tokenizer(const TaskRequests *requests);
const ChatTemplate *requests_chat(const TaskRequests *requests);

// ---- decide ----

/// Adds "loglikelihoods" to a row, with digits that read back as the same bits.
void row_add_loglikelihoods(JsonWriter *row, const double *values, size_t count);
/// Adds "loglikelihoods" and "choice": the index of the largest, the first of several, which it returns.
size_t row_add_choice(JsonWriter *row, const double *values, size_t count);

// ---- from rows ----

/// out[count] = the texts of an item's list `key`; they belong to the item. STATUS_INPUT if it has another
/// length.
STATUS_CHECKED Status item_texts(const TaskItem *item, const char *key, const char **out, size_t count);
/// out[count] = the numbers of an item's list `key`. STATUS_INPUT if it has another length.
STATUS_CHECKED Status item_numbers(const TaskItem *item, const char *key, double *out, size_t count);
/// *out = an item's truth value `key`.
STATUS_CHECKED Status item_boolean(const TaskItem *item, const char *key, bool *out);

/// Metrics of some items, whose names end with `suffix`.
typedef Status (*MeasurePart)(const TaskItems *items, const char *suffix, MetricList *metrics);
/// Calls `part` for each value that the rows' text `key` has, in the order in which they first come, with the
/// items that have it and the suffix mark + value.
STATUS_CHECKED Status measure_by(const TaskItems *items, const char *key, const char *mark, MeasurePart part,
                                 MetricList *metrics);
