// JSON Lines files. Rule: a file holds whole lines, and at most one partial line at its end, which the next
// opening cuts.
#include "track/jsonlines.h"

#include "growing_file.h"
#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

struct JsonLines {
  GrowingFile file;
  int64_t last_step; // of the lines kept on opening; −1: none
};

/// What keep_steps goes by.
typedef struct Steps {
  const char *path;
  int64_t keep_below, last;
} Steps;

static Status keep_steps(void *user, size_t number, const char *line, size_t size, bool *keep) {
  Steps *steps = user;
  cJSON *object = NULL;
  char *place = NULL;
  int64_t step = 0;
  TRY(str_format(&place, "%s: line %zu", steps->path, number));
  Status status = json_parse_with_nul(line, size, place, &object);
  if (status == STATUS_OK) status = json_get_integer(object, "step", place, 0, INT64_MAX, &step);
  cJSON_Delete(object);
  free(place);
  *keep = step < steps->keep_below;
  if (*keep) steps->last = step;
  return status;
}

/// *kept = the whole lines that `reader` keeps.
static Status keep_lines(const MappedFile *file, JsonLinesReader reader, void *user, Str *kept) {
  const char *line = (const char *)file->bytes, *end = line + file->size;
  for (size_t number = 1; line < end; number++) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    if (newline == NULL) break; // a partial line: the process was killed while writing it
    bool keep = true;
    TRY(reader(user, number, line, (size_t)(newline - line), &keep));
    if (keep) TRY(str_append(kept, line, (size_t)(newline + 1 - line)));
    line = newline + 1;
  }
  return STATUS_OK;
}

/// Rewrites the file with the lines to keep; does not touch it if those are all. No reader keeps none.
static Status trim_file(const char *path, JsonLinesReader reader, void *user) {
  if (!file_exists(path)) return STATUS_OK;
  MappedFile file = {0};
  Str kept = {0};
  TRY(file_map(path, &file));
  Status status = reader == NULL ? STATUS_OK : keep_lines(&file, reader, user, &kept);
  bool same = kept.size == file.size;
  file_unmap(&file);
  if (status == STATUS_OK && !same) status = file_write_atomic(path, str_text(&kept), kept.size);
  str_free(&kept);
  return status;
}

Status jsonlines_open_read(const char *path, JsonLinesReader reader, void *user, JsonLines **out) {
  *out = NULL;
  JsonLines *lines = NULL;
  TRY(trim_file(path, reader, user));
  TRY(mem_array(&lines, 1, "a JSON Lines file"));
  lines->last_step = -1;
  Status status = growing_open(path, &lines->file);
  if (status == STATUS_OK)
    *out = lines;
  else
    free(lines);
  return status;
}

Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out) {
  Steps steps = {path, keep_below, -1};
  TRY(jsonlines_open_read(path, keep_below < 0 ? NULL : keep_steps, &steps, out));
  (*out)->last_step = steps.last;
  return STATUS_OK;
}

Status jsonlines_append(JsonLines *lines, const char *line, size_t size) {
  Str text = {0};
  Status status = str_append(&text, line, size);
  if (status == STATUS_OK) status = str_append(&text, "\n", 1); // so that the line goes out in one write
  if (status == STATUS_OK) status = growing_append(&lines->file, text.data, text.size);
  str_free(&text);
  return status;
}

Status jsonlines_write(JsonLines *lines, JsonWriter *json) {
  Str text = {0};
  TRY(json_finish(json, lines->file.path, &text));
  Status status = jsonlines_append(lines, text.data, text.size);
  str_free(&text);
  return status;
}

int64_t jsonlines_last_step(const JsonLines *lines) {
  return lines->last_step;
}

Status jsonlines_sync(JsonLines *lines) {
  return growing_sync(&lines->file);
}

void jsonlines_close(JsonLines *lines) {
  if (lines == NULL) return;
  growing_close(&lines->file);
  free(lines);
}
