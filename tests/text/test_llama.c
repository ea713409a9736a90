// Tokenizers in GGUF metadata against llama.cpp: every name of tokenizer.ggml.pre, and SentencePiece
// (llama.json, pre.gguf, spm.gguf and spm_bare.gguf from make_llama.py, with the texts of forms.json).
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "text/export.h"
#include "text/tokenizer.h"
#include "util/hash.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER GEE_SOURCE_DIR "/tests/text/"

static cJSON *golden, *forms;

static void from_hex(const char *hex, Str *out) {
  str_clear(out);
  for (; hex[0] != '\0'; hex += 2) {
    char digits[3] = {hex[0], hex[1], '\0'};
    char byte = (char)strtoul(digits, NULL, 16);
    assert_ok(str_append(out, &byte, 1));
  }
}

/// The hash over the ids of all texts that are not empty.
static void hash_texts(const Tokenizer *tokenizer, char out[9]) {
  uint64_t hash = HASH_START;
  const cJSON *one;
  Str text = {0};
  cJSON_ArrayForEach(one, cJSON_GetObjectItem(forms, "texts")) {
    Tokens tokens = {0};
    from_hex(one->valuestring, &text);
    if (text.size == 0) continue;
    assert_ok(tokenizer_encode(tokenizer, text.data, text.size, true, &tokens));
    for (size_t i = 0; i < tokens.count; i++) {
      uint32_t id = (uint32_t)tokens.ids[i];
      uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)};
      hash = hash_bytes(hash, bytes, sizeof bytes);
    }
    tokens_free(&tokens);
  }
  (void)snprintf(out, 9, "%08" PRIx32, (uint32_t)hash);
  str_free(&text);
}

static void check(const char *path, const char *name, const char *expected, size_t *wrong) {
  Tokenizer *tokenizer;
  char found[9];
  assert_ok(tokenizer_load(path, &tokenizer));
  hash_texts(tokenizer, found);
  tokenizer_free(tokenizer);
  if (strcmp(found, expected) == 0) return;
  print_message("%s gives other ids than llama.cpp\n", name);
  *wrong += 1;
}

/// Writes pre.gguf with another name of the pre-tokenizer.
static void write_with_pre(const char *name, const char *path) {
  static const char key[] = "tokenizer.ggml.pre";
  MappedFile file;
  Str out = {0};
  assert_ok(file_map(FOLDER "pre.gguf", &file));
  const uint8_t *at = memmem(file.bytes, file.size, key, sizeof key - 1);
  assert_non_null(at);
  size_t head = (size_t)(at - file.bytes) + sizeof key - 1 + 4; // behind the type of the value
  char length[8] = {(char)strlen(name)};
  assert_ok(str_append(&out, (const char *)file.bytes, head));
  assert_ok(str_append(&out, length, sizeof length));
  assert_ok(str_append_text(&out, name));
  head += sizeof length + strlen("default");
  assert_ok(str_append(&out, (const char *)file.bytes + head, file.size - head));
  assert_ok(file_write_atomic(path, out.data, out.size));
  str_free(&out);
  file_unmap(&file);
}

static void test_pre(void **state) {
  (void)state;
  const cJSON *one;
  char *path;
  size_t wrong = 0, count = 0;
  assert_ok(path_join(&path, test_folder(), "model.gguf"));
  cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "pre")) {
    write_with_pre(one->string, path);
    check(path, one->string, one->valuestring, &wrong);
    count++;
  }
  assert_true(count > 40);
  assert_int_equal(wrong, 0);
  free(path);
}

static void test_sentencepiece(void **state) {
  (void)state;
  const cJSON *one;
  size_t wrong = 0;
  cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "files")) {
    char path[512];
    (void)snprintf(path, sizeof path, FOLDER "%s", one->string);
    check(path, one->string, one->valuestring, &wrong);
    const char *folder = test_folder();
    assert_ok(tokenizer_export(path, folder));
    check(folder, "its export", one->valuestring, &wrong);
  }
  assert_int_equal(wrong, 0);
}

/// Names whose splits are exported give the same ids there.
static void test_exported(void **state) {
  (void)state;
  static const char *const names[] = {"default",      "falcon",   "tekken",
                                      "deepseek-llm", "superbpe", "bailingmoe"};
  size_t wrong = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *folder = test_folder();
    char *path;
    assert_ok(path_join(&path, folder, "model.gguf"));
    write_with_pre(names[i], path);
    assert_ok(tokenizer_export(path, folder));
    check(folder, names[i], cJSON_GetObjectItem(cJSON_GetObjectItem(golden, "pre"), names[i])->valuestring,
          &wrong);
    free(path);
  }
  assert_int_equal(wrong, 0);
}

int main(void) {
  if (json_parse_file(FOLDER "llama.json", &golden) != STATUS_OK ||
      json_parse_file(FOLDER "forms.json", &forms) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pre),
      cmocka_unit_test(test_sentencepiece),
      cmocka_unit_test(test_exported),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  cJSON_Delete(golden);
  cJSON_Delete(forms);
  return failed;
}
