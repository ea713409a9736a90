// Broken, contradictory and unsupported tokenizer files are refused with STATUS_INPUT and a message of one
// line; unusual but valid files are read. The test writes the folders as text and the GGUF files byte by
// byte.
#include "support/test.h"

#include "io/file.h"
#include "text/tokenizer.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

static const char *folder;

static void write_text(const char *name, const char *text, size_t size) {
  char *path;
  assert_ok(path_join(&path, folder, name));
  assert_ok(file_write_atomic(path, text, size));
  free(path);
}

/// The parts of a tokenizer.json; NULL: the default part.
typedef struct Parts {
  const char *model, *added, *pre, *normalizer, *post, *decoder;
} Parts;

#define VOCAB      "{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3}"
#define MODEL      "{\"type\":\"BPE\",\"vocab\":" VOCAB ",\"merges\":[\"a b\"]}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"

static Status load(const Parts *parts, Tokenizer **out) {
  Str text = {0};
  assert_ok(str_append_format(
      &text,
      "{\"model\":%s,\"added_tokens\":%s,\"pre_tokenizer\":%s,\"normalizer\":%s,\"post_processor\":%s,"
      "\"decoder\":%s}",
      parts->model != NULL ? parts->model : MODEL, parts->added != NULL ? parts->added : "[]",
      parts->pre != NULL ? parts->pre : BYTE_LEVEL, parts->normalizer != NULL ? parts->normalizer : "null",
      parts->post != NULL ? parts->post : "null", parts->decoder != NULL ? parts->decoder : BYTE_LEVEL));
  write_text("tokenizer.json", text.data, text.size);
  str_free(&text);
  return tokenizer_load(folder, out);
}

static void expect_refused(Parts parts, const char *message) {
  Tokenizer *tokenizer = NULL;
  Status status = load(&parts, &tokenizer);
  if (status == STATUS_OK) {
    tokenizer_free(tokenizer);
    fail_msg("loads, but should be refused with \"%s\"", message);
  }
  assert_int_equal(status, STATUS_INPUT);
  if (!test_contains(status_message(), message)) fail_msg("\"%s\" lacks \"%s\"", status_message(), message);
  assert_true(test_contains(status_message(), "tokenizer.json"));
}

static void expect_ids(Parts parts, const char *text, bool add_special, const char *expected) {
  Tokenizer *tokenizer;
  Tokens tokens = {0};
  Str ids = {0};
  assert_ok(load(&parts, &tokenizer));
  assert_ok(tokenizer_encode(tokenizer, text, strlen(text), add_special, &tokens));
  for (size_t i = 0; i < tokens.count; i++) assert_ok(str_append_format(&ids, " %d", tokens.ids[i]));
  assert_string_equal(str_text(&ids), expected);
  str_free(&ids);
  tokens_free(&tokens);
  tokenizer_free(tokenizer);
}

static void test_models(void **state) {
  (void)state;
  expect_ids((Parts){0}, "ab ba", false, " 2 3 1 0");
  expect_ids((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[[\"a\",\"b\"]]}"}, "aabx", false, " 0 2");
  expect_ids((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"unk_token\":\"b\"}"}, "axyab", false,
             " 0 1 1 0 1");
  expect_ids((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"unk_token\":\"b\",\"fuse_unk\":true}"},
             "axyab", false, " 0 1 0 1");
  expect_ids((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"ignore_merges\":true}"}, "ab aab", false,
             " 2 3 0 0 1");
  expect_refused((Parts){.model = "{\"type\":\"WordPiece\",\"vocab\":{}}"}, "\"WordPiece\"");
  expect_refused((Parts){.model = "{\"type\":\"Unigram\",\"vocab\":[[\"a\",0]]}"}, "\"Unigram\"");
  expect_refused((Parts){.model = "7"}, "model");
  expect_refused((Parts){.model = "{\"vocab\":{},\"merges\":[]}"}, "empty");
  expect_refused((Parts){.model = "{\"vocab\":[],\"merges\":[]}"}, "vocab");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB "}"}, "merges");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":-1},\"merges\":[]}"}, "\"a\"");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":0.5},\"merges\":[]}"}, "\"a\"");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":\"0\"},\"merges\":[]}"}, "\"a\"");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":4294967296},\"merges\":[]}"}, "\"a\"");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":1e300},\"merges\":[]}"}, "\"a\"");
  expect_refused((Parts){.model = "{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}"}, "another token");
  expect_ids((Parts){.model = "{\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}"}, "a", false, " 1");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[\"a z\"]}"}, "not in the vocabulary");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[\"b a\"]}"}, "not in the vocabulary");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[\"ab\"]}"}, "merge 0");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[\"a b\",[\"a\"]]}"}, "merge 1");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[[1,2]]}"}, "merge 0");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"unk_token\":\"?\"}"}, "unk_token");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"byte_fallback\":true}"},
                 "byte_fallback");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"dropout\":0.1}"}, "dropout");
  expect_refused((Parts){.model = "{\"vocab\":" VOCAB ",\"merges\":[],\"end_of_word_suffix\":\"</w>\"}"},
                 "end_of_word");
}

