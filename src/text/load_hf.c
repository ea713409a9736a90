// tokenizer.json of a Hugging Face folder: its model and its added tokens. Rule: what is not known to give
// the same ids as Hugging Face is refused by name; nothing is passed over because it is not understood.
#include "load.h"

#include "io/file.h"
#include "util/memory.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// ---- model ----

static Status check_model(const cJSON *model, const char *name) {
  if (json_has(model, "type") && !has_type(model, "BPE")) {
    const char *type = json_text(model, "type");
    return status_fail(STATUS_INPUT, "%s: the tokenizer is of type \"%.64s\"; only BPE is supported", name,
                       type != NULL ? type : "(none)");
  }
  static const char *const must_be_empty[] = {"continuing_subword_prefix", "end_of_word_suffix", NULL};
  for (size_t i = 0; must_be_empty[i] != NULL; i++) {
    const char *text = json_text(model, must_be_empty[i]);
    if (text != NULL && text[0] != '\0') return fail_unsupported(name, must_be_empty[i], text);
  }
  const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(model, "dropout");
  if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
    return fail_unsupported(name, "model.dropout", "above 0");
  return STATUS_OK;
}

static Status load_vocab(Tokenizer *tokenizer, const cJSON *model, int64_t highest, const char *name) {
  const cJSON *vocab, *entry;
  TRY(json_get_object(model, "vocab", name, &vocab));
  cJSON_ArrayForEach(entry, vocab) {
    const char *text = entry->string;
    double id = entry->valuedouble;
    if (!cJSON_IsNumber(entry) || !(id >= 0 && id <= (double)highest) || id != (double)(int64_t)id) {
      return status_fail(STATUS_INPUT, "%s: token \"%.64s\" has no id between 0 and %" PRId64, name, text,
                         highest);
    }
    TRY(vocab_add(&tokenizer->vocab, (int64_t)id, highest, text, strlen(text), name));
    vocab_mark_model(&tokenizer->vocab, (int32_t)id);
  }
  if (tokenizer->vocab.count == 0) return status_fail(STATUS_INPUT, "%s: the vocabulary is empty", name);
  return STATUS_OK;
}

/// A merge is "left right" or ["left", "right"].
static Status load_merge(Tokenizer *tokenizer, const cJSON *merge, uint32_t rank, const char *name) {
  const char *left = NULL, *right = NULL;
  size_t left_size = 0;
  if (cJSON_IsString(merge)) {
    const char *space = strchr(merge->valuestring, ' ');
    if (space != NULL && strchr(space + 1, ' ') == NULL) {
      left = merge->valuestring;
      left_size = (size_t)(space - left);
      right = space + 1;
    }
  } else if (cJSON_IsArray(merge) && cJSON_GetArraySize(merge) == 2) {
    left = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0));
    right = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
    left_size = left != NULL ? strlen(left) : 0;
  }
  if (left == NULL || right == NULL) {
    return status_fail(STATUS_INPUT, "%s: merge %u is neither \"left right\" nor a pair of texts", name,
                       rank);
  }
  return tokenizer_add_merge(tokenizer, rank, left, left_size, right, strlen(right), name);
}

static Status load_merges(Tokenizer *tokenizer, const cJSON *model, const char *name) {
  const cJSON *merges, *merge;
  TRY(json_get_array(model, "merges", name, &merges));
  TRY(bpe_reserve(&tokenizer->bpe, (size_t)cJSON_GetArraySize(merges)));
  uint32_t rank = 0;
  cJSON_ArrayForEach(merge, merges) {
    TRY(load_merge(tokenizer, merge, rank++, name));
  }
  return STATUS_OK;
}

/// With byte_fallback a character that has no token becomes "<0x0A>" and the like. A byte-level vocabulary
/// that has all bytes never comes to that.
static Status set_byte_fallback(Tokenizer *tokenizer, const char *name) {
  if (!tokenizer->vocab.byte_level) {
    tokenizer->bpe.byte_fallback = true;
    return STATUS_OK;
  }
  for (int byte = 0; byte < 256; byte++) {
    if (tokenizer->bpe.byte_ids[byte] < 0)
      return fail_unsupported(name, "with ByteLevel and without a token for each byte, model.byte_fallback",
                              "true");
  }
  return STATUS_OK;
}

