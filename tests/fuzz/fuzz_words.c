// Any text with the built-in group files and types: its group words found and swapped to every group, and its
// type.
#include "fuzz.h"

#include "group_file.h"
#include "types.h"

enum { FILES = 4 };
static GroupFile *files[FILES];
static TypeRules types;

static void load_all(void) {
  static const char *const names[] = {"gender", "race", "age", "gender-zh"};
  for (size_t i = 0; i < FILES; i++) FUZZ_CHECK(groups_load(names[i], &files[i]) == STATUS_OK);
  FUZZ_CHECK(types_load(NULL, &types) == STATUS_OK);
}

/// Swapping gives a text that can be searched again.
static void swap_to(const GroupFile *groups, const char *text, size_t size, const WordHits *hits,
                    size_t group) {
  Str swapped = {0};
  WordHits found = {0};
  if (fuzz_accepted(words_swap(groups, text, size, hits, group, &swapped)))
    (void)fuzz_accepted(words_find(groups, str_text(&swapped), swapped.size, &found));
  words_free(&found);
  str_free(&swapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (files[0] == NULL) load_all();
  const char *text = (const char *)bytes;
  for (size_t i = 0; i < FILES; i++) {
    WordHits hits = {0};
    if (fuzz_accepted(words_find(files[i], text, size, &hits)) && !hits.unswappable) {
      for (size_t group = 0; group < groups_count(files[i]); group++)
        swap_to(files[i], text, size, &hits, group);
    }
    words_free(&hits);
  }
  size_t type = 0;
  if (fuzz_accepted(types_match(&types, text, size, &type))) FUZZ_CHECK(type < types.count);
  return 0;
}
