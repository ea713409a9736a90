// tokenizer.json and tokenizer_config.json of a Hugging Face folder. Rule: what is not known to give the same
// ids as Hugging Face is refused by name; nothing is skipped just because it is not understood.
#include "internal.h"

#include "io/file.h"
#include "io/json.h"
#include "util/memory.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static bool is_true(const cJSON *object, const char *key) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/// A boolean that is true if it is missing, as in Hugging Face.
static bool is_not_false(const cJSON *object, const char *key) {
  return !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(object, key));
}

/// The `type` of a component; "(none)" if it has none.
static const char *component_type(const cJSON *component) {
  const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(component, "type"));
  return type != NULL ? type : "(none)";
}

static bool has_type(const cJSON *component, const char *type) {
  return strcmp(component_type(component), type) == 0;
}

static Status fail_unsupported(const char *name, const char *what, const char *type) {
  return status_fail(STATUS_INPUT, "%s: %s \"%.64s\" is not supported", name, what, type);
}

// ---- model ----

static Status check_model(const cJSON *model, const char *name) {
  if (json_has(model, "type") && !has_type(model, "BPE")) {
    return status_fail(STATUS_INPUT,
                       "%s: the tokenizer is of type \"%.64s\"; only BPE (byte-level) is supported", name,
                       component_type(model));
  }
  static const char *const must_be_empty[] = {"continuing_subword_prefix", "end_of_word_suffix", NULL};
  for (size_t i = 0; must_be_empty[i] != NULL; i++) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, must_be_empty[i]));
    if (text != NULL && text[0] != '\0') return fail_unsupported(name, must_be_empty[i], text);
  }
  const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(model, "dropout");
  if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
    return fail_unsupported(name, "model.dropout", "above 0");
  if (is_true(model, "byte_fallback")) return fail_unsupported(name, "model.byte_fallback", "true");
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

static Status load_model(Tokenizer *tokenizer, const cJSON *model, int64_t highest, const char *name) {
  TRY(check_model(model, name));
  TRY(load_vocab(tokenizer, model, highest, name));
  TRY(load_merges(tokenizer, model, name));
  tokenizer->ignore_merges = is_true(model, "ignore_merges");
  tokenizer->bpe.fuse_unknown = is_true(model, "fuse_unk");
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(model, "unk_token"));
  if (text == NULL) return STATUS_OK;
  tokenizer->bpe.unknown = vocab_find(&tokenizer->vocab, text, strlen(text));
  if (tokenizer->bpe.unknown >= 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: unk_token \"%.64s\" is not in the vocabulary", name, text);
}

// ---- added tokens ----

/// A token that is matched in normalised text must itself be normalised, or it would never be found.
static Status check_normal_form(const Tokenizer *tokenizer, const char *text, const char *name) {
  if (!tokenizer->nfc) return STATUS_OK;
  utf8proc_uint8_t *normal = NULL;
  utf8proc_ssize_t length = utf8proc_map((const utf8proc_uint8_t *)text, 0, &normal,
                                         UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (length == UTF8PROC_ERROR_NOMEM)
    return status_fail(STATUS_FAILED, "%s: out of memory for an added token", name);
  bool same = length >= 0 && strcmp((const char *)normal, text) == 0;
  free(normal);
  return same ? STATUS_OK : fail_unsupported(name, "an added token that NFC changes,", text);
}

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
      .single_word = is_true(token, "single_word"),
      .lstrip = is_true(token, "lstrip"),
      .rstrip = is_true(token, "rstrip"),
      .normalized = is_true(token, "normalized"),
  };
  if (added.normalized) TRY(check_normal_form(tokenizer, text, name));
  tokenizer->vocab.entries[id].special = is_true(token, "special");
  return added_append(&tokenizer->added, added);
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

// ---- normalizer, pre_tokenizer, post_processor, decoder ----

/// The members of a Sequence; any other component is its own only member.
static const cJSON *first_of(const cJSON *component, const char *list) {
  if (!has_type(component, "Sequence")) return component;
  const cJSON *members = cJSON_GetObjectItemCaseSensitive(component, list);
  return members != NULL ? members->child : NULL;
}

