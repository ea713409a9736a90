// Opening tasks. Rule: a task is what its name, the config and the data make it, whoever asks.
#include "eval_tasks.h"
#include "gap_report.h"
#include "util/memory.h"

#include <stdlib.h>
#include <string.h>

/// The counterfactual prompts of the config, or the built-in ones where it names none.
static Status build_prompts(EvalTasks *tasks, Config *config, const Runtime *runtime, const char *groups) {
  if (config->data.train == NULL && config->eval.file == NULL) config->data.use_test_data = true;
  if (groups != NULL) config->data.groups_file = groups;
  config->data.seed = config->train.seed;
  TRY(config_dataset(config, runtime, true, &tasks->prompts));
  tasks->gap = gap_options(config, runtime->files, &tasks->prompts);
  return STATUS_OK;
}

/// Loads a task of the user's own, whose data are beside it.
static Status load_own(EvalTasks *tasks, const char *path, const TaskType **type, const char **folder) {
  UserTask *task = NULL;
  TRY(mem_reserve(&tasks->own, &tasks->own_capacity, tasks->own_count + 1, "tasks"));
  TRY(user_task_load(path, &task));
  tasks->own[tasks->own_count++] = task;
  *type = user_task_type(task);
  *folder = user_task_folder(task);
  return STATUS_OK;
}

Status eval_tasks_add(EvalTasks *tasks, Config *config, const Runtime *runtime, const char *name) {
  const TaskType *type = NULL;
  BenchmarkOptions settings = {.data_folder = config->benchmarks.data,
                               .limit = config->benchmarks.limit,
                               .tokenizer = runtime->tokenizer,
                               .chat = runtime->chat,
                               .max_positions = model_files_config(runtime->files)->max_positions};
  if (user_task_is_path(name))
    TRY(load_own(tasks, name, &type, &settings.data_folder));
  else
    TRY(task_find(name, &type, &settings.argument));
  for (size_t t = 0; t < tasks->count; t++)
    if (strcmp(benchmark_type(tasks->list[t])->name, type->name) == 0)
      return status_fail(STATUS_INPUT, "the task %s is named twice", type->name);
  if (type->prompts) TRY(build_prompts(tasks, config, runtime, settings.argument));
  settings.prompts = type->prompts ? &tasks->prompts : NULL;
  settings.gap = type->prompts ? &tasks->gap : NULL;
  TRY(mem_reserve(&tasks->list, &tasks->capacity, tasks->count + 1, "tasks"));
  TRY(benchmark_create(type, &settings, &tasks->list[tasks->count]));
  tasks->count++;
  return STATUS_OK;
}

void eval_tasks_free(EvalTasks *tasks) {
  for (size_t t = 0; t < tasks->count; t++) evaluation_free(tasks->list[t]);
  free(tasks->list);
  for (size_t t = 0; t < tasks->own_count; t++) user_task_free(tasks->own[t]);
  free(tasks->own);
  dataset_free(&tasks->prompts);
  *tasks = (EvalTasks){0};
}
