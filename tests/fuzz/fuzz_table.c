// Tables in lines: CSV, TSV, JSON Lines, one JSON list, text, and a file whose content tells its kind.
#include "fuzz_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char *const names[] = {"in.csv", "in.tsv", "in.jsonl", "in.json", "in.txt", "in"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) fuzz_read_table(names[i], bytes, size);
  return 0;
}
