// The data of a task: its files, and the rows that it makes of them. Private to eval.
#pragma once

#include "data/data.h"
#include "eval/task.h"

struct TaskData {
  const TaskType *type;
  const char *argument;       // borrowed; may be NULL
  const Dataset *prompts;     // borrowed; NULL unless type->prompts
  const Tokenizer *tokenizer; // borrowed
  size_t max_positions;       // of the model; 0: any
  char **paths;               // of type->files
  size_t path_count, path_capacity;
  size_t limit; // items at most; 0: all
  Str *rows;    // JSON objects with the inputs
  size_t count, capacity;
};

/// Finds the files of the task in `folder`, and lets it read them. `out` has the first members and the limit;
/// call task_data_free in any case.
STATUS_CHECKED Status task_data_open(TaskData *out, const char *folder);
/// Safe on a zeroed struct and twice.
void task_data_free(TaskData *data);

/// A row as a task sees it. Zero-initialise; free with parsed_row_free.
typedef struct ParsedRow {
  TaskItem item;
  char *name;
  cJSON *json;
} ParsedRow;
STATUS_CHECKED Status parsed_row_read(const TaskType *type, size_t number, const Str *text, ParsedRow *out);
void parsed_row_free(ParsedRow *row);