/// Of pairs with equal ranks the leftmost is merged first, in short pieces and in long ones.
static void test_leftmost(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  Parts parts = {.model = "{\"vocab\":{\"a\":0,\"aa\":1},\"merges\":[\"a a\"]}"};
  assert_ok(load(&parts, &tokenizer));
  char text[201];
  memset(text, 'a', sizeof text);
  for (size_t size = 1; size <= sizeof text; size++) {
    Tokens tokens = {0};
    assert_ok(tokenizer_encode(tokenizer, text, size, false, &tokens));
    assert_int_equal(tokens.count, (size + 1) / 2);
    for (size_t i = 0; i < tokens.count; i++) assert_int_equal(tokens.ids[i], 2 * i + 1 < size);
    tokens_free(&tokens);
  }
  tokenizer_free(tokenizer);
}

static void test_added(void **state) {
  (void)state;
  const char *stripping = "[{\"id\":4,\"content\":\"<m>\",\"lstrip\":true,\"rstrip\":true},"
                          "{\"id\":5,\"content\":\"b\",\"single_word\":true}]";
  expect_refused((Parts){.added = stripping}, "id 5"); // b is 1 already
  stripping = "[{\"id\":4,\"content\":\"<m>\",\"lstrip\":true,\"rstrip\":true},"
              "{\"id\":1,\"content\":\"b\",\"single_word\":true},{\"id\":9,\"content\":\"\"}]";
  expect_ids((Parts){.added = stripping}, "a \t<m>\xE3\x80\x80  a", false, " 0 4 0");
  expect_ids((Parts){.added = stripping}, "<m> <m>", false, " 4 4");
  expect_ids((Parts){.added = stripping}, "ab b ab", false, " 2 3 1 3 2");
  // Tokens matched in the given text come before tokens matched in the normalised text.
  const char *overlapping =
      "[{\"id\":2,\"content\":\"ab\",\"normalized\":true},{\"id\":4,\"content\":\"bc\"}]";
  expect_ids((Parts){.added = overlapping}, "abc", false, " 0 4");
  Tokenizer *tokenizer;
  Parts twins = {.normalizer = "{\"type\":\"Lowercase\"}",
                 .added = "[{\"content\":\"X\",\"id\":4,\"normalized\":true},{\"content\":\"x\",\"id\":5,"
                          "\"normalized\":true}]"};
  assert_fails(load(&twins, &tokenizer), STATUS_INPUT, "are both matched by \"x\"");
  expect_refused((Parts){.added = "{}"}, "added_tokens");
  expect_refused((Parts){.added = "[3]"}, "content");
  expect_refused((Parts){.added = "[{\"id\":4}]"}, "content");
  expect_refused((Parts){.added = "[{\"content\":\"c\"}]"}, "id");
  expect_refused((Parts){.added = "[{\"content\":\"c\",\"id\":2000000000}]"}, "id");
  expect_refused((Parts){.added = "[{\"content\":\"c\",\"id\":-4}]"}, "id");
  expect_refused((Parts){.added = "[{\"content\":\"c\",\"id\":0}]"}, "another token");
  // A token of normalized text is normalized itself.
  expect_ids((Parts){.normalizer = "{\"type\":\"NFC\"}",
                     .added = "[{\"id\":4,\"content\":\"e\\u0301\",\"normalized\":true}]"},
             "a\xC3\xA9", false, " 0 4");
  expect_refused((Parts){.normalizer = "{\"type\":\"Prepend\",\"prepend\":\"_\"}",
                         .added = "[{\"content\":\"ab\",\"id\":2,\"normalized\":true}]"},
                 "the added token \"ab\", which the normalizer takes away or makes another piece");
}

