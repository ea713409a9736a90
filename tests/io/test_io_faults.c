// Failing allocations while files are read and written: all readers of tensors and prompts, the JSON writer,
// and files and folders that appear whole or not at all. Before that, tests of the sweep itself.
#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "io/records.h"
#include "io/table.h"
#include "io/tensors.h"
#include "support/alloc_faults.h"
#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA   GEE_SOURCE_DIR "/tests/io/data/"
#define GOLDEN GEE_SOURCE_DIR "/tests/golden/"

// ---- the sweep itself ----

static Status leaks(void *user) {
  char **a = user, *b = NULL;
  TRY(mem_array(a, 1, "a"));
  TRY(mem_array(&b, 1, "b")); // a is lost
  free(*a);
  free(b);
  return STATUS_OK;
}

static Status ignores(void *user) {
  char *a = NULL;
  (void)user;
  if (mem_array(&a, 1, "a") == STATUS_OK) free(a);
  return STATUS_OK;
}

static Status misnames(void *user) {
  char *a = NULL;
  (void)user;
  if (mem_array(&a, 1, "a") != STATUS_OK) return status_fail(STATUS_FAILED, "there is no such file");
  free(a);
  return STATUS_OK;
}

static Status blames_the_user(void *user) {
  char *a = NULL;
  (void)user;
  if (mem_array(&a, 1, "a") != STATUS_OK) return status_fail(STATUS_INPUT, "out of memory");
  free(a);
  return STATUS_OK;
}

static void sweep_finds_faults(void **state) {
  static const struct {
    Status (*run)(void *);
    const char *verdict;
    size_t n;
  } wrong[] = {{leaks, "left something that is not freed", 2},
               {ignores, "succeeded all the same", 1},
               {misnames, "about something else", 1},
               {blames_the_user, "did not return STATUS_FAILED", 1}};
  char *lost = NULL;
  (void)state;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    FaultSweep sweep = {"wrong", wrong[i].run, NULL, &lost};
    bool fired;
    assert_null(faults_try(&sweep, 3, FAULT_ONCE, &fired));
    assert_false(fired);
    const char *verdict = faults_try(&sweep, wrong[i].n, FAULT_FROM, &fired);
    assert_true(fired);
    assert_non_null(verdict);
    if (!test_contains(verdict, wrong[i].verdict)) fail_msg("%s", verdict);
    if (wrong[i].run == leaks) free(lost);
  }
}

// ---- reading ----

static Status open_tensors(void *user) {
  TensorFile *file = NULL;
  TRY(tensors_open(user, &file));
  tensors_close(file);
  return STATUS_OK;
}

static Status parse_json(void *user) {
  cJSON *value = NULL;
  TRY(json_parse(user, strlen(user), "x.json", &value));
  cJSON_Delete(value);
  return STATUS_OK;
}

static void sweep(const char *name, Status (*run)(void *), const char *path) {
  FaultSweep job = {.name = name, .run = run, .user = (void *)(uintptr_t)path};
  faults_sweep(&job);
}

static void opens_tensors(void **state) {
  (void)state;
  sweep("a GGUF", open_tensors, GOLDEN "llama.gguf");
  sweep("a GGUF in parts", open_tensors, GOLDEN "llama-00001-of-00003.gguf");
  sweep("a safetensors file", open_tensors, GOLDEN "llama/model.safetensors");
  sweep("a file of torch.save", open_tensors, DATA "torch/plain.bin");
}

static void parses_json(void **state) {
  (void)state;
  sweep("JSON", parse_json, "{\"a\": [1, -2.5e3, \"x\\u00e4\", null, true, {\"b\": {}}], \"c\": \"d\"}");
}

typedef struct PromptFile {
  const char *path, *column;
} PromptFile;

static Status read_prompts(void *user) {
  const PromptFile *table = user;
  RecordSource source = {.path = table->path, .column = table->column};
  Records records = {0};
  Status status = records_read(&source, &records);
  if (status != STATUS_OK) assert_null(records.rows);
  records_free(&records);
  return status;
}

static void reads_prompts(void **state) {
  (void)state;
  char list[600];
  static const char rows[] = "[{\"text\": \"a\"}, {\"text\": [{\"role\": \"user\", \"content\": \"b\"}]}]";
  (void)snprintf(list, sizeof list, "%s/list.json", test_folder());
  assert_ok(file_write_atomic(list, rows, sizeof rows - 1));
  const PromptFile tables[] = {{DATA "snappy_v1_groups.parquet", "chat"},
                               {DATA "gzip_v2.parquet", "text"},
                               {DATA "zstd_v1.parquet", "outer.inner"},
                               {DATA "zstd_v1_delta_length.parquet", "text"},
                               {DATA "snappy_v2_delta_strings.parquet", "text"},
                               {DATA "lines.jsonl", "chat"},
                               {DATA "prompts/chats.parquet", "messages"},
                               {DATA "prompts/share_gpt.parquet", "conversations"},
                               {DATA "prompts/parts.parquet", "messages"},
                               {DATA "prompts/packed.csv.gz", "prompt"},
                               {DATA "prompts/packed.jsonl.zst", "prompt"},
                               {DATA "prompts/chat_text.csv", "messages"},
                               {DATA "prompts/parts.jsonl", "messages"},
                               {DATA "prompts/twins.jsonl", "prompt"},
                               {DATA "prompts/data.json", "prompt"},
                               {DATA "prompts/texts.json", NULL},
                               {DATA "prompts/csv.txt", "prompt"},
                               {list, "text"}};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    FaultSweep job = {tables[i].path + strlen(DATA), read_prompts, NULL, (void *)(uintptr_t)&tables[i]};
    if (tables[i].path == list) job.name = "list.json";
    faults_sweep(&job);
  }
}

