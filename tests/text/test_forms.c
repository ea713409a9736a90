// Tokenizers in the forms of public models, each on 400 hostile texts, compared with Hugging Face's
// tokenizers (forms.json from make_forms.py).
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "text/tokenizer.h"
#include "util/hash.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 400 };

static cJSON *golden;
static const char *folder;
static Str texts[TEXTS];

static void read_texts(void) {
  const cJSON *text;
  size_t count = 0;
  cJSON_ArrayForEach(text, cJSON_GetObjectItem(golden, "texts")) {
    assert_true(count < TEXTS);
    for (const char *hex = text->valuestring; hex[0] != '\0'; hex += 2) {
      char digits[3] = {hex[0], hex[1], '\0'};
      char byte = (char)strtoul(digits, NULL, 16);
      assert_ok(str_append(&texts[count], &byte, 1));
    }
    count++;
  }
  assert_int_equal(count, TEXTS);
}

static Tokenizer *load(const cJSON *form) {
  char *path, *text = cJSON_PrintUnformatted(form);
  Tokenizer *tokenizer;
  assert_non_null(text);
  assert_ok(path_join(&path, folder, "tokenizer.json"));
  assert_ok(file_write_atomic(path, text, strlen(text)));
  assert_ok(tokenizer_load(folder, &tokenizer));
  cJSON_free(text);
  free(path);
  return tokenizer;
}

/// The low 32 bits of the FNV-1a hash over the little-endian ids and the decoded text.
static void digest(const Tokenizer *tokenizer, const Str *text, char out[9]) {
  Tokens tokens = {0};
  Str decoded = {0};
  uint64_t hash = HASH_START;
  assert_ok(tokenizer_encode(tokenizer, str_text(text), text->size, true, &tokens));
  assert_ok(tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &decoded));
  for (size_t i = 0; i < tokens.count; i++) {
    uint32_t id = (uint32_t)tokens.ids[i];
    uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)};
    hash = hash_bytes(hash, bytes, sizeof bytes);
  }
  hash = hash_bytes(hash, str_text(&decoded), decoded.size);
  (void)snprintf(out, 9, "%08" PRIx32, (uint32_t)hash);
  str_free(&decoded);
  tokens_free(&tokens);
}

/// The number of texts with other ids.
static size_t check_form(const cJSON *form, const char *expected) {
  Tokenizer *tokenizer = load(form);
  size_t wrong = 0;
  assert_int_equal(strlen(expected), 8 * TEXTS);
  for (size_t i = 0; i < TEXTS; i++) {
    char found[9];
    digest(tokenizer, &texts[i], found);
    if (strncmp(found, expected + 8 * i, 8) != 0 && wrong++ < 8)
      print_message("%s, text %zu (see make_forms.py)\n", form->string, i);
  }
  tokenizer_free(tokenizer);
  return wrong;
}

static void test_forms(void **state) {
  (void)state;
  const cJSON *form;
  size_t count = 0, wrong = 0;
  cJSON_ArrayForEach(form, cJSON_GetObjectItem(golden, "forms")) {
    wrong += check_form(
        form,
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(golden, "results"), form->string)->valuestring);
    count++;
  }
  assert_true(count >= 40);
  assert_int_equal(wrong, 0);
}

int main(void) {
  if (json_parse_file(GEE_SOURCE_DIR "/tests/text/forms.json", &golden) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  folder = test_folder();
  read_texts();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  for (size_t i = 0; i < TEXTS; i++) str_free(&texts[i]);
  cJSON_Delete(golden);
  return failed;
}