#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"
#define SPLIT(rest)     SEQUENCE("{\"type\":\"Split\"," rest "}," BYTE_LEVEL)
#define ISOLATED        "\"behavior\":\"Isolated\""

static void test_pre_tokenizers(void **state) {
  (void)state;
  expect_refused((Parts){.pre = "null"}, "decoder");
  expect_refused((Parts){.pre = "{\"type\":\"Metaspace\",\"replacement\":\"_\"}"}, "decoder");
  expect_refused((Parts){.pre = "{\"type\":\"Metaspace\",\"replacement\":\"__\"}"}, "\"__\"");
  expect_refused((Parts){.pre = "{\"type\":\"UnicodeScripts\"}"}, "pre_tokenizer \"UnicodeScripts\"");
  expect_refused((Parts){.pre = "{\"type\":\"Sequence\"}"}, "pretokenizers");
  expect_refused((Parts){.pre = SEQUENCE(BYTE_LEVEL "," BYTE_LEVEL)}, "a second pre_tokenizer \"ByteLevel\"");
  expect_refused((Parts){.pre = SEQUENCE(BYTE_LEVEL ",{\"type\":\"Metaspace\",\"replacement\":\"_\"}")},
                 "after ByteLevel");
  expect_refused(
      (Parts){.pre = SEQUENCE("{\"type\":\"Digits\"},{\"type\":\"Metaspace\",\"replacement\":\"_\","
                              "\"prepend_scheme\":\"first\"}")},
      "\"first\"");
  expect_ids((Parts){.pre = SPLIT("\"pattern\":{\"Regex\":\"a\"}," ISOLATED)}, "ab", false, " 0 1");
  expect_ids((Parts){.pre = SPLIT("\"pattern\":{\"String\":\"a\"}," ISOLATED)}, "ab", false, " 0 1");
  expect_ids((Parts){.pre = SPLIT("\"pattern\":{\"String\":\"a\"},\"behavior\":\"Removed\"")}, "ab", false,
             " 1");
  expect_ids((Parts){.pre = SPLIT("\"pattern\":{\"Regex\":\"a*\"}," ISOLATED)}, "ab", false, " 0 1");
  expect_refused((Parts){.pre = SPLIT("\"pattern\":{\"String\":\"a\"},\"behavior\":\"Other\"")}, "\"Other\"");
  expect_refused((Parts){.pre = SPLIT("\"pattern\":\"a\"," ISOLATED)}, "neither a String nor a Regex");
  expect_refused((Parts){.pre = SEQUENCE("{\"type\":\"FixedLength\",\"length\":0}")}, "length");
}

static void test_components(void **state) {
  (void)state;
  static const char *const normalizers[] = {"BertNormalizer", "Nmt", "StripAccents", "Precompiled",
                                            "ByteLevel"};
  for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++) {
    Str part = {0};
    assert_ok(str_append_format(&part, "{\"type\":\"%s\"}", normalizers[i]));
    expect_refused((Parts){.normalizer = str_text(&part)}, normalizers[i]);
    str_free(&part);
  }
  expect_ids((Parts){.normalizer = "{\"type\":\"Lowercase\"}"}, "AB", false, " 2");
  expect_refused(
      (Parts){.normalizer = "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a*\"},\"content\":\"\"}"},
      "can match the empty text");
  expect_refused((Parts){.decoder = "null"}, "decoder");
  expect_refused((Parts){.decoder = "{\"type\":\"WordPiece\"}"}, "\"WordPiece\"");
  expect_refused((Parts){.post = "{\"type\":\"BertProcessing\"}"}, "cls");
  expect_refused((Parts){.post = "{\"type\":\"Other\"}"}, "\"Other\"");
  expect_refused((Parts){.post = "{\"type\":\"TemplateProcessing\"}"}, "single");
#define TEMPLATE(single, ids)                                                                                \
  "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"special_tokens\":{\"s\":{\"ids\":" ids "}}}"
