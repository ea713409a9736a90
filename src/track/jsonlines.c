// JSON Lines files. Rule: a file holds whole lines, and at most one partial line at its end, which the next
// opening cuts. A line goes out in one write() to a file opened with O_APPEND, and a failed write is undone.
#include "track/jsonlines.h"

#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "util/memory.h"
#include "util/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct JsonLines {
  char *path;
  int descriptor;
  int64_t last_step; // of the lines kept on opening; −1: none
};

static Status read_step(const char *path, size_t number, const char *line, size_t size, int64_t *step) {
  cJSON *object = NULL;
  Status status = json_parse(line, size, path, &object);
  if (status == STATUS_OK) status = json_get_integer(object, "step", path, 0, INT64_MAX, step);
  cJSON_Delete(object);
  return status_context(status, "line %zu", number);
}

/// *kept = the whole lines whose step is below keep_below; *last = the step of the last one.
static Status keep_lines(const MappedFile *file, int64_t keep_below, Str *kept, int64_t *last) {
  const char *line = (const char *)file->bytes, *end = line + file->size;
  for (size_t number = 1; line < end; number++) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    if (newline == NULL) break; // a partial line: the process was killed while writing it
    int64_t step = 0;
    TRY(read_step(file->path, number, line, (size_t)(newline - line), &step));
    if (step < keep_below) {
      TRY(str_append(kept, line, (size_t)(newline + 1 - line)));
      *last = step;
    }
    line = newline + 1;
  }
  return STATUS_OK;
}

/// Rewrites the file with the lines to keep; does not touch it if those are all.
static Status trim_file(const char *path, int64_t keep_below, int64_t *last) {
  if (!file_exists(path)) return STATUS_OK;
  MappedFile file = {0};
  Str kept = {0};
  TRY(file_map(path, &file));
  Status status = keep_below < 0 ? STATUS_OK : keep_lines(&file, keep_below, &kept, last);
  bool same = kept.size == file.size;
  file_unmap(&file);
  if (status == STATUS_OK && !same) status = file_write_atomic(path, str_text(&kept), kept.size);
  str_free(&kept);
  return status;
}

Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out) {
  *out = NULL;
  JsonLines *lines = NULL;
  Status status = STATUS_OK;
  int64_t last = -1;
  TRY(trim_file(path, keep_below, &last));
  TRY(mem_array(&lines, 1, "a JSON Lines file"));
  lines->descriptor = -1;
  lines->last_step = last;
  TRY_CLEAN(str_copy(&lines->path, path, strlen(path)));
  lines->descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (lines->descriptor < 0) {
    status = file_fail(STATUS_FAILED, path, "open");
    goto cleanup;
  }
  *out = lines;
  return STATUS_OK;

cleanup:
  jsonlines_close(lines);
  return status;
}

/// Appends in one write() if the system takes all of it at once. On failure the file is as long as before.
static Status append_line(JsonLines *lines, const char *text, size_t size) {
  struct stat before;
  if (fstat(lines->descriptor, &before) != 0) return file_fail(STATUS_FAILED, lines->path, "read the size");
  size_t done = 0;
  while (done < size) {
    ssize_t written = write(lines->descriptor, text + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      if (written == 0) errno = ENOSPC;
      Status status = file_fail(STATUS_FAILED, lines->path, "write");
      // best effort: the next opening also cuts a partial line
      if (ftruncate(lines->descriptor, before.st_size) != 0) errno = 0;
      return status;
    }
    done += (size_t)written;
  }
  return STATUS_OK;
}

Status jsonlines_write(JsonLines *lines, JsonWriter *json) {
  Str text = {0};
  TRY(json_finish(json, lines->path, &text));
  text.data[text.size] = '\n'; // replaces the terminator, so the line goes out in one write
  Status status = append_line(lines, text.data, text.size + 1);
  str_free(&text);
  return status;
}

int64_t jsonlines_last_step(const JsonLines *lines) {
  return lines->last_step;
}

Status jsonlines_sync(JsonLines *lines) {
  // EINVAL: a pipe or a device, with no disk behind it
  if (fdatasync(lines->descriptor) == 0 || errno == EINVAL) return STATUS_OK;
  return file_fail(STATUS_FAILED, lines->path, "sync");
}

void jsonlines_close(JsonLines *lines) {
  if (lines == NULL) return;
  if (lines->descriptor >= 0) (void)close(lines->descriptor);
  free(lines->path);
  free(lines);
}
