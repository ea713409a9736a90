// The identity of a tokenizer: the same however its file is written, and another for any change of what it
// does.
#include "support/process.h"

#include "io/json.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hash_of(const char *folder, char out[SHA256_TEXT]) {
  Tokenizer *tokenizer = NULL;
  assert_ok(tokenizer_load(folder, &tokenizer));
  assert_ok(tokenizer_sha256(tokenizer, out));
  tokenizer_free(tokenizer);
}

static cJSON *read_tokenizer(const char *family) {
  char path[512];
  cJSON *json = NULL;
  (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/text/bpe_%s/tokenizer.json", family);
  assert_ok(json_parse_file(path, &json));
  return json;
}

/// The hash of a folder with this tokenizer.json; frees it.
static void hash_json(cJSON *json, char out[SHA256_TEXT]) {
  const char *folder = test_folder();
  char *text = cJSON_Print(json);
  assert_non_null(text);
  write_text(in_folder(folder, "tokenizer.json"), text);
  hash_of(folder, out);
  free(text);
  cJSON_Delete(json);
}

/// Puts the merge before the last behind it.
static void swap_merges(cJSON *json) {
  cJSON *merges = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "model"), "merges");
  int count = cJSON_GetArraySize(merges);
  assert_true(count > 1);
  cJSON_AddItemToArray(merges, cJSON_DetachItemFromArray(merges, count - 2));
}

/// Exchanges the ids of two tokens.
static void swap_tokens(cJSON *json) {
  cJSON *vocab = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "model"), "vocab");
  cJSON *a = cJSON_GetObjectItemCaseSensitive(vocab, "x"), *b = cJSON_GetObjectItemCaseSensitive(vocab, "y");
  assert_true(a != NULL && b != NULL);
  double id = a->valuedouble;
  cJSON_SetNumberValue(a, b->valuedouble);
  cJSON_SetNumberValue(b, id);
}

static void drop_normalizer(cJSON *json) {
  cJSON_ReplaceItemInObject(json, "normalizer", cJSON_CreateNull());
}

/// Lets a piece have one letter only.
static void cut_letters(cJSON *json) {
  cJSON *parts = cJSON_GetObjectItem(cJSON_GetObjectItem(json, "pre_tokenizer"), "pretokenizers");
  cJSON *pattern = cJSON_GetObjectItem(cJSON_GetArrayItem(parts, 0), "pattern");
  cJSON_ReplaceItemInObject(pattern, "Regex", cJSON_CreateString("\\p{L}|\\P{L}+"));
}

static void drop_post_processor(cJSON *json) {
  cJSON_ReplaceItemInObject(json, "post_processor", cJSON_CreateNull());
}

static void test_what_changes_it(void **state) {
  (void)state;
  static const struct {
    const char *family;
    void (*change)(cJSON *json);
  } cases[] = {
      {"llama3", swap_merges},         {"qwen2", swap_merges},     {"smollm", swap_merges},
      {"llama3", swap_tokens},         {"qwen2", drop_normalizer}, {"qwen2", cut_letters},
      {"llama3", drop_post_processor},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char before[SHA256_TEXT], after[SHA256_TEXT];
    hash_json(read_tokenizer(cases[i].family), before);
    cJSON *json = read_tokenizer(cases[i].family);
    cases[i].change(json);
    hash_json(json, after);
    if (strcmp(before, after) == 0) fail_msg("change %zu of %s is not noticed", i, cases[i].family);
  }
}

static void test_what_does_not(void **state) {
  (void)state;
  static const char *const families[] = {"llama3", "qwen2", "smollm"};
  char hashes[3][SHA256_TEXT];
  for (size_t i = 0; i < 3; i++) {
    char path[512], printed[SHA256_TEXT];
    (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/text/bpe_%s", families[i]);
    hash_of(path, hashes[i]);
    hash_json(read_tokenizer(families[i]), printed); // with other white space
    assert_string_equal(hashes[i], printed);
    for (size_t j = 0; j < i; j++) assert_string_not_equal(hashes[i], hashes[j]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_changes_it),
      cmocka_unit_test(test_what_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