#define S "{\"SpecialToken\":{\"id\":\"s\"}}"
#define A "{\"Sequence\":{\"id\":\"A\"}}"
  expect_ids((Parts){.post = TEMPLATE(S "," A "," S "," S, "[3,2]")}, "a", true, " 3 2 0 3 2 3 2");
  expect_ids((Parts){.post = TEMPLATE(S "," A, "[3]")}, "a", false, " 0");
  expect_refused((Parts){.post = TEMPLATE(S "," A, "[99]")}, "an id without a token");
  expect_refused((Parts){.post = TEMPLATE(S "," A, "[-1]")}, "an id without a token");
  expect_refused((Parts){.post = TEMPLATE(S "," A, "[1e300]")}, "an id without a token");
  expect_refused((Parts){.post = TEMPLATE(S "," A, "7")}, "ids");
  expect_refused((Parts){.post = TEMPLATE(A "," A, "[0]")}, "several");
}

static void test_prefix_space(void **state) {
  (void)state;
  const char *spaced = "{\"type\":\"ByteLevel\"}"; // add_prefix_space is true where it is absent
  expect_ids((Parts){.pre = spaced}, "a b", false, " 3 0 3 1");
  expect_ids((Parts){.pre = spaced}, " a", false, " 3 0");
  const char *digits =
      "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}," BYTE_LEVEL
      "]}";
  const char *model = "{\"vocab\":{\"1\":0,\"2\":1,\"12\":2,\"\\u0120\":3,\"\\u01201\":4},"
                      "\"merges\":[\"1 2\",\"\\u0120 1\"]}";
  expect_ids((Parts){.model = model, .pre = digits}, "12 1", false, " 0 1 3 0");
  expect_ids((Parts){.model = model}, "12 1", false, " 2 4");
}

static void test_json(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  static const char *const broken[] = {"",         "{",   "[]", "null", "{\"model\":", "{\"model\":{}}",
                                       "\xFF\xFE", "{} x"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    write_text("tokenizer.json", broken[i], strlen(broken[i]));
    assert_fails(tokenizer_load(folder, &tokenizer), STATUS_INPUT, "tokenizer.json");
  }
  enum { DEEP = 200000 };
  char *deep = malloc(DEEP);
  assert_non_null(deep);
  memset(deep, '[', DEEP);
  write_text("tokenizer.json", deep, DEEP);
  free(deep);
  assert_fails(tokenizer_load(folder, &tokenizer), STATUS_INPUT, "tokenizer.json");
}

/// A tokenizer.json that is truncated anywhere is refused.
static void test_cut(void **state) {
  (void)state;
  MappedFile file;
  assert_ok(file_map(GEE_SOURCE_DIR "/tests/text/bpe_qwen2/tokenizer.json", &file));
  for (size_t size = 0; size + 3 < file.size; size += 97) {
    Tokenizer *tokenizer;
    write_text("tokenizer.json", (const char *)file.bytes, size);
    assert_fails(tokenizer_load(folder, &tokenizer), STATUS_INPUT, "tokenizer.json");
  }
  file_unmap(&file);
}

/// Random changes of bytes cause at most an error.
static void test_noise(void **state) {
  (void)state;
  MappedFile file;
  assert_ok(file_map(GEE_SOURCE_DIR "/tests/text/bpe_llama3/tokenizer.json", &file));
  char *copy = malloc(file.size);
  assert_non_null(copy);
  uint32_t random = 7;
  for (int round = 0; round < 300; round++) {
    memcpy(copy, file.bytes, file.size);
    for (int i = 0; i < 3; i++) {
      random = random * 1664525 + 1013904223;
      copy[random % file.size] = "0123456789\"{}[],:a\\ "[random >> 8 & 0xF];
    }
    write_text("tokenizer.json", copy, file.size);
    Tokenizer *tokenizer;
    Status status = tokenizer_load(folder, &tokenizer);
    if (status == STATUS_OK) tokenizer_free(tokenizer);
    assert_true(status == STATUS_OK || status == STATUS_INPUT);
  }
  free(copy);
  file_unmap(&file);
}

