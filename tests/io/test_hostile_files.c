// Truncated files, files with flipped bits, and random files. Rule: for any bytes a reader returns rows or
// STATUS_INPUT with a message. It never reads outside the file (the sanitizers check that, also beyond the
// end of a map), never runs out of memory and never hangs.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "io/records.h"
#include "io/table.h"
#include "io/tensors.h"
#include "util/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA GEE_SOURCE_DIR "/tests/io/data/"

enum { CUTS = 120, FLIPS = 150, RANDOM_FILES = 200 };

typedef struct Sample {
  const char *name;
  const char *columns[2]; // of a prompt file; none for tensors
  bool may_be_cut;        // its beginning can be a valid file
} Sample;

static const Sample SAMPLES[] = {
    {"peer.gguf", {0}, false},
    {"../../fuzz/corpus/gguf/types", {0}, false},
    {"peer.safetensors", {0}, false},
    {"torch/plain.bin", {0}, false},
    {"torch/wide.bin", {0}, false},
    {"none_v1_dictionary.parquet", {"text", "chat"}, false},
    {"none_v2_plain.parquet", {"text", "chat"}, false},
    {"snappy_v1_groups.parquet", {"text", "chat"}, false},
    {"snappy_v2_checksum.parquet", {"text", "chat"}, false},
    {"gzip_v1_plain_pages.parquet", {"text", "chat"}, false},
    {"gzip_v2.parquet", {"text", "chat"}, false},
    {"zstd_v1.parquet", {"text", "chat"}, false},
    {"zstd_v2_groups.parquet", {"text", "chat"}, false},
    {"zstd_v1_delta_length.parquet", {"text", "chat"}, false},
    {"snappy_v2_delta_strings.parquet", {"text", "chat"}, false},
    {"old_two_levels.parquet", {"chat"}, false},
    {"old_repeated.parquet", {"chat"}, false},
    {"empty.parquet", {"text", "chat"}, false},
    {"lines.jsonl", {"text", "chat"}, true},
    {"table/typed_dictionary.parquet", {"text", "chat"}, false},
    {"table/typed_plain.parquet", {"text", "chat"}, false},
    {"table/typed_v2.parquet", {"text", "chat"}, false},
    {"table/typed_delta.parquet", {"text", "chat"}, false},
    {"brotli.parquet", {"text", "chat"}, false},
    {"lz4.parquet", {"text", "chat"}, false},
    {"prompts/hadoop.parquet", {"prompt"}, false},
    {"prompts/parts.parquet", {"messages"}, false},
    {"prompts/packed.jsonl.gz", {"prompt"}, false},
    {"prompts/packed.jsonl.zst", {"prompt"}, false},
    {"prompts/parts.jsonl", {"messages"}, true},
    {"prompts/share_gpt.jsonl", {"conversations"}, true},
    {"prompts/chat_text.csv", {"messages"}, true},
    {"prompts/data.json", {"prompt"}, true},
    {"table/quotes.csv", {"text", "chat"}, true},
    {"table/list.json", {"text", "chat"}, true},
};
enum { SAMPLE_COUNT = sizeof SAMPLES / sizeof SAMPLES[0] };

static uint32_t draw(uint32_t stream, uint32_t a, uint32_t b) {
  return rng_bits(15, RNG_DATA, stream, a, b);
}

static const char *base_name(const char *name) {
  const char *slash = strrchr(name, '/');
  return slash != NULL ? slash + 1 : name;
}

/// Writes a file with the ending of `name`, without syncing: thousands are written here.
static const char *write_file(const char *name, const uint8_t *bytes, size_t size) {
  static char path[600];
  static const char *folder;
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/case-%s", folder, base_name(name));
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
  return path;
}

/// Reads every element of every tensor.
static Status read_tensors(const char *path) {
  TensorFile *file = NULL;
  TRY(tensors_open(path, &file));
  Status status = STATUS_OK;
  for (size_t t = 0; status == STATUS_OK && t < tensors_count(file); t++) {
    const StoredTensor *tensor = tensors_at(file, t);
    float *values = malloc(tensor->elements * sizeof *values + 1);
    assert_non_null(values);
    status = tensors_read_f32(tensor, 0, tensor->elements, values);
    free(values);
  }
  tensors_close(file);
  return status;
}

