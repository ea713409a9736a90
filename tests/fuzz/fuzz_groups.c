// A group file, and after a line "----" a text that is searched for group words and swapped to every group.
#include "fuzz.h"

#include "group_file.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char usual[] = "She said to her mother: he lost his hat. A woman asks";
  FuzzParts parts = fuzz_cut(bytes, size);
  const char *text = parts.second_size > 0 ? (const char *)parts.second : usual;
  size_t text_size = parts.second_size > 0 ? parts.second_size : sizeof usual - 1;
  GroupFile *groups = NULL;
  if (!fuzz_accepted(groups_load(fuzz_file("in.json", parts.first, parts.first_size), &groups))) return 0;
  FUZZ_CHECK(groups_count(groups) >= 2 && groups_count(groups) <= DATA_MAX_GROUPS);
  WordHits hits = {0};
  if (fuzz_accepted(words_find(groups, text, text_size, &hits))) {
    for (size_t group = 0; group < groups_count(groups) && !hits.unswappable; group++) {
      Str swapped = {0};
      (void)fuzz_accepted(words_swap(groups, text, text_size, &hits, group, &swapped));
      str_free(&swapped);
    }
  }
  FUZZ_CHECK(templates_for(groups, "open") != NULL);
  words_free(&hits);
  groups_free(groups);
  return 0;
}
