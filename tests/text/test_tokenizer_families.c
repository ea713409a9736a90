// Three small tokenizers like those of Llama 3, Qwen2 and SmolLM, compared with Hugging Face's tokenizers on
// 2,000 texts with many scripts, white space, numbers, added tokens and broken bytes (bpe_golden.json from
// make_bpe_golden.py).
#include "support/test.h"

#include "io/json.h"
#include "text/tokenizer.h"
#include "util/hash.h"
#include "util/str.h"
#include "util/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOLDER GEE_SOURCE_DIR "/tests/text/"

static cJSON *golden;

static Tokenizer *load(const char *family) {
  char path[512];
  Tokenizer *tokenizer;
  (void)snprintf(path, sizeof path, FOLDER "bpe_%s", family);
  assert_ok(tokenizer_load(path, &tokenizer));
  return tokenizer;
}

static void append_hex(Str *out, const char *hex) {
  for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
    char digits[3] = {hex[0], hex[1], '\0'};
    char byte = (char)strtoul(digits, NULL, 16);
    assert_ok(str_append(out, &byte, 1));
  }
}

/// The golden texts in order: first those in plain text, then those in hex. False at the end.
static bool next_text(size_t *index, Str *out) {
  static const cJSON *at;
  static bool hex;
  if (*index == 0) {
    at = cJSON_GetObjectItem(golden, "texts")->child;
    hex = false;
  }
  if (at == NULL && !hex) {
    at = cJSON_GetObjectItem(golden, "bytes")->child;
    hex = true;
  }
  if (at == NULL) return false;
  str_clear(out);
  if (hex) {
    append_hex(out, at->valuestring);
  } else {
    assert_ok(str_append_text(out, at->valuestring));
  }
  at = at->next;
  *index += 1;
  return true;
}

/// The low 48 bits of the FNV-1a hash over the little-endian ids and the decoded text.
static void digest(const Tokens *tokens, const Str *decoded, char out[16]) {
  uint64_t hash = HASH_START;
  for (size_t i = 0; i < tokens->count; i++) {
    uint32_t id = (uint32_t)tokens->ids[i];
    uint8_t bytes[4] = {(uint8_t)id, (uint8_t)(id >> 8), (uint8_t)(id >> 16), (uint8_t)(id >> 24)};
    hash = hash_bytes(hash, bytes, sizeof bytes);
  }
  hash = hash_bytes(hash, str_text(decoded), decoded->size);
  (void)snprintf(out, 16, "%012" PRIx64, hash & UINT64_C(0xFFFFFFFFFFFF));
}

static void print_ids(const char *family, size_t index, const Tokens *tokens, const Str *decoded) {
  print_message("%s, text %zu (see make_bpe_golden.py):", family, index);
  for (size_t i = 0; i < tokens->count; i++) print_message(" %d", tokens->ids[i]);
  print_message(" = \"%s\"\n", str_text(decoded));
}

static void check_family(const char *family) {
  Tokenizer *tokenizer = load(family);
  const cJSON *expected = cJSON_GetObjectItem(golden, family)->child;
  Str text = {0}, decoded = {0};
  Tokens tokens = {0};
  size_t index = 0, wrong = 0;
  for (; next_text(&index, &text); expected = expected->next) {
    char found[16];
    tokens.count = 0;
    str_clear(&decoded);
    assert_ok(tokenizer_encode(tokenizer, str_text(&text), text.size, false, &tokens));
    assert_ok(tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &decoded));
    digest(&tokens, &decoded, found);
    if (strcmp(found, expected->valuestring) != 0 && wrong++ < 10)
      print_ids(family, index - 1, &tokens, &decoded);
  }
  assert_int_equal(index, 2000);
  assert_int_equal(wrong, 0);
  str_free(&text);
  str_free(&decoded);
  tokens_free(&tokens);
  tokenizer_free(tokenizer);
}

static void test_llama3(void **state) {
  (void)state;
  check_family("llama3");
}

static void test_qwen2(void **state) {
  (void)state;
  check_family("qwen2");
}

static void test_smollm(void **state) {
  (void)state;
  check_family("smollm");
}

/// Pushes one token at a time. Every piece that comes out must be whole characters.
static void stream(const Tokenizer *tokenizer, const Tokens *tokens, bool skip_special, Str *out) {
  DecodeStream decode = {0};
  for (size_t i = 0; i <= tokens->count; i++) {
    Str piece = {0};
    if (i < tokens->count) {
      assert_ok(decode_stream_push(tokenizer, &decode, tokens->ids[i], skip_special, &piece));
    } else {
      assert_ok(decode_stream_end(&decode, &piece));
    }
    assert_int_equal(utf8_valid_prefix(str_text(&piece), piece.size), piece.size);
    assert_ok(str_append(out, str_text(&piece), piece.size));
    str_free(&piece);
  }
}

static void check_stream(const Tokenizer *tokenizer, const Tokens *tokens) {
  for (int skip = 0; skip < 2; skip++) {
    Str whole = {0}, streamed = {0};
    assert_ok(tokenizer_decode(tokenizer, tokens->ids, tokens->count, skip, &whole));
    stream(tokenizer, tokens, skip, &streamed);
    assert_int_equal(streamed.size, whole.size);
    assert_memory_equal(str_text(&streamed), str_text(&whole), whole.size);
    str_free(&whole);
    str_free(&streamed);
  }
}

