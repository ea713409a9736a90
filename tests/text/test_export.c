// A tokenizer exported from GGUF metadata to Hugging Face's files is the same tokenizer: the three small
// families are made into GGUF files, exported, loaded again and compared on the golden texts.
#include "support/tokenizer_gguf.h"

#include "io/file.h"
#include "io/json.h"
#include "text/export.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER GEE_SOURCE_DIR "/tests/text/"

// ---- comparison ----

static void compare_text(const Tokenizer *a, const Tokenizer *b, const char *text) {
  for (int special = 0; special < 2; special++) {
    Tokens x = {0};
    Tokens y = {0};
    assert_ok(tokenizer_encode(a, text, strlen(text), special == 1, &x));
    assert_ok(tokenizer_encode(b, text, strlen(text), special == 1, &y));
    if (x.count != y.count || memcmp(x.ids, y.ids, x.count * sizeof *x.ids) != 0)
      fail_msg("\"%s\" differs", text);
    tokens_free(&x);
    tokens_free(&y);
  }
}

static void compare(const char *model, const char *exported) {
  Tokenizer *a = NULL;
  Tokenizer *b = NULL;
  cJSON *golden = NULL;
  const cJSON *text = NULL;
  assert_ok(tokenizer_load(model, &a));
  assert_ok(tokenizer_load(exported, &b));
  assert_int_equal(tokenizer_bos(a), tokenizer_bos(b));
  assert_int_equal(tokenizer_eos(a), tokenizer_eos(b));
  char hash_a[SHA256_TEXT], hash_b[SHA256_TEXT];
  assert_ok(tokenizer_sha256(a, hash_a));
  assert_ok(tokenizer_sha256(b, hash_b));
  assert_string_equal(hash_a, hash_b);
  assert_ok(json_parse_file(FOLDER "bpe_golden.json", &golden));
  cJSON_ArrayForEach(text, cJSON_GetObjectItem(golden, "texts")) compare_text(a, b, text->valuestring);
  cJSON_Delete(golden);
  tokenizer_free(a);
  tokenizer_free(b);
}

static void check_family(const char *family, const char *pre, bool add_bos) {
  char gguf[512];
  char exported[512];
  char config[600];
  const char *folder = test_folder();
  cJSON *json = NULL;
  (void)snprintf(gguf, sizeof gguf, "%s/model.gguf", folder);
  (void)snprintf(exported, sizeof exported, "%s/exported", folder);
  (void)snprintf(config, sizeof config, "%s/tokenizer_config.json", exported);
  tokenizer_gguf_write(family, pre, add_bos, gguf);
  assert_ok(directory_create(exported));
  assert_ok(tokenizer_export(gguf, exported));
  compare(gguf, exported);
  assert_ok(json_parse_file(config, &json));
  assert_string_equal(cJSON_GetObjectItem(json, "chat_template")->valuestring, "{{ messages }}");
  cJSON_Delete(json);
}

static void test_llama3(void **state) {
  (void)state;
  check_family("llama3", "llama-bpe", true);
}

static void test_qwen2(void **state) {
  (void)state;
  check_family("qwen2", "qwen2", false);
}

static void test_smollm(void **state) {
  (void)state;
  check_family("smollm", "smollm", false);
}

/// A tokenizer.json without the token that a merge makes would not load.
static void test_what_cannot_be_exported(void **state) {
  (void)state;
  assert_fails(
      tokenizer_export(GEE_SOURCE_DIR "/tests/fuzz/corpus/tokenizer_gguf/merge_of_unused", test_folder()),
      STATUS_INPUT, "cannot be exported");
}

static void test_folder_is_copied(void **state) {
  (void)state;
  const char *folder = test_folder();
  assert_ok(tokenizer_export(FOLDER "bpe_llama3", folder));
  compare(FOLDER "bpe_llama3", folder);
  assert_fails(tokenizer_export(FOLDER, folder), STATUS_INPUT, "tokenizer.json");
  assert_fails(tokenizer_export(FOLDER "nowhere.gguf", folder), STATUS_INPUT, "nowhere.gguf");
}

/// The first token with a letter beyond ASCII gets a byte that is not UTF-8.
static void test_broken_tokens_are_refused(void **state) {
  (void)state;
  char gguf[512];
  const char *folder = test_folder();
  (void)snprintf(gguf, sizeof gguf, "%s/model.gguf", folder);
  tokenizer_gguf_write("smollm", "smollm", false, gguf);
  MappedFile file = {0};
  assert_ok(file_map(gguf, &file));
  char *bytes = malloc(file.size), *letter;
  assert_non_null(bytes);
  memcpy(bytes, file.bytes, file.size);
  letter = memmem(bytes, file.size, "\xc4\xa0", 2);
  assert_non_null(letter);
  *letter = '\xff';
  assert_ok(file_write_atomic(gguf, bytes, file.size));
  assert_fails(tokenizer_export(gguf, folder), STATUS_INPUT, "of tokenizer.ggml.tokens is not UTF-8");
  free(bytes);
  file_unmap(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama3),           cmocka_unit_test(test_qwen2),
      cmocka_unit_test(test_smollm),           cmocka_unit_test(test_what_cannot_be_exported),
      cmocka_unit_test(test_folder_is_copied), cmocka_unit_test(test_broken_tokens_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
