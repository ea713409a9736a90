// The file of rows. Rule: it holds the rows of one model, data and settings, or it is refused; rows of two
// runs are never mixed.
#include "eval/items.h"

#include "io/file.h"
#include "io/json.h"
#include "track/jsonlines.h"
#include "util/memory.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 160, CHECK_SIZE = 17 }; // 16 digits and a blank

struct ItemFile {
  char *folder, *path, *owner;
  FileLock lock; // on the folder
  JsonLines *lines;
  char **rows; // those that were there
  size_t count, capacity, taken;
  size_t added;  // rows of this process
  bool owned;    // the first line was read
  uint64_t hash; // of all lines so far, without their checks
};

// ---- checks ----

/// Writes what stands before a line, and takes the line into the hash: a change of any line, and one that was
/// taken out, is seen there or at the next one.
static void make_check(ItemFile *items, const char *line, size_t size, char out[CHECK_SIZE + 1]) {
  items->hash = hash_bytes(items->hash, line, size);
  (void)snprintf(out, CHECK_SIZE + 1, "%016" PRIx64 " ", items->hash);
}

static Status take_row(ItemFile *items, size_t number, const char *line, size_t size) {
  char check[CHECK_SIZE + 1];
  if (size < CHECK_SIZE || line[CHECK_SIZE - 1] != ' ')
    return status_fail(
        STATUS_INPUT,
        "%s:%zu: the row has no check in front, as another version wrote it; remove %s to start over",
        items->path, number, items->folder);
  make_check(items, line + CHECK_SIZE, size - CHECK_SIZE, check);
  if (strncmp(line, check, CHECK_SIZE) != 0)
    return status_fail(
        STATUS_INPUT,
        "%s:%zu: the row was changed after it was computed; remove this line and those behind it to "
        "compute them again, or remove %s to start over",
        items->path, number, items->folder);
  TRY(mem_reserve(&items->rows, &items->capacity, items->count + 1, "rows"));
  TRY(str_copy(&items->rows[items->count], line + CHECK_SIZE, size - CHECK_SIZE));
  items->count++;
  return STATUS_OK;
}

// ---- what the rows belong to ----

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
  char *place = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&place, "%s:1", items->path));
  TRY_CLEAN(json_parse(line, size, place, &was));
  TRY_CLEAN(json_parse(items->owner, strlen(items->owner), "the run", &is));
  if (!cJSON_IsObject(was) || json_has(was, "task")) {
    status =
        status_fail(STATUS_INPUT, "%s does not say which run its rows belong to; remove it", items->path);
    goto cleanup;
  }
  TRY_CLEAN(compare_members(items, is, was, false));
  TRY_CLEAN(compare_members(items, was, is, true));
cleanup:
  free(place);
  cJSON_Delete(was);
  cJSON_Delete(is);
  return status;
}

static Status read_line(void *user, size_t number, const char *line, size_t size, bool *keep) {
  ItemFile *items = user;
  (void)keep;
  items->owned = true;
  if (number > 1) return take_row(items, number, line, size);
  items->hash = hash_bytes(HASH_START, line, size);
  return check_owner(items, line, size);
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
  if (!items->owned) {
    items->hash = hash_bytes(HASH_START, owner, strlen(owner));
    TRY_CLEAN(jsonlines_append(items->lines, owner, strlen(owner)));
  }
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
  char check[CHECK_SIZE + 1];
  Str line = {0};
  Status status = STATUS_OK;
  if (item_file_left(items) > 0)
    return status_fail(STATUS_FAILED, "%s: a row before those that are there", items->path);
  make_check(items, row, size, check);
  TRY_CLEAN(str_append(&line, check, CHECK_SIZE));
  TRY_CLEAN(str_append(&line, row, size));
  items->added++;
  TRY_CLEAN(jsonlines_append(items->lines, line.data, line.size));
cleanup:
  str_free(&line);
  return status;
}

Status item_file_sync(ItemFile *items) {
  return jsonlines_sync(items->lines);
}

const char *item_file_path(const ItemFile *items) {
  return items->path;
}

static Status add_row(void *user, const char *line, size_t size, size_t number) {
  Str *out = user;
  if (number == 1) return STATUS_OK;
  TRY(str_append(out, line + CHECK_SIZE, size - CHECK_SIZE));
  return str_append(out, "\n", 1);
}

Status item_file_sha256(const ItemFile *items, char out[SHA256_TEXT]) {
  Str rows = {0};
  Status status = file_lines(items->path, add_row, &rows);
  if (status == STATUS_OK) hash_sha256(str_text(&rows), rows.size, out);
  str_free(&rows);
  return status;
}

static Status write_rows(const ItemFile *items, const char *path) {
  Str rows = {0};
  Status status = file_lines(items->path, add_row, &rows);
  if (status == STATUS_OK) status = file_write_atomic(path, str_text(&rows), rows.size);
  str_free(&rows);
  return status;
}

Status item_file_finish(ItemFile *items, const char *path) {
  if (item_file_left(items) > 0)
    return status_fail(STATUS_INPUT, "%s has %zu rows more than this run: it was made with other tasks",
                       items->path, item_file_left(items));
  if (path != NULL) TRY(write_rows(items, path));
  return directory_remove(items->folder);
}
