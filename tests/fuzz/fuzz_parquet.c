// A Parquet file: footer, pages, codecs, every column as a table and some as prompts.
#include "fuzz_table.h"

#include "io/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char *const columns[] = {"text", "chat", "outer.inner"};
  for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
    RecordSource source = {.path = "in.parquet", .bytes = bytes, .size = size, .column = columns[i]};
    Records records = {0};
    if (fuzz_accepted(records_read(&source, &records))) {
      for (size_t row = 0; row < records.count; row++) FUZZ_CHECK(records.rows[row].count > 0);
    }
    records_free(&records);
  }
  fuzz_read_table("in.parquet", bytes, size);
  return 0;
}