/// Streaming gives the same text as decoding at once, for the golden texts and for random ids.
static void test_streaming(void **state) {
  (void)state;
  Tokenizer *tokenizer = load("llama3");
  Str text = {0};
  size_t index = 0;
  while (next_text(&index, &text)) {
    Tokens tokens = {0};
    assert_ok(tokenizer_encode(tokenizer, str_text(&text), text.size, true, &tokens));
    check_stream(tokenizer, &tokens);
    tokens_free(&tokens);
  }
  uint32_t random = 15;
  for (int round = 0; round < 500; round++) {
    Tokens tokens = {0};
    for (int i = 0; i < 40; i++) {
      random = random * 1664525 + 1013904223;
      int32_t id = (int32_t)(random >> 8) % 270; // mostly single bytes
      assert_ok(tokens_append(&tokens, i % 13 == 0 ? id - 8 : i % 17 == 0 ? id + 700 : id));
    }
    check_stream(tokenizer, &tokens);
    tokens_free(&tokens);
  }
  str_free(&text);
  tokenizer_free(tokenizer);
}

/// A character comes out with its last byte, not earlier.
static void test_streaming_holds_back(void **state) {
  (void)state;
  Tokenizer *tokenizer = load("llama3");
  static const char *const bytes[] = {"ð", "Ł", "ĺ", "Ģ"}; // F0 9F 98 80
  DecodeStream decode = {0};
  Str out = {0};
  for (int i = 0; i < 4; i++) {
    int32_t id = tokenizer_find(tokenizer, bytes[i]);
    assert_true(id >= 0);
    assert_ok(decode_stream_push(tokenizer, &decode, id, true, &out));
    assert_int_equal(out.size, i < 3 ? 0 : 4);
  }
  assert_string_equal(str_text(&out), "\U0001F600");
  assert_ok(decode_stream_push(tokenizer, &decode, tokenizer_find(tokenizer, "ð"), true, &out));
  assert_ok(decode_stream_push(tokenizer, &decode, tokenizer_find(tokenizer, "<|end|>"), true, &out));
  assert_ok(decode_stream_push(tokenizer, &decode, tokenizer_find(tokenizer, "a"), true, &out));
  assert_string_equal(str_text(&out), "\U0001F600\uFFFDa");
  assert_ok(decode_stream_end(&decode, &out));
  assert_string_equal(str_text(&out), "\U0001F600\uFFFDa");
  str_clear(&out);
  assert_ok(decode_stream_bytes(tokenizer, &decode, tokenizer_find(tokenizer, bytes[1]), true, &out));
  assert_string_equal(str_text(&out), "\x9F"); // as it is, for those who show tokens one by one
  str_free(&out);
  tokenizer_free(tokenizer);
}

static void test_special(void **state) {
  (void)state;
  Tokenizer *tokenizer = load("llama3");
  Tokens tokens = {0};
  Str text = {0};
  int32_t begin = tokenizer_find(tokenizer, "<|begin_of_text|>"), end = tokenizer_find(tokenizer, "<|end");
  assert_true(tokenizer_is_special(tokenizer, begin));
  assert_false(tokenizer_is_special(tokenizer, end));
  assert_ok(tokenizer_encode(tokenizer, "", 0, false, &tokens));
  assert_int_equal(tokens.count, 0);
  assert_ok(tokenizer_encode(tokenizer, "<|end<|end|>", 12, true, &tokens));
  assert_int_equal(tokens.count, 3);
  assert_int_equal(tokens.ids[0], begin);
  assert_int_equal(tokens.ids[1], end);
  assert_int_equal(tokens.ids[2], tokenizer_find(tokenizer, "<|end|>"));
  int32_t ids[] = {begin, end, -1, 999999, end}; // ids that are no token decode to nothing
  assert_ok(tokenizer_decode(tokenizer, ids, 5, true, &text));
  assert_string_equal(str_text(&text), "<|end<|end");
  assert_int_equal(tokenizer_bos(tokenizer), -1); // no tokenizer_config.json names one
  str_free(&text);
  tokens_free(&tokens);
  tokenizer_free(tokenizer);
}

/// A text that cannot be cut takes n log n, not n²: a megabyte is quick.
static void test_long_word(void **state) {
  (void)state;
  Tokenizer *tokenizer = load("qwen2");
  enum { SIZE = 1 << 20 };
  char *text = malloc(SIZE);
  assert_non_null(text);
  for (size_t i = 0; i < SIZE; i++) text[i] = "etaoin"[i * i % 6];
  Tokens tokens = {0};
  Str back = {0};
  assert_ok(tokenizer_encode(tokenizer, text, SIZE, false, &tokens));
  assert_ok(tokenizer_decode(tokenizer, tokens.ids, tokens.count, false, &back));
  assert_int_equal(back.size, SIZE);
  assert_memory_equal(back.data, text, SIZE);
  assert_true(tokens.count < SIZE);
  memset(text, ' ', SIZE);
  assert_ok(tokenizer_encode(tokenizer, text, SIZE, false, &tokens));
  str_free(&back);
  tokens_free(&tokens);
  free(text);
  tokenizer_free(tokenizer);
}

int main(void) {
  if (json_parse_file(FOLDER "bpe_golden.json", &golden) != STATUS_OK) {
    (void)fprintf(stderr, "%s\n", status_message());
    return 1;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama3),
      cmocka_unit_test(test_qwen2),
      cmocka_unit_test(test_smollm),
      cmocka_unit_test(test_streaming),
      cmocka_unit_test(test_streaming_holds_back),
      cmocka_unit_test(test_special),
      cmocka_unit_test(test_long_word),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  cJSON_Delete(golden);
  return failed;
}
