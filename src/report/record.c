// Reading a run's files.
#include "record.h"
#include "io/file.h"
#include "util/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_POINTS = 400 }; // of a curve

// ---- files ----

/// *out = the JSON of a file; NULL if there is none, or no path.
static Status read_json(const char *path, cJSON **out) {
  *out = NULL;
  if (path == NULL || !file_exists(path)) return STATUS_OK;
  TRY(json_parse_file(path, out));
  if (cJSON_IsObject(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: not a JSON object; name a file that gee-cl wrote", path);
}

static Status add_line(const char *path, const char *text, size_t size, size_t number, Lines *out) {
  if (json_space(text, size) == size) return STATUS_OK;
  TRY(mem_reserve(&out->items, &out->capacity, out->count + 1, "lines of a run"));
  cJSON **line = &out->items[out->count];
  TRY(status_context(json_parse_with_nul(text, size, "JSON", line), "%s: line %zu", path, number));
  out->count++;
  if (cJSON_IsObject(*line)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: line %zu is not a JSON object", path, number);
}

static size_t count_lines(const MappedFile *file) {
  size_t count = 0;
  for (size_t i = 0; i < file->size; i++) count += file->bytes[i] == '\n';
  return count;
}

/// Reads about `most` lines, evenly over the file.
static Status read_lines(const char *path, size_t most, Lines *out) {
  MappedFile file = {0};
  out->stride = 1;
  if (path == NULL || !file_exists(path)) return STATUS_OK;
  TRY(file_map(path, &file));
  const char *text = (const char *)file.bytes;
  Status status = STATUS_OK;
  out->stride = (count_lines(&file) + most - 1) / most;
  if (out->stride == 0) out->stride = 1;
  for (size_t at = 0, number = 1; at < file.size && status == STATUS_OK; number++) {
    const char *end = memchr(text + at, '\n', file.size - at);
    if (end == NULL) break;
    size_t size = (size_t)(end - text) - at;
    if ((number - 1) % out->stride == 0) status = add_line(path, text + at, size, number, out);
    at += size + 1;
  }
  file_unmap(&file);
  return status;
}

static Status read_text(const char *path, char **out) {
  MappedFile file = {0};
  if (!file_exists(path)) return STATUS_OK;
  TRY(file_map(path, &file));
  Status status = str_copy(out, (const char *)file.bytes, file.size);
  file_unmap(&file);
  return status;
}

/// A file of a folder, read into the record.
typedef enum Part { PART_STATE, PART_BASE, PART_README, PART_METRICS, PART_MEASURED } Part;
static Status read_part(const char *folder, const char *name, Part part, Record *record) {
  char *path = NULL;
  Status status = STATUS_OK;
  TRY(path_join(&path, folder, name));
  switch (part) {
  case PART_STATE:
    status = read_json(path, &record->state);
    break;
  case PART_BASE:
    status = read_json(path, &record->base);
    break;
  case PART_README:
    status = read_text(path, &record->readme);
    break;
  case PART_METRICS:
    status = read_lines(path, MOST_POINTS, &record->metrics);
    break;
  case PART_MEASURED:
    status = read_lines(path, MOST_POINTS, &record->measured);
    break;
  }
  free(path);
  return status;
}

static Status read_results(const ReportInput *input, Record *out) {
  TRY(mem_array(&out->results, input->result_count, "results"));
  for (size_t i = 0; i < input->result_count; i++) {
    TRY(json_parse_file(input->results[i], &out->results[i]));
    if (!cJSON_IsObject(JSON_AT(out->results[i], "tasks")))
      return status_fail(STATUS_INPUT, "%s: no \"tasks\"; name a file that gee-cl eval --output wrote",
                         input->results[i]);
  }
  return STATUS_OK;
}

Status record_read(const ReportInput *input, Record *out) {
  *out = (Record){0};
  TRY(read_part(input->checkpoint, "trainer_state.json", PART_STATE, out));
  TRY(read_part(input->checkpoint, "adapter_base.json", PART_BASE, out));
  TRY(read_part(input->checkpoint, "README.md", PART_README, out));
  TRY(read_part(input->run, "metrics.jsonl", PART_METRICS, out));
  TRY(read_part(input->run, "bias_eval.jsonl", PART_MEASURED, out));
  TRY(read_json(input->gap, &out->gap));
  TRY(read_lines(input->items, SIZE_MAX / 2, &out->items));
  return read_results(input, out);
}

static void lines_free(Lines *lines) {
  for (size_t i = 0; i < lines->count; i++) cJSON_Delete(lines->items[i]);
  free(lines->items);
}

void record_free(Record *record, const ReportInput *input) {
  cJSON_Delete(record->state);
  cJSON_Delete(record->base);
  cJSON_Delete(record->gap);
  for (size_t i = 0; record->results != NULL && i < input->result_count; i++)
    cJSON_Delete(record->results[i]);
  free(record->results);
  lines_free(&record->metrics);
  lines_free(&record->measured);
  lines_free(&record->items);
  free(record->readme);
  *record = (Record){0};
}

// ---- values ----

const cJSON *json_at(const cJSON *root, const char *const *path) {
  for (; *path != NULL && root != NULL; path++) root = cJSON_GetObjectItemCaseSensitive(root, *path);
  return root;
}

double number_at(const cJSON *root, const char *const *path) {
  const cJSON *item = json_at(root, path);
  return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

const char *text_at(const cJSON *root, const char *const *path) {
  return cJSON_GetStringValue(json_at(root, path));
}

const cJSON *record_before(const Record *record) {
  return JSON_AT(record->gap, "base");
}

const cJSON *record_after(const Record *record, const ReportInput *input) {
  const cJSON *adapters = JSON_AT(record->gap, "adapters"), *adapter = NULL, *last = NULL;
  cJSON_ArrayForEach(adapter, adapters) {
    const char *path = TEXT_AT(adapter, "adapter");
    last = adapter;
    if (path != NULL && file_is_same(path, input->checkpoint)) return adapter;
  }
  return last;
}

static bool is_text(const cJSON *object, const char *key, const char *text) {
  const char *found = TEXT_AT(object, key);
  return found != NULL && strcmp(found, text) == 0;
}

Difference difference_at(const cJSON *measured, const char *of, const char *minus) {
  const cJSON *pairs = JSON_AT(measured, "paired", "pairs"), *pair = NULL;
  if (pairs == NULL)
    return (Difference){NUMBER_AT(measured, "paired", "gap"), NUMBER_AT(measured, "paired", "low"),
                        NUMBER_AT(measured, "paired", "high")};
  cJSON_ArrayForEach(pair, pairs) {
    double value = NUMBER_AT(pair, "gap"), low = NUMBER_AT(pair, "low"), high = NUMBER_AT(pair, "high");
    if (is_text(pair, "of", of) && is_text(pair, "minus", minus)) return (Difference){value, low, high};
    if (is_text(pair, "of", minus) && is_text(pair, "minus", of)) return (Difference){-value, -high, -low};
  }
  return (Difference){NAN, NAN, NAN};
}