static const cJSON *next_of(const cJSON *component, const cJSON *member) {
  return member == component ? NULL : member->next;
}

static Status load_normalizer(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  if (!json_has(root, "normalizer")) return STATUS_OK;
  const cJSON *normalizer = cJSON_GetObjectItemCaseSensitive(root, "normalizer");
  for (const cJSON *part = first_of(normalizer, "normalizers"); part != NULL;
       part = next_of(normalizer, part)) {
    if (!has_type(part, "NFC")) return fail_unsupported(name, "normalizer", component_type(part));
    tokenizer->nfc = true;
  }
  return STATUS_OK;
}

static Status load_split(PreTokenizer *pre, const cJSON *split, const char *name) {
  const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(split, "pattern");
  const char *regex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(pattern, "Regex"));
  const char *behavior = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(split, "behavior"));
  if (regex == NULL) return fail_unsupported(name, "pre_tokenizer Split by a pattern other than", "Regex");
  if (behavior == NULL || strcmp(behavior, "Isolated") != 0) {
    return fail_unsupported(name, "pre_tokenizer Split with behavior",
                            behavior != NULL ? behavior : "(none)");
  }
  if (is_true(split, "invert")) return fail_unsupported(name, "pre_tokenizer Split with invert", "true");
  return pretokenizer_add_split(pre, regex, name);
}

static Status load_pre_tokenizer(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  PreTokenizer *pre = &tokenizer->pre;
  bool byte_level = false;
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer");
  const cJSON *part = cJSON_IsObject(all) ? first_of(all, "pretokenizers") : NULL;
  for (; part != NULL; part = next_of(all, part)) {
    if (byte_level) return fail_unsupported(name, "after ByteLevel, pre_tokenizer", component_type(part));
    if (has_type(part, "Digits")) {
      TRY(pretokenizer_add_digits(pre, is_true(part, "individual_digits"), name));
    } else if (has_type(part, "Split")) {
      TRY(load_split(pre, part, name));
    } else if (has_type(part, "ByteLevel")) {
      byte_level = true;
      if (is_not_false(part, "add_prefix_space")) TRY(pretokenizer_add_prefix_space(pre, name));
      if (is_not_false(part, "use_regex")) TRY(pretokenizer_add_split(pre, PATTERN_GPT2, name));
    } else {
      return fail_unsupported(name, "pre_tokenizer", component_type(part));
    }
  }
  if (byte_level) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: the pre_tokenizer has no ByteLevel; only byte-level BPE is supported",
                     name);
}

/// Appends the ids of special token `special` of a TemplateProcessing.
static Status load_template_token(const Tokenizer *tokenizer, const cJSON *template, const char *special,
                                  const char *name, Tokens *out) {
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(template, "special_tokens");
  const cJSON *ids = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(all, special), "ids");
  if (!cJSON_IsArray(ids)) return fail_unsupported(name, "post_processor without ids for its token", special);
  const cJSON *id;
  cJSON_ArrayForEach(id, ids) {
    bool known = cJSON_IsNumber(id) && id->valuedouble >= 0 &&
                 id->valuedouble < (double)tokenizer->vocab.count &&
                 vocab_at(&tokenizer->vocab, (int32_t)id->valuedouble) != NULL;
    if (!known) return fail_unsupported(name, "post_processor: an id without a token, for", special);
    TRY(tokens_append(out, (int32_t)id->valuedouble));
  }
  return STATUS_OK;
}

static Status load_template(Tokenizer *tokenizer, const cJSON *template, const char *name) {
  const cJSON *single, *part;
  TRY(json_get_array(template, "single", name, &single));
  bool seen_text = false;
  cJSON_ArrayForEach(part, single) {
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(part, "SpecialToken");
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(token, "id"));
    if (id != NULL) {
      Tokens *side = seen_text ? &tokenizer->suffix : &tokenizer->prefix;
      TRY(load_template_token(tokenizer, template, id, name, side));
    } else if (json_has(part, "Sequence") && !seen_text) {
      seen_text = true;
    } else {
      return fail_unsupported(name, "post_processor TemplateProcessing with", "several sequences");
    }
  }
  return STATUS_OK;
}

