// results.json of gee-cl eval and, after a line "----", its items: what verify and compare read back.
// Whatever it holds, figures that are accepted were computed from the items.
#include "fuzz.h"

#include "eval/compare.h"
#include "eval/results.h"
#include "util/str.h"

/// Compares the results with themselves: no change is possible.
static void compare_with_itself(const ResultTask *task) {
  ComparedRows rows = {{task->type, task->items, task->count}, &task->metrics};
  ComparedRows both[] = {rows, rows};
  Comparison comparison = {.models = 2};
  if (fuzz_accepted(comparison_add(&comparison, both)) && fuzz_accepted(comparison_finish(&comparison))) {
    for (size_t i = 0; i < comparison.count; i++) {
      double change = comparison.list[i].values[1].change.value;
      FUZZ_CHECK(!(change < 0) && !(change > 0));
      FUZZ_CHECK(!comparison.list[i].values[1].best);
    }
  }
  comparison_free(&comparison);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  Results results = {0};
  const char *path = fuzz_file("results.json", parts.first, parts.first_size);
  const char *items = fuzz_file("items.jsonl", parts.second, parts.second_size);
  bool opened = fuzz_accepted(results_open(path, items, &results));
  for (size_t t = 0; opened && t < results.task_count; t++) {
    Str differences = {0};
    FUZZ_CHECK(results_differences(&results.tasks[t], &differences) == STATUS_OK);
    (void)fuzz_accepted(results_check_same(&results, &results, results.tasks[t].type));
    compare_with_itself(&results.tasks[t]);
    str_free(&differences);
  }
  results_free(&results);
  return 0;
}
