// Prompts as JSON Lines, as one JSON list, and as plain text.
#include "fuzz.h"

#include "io/records.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char *const names[] = {"in.jsonl", "in.json", "in.txt"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    Records records = {0};
    if (fuzz_accepted(records_read_bytes(names[i], bytes, size, "text", &records))) {
      for (size_t row = 0; row < records.count; row++) {
        FUZZ_CHECK(records.rows[row].count > 0);
        FUZZ_CHECK(strlen(records.rows[row].messages[0].content) <= size * 3);
      }
    }
    records_free(&records);
  }
  return 0;
}
