// rows.jsonl of an eval that was stopped, as --resume reads it. Whatever it holds, what is taken from it and
// added is what the items file gets, and a second run takes the same.
#include "fuzz.h"

#include "eval/items.h"
#include "io/file.h"
#include <string.h>

#define OWNER "{\"program\": \"gee-cl\", \"model\": \"m\", \"limit\": 0}"
#define ROW   "{\"task\": \"crows_pairs\", \"index\": 7}"

/// Opens the folder; *rows = how many were taken.
static ItemFile *open_all(const char *folder, size_t *rows) {
  ItemFile *items = NULL;
  *rows = 0;
  if (!fuzz_accepted(item_file_open(folder, OWNER, true, &items))) return NULL;
  size_t left = item_file_left(items);
  for (const char *row = item_file_take(items); row != NULL; row = item_file_take(items)) {
    FUZZ_CHECK(strchr(row, '\n') == NULL);
    ++*rows;
  }
  FUZZ_CHECK(*rows == left && item_file_left(items) == 0);
  return items;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  const char *folder = fuzz_path("work.unfinished");
  char hash[SHA256_TEXT], kept[SHA256_TEXT];
  size_t first = 0, second = 0;
  FUZZ_CHECK(directory_create(folder) == STATUS_OK);
  (void)fuzz_file("work.unfinished/rows.jsonl", bytes, size);
  ItemFile *items = open_all(folder, &first);
  if (items == NULL) return 0;
  FUZZ_CHECK(item_file_append(items, ROW, strlen(ROW)) == STATUS_OK);
  item_file_close(items);
  items = open_all(folder, &second);
  FUZZ_CHECK(items != NULL && second == first + 1);
  FUZZ_CHECK(item_file_sha256(items, hash) == STATUS_OK);
  FUZZ_CHECK(item_file_finish(items, fuzz_path("items.jsonl")) == STATUS_OK);
  FUZZ_CHECK(file_sha256(fuzz_path("items.jsonl"), kept) == STATUS_OK && strcmp(hash, kept) == 0);
  item_file_close(items);
  return 0;
}
