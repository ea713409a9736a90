// The rows of benchmarks while they are computed: a file of JSON Lines, alone in a folder, that survives a
// kill.
//
//   {"model": "...", ...}                             what the rows belong to
//   0123456789abcdef {"task": ..., "index": 0, ...}   the rows, in the order of the tasks and items
//
// In front of a row is FNV-1a of all lines up to it, without what is in front of them: against damage, not
// against a forger.
#pragma once

#include "util/hash.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct ItemFile ItemFile;

/// Opens folder/rows.jsonl for rows that belong to `owner`, a line of JSON: an object of strings and numbers.
/// With `resume`, rows that are there will be taken by item_file_take. STATUS_INPUT if the folder is there
/// without `resume`, if another process is at work in it, or if the rows belong to something else (names the
/// first member that differs), or one was changed (names its line).
STATUS_CHECKED Status item_file_open(const char *folder, const char *owner, bool resume, ItemFile **out);
/// Safe on NULL. The folder stays, unless there is no row in it.
void item_file_close(ItemFile *items);
/// Whether there is something to go on with.
bool item_file_has_rows(const ItemFile *items);

/// The next row that a stopped run left, or NULL. Belongs to the file.
const char *item_file_take(ItemFile *items);
/// The rows that are left to take.
size_t item_file_left(const ItemFile *items);
/// Appends a row. STATUS_FAILED if there are rows left to take.
STATUS_CHECKED Status item_file_append(ItemFile *items, const char *row, size_t size);
STATUS_CHECKED Status item_file_sync(ItemFile *items);
const char *item_file_path(const ItemFile *items);
/// out = the SHA-256 of the file that item_file_finish writes.
STATUS_CHECKED Status item_file_sha256(const ItemFile *items, char out[SHA256_TEXT]);
/// The work is done: writes the rows, without the line in front, to `path` unless that is NULL, and removes
/// the folder.
STATUS_CHECKED Status item_file_finish(ItemFile *items, const char *path);
