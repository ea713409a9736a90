// A benchmark as an Evaluation. Rule: rows are written in the order of the items, and metrics are computed
// from rows that were read back, so a run that was stopped and goes on gives the same bytes.
#include "eval/benchmark.h"

#include "gap_measure.h"
#include "io/file.h"
#include "recall.h"
#include "requests.h"
#include "responder.h"
#include "task_data.h"
#include "util/log.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

typedef struct Benchmark {
  Evaluation evaluation;
  const TaskType *type;
  TaskData data;
  TaskRequests requests;
  BenchmarkFile *files;
  size_t file_count;
  char sha256[SHA256_TEXT]; // of the items
  ItemFile *kept;           // borrowed; may be NULL
} Benchmark;

/// One run. rows[i] is the whole row of item i, for the items [0, done).
typedef struct Measuring {
  const Benchmark *benchmark;
  const EvaluationRun *run;
  Responder *responder;
  Str *rows;
  size_t done;
} Measuring;

// ---- asking ----

/// Takes the rows that a stopped run left. Each must begin with the item's inputs as the data have them now.
static Status take_rows(Measuring *m) {
  const Benchmark *b = m->benchmark;
  while (m->done < b->data.count && b->kept != NULL && item_file_left(b->kept) > 0) {
    const char *row = item_file_take(b->kept);
    const Str *inputs = &b->data.rows[m->done];
    if (strncmp(row, inputs->data, inputs->size - 1) != 0)
      return status_fail(STATUS_INPUT,
                         "%s: a row is not item %zu of %s as the data have it now; remove it to start "
                         "over",
                         item_file_path(b->kept), m->done, b->type->name);
    TRY(str_append_text(&m->rows[m->done], row));
    m->done++;
  }
  return STATUS_OK;
}

/// *out = the inputs of an item, with what the task decides on the answers.
static Status decide_row(const Benchmark *b, size_t item, const TaskAnswers *answers, Str *out) {
  JsonWriter json = {.layout = JSON_SPACED};
  ParsedRow parsed = {0};
  Status status = STATUS_OK;
  json_continue(&json, b->data.rows[item].data, b->data.rows[item].size);
  TRY_CLEAN(parsed_row_read(b->type, item, &b->data.rows[item], &parsed));
  TRY_CLEAN(b->type->decide(&parsed.item, answers, &json));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, parsed.name, out));
cleanup:
  json_free(&json);
  parsed_row_free(&parsed);
  return status;
}

static Status finish_row(const Measuring *m, size_t item, Str *out) {
  TaskAnswers answers = responder_answers(m->responder, item);
  return decide_row(m->benchmark, item, &answers, out);
}

static Status ask_batch(Measuring *m, ItemRange batch) {
  const Benchmark *b = m->benchmark;
  TRY(responder_ask(m->responder, batch));
  for (; m->done < batch.end; m->done++) {
    Str *row = &m->rows[m->done];
    TRY(finish_row(m, m->done, row));
    if (b->kept != NULL) TRY(item_file_append(b->kept, str_text(row), row->size));
  }
  return b->kept != NULL ? item_file_sync(b->kept) : STATUS_OK;
}

/// Asks for the items that have no row yet. The batches are those of a run that was never stopped.
static Status ask_all(Measuring *m) {
  const Benchmark *b = m->benchmark;
  const ModelConfig *config = model_config(m->run->model);
  Status status = STATUS_OK;
  progress_begin(m->run->progress, b->type->name, "item", m->done, b->data.count);
  for (size_t begin = 0, end = 0; begin < b->data.count && status == STATUS_OK; begin = end) {
    end = responder_batch_end(&b->requests, config, begin);
    if (end > m->done) status = ask_batch(m, (ItemRange){begin, end});
    progress_update(m->run->progress, m->done);
  }
  progress_end(m->run->progress);
  return status;
}

// ---- measuring ----

static Status measure_rows(const TaskType *type, const Str *rows, size_t count, MetricList *metrics) {
  ParsedRow *parsed = NULL;
  TaskItem *items = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&parsed, count, "rows"));
  TRY_CLEAN(mem_array(&items, count, "rows"));
  for (size_t i = 0; i < count; i++) {
    TRY_CLEAN(parsed_row_read(type, i, &rows[i], &parsed[i]));
    items[i] = parsed[i].item;
  }
  TRY_CLEAN(type->measure(&(TaskItems){type, items, count}, metrics));
cleanup:
  for (size_t i = 0; i < count && parsed != NULL; i++) parsed_row_free(&parsed[i]);
  free(parsed);
  free(items);
  return status;
}

static Status run_benchmark(Evaluation *evaluation, const EvaluationRun *run, MetricList *metrics) {
  const Benchmark *b = (const Benchmark *)evaluation;
  Measuring m = {.benchmark = b, .run = run};
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&m.rows, b->data.count, "rows"));
  TRY_CLEAN(take_rows(&m));
  if (m.done < b->data.count) {
    TRY_CLEAN(responder_create(run->model, &b->requests, run->stop, &m.responder));
    TRY_CLEAN(ask_all(&m));
  }
  TRY_CLEAN(measure_rows(b->type, m.rows, b->data.count, metrics));