/// Reads each column. Returns the first failure, or a later one that is not STATUS_INPUT.
static Status read_records(const char *path, const char *const columns[2]) {
  Status worst = STATUS_OK;
  for (size_t c = 0; c < 2 && columns[c] != NULL; c++) {
    Records records;
    Status status = records_read(&(RecordSource){.path = path, .column = columns[c]}, &records);
    records_free(&records);
    if (status != STATUS_OK && status != STATUS_INPUT) return status;
    if (status != STATUS_OK) worst = status;
  }
  return worst;
}

/// Reads every byte that a cell points to.
static size_t touch(const Cell *cell) {
  size_t sum = (size_t)cell->type;
  if (cell->type == CELL_TEXT)
    for (size_t i = 0; i < cell->text.size; i++) sum += (uint8_t)cell->text.bytes[i];
  if (cell->type == CELL_LIST)
    for (size_t i = 0; i < cell->list.count; i++) sum += touch(&cell->list.items[i]);
  for (size_t i = 0; cell->type == CELL_CHAT && i < cell->chat.count; i++) {
    const TableMessage *message = &cell->chat.messages[i];
    for (size_t b = 0; b < message->role.size; b++) sum += (uint8_t)message->role.bytes[b];
    for (size_t b = 0; b < message->content.size; b++) sum += (uint8_t)message->content.bytes[b];
  }
  return sum;
}

static volatile size_t sink; // so that the compiler keeps the reads

/// Reads column `name`, group by group.
static Status read_column(Table *table, const char *name) {
  size_t rows = 0, sum = 0;
  TRY(table_select(table, &name, 1));
  do {
    TRY(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++) sum += touch(table_cell(table, i, 0));
  } while (rows > 0);
  sink = sum;
  return STATUS_OK;
}

/// Reads each column of a table in memory of exactly `size` bytes. Returns the first failure, or a later one
/// that is not STATUS_INPUT.
static Status read_table(const char *name, const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size > 0 ? size : 1);
  Status worst = STATUS_OK;
  size_t count = 1;
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  for (size_t c = 0; c < count && (worst == STATUS_OK || worst == STATUS_INPUT); c++) {
    const TableColumn *columns = NULL;
    Table *table = NULL;
    Status status = table_open_bytes(name, copy, size, "text", &table);
    if (status == STATUS_OK) status = table_columns(table, &columns, &count);
    if (status == STATUS_OK && count > 0) status = read_column(table, columns[c].name);
    if (status != STATUS_OK) worst = status;
    table_close(table);
  }
  free(copy);
  return worst;
}

/// Reads the bytes as a file of the kind of `sample`. The test fails unless this succeeds or gives
/// STATUS_INPUT and a message of one line that names the file.
static Status read_case(const Sample *sample, const uint8_t *bytes, size_t size, const char *what,
                        size_t number) {
  const char *path = write_file(sample->name, bytes, size);
  Status status = sample->columns[0] == NULL ? read_tensors(path) : read_records(path, sample->columns);
  if (sample->columns[0] != NULL && (status == STATUS_OK || status == STATUS_INPUT)) {
    Status of_table = read_table(path, bytes, size);
    if (of_table != STATUS_OK) status = of_table;
  }
  if (status != STATUS_OK && status != STATUS_INPUT)
    fail_msg("%s, %s %zu: status %d, \"%s\"", sample->name, what, number, (int)status, status_message());
  if (status == STATUS_INPUT &&
      (!test_contains(status_message(), "case-") || strchr(status_message(), '\n') != NULL))
    fail_msg("%s, %s %zu: \"%s\" is not one line that names the file", sample->name, what, number,
             status_message());
  return status;
}

/// A copy of the sample in fresh memory.
static uint8_t *load(const Sample *sample, size_t *size) {
  char path[600];
  MappedFile file;
  (void)snprintf(path, sizeof path, DATA "%s", sample->name);
  assert_ok(file_map(path, &file));
  uint8_t *copy = malloc(file.size);
  assert_non_null(copy);
  memcpy(copy, file.bytes, file.size);
  *size = file.size;
  file_unmap(&file);
  return copy;
}