static void test_config(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  Parts parts = {0};
  static const char named[] = "{\"bos_token\":{\"content\":\"ab\"},\"eos_token\":\"b\"}";
  write_text("tokenizer_config.json", named, strlen(named));
  assert_ok(load(&parts, &tokenizer));
  assert_int_equal(tokenizer_bos(tokenizer), 2);
  assert_int_equal(tokenizer_eos(tokenizer), 1);
  assert_true(tokenizer_is_special(tokenizer, 1));
  tokenizer_free(tokenizer);
  static const char *const broken[] = {"{\"pad_token\":[]}",
                                       "{\"eos_token\":7}",
                                       "{\"added_tokens_decoder\":{\"x\":{}}}",
                                       "{\"added_tokens_decoder\":{\"7\":{\"content\":\"z\"}}}",
                                       "[]",
                                       "{\"extra_special_tokens\":3}",
                                       "{\"eos_token\":{\"content\":1}}",
                                       "{"};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    write_text("tokenizer_config.json", broken[i], strlen(broken[i]));
    assert_fails(load(&parts, &tokenizer), STATUS_INPUT, "tokenizer_config.json");
  }
  write_text("tokenizer_config.json", "{}", 2);
}

static void test_missing(void **state) {
  (void)state;
  Tokenizer *tokenizer;
  assert_fails(tokenizer_load(test_folder(), &tokenizer), STATUS_INPUT, "tokenizer.json");
  assert_fails(tokenizer_load("no/such/folder", &tokenizer), STATUS_INPUT, "no/such/folder");
}

// ---- GGUF ----

static void put_u32(Str *out, uint32_t value) {
  char bytes[4] = {(char)value, (char)(value >> 8), (char)(value >> 16), (char)(value >> 24)};
  assert_ok(str_append(out, bytes, 4));
}

static void put_u64(Str *out, uint64_t value) {
  put_u32(out, (uint32_t)value);
  put_u32(out, (uint32_t)(value >> 32));
}

static void put_string(Str *out, const char *text) {
  put_u64(out, strlen(text));
  assert_ok(str_append_text(out, text));
}

enum { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_STRING = 8, GGUF_ARRAY = 9 };

/// A GGUF file with only metadata. Lists end with NULL. A text or list that is NULL is left out, and so is
/// eos < 0.
typedef struct GgufParts {
  const char *model, *pre;
  const char *const *tokens, *const *merges;
  const int *types;
  size_t types_count;
  int64_t eos;
} GgufParts;

static void put_text(Str *out, uint64_t *count, const char *key, const char *text) {
  if (text == NULL) return;
  *count += 1;
  put_string(out, key);
  put_u32(out, GGUF_STRING);
  put_string(out, text);
}

static void put_list(Str *out, uint64_t *count, const char *key, const char *const *list) {
  if (list == NULL) return;
  size_t length = 0;
  while (list[length] != NULL) length++;
  *count += 1;
  put_string(out, key);
  put_u32(out, GGUF_ARRAY);
  put_u32(out, GGUF_STRING);
  put_u64(out, length);
  for (size_t i = 0; i < length; i++) put_string(out, list[i]);
}

static Status load_parts(const GgufParts *parts, Tokenizer **out) {
  Str file = {0}, pairs = {0};
  uint64_t count = 0;
  put_text(&pairs, &count, "general.architecture", "llama");
  put_text(&pairs, &count, "tokenizer.ggml.model", parts->model);
  put_text(&pairs, &count, "tokenizer.ggml.pre", parts->pre);
  put_list(&pairs, &count, "tokenizer.ggml.tokens", parts->tokens);
  put_list(&pairs, &count, "tokenizer.ggml.merges", parts->merges);
  if (parts->types != NULL) {
    count++;
    put_string(&pairs, "tokenizer.ggml.token_type");
    put_u32(&pairs, GGUF_ARRAY);
    put_u32(&pairs, GGUF_I32);
    put_u64(&pairs, parts->types_count);
    for (size_t i = 0; i < parts->types_count; i++) put_u32(&pairs, (uint32_t)parts->types[i]);
  }
  if (parts->eos >= 0) {
    count++;
    put_string(&pairs, "tokenizer.ggml.eos_token_id");
    put_u32(&pairs, GGUF_U32);
    put_u32(&pairs, (uint32_t)parts->eos);
  }
  assert_ok(str_append_text(&file, "GGUF"));
  put_u32(&file, 3);
  put_u64(&file, 0);
  put_u64(&file, count);
  assert_ok(str_append(&file, pairs.data, pairs.size));
  write_text("model.gguf", file.data, file.size);
  str_free(&file);
  str_free(&pairs);
  char *path;
  assert_ok(path_join(&path, folder, "model.gguf"));
  Status status = tokenizer_load(path, out);
  free(path);
  return status;
}