static Status load_post_processor(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  if (!json_has(root, "post_processor")) return STATUS_OK;
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "post_processor");
  bool template = false;
  for (const cJSON *part = first_of(all, "processors"); part != NULL; part = next_of(all, part)) {
    if (has_type(part, "TemplateProcessing") && !template) {
      template = true;
      TRY(load_template(tokenizer, part, name));
    } else if (!has_type(part, "ByteLevel")) { // ByteLevel only trims offsets
      return fail_unsupported(name, "post_processor", component_type(part));
    }
  }
  return STATUS_OK;
}

static Status check_decoder(const cJSON *root, const char *name) {
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "decoder");
  const cJSON *part = cJSON_IsObject(all) ? first_of(all, "decoders") : NULL;
  if (part == NULL) return fail_unsupported(name, "decoder", "null");
  for (; part != NULL; part = next_of(all, part)) {
    if (!has_type(part, "ByteLevel")) return fail_unsupported(name, "decoder", component_type(part));
  }
  return STATUS_OK;
}

// ---- tokenizer_config.json ----

/// *out = the id of the token that `key` names, by a string or {"content": string}; unchanged if the key is
/// missing or null. Such a token is special and recognised in text even if tokenizer.json does not list it,
/// as in transformers.
static Status load_named_token(Tokenizer *tokenizer, const cJSON *config, const char *key, const char *name,
                               int32_t *out) {
  if (!json_has(config, key)) return STATUS_OK;
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, key);
  if (cJSON_IsObject(value)) value = cJSON_GetObjectItemCaseSensitive(value, "content");
  const char *text = cJSON_GetStringValue(value);
  if (text == NULL) return status_fail(STATUS_INPUT, "%s: %s is neither a text nor null", name, key);
  int32_t id = vocab_find(&tokenizer->vocab, text, strlen(text));
  if (id < 0) return status_fail(STATUS_INPUT, "%s: %s \"%.64s\" is not in tokenizer.json", name, key, text);
  *out = id;
  tokenizer->vocab.entries[id].special = true;
  for (size_t i = 0; i < tokenizer->added.count; i++) {
    if (tokenizer->added.tokens[i].id == id) return STATUS_OK;
  }
  return added_append(&tokenizer->added, (AddedToken){.id = id});
}

static Status load_config(Tokenizer *tokenizer, const char *directory) {
  char *path = NULL;
  cJSON *config = NULL;
  Status status = path_join(&path, directory, "tokenizer_config.json");
  if (status == STATUS_OK && file_exists(path)) {
    TRY_CLEAN(json_parse_file(path, &config));
    TRY_CLEAN(load_named_token(tokenizer, config, "bos_token", path, &tokenizer->bos));
    TRY_CLEAN(load_named_token(tokenizer, config, "eos_token", path, &tokenizer->eos));
  }
cleanup:
  cJSON_Delete(config);
  free(path);
  return status;
}

// ---- the whole file ----

static Status load_json(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  const cJSON *model;
  TRY(json_get_object(root, "model", name, &model));
  int vocab = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(model, "vocab"));
  int added = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "added_tokens"));
  int64_t highest = highest_id((size_t)vocab + (size_t)added);
  TRY(load_model(tokenizer, model, highest, name));
  tokenizer_set_bytes(tokenizer);
  TRY(load_normalizer(tokenizer, root, name));
  TRY(load_added(tokenizer, root, highest, name));
  TRY(load_pre_tokenizer(tokenizer, root, name));
  TRY(load_post_processor(tokenizer, root, name));
  return check_decoder(root, name);
}

Status load_hf(Tokenizer *tokenizer, const char *directory) {
  char *path = NULL;
  cJSON *root = NULL;
  Status status = path_join(&path, directory, "tokenizer.json");
  if (status != STATUS_OK) return status;
  if (!file_exists(path)) {
    status = status_fail(STATUS_INPUT,
                         "%s: no tokenizer.json; no other form of a Hugging Face tokenizer can be read",
                         directory);
    goto cleanup;
  }
  TRY_CLEAN(json_parse_file(path, &root));
  TRY_CLEAN(load_json(tokenizer, root, path));
  TRY_CLEAN(load_config(tokenizer, directory));
cleanup:
  cJSON_Delete(root);
  free(path);
  return status;
}