/// Reads all columns of supported types at once.
static Status read_table(void *user) {
  enum { MOST = 40 };
  Table *table = NULL;
  const TableColumn *columns = NULL;
  const char *names[MOST];
  size_t count = 0, used = 0, rows = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(table_open(user, "a", &table));
  TRY_CLEAN(table_columns(table, &columns, &count));
  for (size_t i = 0; i < count && used < MOST; i++)
    if (columns[i].type != CELL_OTHER) names[used++] = columns[i].name;
  TRY_CLEAN(table_select(table, names, used));
  do {
    CellList list;
    TRY_CLEAN(table_next_group(table, &rows));
    for (size_t i = 0; i < rows * used; i++) {
      status = table_list(table, i / used, i % used, CELL_TEXT, &list);
      if (status == STATUS_FAILED) goto cleanup; // a wrong type is fine: most cells are not lists of text
    }
    status = STATUS_OK;
  } while (rows > 0);
cleanup:
  table_close(table);
  return status;
}

static void reads_tables(void **state) {
  (void)state;
  char unknown[600];
  static const char row[] = "{\"a\": [], \"b\": {\"c\": 1}}\n";
  (void)snprintf(unknown, sizeof unknown, "%s/prompts", test_folder());
  assert_ok(file_write_atomic(unknown, row, sizeof row - 1));
  sweep("every type of Parquet", read_table, DATA "table/typed_v2.parquet");
  sweep("Parquet deltas", read_table, DATA "table/typed_delta.parquet");
  sweep("CSV", read_table, DATA "table/quotes.csv");
  sweep("a JSON list", read_table, DATA "table/list.json");
  sweep("a file of no known name", read_table, unknown);
}

// ---- writing ----

static Status fill(void *user, size_t index, size_t first, size_t count, float *out) {
  (void)user;
  (void)index;
  for (size_t i = 0; i < count; i++) out[i] = (float)(first + i);
  return STATUS_OK;
}

/// Writes a folder with a safetensors file and a JSON file, whole or not at all.
static Status write_folder(void *user) {
  static const TensorToWrite tensors[] = {{"a", DTYPE_F32, 2, {3, 5}}, {"b", DTYPE_BF16, 1, {7}}};
  AtomicDir dir = {0};
  char *path = NULL;
  JsonWriter json = {.layout = JSON_PRETTY};
  Status status = STATUS_OK;
  TRY_CLEAN(atomic_dir_begin(user, &dir));
  TRY_CLEAN(path_join(&path, dir.partial, "model.safetensors"));
  TRY_CLEAN(safetensors_write(path, tensors, 2, fill, NULL));
  json_object_begin(&json, NULL);
  json_integers(&json, "ids", (const int32_t[]){1, 2, 3}, 3);
  json_bytes(&json, "text", "\xff\n", 2);
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, dir.partial, "a.json"));
  TRY_CLEAN(atomic_dir_commit(&dir));
cleanup:
  json_free(&json);
  atomic_dir_abort(&dir);
  free(path);
  return status;
}

static void check_files(const char *folder) {
  char path[700];
  TensorFile *file = NULL;
  cJSON *json = NULL;
  (void)snprintf(path, sizeof path, "%s/model.safetensors", folder);
  assert_ok(tensors_open(path, &file));
  assert_int_equal(tensors_count(file), 2);
  tensors_close(file);
  (void)snprintf(path, sizeof path, "%s/a.json", folder);
  assert_ok(json_parse_file(path, &json));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "ids")), 3);
  cJSON_Delete(json);
}

/// The folder is whole or not there. A partial one may remain only if every later allocation fails too,
/// because then it cannot be removed; the next write removes it.
static void check_new_folder(void *user, bool failed, FaultMode mode) {
  char partial[700];
  (void)snprintf(partial, sizeof partial, "%s" PARTIAL_END, (const char *)user);
  if (!failed || file_exists(user)) check_files(user);
  if (mode == FAULT_ONCE || !failed) assert_false(file_exists(partial));
  assert_ok(directory_remove(user));
}

/// An older folder stays until the new one replaces it.
static void check_old_folder(void *user, bool failed, FaultMode mode) {
  char partial[700];
  (void)snprintf(partial, sizeof partial, "%s" PARTIAL_END, (const char *)user);
  check_files(user);
  if (mode == FAULT_ONCE || !failed) assert_false(file_exists(partial));
}

static void writes_whole_folders_or_none(void **state) {
  (void)state;
  char path[600];
  (void)snprintf(path, sizeof path, "%s/step_1", test_folder());
  FaultSweep fresh = {"a new folder", write_folder, check_new_folder, path};
  faults_sweep(&fresh);
  FaultSweep again = {"a folder in the place of an older one", write_folder, check_old_folder, path};
  faults_sweep(&again);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sweep_finds_faults), cmocka_unit_test(opens_tensors),
      cmocka_unit_test(parses_json),        cmocka_unit_test(reads_prompts),
      cmocka_unit_test(reads_tables),       cmocka_unit_test(writes_whole_folders_or_none),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
