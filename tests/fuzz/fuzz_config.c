// A run's .ini, and after a line "----" an assignment as in --set. An accepted config, rendered as .ini,
// reads back the same.
#include "fuzz.h"

#include "config.h"
#include <string.h>

static void check_rendering(const Config *config) {
  Str first = {0}, second = {0};
  Config again;
  FUZZ_CHECK(config_render(config, &first) == STATUS_OK);
  FUZZ_CHECK(config_init(&again) == STATUS_OK);
  FUZZ_CHECK(config_read(&again, fuzz_file("again.ini", first.data, first.size)) == STATUS_OK);
  FUZZ_CHECK(config_render(&again, &second) == STATUS_OK);
  FUZZ_CHECK(strcmp(str_text(&first), str_text(&second)) == 0);
  config_free(&again);
  str_free(&first);
  str_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  char *assignment = fuzz_text(parts.second, parts.second_size);
  Config config;
  FUZZ_CHECK(config_init(&config) == STATUS_OK);
  bool good = fuzz_accepted(config_read(&config, fuzz_file("in.ini", parts.first, parts.first_size)));
  if (good && parts.second_size > 0) good = fuzz_accepted(config_set(&config, assignment));
  if (good) check_rendering(&config);
  if (good) (void)fuzz_accepted(config_finish(&config));
  config_free(&config);
  free(assignment);
  return 0;
}
