// The JSON of gee-cl gap and, after a line "----", its items: what verify reads back. Whatever it holds,
// every model's figures are computed from the items, and what they say of themselves never differs.
#include "fuzz.h"

#include "eval/gap_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  GapRecord record = {0};
  const char *path = fuzz_file("gap.json", parts.first, parts.first_size);
  const char *items = fuzz_file("items.jsonl", parts.second, parts.second_size);
  bool computed =
      fuzz_accepted(gap_record_open(path, &record)) && fuzz_accepted(gap_record_compute(&record, items));
  FUZZ_CHECK(!computed || record.count > 0);
  for (size_t m = 0; computed && m < record.count; m++) {
    GapRecordModel *model = &record.models[m];
    Str differences = {0};
    FUZZ_CHECK(model->computed != NULL);
    FUZZ_CHECK(gap_record_differences(model, &differences) == STATUS_OK);
    str_clear(&differences);
    model->printed = model->computed;
    FUZZ_CHECK(gap_record_differences(model, &differences) == STATUS_OK && differences.size == 0);
    str_free(&differences);
  }
  gap_record_free(&record);
  return 0;
}
