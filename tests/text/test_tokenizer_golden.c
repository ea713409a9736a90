// The real SmolLM2 tokenizer compared with Hugging Face's ids (shared/golden/tokens.json): from the GGUF,
// whose pre "smollm" cuts digits apart, and from a tokenizer.json with the same vocabulary, with and without
// that step.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "io/tensors.h"
#include "text/tokenizer.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char golden_path[1100];

/// The golden file with U+F8FE, which it does not use, instead of U+0000, where cJSON's strings would end.
static cJSON *load_golden(void) {
  MappedFile file;
  cJSON *golden;
  char *text;
  assert_ok(file_map(golden_path, &file));
  assert_ok(str_copy(&text, (const char *)file.bytes, file.size));
  for (char *at = text; (at = strstr(at, "\\u0000")) != NULL; at += 6) memcpy(at + 2, "f8fe", 4);
  assert_ok(json_parse(text, file.size, golden_path, &golden));
  free(text);
  file_unmap(&file);
  return golden;
}

/// Writes a golden string with U+0000 restored; returns its size.
static size_t golden_text(const cJSON *string, char *out, size_t capacity) {
  size_t size = 0;
  for (const char *at = string->valuestring; *at != '\0' && size < capacity; size++) {
    bool zero = strncmp(at, "\xEF\xA3\xBE", 3) == 0;
    out[size] = zero ? '\0' : *at;
    at += zero ? 3 : 1;
  }
  assert_true(size < capacity);
  return size;
}

/// The array of strings under `key` as JSON.
static cJSON *strings_of(const TensorFile *file, const char *key) {
  size_t count;
  assert_ok(gguf_get_strings(file, key, &count));
  cJSON *array = cJSON_CreateArray(), *last = NULL;
  for (size_t i = 0; i < count; i++) {
    const char *bytes;
    size_t size;
    char text[1024];
    gguf_string_at(file, key, i, &bytes, &size);
    assert_true(size < sizeof text);
    memcpy(text, bytes, size);
    text[size] = '\0';
    cJSON *item = cJSON_CreateString(text);
    if (last == NULL)
      assert_true(cJSON_AddItemToArray(array, item)); // further ones by hand: appending is linear
    if (last != NULL) {
      last->next = item;
      item->prev = last;
      array->child->prev = item;
    }
    last = item;
  }
  return array;
}

/// The vocabulary of the GGUF as {"token": id}. The first 17 tokens are special and are added to `added`.
static cJSON *vocab_of(const TensorFile *file, cJSON *added) {
  cJSON *tokens = strings_of(file, "tokenizer.ggml.tokens");
  cJSON *vocab = cJSON_CreateObject();
  int id = 0;
  for (cJSON *token = tokens->child; token != NULL; token = token->next, id++) {
    if (id < 17) {
      cJSON *entry = cJSON_CreateObject();
      cJSON_AddNumberToObject(entry, "id", id);
      cJSON_AddStringToObject(entry, "content", token->valuestring);
      cJSON_AddBoolToObject(entry, "special", true);
      cJSON_AddItemToArray(added, entry);
    }
    token->string = token->valuestring; // the text becomes the key, the id the value
    token->valuestring = NULL;
    token->type = cJSON_Number;
    token->valuedouble = id;
    token->valueint = id;
  }
  vocab->child = tokens->child;
  tokens->child = NULL;
  cJSON_Delete(tokens);
  return vocab;
}

/// Writes tokenizer.json and tokenizer_config.json with the GGUF's vocabulary into a fresh folder.
static const char *make_folder(bool digits) {
  const char *folder = test_folder();
  TensorFile *file;
  assert_ok(tensors_open(test_smollm2(), &file));
  cJSON *root = cJSON_CreateObject();
  cJSON *added = cJSON_AddArrayToObject(root, "added_tokens");
  cJSON *steps = cJSON_AddArrayToObject(cJSON_AddObjectToObject(root, "pre_tokenizer"), "pretokenizers");
  cJSON_AddStringToObject(cJSON_GetObjectItem(root, "pre_tokenizer"), "type", "Sequence");
  if (digits) cJSON_AddItemToArray(steps, cJSON_Parse("{\"type\":\"Digits\",\"individual_digits\":true}"));
  cJSON_AddItemToArray(steps,
                       cJSON_Parse("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"));
  cJSON_AddItemToObject(root, "decoder", cJSON_Parse("{\"type\":\"ByteLevel\"}"));
  cJSON *model = cJSON_AddObjectToObject(root, "model");
  cJSON_AddStringToObject(model, "type", "BPE");
  cJSON_AddItemToObject(model, "vocab", vocab_of(file, added));
  cJSON_AddItemToObject(model, "merges", strings_of(file, "tokenizer.ggml.merges"));
  tensors_close(file);

  char *text, *path;
  text = cJSON_PrintUnformatted(root);
  assert_non_null(text);
  cJSON_Delete(root);
  assert_ok(path_join(&path, folder, "tokenizer.json"));
  assert_ok(file_write_atomic(path, text, strlen(text)));
  free(path);
  free(text);
  static const char config[] =
      "{\"bos_token\": \"<|im_start|>\", \"eos_token\": {\"content\": \"<|im_end|>\"}}";
  assert_ok(path_join(&path, folder, "tokenizer_config.json"));
  assert_ok(file_write_atomic(path, config, strlen(config)));
  free(path);
  return folder;
}

