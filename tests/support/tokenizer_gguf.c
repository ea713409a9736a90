// A GGUF file with only metadata. Rule: it is written byte by byte, without code of gee-cl.
#include "support/tokenizer_gguf.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <stdio.h>
#include <string.h>

enum { GGUF_U32 = 4, GGUF_I32 = 5, GGUF_BOOL = 7, GGUF_STRING = 8, GGUF_ARRAY = 9 };
enum { NORMAL = 1, CONTROL = 3, USER_DEFINED = 4, UNUSED = 5 };

static void put(Str *out, uint64_t value, size_t size) {
  char bytes[8];
  for (size_t i = 0; i < size; i++) bytes[i] = (char)(value >> (8 * i));
  assert_ok(str_append(out, bytes, size));
}

static void put_string(Str *out, const char *text) {
  put(out, strlen(text), 8);
  assert_ok(str_append_text(out, text));
}

static void put_text(Str *out, const char *key, const char *value) {
  put_string(out, key);
  put(out, GGUF_STRING, 4);
  put_string(out, value);
}

static void put_number(Str *out, const char *key, uint32_t value) {
  put_string(out, key);
  put(out, GGUF_U32, 4);
  put(out, value, 4);
}

static void put_array(Str *out, const char *key, uint32_t type, size_t count) {
  put_string(out, key);
  put(out, GGUF_ARRAY, 4);
  put(out, type, 4);
  put(out, count, 8);
}

typedef struct Vocabulary {
  const char *text[4096];
  int32_t type[4096];
  size_t count;
  uint32_t bos, eos; // the first special token and the last
} Vocabulary;

static void add_token(Vocabulary *vocabulary, const cJSON *id, const char *text, int32_t type) {
  size_t index = (size_t)id->valueint;
  assert_true(index < 4096);
  vocabulary->text[index] = text;
  vocabulary->type[index] = type;
  if (vocabulary->count <= index) vocabulary->count = index + 1;
}

static const Vocabulary *read_vocabulary(const cJSON *json) {
  static Vocabulary vocabulary;
  memset(&vocabulary, 0, sizeof vocabulary);
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, cJSON_GetObjectItem(cJSON_GetObjectItem(json, "model"), "vocab")) {
    add_token(&vocabulary, item, item->string, NORMAL);
  }
  cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "added_tokens")) {
    bool special = cJSON_IsTrue(cJSON_GetObjectItem(item, "special"));
    add_token(&vocabulary, cJSON_GetObjectItem(item, "id"), cJSON_GetObjectItem(item, "content")->valuestring,
              special ? CONTROL : USER_DEFINED);
  }
  for (size_t i = 0; i < vocabulary.count; i++) {
    if (vocabulary.type[i] == CONTROL && vocabulary.bos == 0) vocabulary.bos = (uint32_t)i;
    if (vocabulary.type[i] == CONTROL) vocabulary.eos = (uint32_t)i;
    if (vocabulary.text[i] != NULL) continue;
    static char fillers[4096][32];
    (void)snprintf(fillers[i], sizeof fillers[i], "[PAD%zu]", i);
    vocabulary.text[i] = fillers[i];
    vocabulary.type[i] = UNUSED;
  }
  return &vocabulary;
}

static void put_merges(Str *out, const cJSON *merges) {
  const cJSON *item = NULL;
  put_array(out, "tokenizer.ggml.merges", GGUF_STRING, (size_t)cJSON_GetArraySize(merges));
  cJSON_ArrayForEach(item, merges) {
    Str text = {0};
    if (cJSON_IsString(item)) {
      assert_ok(str_append_text(&text, item->valuestring));
    } else {
      assert_ok(str_append_format(&text, "%s %s", item->child->valuestring, item->child->next->valuestring));
    }
    put_string(out, str_text(&text));
    str_free(&text);
  }
}

void tokenizer_gguf_write(const char *family, const char *pre, bool add_bos, const char *path) {
  char source[512];
  cJSON *json = NULL;
  Str file = {0};
  (void)snprintf(source, sizeof source, GEE_SOURCE_DIR "/tests/text/bpe_%s/tokenizer.json", family);
  assert_ok(json_parse_file(source, &json));
  const Vocabulary *vocabulary = read_vocabulary(json);
  assert_ok(str_append_text(&file, "GGUF"));
  put(&file, 3, 4);
  put(&file, 0, 8);
  put(&file, 10, 8);
  put_text(&file, "general.architecture", "llama");
  put_text(&file, "tokenizer.ggml.model", "gpt2");
  put_text(&file, "tokenizer.ggml.pre", pre);
  put_text(&file, "tokenizer.chat_template", "{{ messages }}");
  put_array(&file, "tokenizer.ggml.tokens", GGUF_STRING, vocabulary->count);
  for (size_t i = 0; i < vocabulary->count; i++) put_string(&file, vocabulary->text[i]);
  put_array(&file, "tokenizer.ggml.token_type", GGUF_I32, vocabulary->count);
  for (size_t i = 0; i < vocabulary->count; i++) put(&file, (uint32_t)vocabulary->type[i], 4);
  put_merges(&file, cJSON_GetObjectItem(cJSON_GetObjectItem(json, "model"), "merges"));
  put_number(&file, "tokenizer.ggml.bos_token_id", vocabulary->bos);
  put_number(&file, "tokenizer.ggml.eos_token_id", vocabulary->eos);
  put_string(&file, "tokenizer.ggml.add_bos_token");
  put(&file, GGUF_BOOL, 4);
  put(&file, add_bos, 1);
  assert_ok(file_write_atomic(path, file.data, file.size));
  str_free(&file);
  cJSON_Delete(json);
}
