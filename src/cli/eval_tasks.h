// The tasks that a config asks for, opened with their data: what eval runs, and what verify compares items
// with.
#pragma once

#include "cli.h"
#include "eval/benchmark.h"
#include "eval/user_task.h"

// What stands between names in eval.tasks.
#define EVAL_TASKS_BETWEEN ", "

/// Zero-initialise; free with eval_tasks_free.
typedef struct EvalTasks {
  Evaluation **list; // [count]
  size_t count, capacity;
  UserTask **own; // [own_count] tasks of the user's own
  size_t own_count, own_capacity;
  Dataset prompts; // of tasks that are made of counterfactual prompts
  GapOptions gap;
} EvalTasks;

/// Opens a task by its name in eval.tasks, such as "perplexity:my.txt" or "tasks/mine.json", which must live
/// as long as the tasks. Reads its data. `runtime` has the model's files and tokenizer. The config is
/// completed by what the task says of groups. STATUS_INPUT if the task is there already.
STATUS_CHECKED Status eval_tasks_add(EvalTasks *tasks, Config *config, const Runtime *runtime,
                                     const char *name);
/// Safe on a zeroed struct and twice.
void eval_tasks_free(EvalTasks *tasks);