static const char *const TOKENS[] = {"<s>", "a", "b", "ab", "<u>", NULL};
static const char *const MERGES[] = {"a b", NULL};
static const int TYPES[] = {3, 1, 1, 1, 4};

static void test_gguf(void **state) {
  (void)state;
  GgufParts good = {"gpt2", "gpt-2", TOKENS, MERGES, TYPES, 5, 0};
  Tokenizer *tokenizer;
  Tokens tokens = {0};
  assert_ok(load_parts(&good, &tokenizer));
  assert_ok(tokenizer_encode(tokenizer, "ab<u><s>a", 9, true, &tokens));
  static const int32_t expected[] = {3, 4, 0, 1};
  assert_int_equal(tokens.count, 4);
  assert_memory_equal(tokens.ids, expected, sizeof expected);
  assert_true(tokenizer_is_special(tokenizer, 0));
  assert_false(tokenizer_is_special(tokenizer, 4));
  assert_int_equal(tokenizer_eos(tokenizer), 0);
  assert_int_equal(tokenizer_bos(tokenizer), -1);
  tokens_free(&tokens);
  tokenizer_free(tokenizer);
}

static void test_gguf_refused(void **state) {
  (void)state;
  static const char *const none[] = {NULL}, *const twice[] = {"a", "a", NULL}, *const odd[] = {"ab", NULL},
                           *const foreign[] = {"a z", NULL}, *const empty[] = {"", NULL};
  static const struct {
    GgufParts parts;
    const char *message;
  } cases[] = {
      {{NULL, "gpt-2", TOKENS, MERGES, TYPES, 5, 0}, "no tokenizer"},
      {{"bert", "gpt-2", TOKENS, MERGES, TYPES, 5, 0}, "\"bert\""},
      {{"none", "gpt-2", TOKENS, MERGES, TYPES, 5, 0}, "\"none\""},
      {{"llama", NULL, TOKENS, MERGES, TYPES, 5, 0}, "tokenizer.ggml.scores"},
      {{"gpt2", NULL, TOKENS, MERGES, TYPES, 5, 0}, "tokenizer.ggml.pre"},
      {{"gpt2", "chameleon", TOKENS, MERGES, TYPES, 5, 0}, "\"chameleon\""},
      {{"gpt2", "gpt-2", NULL, MERGES, TYPES, 5, 0}, "tokenizer.ggml.tokens"},
      {{"gpt2", "gpt-2", none, MERGES, NULL, 0, 0}, "0 tokens"},
      {{"gpt2", "gpt-2", twice, none, NULL, 0, 0}, "twice"},
      {{"gpt2", "gpt-2", TOKENS, NULL, TYPES, 5, 0}, "tokenizer.ggml.merges"},
      {{"gpt2", "gpt-2", TOKENS, odd, TYPES, 5, 0}, "merge 0"},
      {{"gpt2", "gpt-2", TOKENS, empty, TYPES, 5, 0}, "merge 0"},
      {{"gpt2", "gpt-2", TOKENS, foreign, TYPES, 5, 0}, "not in the vocabulary"},
      {{"gpt2", "gpt-2", TOKENS, MERGES, TYPES, 4, 0}, "token types"},
      {{"gpt2", "gpt-2", TOKENS, MERGES, TYPES, 5, 5}, "eos_token_id"},
      {{"gpt2", "gpt-2", TOKENS, MERGES, TYPES, 5, 4294967295}, "eos_token_id"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Tokenizer *tokenizer;
    assert_fails(load_parts(&cases[i].parts, &tokenizer), STATUS_INPUT, cases[i].message);
    assert_true(test_contains(status_message(), "model.gguf"));
  }
}

int main(void) {
  folder = test_folder();
  if (folder == NULL) return 1;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_models),         cmocka_unit_test(test_leftmost),
      cmocka_unit_test(test_added),          cmocka_unit_test(test_components),
      cmocka_unit_test(test_json),           cmocka_unit_test(test_prefix_space),
      cmocka_unit_test(test_pre_tokenizers), cmocka_unit_test(test_cut),
      cmocka_unit_test(test_noise),          cmocka_unit_test(test_config),
      cmocka_unit_test(test_missing),        cmocka_unit_test(test_gguf),
      cmocka_unit_test(test_gguf_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
