// Benchmarks: a first line that names the task, its first data file and, after a line "----", a row of
// items.jsonl whose metrics are computed.
#include "fuzz.h"

#include "io/file.h"
#include "requests.h"
#include "task_data.h"
#include "task_list.h"
#include <stdio.h>
#include <string.h>

/// The other files of tasks that read several: as small as they may be.
static const char *const OTHER_FILES[][2] = {
    {"winobias/anti_stereotyped_type1.txt.test", "1 [The cook] saw the nurse and [she] ran.\n"},
    {"winobias/pro_stereotyped_type2.txt.test", "1 [The cook] saw the nurse and [he] ran.\n"},
    {"winobias/anti_stereotyped_type2.txt.test", "1 [The cook] saw the nurse and [she] ran.\n"},
    {"winobias/male_occupations.txt", "cook\nguard\n"},
    {"winobias/female_occupations.txt", "nurse\n"},
    {"winogender/templates.tsv",
     "occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tguest\t0\t$NOM_PRONOUN ran.\n"},
    {"winogender/occupations-stats.tsv", "occupation\tbls_pct_female\tbergsma_pct_female\ncook\t9\t40\n"},
};
enum { ROWS = 50 }; // whose requests are made

static Tokenizer *tokenizer;

static void put(const char *file, const void *bytes, size_t size) {
  char folder[256];
  (void)snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(file, '/') - file), file);
  FUZZ_CHECK(directory_create(fuzz_path(folder)) == STATUS_OK);
  (void)fuzz_file(file, bytes, size);
}

static void put_others(const TaskType *type) {
  for (size_t i = 1; type->files[i] != NULL; i++) {
    const char *text = "";
    for (size_t k = 0; k < sizeof OTHER_FILES / sizeof *OTHER_FILES; k++)
      if (strcmp(OTHER_FILES[k][0], type->files[i]) == 0) text = OTHER_FILES[k][1];
    put(type->files[i], text, strlen(text));
  }
}

/// What a task makes of its file can be asked or is refused.
static void try_data(const TaskType *type, const uint8_t *bytes, size_t size) {
  TaskData data = {.type = type};
  if (type->prompts || type->files[0] == NULL) return;
  if (type->argument != NULL && strcmp(type->argument, "FILE") == 0)
    data.argument = fuzz_file("in.jsonl", bytes, size); // files[0] may be a pattern
  else
    put(type->files[0], bytes, size);
  put_others(type);
  bool opened = fuzz_accepted(task_data_open(&data, fuzz_path("")));
  FUZZ_CHECK(!opened || data.count > 0);
  TaskRequests requests = {.tokenizer = tokenizer, .max_positions = 64};
  for (size_t i = 0; opened && i < data.count && i < ROWS; i++) {
    ParsedRow row = {0};
    FUZZ_CHECK(parsed_row_read(type, i, &data.rows[i], &row) == STATUS_OK);
    (void)fuzz_accepted(type->ask(&row.item, &requests));
    parsed_row_free(&row);
  }
  requests_free(&requests);
  task_data_free(&data);
}

static void try_row(const TaskType *type, const uint8_t *bytes, size_t size) {
  ParsedRow row = {0};
  MetricList metrics = {0};
  Str text = {0};
  FUZZ_CHECK(str_append(&text, (const char *)bytes, size) == STATUS_OK);
  if (fuzz_accepted(parsed_row_read(type, 0, &text, &row)))
    (void)fuzz_accepted(type->measure(&(TaskItems){type, &row.item, 1}, &metrics));
  metrics_free(&metrics);
  parsed_row_free(&row);
  str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  const uint8_t *line_end = memchr(bytes, '\n', size);
  size_t i = 0, length = line_end != NULL ? (size_t)(line_end - bytes) : 0;
  if (tokenizer == NULL)
    FUZZ_CHECK(tokenizer_load(fuzz_source("tests/text/bpe_smollm"), &tokenizer) == STATUS_OK);
  while (task_types[i] != NULL &&
         (strlen(task_types[i]->name) != length || memcmp(task_types[i]->name, bytes, length) != 0))
    i++;
  if (task_types[i] == NULL) return 0;
  FuzzParts parts = fuzz_cut(bytes + length + 1, size - length - 1);
  try_data(task_types[i], parts.first, parts.first_size);
  if (parts.second_size > 0) try_row(task_types[i], parts.second, parts.second_size);
  return 0;
}
