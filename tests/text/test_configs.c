// What stands beside tokenizer.json: ids, BOS and EOS as AutoTokenizer of transformers gives them, or refused
// by name (configs.json from make_configs.py).
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *golden;
static const char *folder;

static void write_json(const char *name, const cJSON *content) {
  char *path, *text = cJSON_PrintUnformatted(content);
  assert_non_null(text);
  assert_ok(path_join(&path, folder, name));
  assert_ok(file_write_atomic(path, text, strlen(text)));
  cJSON_free(text);
  free(path);
}

static void remove_file(const char *name) {
  char *path;
  assert_ok(path_join(&path, folder, name));
  (void)remove(path);
  free(path);
}

static Status load(const cJSON *one, Tokenizer **out) {
  const cJSON *file;
  const char *tokenizer = cJSON_GetObjectItem(one, "tokenizer")->valuestring;
  remove_file("added_tokens.json");
  remove_file("special_tokens_map.json");
  cJSON_ArrayForEach(file, cJSON_GetObjectItem(one, "files")) write_json(file->string, file);
  write_json("tokenizer.json",
             cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(golden, "tokenizers"), tokenizer));
  return tokenizer_load(folder, out);
}

static void check_ids(const cJSON *one, const Tokenizer *tokenizer) {
  const char *name = cJSON_GetObjectItem(one, "name")->valuestring;
  const char *text = cJSON_GetObjectItem(golden, "text")->valuestring;
  const cJSON *ids = cJSON_GetObjectItem(one, "ids"), *id;
  Tokens tokens = {0};
  size_t at = 0;
  if (ids == NULL) fail_msg("%s: transformers refuses it", name);
  assert_ok(tokenizer_encode(tokenizer, text, strlen(text), true, &tokens));
  cJSON_ArrayForEach(id, ids) {
    if (at >= tokens.count || tokens.ids[at] != id->valueint) fail_msg("%s: id %zu differs", name, at);
    at++;
  }
  if (at != tokens.count) fail_msg("%s: too many ids", name);
  if (tokenizer_bos(tokenizer) != cJSON_GetObjectItem(one, "bos")->valueint) fail_msg("%s: bos", name);
  if (tokenizer_eos(tokenizer) != cJSON_GetObjectItem(one, "eos")->valueint) fail_msg("%s: eos", name);
  tokens_free(&tokens);
}

/// Cases that are refused, by a part of their name, and what the message says.
static const char *const REFUSED[][2] = {
    {"other ids", "is declared with id 305, but beside tokenizer.json it gets 270"},
    {"split_special_tokens", "split_special_tokens \"true\" is not supported"},
    {"a broken token", "pad_token is neither a text nor a token"},
    {"add_prefix_space True, qwen2", "add_prefix_space is true, but the tokenizer.json beside it cuts"},
    {"True, llama, Qwen2TokenizerFast", "add_prefix_space is true, but the tokenizer.json beside it cuts"},
    {"first, add_prefix_space False, legacy", "add_prefix_space is false"},
    {"first, add_prefix_space True, legacy True", "legacy is true"},
    {"never, add_prefix_space True, legacy",
     "add_prefix_space is true, but the tokenizer.json beside it adds none"},
};

static const char *expected_message(const char *name) {
  for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
    if (test_contains(name, REFUSED[i][0])) return REFUSED[i][1];
  }
  return NULL;
}

static void test_configs(void **state) {
  (void)state;
  const cJSON *one;
  size_t read = 0, refused = 0;
  cJSON_ArrayForEach(one, cJSON_GetObjectItem(golden, "cases")) {
    const char *name = cJSON_GetObjectItem(one, "name")->valuestring, *message = expected_message(name);
    Tokenizer *tokenizer = NULL;
    Status status = load(one, &tokenizer);
    if (message != NULL) {
      if (status != STATUS_INPUT || !test_contains(status_message(), message))
        fail_msg("%s: not refused with \"%s\"", name, message);
      refused++;
      continue;
    }
    if (status != STATUS_OK) fail_msg("%s: %s", name, status_message());
    check_ids(one, tokenizer);
    tokenizer_free(tokenizer);
    read++;
  }
  assert_true(read > 100);
  assert_int_equal(read + refused, cJSON_GetArraySize(cJSON_GetObjectItem(golden, "cases")));
}

int main(void) {
  if (json_parse_file(GEE_SOURCE_DIR "/tests/text/configs.json", &golden) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  folder = test_folder();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_configs)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  cJSON_Delete(golden);
  return failed;
}