static Status load_model(Tokenizer *tokenizer, const cJSON *model, int64_t highest, const char *name) {
  TRY(check_model(model, name));
  TRY(load_vocab(tokenizer, model, highest, name));
  tokenizer_set_bytes(tokenizer);
  TRY(load_merges(tokenizer, model, name));
  tokenizer->ignore_merges = json_is_true(model, "ignore_merges");
  tokenizer->bpe.fuse_unknown = json_is_true(model, "fuse_unk");
  if (json_is_true(model, "byte_fallback")) TRY(set_byte_fallback(tokenizer, name));
  const char *text = json_text(model, "unk_token");
  if (text == NULL) return STATUS_OK;
  tokenizer->bpe.unknown = vocab_find_model(&tokenizer->vocab, text, strlen(text));
  if (tokenizer->bpe.unknown >= 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: unk_token \"%.64s\" is not in the vocabulary", name, text);
}

// ---- added tokens ----

static Status load_added_token(Tokenizer *tokenizer, const cJSON *token, int64_t highest, const char *name) {
  const char *text;
  int64_t id;
  TRY(json_get_string(token, "content", name, &text));
  TRY(json_get_integer(token, "id", name, 0, highest, &id));
  int32_t known = vocab_find(&tokenizer->vocab, text, strlen(text));
  if (known < 0) {
    TRY(vocab_add(&tokenizer->vocab, id, highest, text, strlen(text), name));
  } else if (known != id) {
    return status_fail(STATUS_INPUT, "%s: added token \"%.64s\" has id %" PRId64 ", but %d in the vocabulary",
                       name, text, id, known);
  }
  AddedToken added = {
      .id = (int32_t)id,
      .single_word = json_is_true(token, "single_word"),
      .lstrip = json_is_true(token, "lstrip"),
      .rstrip = json_is_true(token, "rstrip"),
      .normalized = json_is_true(token, "normalized"),
  };
  tokenizer->vocab.entries[id].special = json_is_true(token, "special");
  return tokenizer_set_added(tokenizer, added, name);
}

static Status load_added(Tokenizer *tokenizer, const cJSON *root, int64_t highest, const char *name) {
  const cJSON *tokens, *token;
  if (!json_has(root, "added_tokens")) return STATUS_OK;
  TRY(json_get_array(root, "added_tokens", name, &tokens));
  cJSON_ArrayForEach(token, tokens) {
    TRY(load_added_token(tokenizer, token, highest, name));
  }
  return STATUS_OK;
}

// ---- the whole file ----

static Status load_json(Tokenizer *tokenizer, const cJSON *root, const HfConfig *config, const char *name) {
  const cJSON *model;
  TRY(json_get_object(root, "model", name, &model));
  int vocab = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(model, "vocab"));
  int added = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "added_tokens"));
  int64_t highest = highest_id((size_t)vocab + (size_t)added);
  tokenizer->vocab.byte_level = uses_byte_level(root);
  TRY(load_model(tokenizer, model, highest, name));
  TRY(load_normalizer(tokenizer, root, name));
  TRY(load_added(tokenizer, root, highest, name));
  TRY(hf_config_add_tokens(config, tokenizer));
  TRY(load_pre_tokenizer(tokenizer, root, config->sets_prefix_space ? &config->prefix_space : NULL, name));
  TRY(load_post_processor(tokenizer, root, name));
  return load_decoder(tokenizer, root, name);
}

Status load_hf(Tokenizer *tokenizer, const char *directory) {
  char *path = NULL;
  cJSON *root = NULL;
  HfConfig config = {0};
  Status status = path_join(&path, directory, "tokenizer.json");
  if (status != STATUS_OK) return status;
  if (!file_exists(path)) {
    status = status_fail(STATUS_INPUT,
                         "%s: no tokenizer.json; no other form of a Hugging Face tokenizer can be read",
                         directory);
    goto cleanup;
  }
  TRY_CLEAN(json_parse_file(path, &root));
  TRY_CLEAN(hf_config_read(directory, root, &config));
  TRY_CLEAN(load_json(tokenizer, root, &config, path));
cleanup:
  hf_config_free(&config);
  cJSON_Delete(root);
  free(path);
  return status;
}
