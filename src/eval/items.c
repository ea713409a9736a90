// The file of rows. Rule: it holds the rows of one model, data and settings, or it is refused; rows of two
// runs are never mixed.
#include "eval/items.h"

#include "io/file.h"
#include "io/json.h"
#include "track/jsonlines.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 160 };

struct ItemFile {
  char *folder, *path, *owner;
  FileLock lock; // on the folder
  JsonLines *lines;
  char **rows; // those that were there
  size_t count, capacity, taken;
  size_t added; // rows of this process
  bool owned;   // the first line was read
};

/// A member's value for a message.
static void describe(const cJSON *value, char out[VALUE_SIZE]) {
  if (value == NULL)
    (void)snprintf(out, VALUE_SIZE, "not there");
  else if (cJSON_IsString(value))
    (void)snprintf(out, VALUE_SIZE, "\"%.*s\"", VALUE_SIZE - 8, value->valuestring);
  else if (cJSON_IsNumber(value))
    (void)snprintf(out, VALUE_SIZE, "%.17g", value->valuedouble);
  else
    (void)snprintf(out, VALUE_SIZE, "of another kind");
}

static Status refuse_other(const ItemFile *items, const char *key, const cJSON *was, const cJSON *is) {
  char old[VALUE_SIZE], now[VALUE_SIZE];
  describe(was, old);
  describe(is, now);
  return status_fail(STATUS_INPUT,
                     "%s has rows of another run: its \"%.60s\" was %s, now it is %s; remove it, or "
                     "write to another one",
                     items->path, key, old, now);
}

/// Every member of `is` must be in `was`, and equal.
static Status compare_members(const ItemFile *items, const cJSON *is, const cJSON *was, bool swapped) {
  for (const cJSON *member = is->child; member != NULL; member = member->next) {
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(was, member->string);
    if (other != NULL && cJSON_Compare(member, other, true)) continue;
    return refuse_other(items, member->string, swapped ? member : other, swapped ? other : member);
  }
  return STATUS_OK;
}

static Status check_owner(const ItemFile *items, const char *line, size_t size) {
  cJSON *was = NULL, *is = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(json_parse(line, size, items->path, &was));
  TRY_CLEAN(json_parse(items->owner, strlen(items->owner), "the run", &is));
  if (!cJSON_IsObject(was) || json_has(was, "task")) {
    status =
        status_fail(STATUS_INPUT, "%s does not say which run its rows belong to; remove it", items->path);
    goto cleanup;
  }
  TRY_CLEAN(compare_members(items, is, was, false));
  TRY_CLEAN(compare_members(items, was, is, true));
cleanup:
  cJSON_Delete(was);
  cJSON_Delete(is);
  return status;
}

static Status read_line(void *user, size_t number, const char *line, size_t size, bool *keep) {
  ItemFile *items = user;
  (void)keep;
  items->owned = true;
  if (number == 1) return check_owner(items, line, size);
  TRY(mem_reserve(&items->rows, &items->capacity, items->count + 1, "rows"));
  TRY(str_copy(&items->rows[items->count], line, size));
  items->count++;
  return STATUS_OK;
}

Status item_file_open(const char *folder, const char *owner, bool resume, ItemFile **out) {
  ItemFile *items = NULL;
  Status status = STATUS_OK;
  *out = NULL;
  if (!resume && file_exists(folder))
    return status_fail(STATUS_INPUT,
                       "%s is there, of a run that was stopped or is still at work; go on with --resume, or "
                       "remove it to start over",
                       folder);
  TRY(mem_array(&items, 1, "rows"));
  TRY_CLEAN(str_copy(&items->folder, folder, strlen(folder)));
  TRY_CLEAN(path_join(&items->path, folder, "rows.jsonl"));
  TRY_CLEAN(str_copy(&items->owner, owner, strlen(owner)));
  TRY_CLEAN(directory_lock(folder, false, &items->lock));
  TRY_CLEAN(jsonlines_open_read(items->path, read_line, items, &items->lines));
  if (!items->owned) TRY_CLEAN(jsonlines_append(items->lines, owner, strlen(owner)));
  *out = items;
  return STATUS_OK;

cleanup:
  item_file_close(items);
  return status;
}

void item_file_close(ItemFile *items) {
  if (items == NULL) return;
  // a run that failed before it had a row leaves nothing to go on with
  if (items->lines != NULL && !item_file_has_rows(items)) (void)!directory_remove(items->folder);
  jsonlines_close(items->lines);
  file_unlock(&items->lock);
  for (size_t i = 0; i < items->count; i++) free(items->rows[i]);
  free(items->rows);
  free(items->owner);
  free(items->path);
  free(items->folder);
  free(items);
}

const char *item_file_take(ItemFile *items) {
  return items->taken < items->count ? items->rows[items->taken++] : NULL;
}

bool item_file_has_rows(const ItemFile *items) {
  return items->count + items->added > 0;
}

size_t item_file_left(const ItemFile *items) {
  return items->count - items->taken;
}

Status item_file_append(ItemFile *items, const char *row, size_t size) {
  if (item_file_left(items) > 0)
    return status_fail(STATUS_FAILED, "%s: a row before those that are there", items->path);
  items->added++;
  return jsonlines_append(items->lines, row, size);
}

Status item_file_sync(ItemFile *items) {
  return jsonlines_sync(items->lines);
}

const char *item_file_path(const ItemFile *items) {
  return items->path;
}

/// What follows the first line. The caller unmaps the file.
static Status map_rows(const ItemFile *items, MappedFile *file, const uint8_t **rows, size_t *size) {
  TRY(file_map(items->path, file));
  const uint8_t *newline = memchr(file->bytes, '\n', file->size);
  size_t skipped = newline != NULL ? (size_t)(newline + 1 - file->bytes) : file->size;
  *rows = file->bytes + skipped;
  *size = file->size - skipped;
  return STATUS_OK;
}

static Status write_rows(const ItemFile *items, const char *path) {
  MappedFile file = {0};
  const uint8_t *rows = NULL;
  size_t size = 0;
  TRY(map_rows(items, &file, &rows, &size));
  Status status = file_write_atomic(path, rows, size);
  file_unmap(&file);
  return status;
}

Status item_file_sha256(const ItemFile *items, char out[SHA256_TEXT]) {
  MappedFile file = {0};
  const uint8_t *rows = NULL;
  size_t size = 0;
  TRY(map_rows(items, &file, &rows, &size));
  hash_sha256(rows, size, out);
  file_unmap(&file);
  return STATUS_OK;
}

Status item_file_finish(ItemFile *items, const char *path) {
  if (item_file_left(items) > 0)
    return status_fail(STATUS_INPUT, "%s has %zu rows more than this run: it was made with other tasks",
                       items->path, item_file_left(items));
  if (path != NULL) TRY(write_rows(items, path));
  return directory_remove(items->folder);
}
