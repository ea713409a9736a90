// A task of a user's own: a JSON file and a table, no code. docs/TASKS.md has the form.
#pragma once

#include "eval/task.h"

typedef struct UserTask UserTask;

/// Whether a name in --tasks is the path of such a file: it ends with .json, and is no built-in task with a
/// file behind its name.
bool user_task_is_path(const char *name);
/// Reads the definition; the data are read when the task is opened. STATUS_INPUT names the member that is
/// unknown, missing or wrong.
STATUS_CHECKED Status user_task_load(const char *path, UserTask **out);
/// Safe on NULL. Evaluations of the task must be freed before.
void user_task_free(UserTask *task);

/// Its type, whose files are the definition itself and the data; it lives as long as the task.
const TaskType *user_task_type(const UserTask *task);
/// The folder of the definition, where its files are.
const char *user_task_folder(const UserTask *task);
