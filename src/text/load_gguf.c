// The tokenizer of a GGUF file. Rule: tokenizer.ggml.pre names the pattern that cuts text; a name that is not
// in the table is refused, because a wrong pattern gives ids that look right and are not.
#include "internal.h"

#include "util/memory.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const PreFamily PRE_FAMILIES[] = {
    {.name = "gpt-2", .pattern = &PATTERN_GPT2},
    {.name = "default", .pattern = &PATTERN_GPT2},
    {.name = "smollm", .pattern = &PATTERN_GPT2, .digits = true},
    {.name = "llama-bpe", .pattern = &PATTERN_LLAMA3, .ignore_merges = true, .add_bos = true},
    {.name = "llama3", .pattern = &PATTERN_LLAMA3, .ignore_merges = true, .add_bos = true},
    {.name = "llama-v3", .pattern = &PATTERN_LLAMA3, .ignore_merges = true, .add_bos = true},
    {.name = "qwen2", .pattern = &PATTERN_QWEN2, .nfc = true},
};
enum { PRE_COUNT = sizeof PRE_FAMILIES / sizeof *PRE_FAMILIES };

static Status fail_unknown_pre(const char *pre, const char *path) {
  Str known = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < PRE_COUNT; i++) {
    TRY_CLEAN(str_append_item(&known, PRE_FAMILIES[i].name, i, PRE_COUNT, " and "));
  }
  status = status_fail(STATUS_INPUT, "%s: tokenizer.ggml.pre \"%.64s\" is not known; known are %s", path, pre,
                       str_text(&known));
cleanup:
  str_free(&known);
  return status;
}

Status gguf_family(const TensorFile *file, const char *path, const PreFamily **out) {
  const char *model, *pre;
  TRY(gguf_get_string_or_null(file, "tokenizer.ggml.model", &model));
  if (model == NULL)
    return status_fail(STATUS_INPUT, "%s: the file has no tokenizer (tokenizer.ggml.model)", path);
  if (strcmp(model, "gpt2") != 0) {
    return status_fail(STATUS_INPUT,
                       "%s: the tokenizer is of type \"%.64s\"; only gpt2 (byte-level BPE) is supported",
                       path, model);
  }
  TRY(gguf_get_string_or_null(file, "tokenizer.ggml.pre", &pre));
  if (pre == NULL) {
    return status_fail(STATUS_INPUT,
                       "%s: tokenizer.ggml.pre is missing; convert the model again with a newer llama.cpp",
                       path);
  }
  for (size_t i = 0; i < PRE_COUNT; i++) {
    *out = &PRE_FAMILIES[i];
    if (strcmp(pre, PRE_FAMILIES[i].name) == 0) return STATUS_OK;
  }
  return fail_unknown_pre(pre, path);
}

static Status load_tokens(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  static const char key[] = "tokenizer.ggml.tokens";
  size_t count, types_count;
  int64_t *types = NULL;
  TRY(gguf_get_strings(file, key, &count));
  if (count == 0 || count >= INT32_MAX) {
    return status_fail(STATUS_INPUT, "%s: a vocabulary of %zu tokens cannot be used", path, count);
  }
  TRY(gguf_get_integers(file, "tokenizer.ggml.token_type", &types, &types_count));
  Status status = STATUS_OK;
  if (types != NULL && types_count != count) {
    status = status_fail(STATUS_INPUT, "%s: %zu tokens but %zu token types", path, count, types_count);
    goto cleanup;
  }
  for (size_t i = 0; i < count; i++) {
    const char *text;
    size_t size;
    gguf_string_at(file, key, i, &text, &size);
    TRY_CLEAN(vocab_add(&tokenizer->vocab, (int64_t)i, (int64_t)count - 1, text, size, path));
    int64_t type = types != NULL ? types[i] : TYPE_NORMAL;
    tokenizer->vocab.entries[i].special = type == TYPE_CONTROL || type == TYPE_UNKNOWN;
    if (type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER_DEFINED) {
      TRY_CLEAN(added_append(&tokenizer->added, (AddedToken){.id = (int32_t)i}));
    }
  }
cleanup:
  free(types);
  return status;
}

