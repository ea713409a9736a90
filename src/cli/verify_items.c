// The items of eval's results: whether they are those that the data give, every one of them. Rule: the tasks
// are opened by the config and the data as eval opens them, so a row that was left out is seen even where all
// figures and hashes were made to fit.
#include "eval_tasks.h"
#include "util/memory.h"
#include "verify.h"

#include <stdlib.h>
#include <string.h>

/// What the results were made with, opened again.
typedef struct Remade {
  Config config;
  Runtime runtime;
  EvalTasks tasks;
  char **names; // [name_count] of the tasks, in which the tasks' own texts point
  size_t name_count, name_capacity;
} Remade;

static const char *text_at(const cJSON *json, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static void remade_close(Remade *again) {
  eval_tasks_free(&again->tasks);
  runtime_close(&again->runtime);
  config_free(&again->config);
  for (size_t i = 0; i < again->name_count; i++) free(again->names[i]);
  free(again->names);
}

// ---- which tasks ----

/// Whether the last parts of two paths are the same.
static bool same_file_name(const char *a, size_t size, const char *b) {
  const char *slash = strrchr(b, '/'), *name = slash != NULL ? slash + 1 : b;
  size_t end = strlen(name);
  return end <= size && strncmp(a + size - end, name, end) == 0 && (end == size || a[size - end - 1] == '/');
}

/// Whether a name of eval.tasks is that of a task in the results.
static bool is_named(const char *name, size_t size, const cJSON *task) {
  const cJSON *file = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(task, "data"), 0);
  const char *path = text_at(file, "path");
  size_t plain = strcspn(name, ":");
  if (plain > size) plain = size;
  if (strlen(task->string) == plain && strncmp(task->string, name, plain) == 0) return true;
  return path != NULL && user_task_is_path(path) && same_file_name(name, size, path);
}

static bool is_asked(const char *asked, const cJSON *task) {
  for (const char *name = asked; *name != '\0'; name += strspn(name, EVAL_TASKS_BETWEEN)) {
    size_t size = strcspn(name, EVAL_TASKS_BETWEEN);
    if (size > 0 && is_named(name, size, task)) return true;
    name += size;
  }
  return false;
}

static Status compare_tasks(const char *asked, const cJSON *tasks, Str *differences) {
  const cJSON *task = NULL;
  cJSON_ArrayForEach(task, tasks) {
    if (!is_asked(asked, task))
      TRY(str_append_format(differences, "%.100s is there, and the config does not ask for it\n",
                            task->string));
  }
  for (const char *name = asked; *name != '\0'; name += strspn(name, EVAL_TASKS_BETWEEN)) {
    size_t size = strcspn(name, EVAL_TASKS_BETWEEN);
    bool there = size == 0;
    cJSON_ArrayForEach(task, tasks) there = there || is_named(name, size, task);
    if (!there)
      TRY(str_append_format(differences, "the config asks for %.*s, which is not there\n", (int)size, name));
    name += size;
  }
  return STATUS_OK;
}

/// A task that was asked for and is not there was taken out; one that was not asked for was added.
static Status check_tasks(const Results *results, const Config *config, Findings *findings) {
  const cJSON *tasks = cJSON_GetObjectItemCaseSensitive(results->json, "tasks");
  Str differences = {0};
  Status status = STATUS_OK;
  if (config->benchmarks.tasks == NULL)
    return finding_unchecked(findings, "the list of tasks", "the config does not say which were asked for");
  TRY_CLEAN(compare_tasks(config->benchmarks.tasks, tasks, &differences));
  TRY_CLEAN(finding_lines(findings, "the list of tasks", &differences, "all that the config asks for"));
cleanup:
  str_free(&differences);
  return status;
}

// ---- items ----

/// Opens the task as it was asked for.
static Status open_task(Remade *again, const ResultTask *task, const Evaluation **out) {
  const cJSON *file = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(task->json, "data"), 0);
  const char *argument = text_at(task->json, "argument"), *path = text_at(file, "path");
  char *name = NULL;
  TRY(mem_reserve(&again->names, &again->name_capacity, again->name_count + 1, "names"));
  TRY(task->own != NULL ? str_copy(&name, path, strlen(path))
                        : str_format(&name, "%s%s%s", task->type->name, argument != NULL ? ":" : "",
                                     argument != NULL ? argument : ""));
  again->names[again->name_count++] = name;
  TRY(eval_tasks_add(&again->tasks, &again->config, &again->runtime, name));
  *out = again->tasks.list[again->tasks.count - 1];
  return STATUS_OK;
}

static Status check_task(Remade *again, const ResultTask *task, Findings *findings) {
  const Evaluation *benchmark = NULL;
  Str what = {0}, differences = {0}, detail = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_append_format(&what, "items of %s", task->type->name));
  status = open_task(again, task, &benchmark);
  if (status == STATUS_INPUT) {
    status = finding_unchecked(findings, str_text(&what), status_message());
    goto cleanup;
  }
  TRY_CLEAN(status);
  TRY_CLEAN(verify_has_hashes(task, benchmark, findings));
  TRY_CLEAN(results_compare_items(task, benchmark, &differences));
  TRY_CLEAN(str_append_format(&detail, "all %zu that config and data give, in their order", task->count));
  TRY_CLEAN(finding_lines(findings, str_text(&what), &differences, str_text(&detail)));
cleanup:
  str_free(&what);
  str_free(&differences);
  str_free(&detail);
  return status;
}

static Status check_all(const Results *results, Remade *again, Findings *findings) {
  const Config *config = &again->config;
  TRY(verify_read_config(results->json, &again->config));
  TRY(check_tasks(results, config, findings));
  TRY(runtime_open_files(&again->runtime, config->model.path, config_quantise(config), config_chat(config)));
  for (size_t t = 0; t < results->task_count; t++) TRY(check_task(again, &results->tasks[t], findings));
  return STATUS_OK;
}

Status verify_items(const Results *results, Findings *findings) {
  Remade again = {0};
  Status status = check_all(results, &again, findings);
  if (status == STATUS_INPUT)
    status = finding_unchecked(findings, "which items the data give", status_message());
  remade_close(&again);
  return status;
}