static void expect_ids(const Tokens *tokens, const cJSON *ids, const char *text) {
  size_t i = 0;
  const cJSON *id;
  cJSON_ArrayForEach(id, ids) {
    if (i >= tokens->count || tokens->ids[i] != id->valueint) {
      fail_msg("\"%s\": token %zu is %d, not %d", text, i, i < tokens->count ? tokens->ids[i] : -1,
               id->valueint);
    }
    i++;
  }
  if (i != tokens->count) fail_msg("\"%s\": %zu tokens, not %zu", text, tokens->count, i);
}

/// Encodes all strings of tokens.json and decodes them again.
static void check_all(const Tokenizer *tokenizer, bool digits) {
  cJSON *golden = load_golden();
  const cJSON *strings = cJSON_GetObjectItem(golden, "strings"), *ids = cJSON_GetObjectItem(golden, "ids");
  const cJSON *ids_digits = cJSON_GetObjectItem(golden, "ids_digits");
  size_t count = 0, differing = 0, lost = 0;
  for (const cJSON *text = strings->child, *plain = ids->child; text != NULL;
       text = text->next, plain = plain->next) {
    char index[24];
    (void)snprintf(index, sizeof index, "%zu", count++);
    const cJSON *other = cJSON_GetObjectItem(ids_digits, index);
    if (other != NULL) differing++;
    char bytes[4096];
    size_t size = golden_text(text, bytes, sizeof bytes);
    Tokens tokens = {0};
    Str back = {0};
    assert_ok(tokenizer_encode(tokenizer, bytes, size, false, &tokens));
    expect_ids(&tokens, digits && other != NULL ? other : plain, text->valuestring);
    assert_ok(tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &back));
    if (back.size != size || memcmp(str_text(&back), bytes, size) != 0) {
      lost++;
      print_message("not given back: string %s, \"%s\" as \"%s\"\n", index, text->valuestring,
                    str_text(&back));
    }
    tokens_free(&tokens);
    str_free(&back);
  }
  assert_int_equal(count, 300);
  assert_int_equal(differing, 8);
  assert_int_equal(lost, 0);
  cJSON_Delete(golden);
}

static void check_names(const Tokenizer *tokenizer) {
  assert_int_equal(tokenizer_vocab_size(tokenizer), 49152);
  assert_int_equal(tokenizer_bos(tokenizer), 1);
  assert_int_equal(tokenizer_eos(tokenizer), 2);
  assert_int_equal(tokenizer_find(tokenizer, "<|endoftext|>"), 0);
  assert_int_equal(tokenizer_find(tokenizer, "no such token"), -1);
  assert_true(tokenizer_is_special(tokenizer, 16));
  assert_false(tokenizer_is_special(tokenizer, 17));
  assert_false(tokenizer_is_special(tokenizer, -1));
  assert_false(tokenizer_is_special(tokenizer, 49152));
}

static void test_gguf(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  assert_ok(tokenizer_load(test_smollm2(), &tokenizer));
  check_names(tokenizer);
  check_all(tokenizer, true);
  tokenizer_free(tokenizer);
}

static void test_folder_plain(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  assert_ok(tokenizer_load(make_folder(false), &tokenizer));
  check_names(tokenizer);
  check_all(tokenizer, false);
  tokenizer_free(tokenizer);
}

static void test_folder_digits(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  assert_ok(tokenizer_load(make_folder(true), &tokenizer));
  check_all(tokenizer, true);
  tokenizer_free(tokenizer);
}

int main(void) {
  if (test_shared() == NULL || test_smollm2() == NULL) {
    (void)fprintf(stderr, "skipped: needs shared/golden and the SmolLM2 GGUF (GEE_SHARED, GEE_SMOLLM2)\n");
    return TEST_SKIPPED;
  }
  (void)snprintf(golden_path, sizeof golden_path, "%s/golden/tokens.json", test_shared());
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gguf),
      cmocka_unit_test(test_folder_plain),
      cmocka_unit_test(test_folder_digits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