cleanup:
  for (size_t i = 0; i < b->data.count && m.rows != NULL; i++) str_free(&m.rows[i]);
  free(m.rows);
  responder_free(m.responder);
  return status;
}

/// Asks every batch on the plan.
static Status plan_benchmark(Evaluation *evaluation, Model *model) {
  const Benchmark *b = (const Benchmark *)evaluation;
  Responder *responder = NULL;
  Status status = STATUS_OK;
  TRY(responder_create(model, &b->requests, NULL, &responder));
  for (size_t begin = 0, end = 0; begin < b->data.count && status == STATUS_OK; begin = end) {
    end = responder_batch_end(&b->requests, model_config(model), begin);
    status = responder_ask(responder, (ItemRange){begin, end});
  }
  responder_free(responder);
  return status;
}

static void free_benchmark(Evaluation *evaluation) {
  Benchmark *b = (Benchmark *)evaluation;
  task_data_free(&b->data);
  requests_free(&b->requests);
  free(b->files);
  free(b);
}

static const EvaluationType BENCHMARK = {
    .plan = plan_benchmark, .run = run_benchmark, .free = free_benchmark};

// ---- opening ----

static Status ask_task(Benchmark *b) {
  for (size_t i = 0; i < b->data.count; i++) {
    ParsedRow parsed = {0};
    Status status = parsed_row_read(b->type, i, &b->data.rows[i], &parsed);
    if (status == STATUS_OK)
      status = status_context(b->type->ask(&parsed.item, &b->requests), "item %zu of %s", i, b->type->name);
    parsed_row_free(&parsed);
    TRY(status);
    TRY(requests_next_item(&b->requests));
  }
  return STATUS_OK;
}

static Status hash_files(Benchmark *b) {
  b->file_count = b->data.path_count;
  TRY(mem_array(&b->files, b->file_count, "data files"));
  for (size_t i = 0; i < b->file_count; i++) {
    b->files[i].path = b->data.paths[i];
    TRY(file_sha256(b->files[i].path, b->files[i].sha256));
  }
  return STATUS_OK;
}

static Status hash_items(Benchmark *b) {
  Str all = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < b->data.count; i++) {
    TRY_CLEAN(str_append(&all, b->data.rows[i].data, b->data.rows[i].size));
    TRY_CLEAN(str_append_text(&all, "\n"));
  }
  hash_sha256(str_text(&all), all.size, b->sha256);
cleanup:
  str_free(&all);
  return status;
}

Status benchmark_create(const TaskType *type, const BenchmarkOptions *options, Evaluation **out) {
  Benchmark *b = NULL;
  Status status = STATUS_OK;
  *out = NULL;
  TRY(mem_array(&b, 1, type->name));
  b->evaluation = (Evaluation){&BENCHMARK, type->name};
  b->type = type;
  b->requests = (TaskRequests){.tokenizer = options->tokenizer,
                               .chat = options->chat,
                               .max_positions = options->max_positions,
                               .gap = options->gap};
  if (type->prompts) TRY_CLEAN(gap_check(options->prompts, options->gap));
  b->data = (TaskData){.type = type,
                       .argument = options->argument,
                       .prompts = options->prompts,
                       .tokenizer = options->tokenizer,
                       .max_positions = options->max_positions,
                       .limit = options->limit};
  TRY_CLEAN(task_data_open(&b->data, options->data_folder));
  TRY_CLEAN(hash_files(b));
  TRY_CLEAN(hash_items(b));
  TRY_CLEAN(ask_task(b));
  if (b->requests.cut > 0)
    log_say(LOG_WARNING, "%s: %zu contexts lost their beginning, to fit the %zu positions of the model",
            type->name, b->requests.cut, options->max_positions);
  *out = &b->evaluation;
cleanup:
  if (status != STATUS_OK) free_benchmark(&b->evaluation);
  return status;
}

void benchmark_keep_items(Evaluation *evaluation, ItemFile *items) {
  ((Benchmark *)evaluation)->kept = items;
}

const TaskType *benchmark_type(const Evaluation *evaluation) {
  return ((const Benchmark *)evaluation)->type;
}

const char *benchmark_argument(const Evaluation *evaluation) {
  return ((const Benchmark *)evaluation)->data.argument;
}

const char *benchmark_sha256(const Evaluation *evaluation) {
  return ((const Benchmark *)evaluation)->sha256;
}

size_t benchmark_items(const Evaluation *evaluation) {
  return ((const Benchmark *)evaluation)->data.count;
}

const Str *benchmark_inputs(const Evaluation *evaluation, size_t item) {
  return &((const Benchmark *)evaluation)->data.rows[item];
}

Status benchmark_decide_again(const Evaluation *evaluation, size_t item, const TaskItem *row, Str *out) {
  const Benchmark *b = (const Benchmark *)evaluation;
  Recalled recalled = {0};
  Status status = recall_answers(b->type, &b->requests, item, row, &recalled);
  if (status == STATUS_OK) status = decide_row(b, item, &recalled.answers, out);
  recalled_free(&recalled);
  return status;
}

const BenchmarkFile *benchmark_files(const Evaluation *evaluation, size_t *count) {
  const Benchmark *b = (const Benchmark *)evaluation;
  *count = b->file_count;
  return b->files;
}
