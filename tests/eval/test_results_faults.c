// Memory that runs out while results are read back and compared with their items: a clear message, and
// nothing left.
#include "support/alloc_faults.h"
#include "support/test.h"

#include "eval/gap_record.h"
#include "eval/results.h"
#include "support/process.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

static const char RESULTS[] = "{\"format\": \"gee-cl results 1\", \"tasks\": {"
                              "\"crows_pairs\": {\"items\": 2, \"items_sha256\": \"a\", \"metrics\": "
                              "{\"pct_stereotype\": {\"value\": 1}}}}}";
static const char ITEMS[] =
    "{\"task\": \"crows_pairs\", \"index\": 0, \"bias_type\": \"age\", \"stereo_antistereo\": \"stereo\", "
    "\"loglikelihoods\": [-2, -3], \"tokens\": [1, 3]}\n"
    "{\"task\": \"crows_pairs\", \"index\": 1, \"bias_type\": \"age\", \"stereo_antistereo\": \"stereo\", "
    "\"loglikelihoods\": [-5, -4], \"tokens\": [1, 3]}\n";

static Status read_back(void *user) {
  const char *const *paths = user;
  Results results = {0};
  Str differences = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(results_open(paths[0], paths[1], &results));
  TRY_CLEAN(results_differences(&results.tasks[0], &differences));
  TRY_CLEAN(results_check_same(&results, &results, results.tasks[0].type));
cleanup:
  str_free(&differences);
  results_free(&results);
  return status;
}

static void reads_results(void **state) {
  (void)state;
  const char *paths[] = {in_folder(test_folder(), "results.json"), in_folder(test_folder(), "items.jsonl")};
  write_text(paths[0], RESULTS);
  write_text(paths[1], ITEMS);
  faults_sweep(&(FaultSweep){.name = "reading results", .run = read_back, .user = paths});
}

static Status read_gap(void *user) {
  const char *const *paths = user;
  GapRecord record = {0};
  Str differences = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(gap_record_open(paths[0], &record));
  TRY_CLEAN(gap_record_compute(&record, paths[1]));
  for (size_t m = 0; m < record.count; m++)
    TRY_CLEAN(gap_record_differences(&record.models[m], &differences));
cleanup:
  str_free(&differences);
  gap_record_free(&record);
  return status;
}

/// What the fuzzer begins with: a base model and an adapter, whose figures are not those of the items.
static void reads_gaps(void **state) {
  (void)state;
  const char *paths[] = {in_folder(test_folder(), "gap.json"), in_folder(test_folder(), "items.jsonl")};
  char *text = read_file(GEE_SOURCE_DIR "/tests/fuzz/corpus/gap_record/compared", NULL);
  char *cut = strstr(text, "----\n");
  assert_non_null(cut);
  write_file(paths[0], text, (size_t)(cut - text));
  write_text(paths[1], cut + strlen("----\n"));
  free(text);
  faults_sweep(&(FaultSweep){.name = "reading gaps", .run = read_gap, .user = paths});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads_results), cmocka_unit_test(reads_gaps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
