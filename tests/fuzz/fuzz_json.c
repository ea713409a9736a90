// JSON: what is read, written and read again is the same.
#include "fuzz.h"

#include "io/json.h"
#include "io/json_write.h"
#include "support/json_tree.h"

static void read_members(const cJSON *root) {
  const char *text;
  const cJSON *part;
  int64_t integer;
  double number;
  (void)fuzz_accepted(json_get_string(root, "a", "in", &text));
  (void)fuzz_accepted(json_get_array(root, "a", "in", &part));
  (void)fuzz_accepted(json_get_object(root, "a", "in", &part));
  (void)fuzz_accepted(json_get_number(root, "a", "in", &number));
  if (fuzz_accepted(json_get_integer(root, "a", "in", -3, 1 << 20, &integer)))
    FUZZ_CHECK(integer >= -3 && integer <= 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cJSON *root = NULL, *again = NULL;
  if (fuzz_accepted(json_parse_with_nul((const char *)bytes, size, "in", &root))) {
    read_members(root);
    cJSON_Delete(root);
    root = NULL;
  }
  if (!fuzz_accepted(json_parse((const char *)bytes, size, "in", &root))) return 0;
  read_members(root);
  for (JsonLayout layout = JSON_COMPACT; layout <= JSON_PRETTY; layout++) {
    JsonWriter json = {.layout = layout};
    Str first = {0}, second = {0};
    json_tree_write(&json, NULL, root);
    FUZZ_CHECK(json_finish(&json, "out", &first) == STATUS_OK);
    FUZZ_CHECK(json_parse(first.data, first.size, "out", &again) == STATUS_OK);
    json_tree_write(&json, NULL, again); // the writer is empty again, compact now
    json.layout = layout;
    FUZZ_CHECK(json_finish(&json, "out", &second) == STATUS_OK);
    str_free(&first);
    str_free(&second);
    cJSON_Delete(again);
  }
  cJSON_Delete(root);
  return 0;
}