static void survives_cuts(void **state) {
  (void)state;
  for (size_t s = 0; s < SAMPLE_COUNT; s++) {
    size_t size = 0;
    uint8_t *bytes = load(&SAMPLES[s], &size);
    size_t step = size / CUTS + 1;
    for (size_t cut = 0; cut < size; cut += step) {
      Status status = read_case(&SAMPLES[s], bytes, cut, "cut at", cut);
      if (status == STATUS_OK && !SAMPLES[s].may_be_cut && cut + 32 < size) // GGUF pads its last tensor
        fail_msg("%s cut at %zu of %zu was read", SAMPLES[s].name, cut, size);
    }
    if (read_case(&SAMPLES[s], bytes, size, "whole", 0) != STATUS_OK)
      fail_msg("%s was not read: %s", SAMPLES[s].name, status_message());
    free(bytes);
  }
}

static void survives_flips(void **state) {
  (void)state;
  size_t read = 0, refused = 0;
  for (uint32_t s = 0; s < SAMPLE_COUNT; s++) {
    size_t size = 0;
    uint8_t *bytes = load(&SAMPLES[s], &size);
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    for (uint32_t i = 0; i < FLIPS; i++) {
      memcpy(copy, bytes, size);
      uint32_t flips = 1 + draw(s, i, 0) % 4;
      for (uint32_t f = 1; f <= flips; f++) {
        // Every second flip is near the end, where Parquet has its footer, or near the start, where the other
        // formats have a header.
        size_t reach = i % 2 == 0 ? size : size / 3;
        size_t place = draw(s, i, 2 * f) % reach;
        if (SAMPLES[s].columns[0] != NULL) place = size - 1 - place;
        copy[place] = (uint8_t)draw(s, i, 2 * f + 1);
      }
      if (read_case(&SAMPLES[s], copy, size, "flip", i) == STATUS_OK)
        read++;
      else
        refused++;
    }
    free(copy);
    free(bytes);
  }
  assert_true(refused > 500); // the flips hit what is checked
  assert_true(read > 100);    // and not always the first check
}

/// A flipped bit in a page that has a checksum is found by it.
static void checks_checksums(void **state) {
  (void)state;
  static const Sample sample = {"snappy_v2_checksum.parquet", {"text"}, false};
  size_t size = 0, found = 0;
  uint8_t *bytes = load(&sample, &size);
  for (size_t i = 4; i < size; i += 3) {
    bytes[i] ^= 4;
    found +=
        read_case(&sample, bytes, size, "bit", i) != STATUS_OK && test_contains(status_message(), "checksum");
    bytes[i] ^= 4;
  }
  assert_true(found > 50);
  free(bytes);
}

static void survives_random_files(void **state) {
  (void)state;
  static const Sample parquet = {"random.parquet", {"text"}, false}, gguf = {"random.gguf", {0}, false},
                      safetensors = {"random.safetensors", {0}, false};
  uint8_t bytes[600];
  for (uint32_t i = 0; i < RANDOM_FILES; i++) {
    size_t size = 40 + draw(100, i, 0) % 500;
    // Small numbers are likelier to pass the first checks.
    uint32_t mask = i % 3 == 0 ? 0xff : i % 3 == 1 ? 0x1f : 0x0f;
    for (uint32_t b = 0; b < size; b++) bytes[b] = (uint8_t)(draw(101, i, b) & mask);
    memcpy(bytes, "PAR1", 4);
    memcpy(bytes + size - 4, "PAR1", 4);
    uint32_t footer = (uint32_t)(size - 12 - draw(102, i, 0) % 20);
    memcpy(bytes + size - 8, &footer, 4);
    assert_int_equal(read_case(&parquet, bytes, size, "random", i), STATUS_INPUT);
    static const uint8_t start[24] = {'G', 'G', 'U', 'F', 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2};
    memcpy(bytes, start, sizeof start);
    (void)!read_case(&gguf, bytes, size, "random", i);
    uint64_t header = size - 8;
    memcpy(bytes, &header, 8);
    bytes[8] = '{';
    assert_int_equal(read_case(&safetensors, bytes, size, "random", i), STATUS_INPUT);
  }
}

/// A prompt file whose one line is nested 200,000 deep.
static void survives_deep_json(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  static const Sample sample = {"deep.jsonl", {"text"}, false};
  uint8_t *text = malloc(DEPTH);
  assert_non_null(text);
  memset(text, '[', DEPTH);
  assert_int_equal(read_case(&sample, text, DEPTH, "deep", 0), STATUS_INPUT);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(survives_cuts),      cmocka_unit_test(survives_flips),
      cmocka_unit_test(checks_checksums),   cmocka_unit_test(survives_random_files),
      cmocka_unit_test(survives_deep_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
