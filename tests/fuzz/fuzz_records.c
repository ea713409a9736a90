// Prompts as JSON Lines, as one JSON list, as CSV and as plain text, packed or not.
#include "fuzz.h"

#include "io/records.h"
#include "util/utf8.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char *const names[] = {"in.jsonl", "in.json", "in.txt", "in.csv"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    RecordSource source = {.path = names[i], .bytes = bytes, .size = size, .column = "text"};
    Records records = {0};
    if (fuzz_accepted(records_read(&source, &records))) {
      for (size_t row = 0; row < records.count; row++) {
        FUZZ_CHECK(records.rows[row].count > 0);
        FUZZ_CHECK(utf8_valid_prefix(records.rows[row].messages[0].content,
                                     strlen(records.rows[row].messages[0].content)) ==
                   strlen(records.rows[row].messages[0].content));
      }
    }
    records_free(&records);
  }
  return 0;
}
