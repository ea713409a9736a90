// The tokenizer of a GGUF file. Rule: the same ids as llama.cpp, but for text that the model's own tokenizer
// normalizes, which llama.cpp does not.
#include "internal.h"

#include "gguf_pre.h"
#include "spm.h"
#include "util/memory.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

Status gguf_tokenizer_kind(const TensorFile *file, const char *path, bool *spm) {
  const char *model;
  TRY(gguf_get_string_or_null(file, "tokenizer.ggml.model", &model));
  if (model == NULL)
    return status_fail(STATUS_INPUT, "%s: the file has no tokenizer (tokenizer.ggml.model)", path);
  *spm = strcmp(model, "llama") == 0;
  if (*spm || strcmp(model, "gpt2") == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s: the tokenizer is of type \"%.64s\"; only gpt2 (byte-level BPE) and llama "
                     "(SentencePiece) are supported",
                     path, model);
}

Status gguf_adds_tokens(const TensorFile *file, const char *path, bool *bos, bool *eos) {
  const PreFamily *family;
  int64_t add_bos, add_eos;
  bool spm, usual = true;
  TRY(gguf_tokenizer_kind(file, path, &spm));
  if (!spm) {
    TRY(gguf_pre_family(file, path, &family));
    usual = family->add_bos;
  }
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.add_bos_token", usual, &add_bos));
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.add_eos_token", 0, &add_eos));
  *bos = add_bos != 0;
  *eos = add_eos != 0;
  return STATUS_OK;
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
    vocab_mark_model(&tokenizer->vocab, (int32_t)i);
    int64_t type = types != NULL ? types[i] : TYPE_NORMAL;
    tokenizer->vocab.entries[i].special = type == TYPE_CONTROL || type == TYPE_UNKNOWN;
    if (type == TYPE_UNKNOWN || type == TYPE_CONTROL || type == TYPE_USER_DEFINED) {
      TRY_CLEAN(tokenizer_set_added(tokenizer, (AddedToken){.id = (int32_t)i}, path));
    }
  }
cleanup:
  free(types);
  return status;
}

// ---- byte-level BPE ----

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

static Status load_pre(Tokenizer *tokenizer, const PreFamily *family, const char *path) {
  tokenizer->ignore_merges = family->ignore_merges;
  if (family->nfc) TRY(normalizer_add_form(&tokenizer->normalizer, FORM_NFC, path));
  if (family->digits) TRY(pretokenizer_add_digits(&tokenizer->pre, true, path));
  for (const char *const *pattern = family->patterns; *pattern != NULL; pattern++)
    TRY(pretokenizer_add_split(&tokenizer->pre, *pattern, SPLIT_ISOLATED, false, path));
  return STATUS_OK;
}

static Status load_byte_level(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  const PreFamily *family;
  TRY(gguf_pre_family(file, path, &family));
  tokenizer->vocab.byte_level = true;
  TRY(load_tokens(tokenizer, file, path));
  tokenizer_set_bytes(tokenizer);
  TRY(load_merges(tokenizer, file, path));
  return load_pre(tokenizer, family, path);
}

// ---- SentencePiece ----

static Status load_pieces(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  SpmMerges merges = {0};
  TRY(load_tokens(tokenizer, file, path));
  tokenizer_set_bytes(tokenizer);
  tokenizer->bpe.byte_fallback = true;
  Status status = spm_merges_read(file, path, &tokenizer->vocab, &merges);
  if (status == STATUS_OK) status = bpe_reserve(&tokenizer->bpe, merges.count);
  for (size_t i = 0; i < merges.count && status == STATUS_OK; i++)
    bpe_add_merge(&tokenizer->bpe, merges.list[i]);
  free(merges.list);
  return status;
}

static Status load_sentencepiece(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  int64_t prefix;
  TRY(gguf_get_integer_or(file, "tokenizer.ggml.add_space_prefix", 1, &prefix));
  TRY(load_pieces(tokenizer, file, path));
  for (int byte = 0; byte < 256; byte++) {
    if (tokenizer->bpe.byte_ids[byte] < 0)
      return status_fail(STATUS_INPUT, "%s: the tokenizer has no token <0x%02X>", path, (unsigned)byte);
  }
  if (prefix != 0) TRY(normalizer_add_prepend(&tokenizer->normalizer, SPM_SPACE, path));
  TRY(normalizer_add_replace(&tokenizer->normalizer, " ", false, SPM_SPACE, path));
  tokenizer->decoding.strip = prefix != 0;
  return tokenizer_set_decoding(tokenizer, SPM_SPACE, " ", true);
}

// ---- BOS and EOS ----

Status gguf_special_id(const TensorFile *file, const char *path, const char *name, int64_t *id) {
  static const struct {
    const char *name;
    int64_t id;
  } usual[] = {{"unknown", 0}, {"bos", 1}, {"eos", 2}};
  int64_t fallback = -1;
  bool spm;
  char *key = NULL;
  TRY(gguf_tokenizer_kind(file, path, &spm));
  for (size_t i = 0; i < sizeof usual / sizeof *usual && spm; i++) {
    if (strcmp(usual[i].name, name) == 0) fallback = usual[i].id;
  }
  TRY(str_format(&key, "tokenizer.ggml.%s_token_id", name));
  Status status = gguf_get_integer_or(file, key, fallback, id);
  free(key);
  return status;
}

/// *out = the id of BOS or EOS; −1: there is none. `added`: it stands around a text, so it must be there.
static Status load_id(const Tokenizer *tokenizer, const TensorFile *file, const char *name, const char *path,
                      bool added, int32_t *out) {
  int64_t id;
  TRY(gguf_special_id(file, path, name, &id));
  if (id < -1 || id >= (int64_t)tokenizer->vocab.count) {
    return status_fail(STATUS_INPUT,
                       "%s: tokenizer.ggml.%s_token_id is %" PRId64 ", but there are %zu tokens", path, name,
                       id, tokenizer->vocab.count);
  }
  if (id < 0 && added)
    return status_fail(STATUS_INPUT, "%s: tokenizer.ggml.add_%s_token is on, but no token is named", path,
                       name);
  *out = (int32_t)id;
  return STATUS_OK;
}

static Status load_specials(Tokenizer *tokenizer, const TensorFile *file, const char *path) {
  bool add_bos, add_eos;
  TRY(gguf_adds_tokens(file, path, &add_bos, &add_eos));
  TRY(load_id(tokenizer, file, "bos", path, add_bos, &tokenizer->bos));
  TRY(load_id(tokenizer, file, "eos", path, add_eos, &tokenizer->eos));
  if (add_bos) TRY(tokens_append(&tokenizer->prefix, tokenizer->bos));
  if (add_eos) TRY(tokens_append(&tokenizer->suffix, tokenizer->eos));
  return STATUS_OK;
}

Status load_gguf(Tokenizer *tokenizer, const char *path) {
  TensorFile *file = NULL;
  bool spm = false;
  Status status = tensors_open(path, &file);
  if (status != STATUS_OK) return status;
  if (!tensors_is_gguf(file)) {
    status = status_fail(STATUS_INPUT, "%s: neither a Hugging Face folder nor a GGUF file", path);
    goto cleanup;
  }
  TRY_CLEAN(gguf_tokenizer_kind(file, path, &spm));
  TRY_CLEAN(spm ? load_sentencepiece(tokenizer, file, path) : load_byte_level(tokenizer, file, path));
  TRY_CLEAN(load_specials(tokenizer, file, path));
cleanup:
  tensors_close(file);
  return status;
}
