// A reference of gee-cl selftest. One that is accepted has only finite numbers, and agrees with itself.
#include "fuzz.h"

#include "selftest_record.h"
#include <math.h>

static void ignore(void *user, const char *operation, double difference, double tolerance, bool passed) {
  (void)user;
  (void)operation;
  FUZZ_CHECK(difference == 0 && tolerance == 0 && passed);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  SelftestRecord record = {0};
  const char *path = fuzz_file("reference.json", bytes, size);
  if (fuzz_accepted(selftest_record_read(path, &record))) {
    size_t outputs = 0;
    for (size_t i = 0; i < record.count; i++) outputs += record.operations[i].count;
    FUZZ_CHECK(outputs == record.output_count);
    for (size_t i = 0; i < outputs; i++)
      FUZZ_CHECK(record.outputs[i].elements > 0 && isfinite(record.outputs[i].norm));
    FUZZ_CHECK(selftest_record_compare(&record, &record, path, ignore, NULL) == STATUS_OK);
  }
  selftest_record_free(&record);
  return 0;
}