/// A merge is "left right". Neither contains a space, because byte-level text has Ġ instead.
static Status load_merges(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  static const char key[] = "tokenizer.ggml.merges";
  size_t count;
  TRY(gguf_get_strings(file, key, &count));
  if (count >= UINT32_MAX) return status_fail(STATUS_INPUT, "%s: %zu merges cannot be used", path, count);
  TRY(bpe_reserve(&tokenizer->bpe, count));
  for (size_t i = 0; i < count; i++) {
    const char *text;
    size_t size;
    gguf_string_at(file, key, i, &text, &size);
    const char *space = size > 0 ? memchr(text, ' ', size) : NULL;
    if (space == NULL) return status_fail(STATUS_INPUT, "%s: merge %zu is not \"left right\"", path, i);
    size_t left = (size_t)(space - text);
    TRY(tokenizer_add_merge(tokenizer, (uint32_t)i, text, left, space + 1, size - left - 1, path));
  }
  return STATUS_OK;
}

/// *out = the id under `key`; −1 if the key is missing.
static Status load_id(const Tokenizer *tokenizer, const TensorFile *file, const char *key, const char *path,
                      int32_t *out) {
  int64_t id;
  TRY(gguf_get_integer_or(file, key, -1, &id));
  if (id < -1 || id >= (int64_t)tokenizer->vocab.count) {
    return status_fail(STATUS_INPUT, "%s: %s is %" PRId64 ", but there are %zu tokens", path, key, id,
                       tokenizer->vocab.count);
  }
  *out = (int32_t)id;
  return STATUS_OK;
}

static Status load_specials(Tokenizer *tokenizer, const TensorFile *file, const PreFamily *family,
                            const char *path) {
  TRY(load_id(tokenizer, file, "tokenizer.ggml.bos_token_id", path, &tokenizer->bos));
  TRY(load_id(tokenizer, file, "tokenizer.ggml.eos_token_id", path, &tokenizer->eos));
  int64_t add_bos, add_eos;
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.add_bos_token", family->add_bos, &add_bos));
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.add_eos_token", 0, &add_eos));
  if (add_bos != 0 && tokenizer->bos >= 0) TRY(tokens_append(&tokenizer->prefix, tokenizer->bos));
  if (add_eos != 0 && tokenizer->eos >= 0) TRY(tokens_append(&tokenizer->suffix, tokenizer->eos));
  return STATUS_OK;
}

static Status load_pre(Tokenizer *tokenizer, const PreFamily *family, const char *path) {
  tokenizer->nfc = family->nfc;
  tokenizer->ignore_merges = family->ignore_merges;
  if (family->digits) TRY(pretokenizer_add_digits(&tokenizer->pre, true, path));
  return pretokenizer_add_split(&tokenizer->pre, *family->pattern, path);
}

Status load_gguf(Tokenizer *tokenizer, const char *path) {
  TensorFile *file = NULL;
  const PreFamily *family = PRE_FAMILIES;
  Status status = tensors_open(path, &file);
  if (status != STATUS_OK) return status;
  if (!tensors_is_gguf(file)) {
    status = status_fail(STATUS_INPUT, "%s: neither a Hugging Face folder nor a GGUF file", path);
    goto cleanup;
  }
  TRY_CLEAN(gguf_family(file, path, &family));
  TRY_CLEAN(load_tokens(tokenizer, file, path));
  tokenizer_set_bytes(tokenizer);
  TRY_CLEAN(load_merges(tokenizer, file, path));
  TRY_CLEAN(load_pre(tokenizer, family, path));
  TRY_CLEAN(load_specials(tokenizer, file, family, path));
cleanup:
  tensors_close(file);
  return status;
}
