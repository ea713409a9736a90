// A user's task: its definition and, after a line "----", its data as rows.jsonl.
#include "fuzz.h"

#include "eval/user_task.h"
#include "task_data.h"
#include <string.h>

enum { ROWS = 50 }; // that are looked at

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  UserTask *task = NULL;
  (void)fuzz_file("rows.jsonl", parts.second, parts.second_size);
  if (!fuzz_accepted(user_task_load(fuzz_file("task.json", parts.first, parts.first_size), &task))) return 0;
  TaskData data = {.type = user_task_type(task)};
  bool here = strcmp(data.type->files[1], "rows.jsonl") == 0; // no other file of this machine
  bool opened = here && fuzz_accepted(task_data_open(&data, user_task_folder(task)));
  for (size_t i = 0; opened && i < data.count && i < ROWS; i++) {
    ParsedRow row = {0};
    FUZZ_CHECK(parsed_row_read(data.type, i, &data.rows[i], &row) == STATUS_OK);
    FUZZ_CHECK(json_has(row.json, "choices") ||
               (json_has(row.json, "first") && json_has(row.json, "second")));
    parsed_row_free(&row);
  }
  task_data_free(&data);
  user_task_free(task);
  return 0;
}
