// A file of prompt types, and after a line "----" a text to find the type of.
#include "fuzz.h"

#include "types.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  TypeRules types = {0};
  if (!fuzz_accepted(types_load(fuzz_file("types.json", parts.first, parts.first_size), &types))) return 0;
  size_t type = 0;
  if (fuzz_accepted(types_match(&types, (const char *)parts.second, parts.second_size, &type)))
    FUZZ_CHECK(type < types.count);
  types_free(&types);
  return 0;
}
