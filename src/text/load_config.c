// What stands beside tokenizer.json in a Hugging Face folder: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json. Rule: as AutoTokenizer of transformers 5.24 resolves them, or refused.
//
// tokenizer.json says how text is normalized, cut and decoded. transformers 5 builds these parts anew for
// some classes and then takes only a few settings from the config; what of these changes ids is applied here
// (add_prefix_space, tokens that a class names by default). add_bos_token and add_eos_token have no effect
// beside a tokenizer.json, whose post_processor counts.
#include "load.h"

#include "io/file.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum { NAMED_COUNT = 7, NAMED_BOS = 0, NAMED_EOS = 1 };
static const char *const NAMED[NAMED_COUNT] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                               "pad_token", "cls_token", "mask_token"};

/// A tokenizer_class that transformers 5 builds by itself.
typedef struct HfClass {
  const char *name;
  const char *front; // the pre_tokenizer in front of its ByteLevel; "" for none, NULL for no ByteLevel
  bool plain;        // named tokens lose their flags
  const char *defaults[NAMED_COUNT];
} HfClass;

#define END_OF_TEXT "<|endoftext|>"
static const HfClass CLASSES[] = {
    {"GPT2Tokenizer", "", false, {END_OF_TEXT, END_OF_TEXT, END_OF_TEXT, NULL, NULL, NULL, NULL}},
    {"Qwen2Tokenizer", "Split", true, {NULL, END_OF_TEXT, END_OF_TEXT, NULL, END_OF_TEXT, NULL, NULL}},
    {"GPTNeoXTokenizer", "", false, {END_OF_TEXT, END_OF_TEXT, END_OF_TEXT, NULL, "<|padding|>", NULL, NULL}},
    {"CohereTokenizer",
     "Digits",
     false,
     {"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>", "<CLS>", "<MASK_TOKEN>"}},
    {"LlamaTokenizer", NULL, false, {"<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL}},
    {"CodeLlamaTokenizer", NULL, false, {"<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL}},
    {"GemmaTokenizer", NULL, false, {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"}},
};

// ---- the files ----

/// *out = the content of DIRECTORY/name, an object; NULL if there is no such file.
static Status read_object(const char *directory, const char *name, cJSON **out) {
  char *path = NULL;
  Status status = path_join(&path, directory, name);
  *out = NULL;
  if (status == STATUS_OK && file_exists(path)) {
    TRY_CLEAN(json_parse_file(path, out));
    if (!cJSON_IsObject(*out)) status = status_fail(STATUS_INPUT, "%s: not an object", path);
  }
cleanup:
  free(path);
  return status;
}

/// special_tokens_map.json's members count instead of tokenizer_config.json's.
static Status merge_special_map(const char *directory, cJSON *config) {
  cJSON *map = NULL;
  TRY(read_object(directory, "special_tokens_map.json", &map));
  while (map != NULL && map->child != NULL) {
    cJSON *member = cJSON_DetachItemViaPointer(map, map->child);
    cJSON_DeleteItemFromObjectCaseSensitive(config, member->string);
    if (!cJSON_AddItemToObject(config, member->string, member)) {
      cJSON_Delete(member);
      cJSON_Delete(map);
      return status_fail(STATUS_FAILED, "out of memory for special_tokens_map.json");
    }
  }
  cJSON_Delete(map);
  return STATUS_OK;
}

// ---- the class ----

static bool decodes_byte_level(const cJSON *root) {
  const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(root, "decoder");
  return uses_byte_level(root) || has_type(decoder, "ByteLevel");
}

/// The class that AutoTokenizer takes; NULL for one that leaves tokenizer.json as it is.
static const HfClass *find_class(const cJSON *model, const cJSON *tokenizer, const cJSON *root) {
  const char *name = json_text(tokenizer, "tokenizer_class"), *type = json_text(model, "model_type");
  if (name == NULL) name = json_text(model, "tokenizer_class");
  if (type != NULL && strcmp(type, "qwen2") == 0) name = "Qwen2Tokenizer";
  if (name == NULL) return NULL;
  size_t size = strlen(name);
  if (str_ends(name, "Fast")) size -= strlen("Fast");
  for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++) {
    const HfClass *kind = &CLASSES[i];
    if (strlen(kind->name) != size || memcmp(kind->name, name, size) != 0) continue;
    // The class of Llama 2 is often named for byte-level tokenizers, and then not used.
    return kind->front == NULL && decodes_byte_level(root) ? NULL : kind;
  }
  return NULL;
}

/// True if a mark for a space comes in front of the text.
static bool adds_prefix(const cJSON *component, int depth) {
  if (has_type(component, "Prepend")) return true;
  if (has_type(component, "Metaspace")) {
    const char *scheme = json_text(component, "prepend_scheme");
    return json_is_not_false(component, "add_prefix_space") &&
           (scheme == NULL || strcmp(scheme, "never") != 0);
  }
  const cJSON *member;
  if (depth == 8) return false;
  cJSON_ArrayForEach(member, component) {
    if (adds_prefix(member, depth + 1)) return true;
  }
  return false;
}

/// True if the pre_tokenizer is the one that the class builds, whatever is in its parts.
static bool has_class_shape(const HfClass *kind, const cJSON *root) {
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer");
  if (kind->front[0] == '\0') return has_type(all, "ByteLevel");
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(all, "pretokenizers");
  return cJSON_GetArraySize(list) == 2 && has_type(list->child, kind->front) &&
         has_type(list->child->next, "ByteLevel");
}

static Status fail_contradiction(const HfConfig *config, const char *key, const char *value,
                                 const char *what) {
  return status_fail(
      STATUS_INPUT,
      "%s: %s is %s, but the tokenizer.json beside it %s; mend one of them, or set tokenizer_class "
      "to PreTrainedTokenizerFast to use tokenizer.json",
      config->name, key, value, what);
}

static Status check_prefix(const HfConfig *config, const cJSON *root) {
  const HfClass *kind = config->kind;
  if (kind == NULL) return STATUS_OK;
  if (kind->front != NULL) {
    if (!config->prefix_space || has_class_shape(kind, root)) return STATUS_OK;
    return fail_contradiction(config, "add_prefix_space", "true", "cuts text otherwise than its class");
  }
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(config->tokenizer, "add_prefix_space");
  const cJSON *pre = cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer");
  bool prefix = adds_prefix(cJSON_GetObjectItemCaseSensitive(root, "normalizer"), 0) || adds_prefix(pre, 0);
  if (cJSON_IsBool(value) && cJSON_IsTrue(value) != prefix) {
    return fail_contradiction(config, "add_prefix_space", prefix ? "false" : "true",
                              prefix ? "adds one" : "adds none");
  }
  const char *scheme = has_type(pre, "Metaspace") ? json_text(pre, "prepend_scheme") : NULL;
  if (scheme != NULL && strcmp(scheme, "first") == 0 && json_is_true(config->tokenizer, "legacy"))
    return fail_contradiction(config, "legacy", "true", "has prepend_scheme \"first\"");
  return STATUS_OK;
}

/// Settings that are not understood, or that contradict tokenizer.json.
static Status check(const HfConfig *config, const cJSON *root) {
  static const char *const off[] = {"split_special_tokens", "fix_mistral_regex", NULL};
  for (size_t i = 0; off[i] != NULL; i++) {
    if (json_is_true(config->tokenizer, off[i])) return fail_unsupported(config->name, off[i], "true");
  }
  return check_prefix(config, root);
}

Status hf_config_read(const char *directory, const cJSON *root, HfConfig *out) {
  cJSON *model = NULL;
  Status status = path_join(&out->name, directory, "tokenizer_config.json");
  if (status != STATUS_OK) return status;
  TRY_CLEAN(read_object(directory, "config.json", &model));
  TRY_CLEAN(read_object(directory, "tokenizer_config.json", &out->tokenizer));
  if (out->tokenizer == NULL) out->tokenizer = cJSON_CreateObject();
  if (out->tokenizer == NULL) {
    status = status_fail(STATUS_FAILED, "%s: out of memory", out->name);
    goto cleanup;
  }
  if (!json_has(out->tokenizer, "added_tokens_decoder")) {
    TRY_CLEAN(merge_special_map(directory, out->tokenizer));
    TRY_CLEAN(read_object(directory, "added_tokens.json", &out->added));
  }
  out->kind = find_class(model, out->tokenizer, root);
  out->sets_prefix_space = out->kind != NULL && out->kind->front != NULL;
  out->prefix_space = json_is_true(out->tokenizer, "add_prefix_space");
  status = check(out, root);
cleanup:
  cJSON_Delete(model);
  return status;
}

void hf_config_free(HfConfig *config) {
  if (config == NULL) return;
  cJSON_Delete(config->tokenizer);
  cJSON_Delete(config->added);
  free(config->name);
  *config = (HfConfig){0};
}

// ---- tokens ----

/// A token as a config writes it.
typedef struct Written {
  const char *text;
  AddedToken token; // its id is not known
  bool special;
} Written;

typedef struct Adding {
  const HfConfig *config;
  Tokenizer *tokenizer;
  int32_t top; // the highest id of an added token; −1: there is none
} Adding;

/// A text is special; an object says what it is. False if it is neither.
static bool read_written(const cJSON *value, Written *out) {
  const cJSON *normalized = cJSON_GetObjectItemCaseSensitive(value, "normalized");
  *out = (Written){.text = cJSON_GetStringValue(value), .special = true};
  if (out->text != NULL) return true;
  out->text = json_text(value, "content");
  out->special = json_is_true(value, "special");
  out->token = (AddedToken){
      .single_word = json_is_true(value, "single_word"),
      .lstrip = json_is_true(value, "lstrip"),
      .rstrip = json_is_true(value, "rstrip"),
      .normalized = cJSON_IsBool(normalized) ? cJSON_IsTrue(normalized) : !out->special,
  };
  return out->text != NULL;
}

/// The text of bos_token and the like: the config's, or the class's if the vocabulary has that. NULL: none.
static const char *named_text(const Adding *adding, int index) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(adding->config->tokenizer, NAMED[index]);
  Written written;
  if (value != NULL) return read_written(value, &written) ? written.text : NULL;
  const char *text = adding->config->kind != NULL ? adding->config->kind->defaults[index] : NULL;
  return text != NULL && tokenizer_find(adding->tokenizer, text) >= 0 ? text : NULL;
}

static bool is_named(const Adding *adding, const char *text) {
  for (int i = 0; i < NAMED_COUNT; i++) {
    const char *named = named_text(adding, i);
    if (named != NULL && strcmp(named, text) == 0) return true;
  }
  return false;
}

/// The id that transformers gives to a token that is in no vocabulary.
static int64_t next_id(const Adding *adding) {
  int64_t count = (int64_t)adding->tokenizer->vocab.model_count;
  return adding->top >= count ? (int64_t)adding->top + 1 : count;
}

/// Adds the token, or gives it other flags.
static Status add_written(Adding *adding, Written written) {
  Tokenizer *tokenizer = adding->tokenizer;
  size_t size = strlen(written.text);
  if (size == 0) return STATUS_OK;
  int64_t id = vocab_find(&tokenizer->vocab, written.text, size);
  if (id < 0) {
    id = next_id(adding);
    TRY(vocab_add(&tokenizer->vocab, id, id, written.text, size, adding->config->name));
  }
  if (adding->top < id) adding->top = (int32_t)id;
  if (written.special) tokenizer->vocab.entries[id].special = true;
  written.token.id = (int32_t)id;
  return tokenizer_set_added(tokenizer, written.token, adding->config->name);
}

/// Adds a token that the config declares with an id.
static Status add_declared(Adding *adding, Written written, int64_t declared) {
  const Tokenizer *tokenizer = adding->tokenizer;
  int64_t id = vocab_find(&tokenizer->vocab, written.text, strlen(written.text));
  int64_t given = id >= 0 ? id : next_id(adding);
  if (given != declared) {
    return status_fail(STATUS_INPUT,
                       "%s: token \"%.64s\" is declared with id %lld, but beside tokenizer.json it gets %lld",
                       adding->config->name, written.text, (long long)declared, (long long)given);
  }
  const AddedToken *known = added_find(&tokenizer->added, (int32_t)given);
  bool same = known != NULL && known->single_word == written.token.single_word &&
              known->lstrip == written.token.lstrip && known->rstrip == written.token.rstrip &&
              known->normalized == written.token.normalized &&
              tokenizer->vocab.entries[given].special == written.special;
  if (same) return STATUS_OK;
  if (is_named(adding, written.text)) written.special = true;
  return add_written(adding, written);
}

/// A token and the id it is declared with.
typedef struct Declared {
  Written written;
  int64_t id;
} Declared;

static int compare_declared(const void *a, const void *b) {
  int64_t x = ((const Declared *)a)->id, y = ((const Declared *)b)->id;
  return x < y ? -1 : x > y;
}

static bool read_id(const char *text, int64_t *out) {
  char *end;
  *out = strtoll(text, &end, 10);
  return end != text && *end == '\0' && *out >= 0 && *out < INT32_MAX;
}

/// added_tokens_decoder: {"5": {"content": …}}; added_tokens.json: {"<x>": 5}.
static Status read_declared(const Adding *adding, const cJSON *member, bool decoder, Declared *out) {
  bool good;
  if (decoder) {
    good = cJSON_IsObject(member) && read_written(member, &out->written) && read_id(member->string, &out->id);
  } else {
    good = cJSON_IsNumber(member) && member->valuedouble >= 0 && member->valuedouble < INT32_MAX;
    out->id = good ? (int64_t)member->valuedouble : 0;
    out->written = (Written){.text = member->string, .special = is_named(adding, member->string)};
    out->written.token.normalized = !out->written.special;
  }
  if (good) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %s has a member \"%.64s\" that is no token", adding->config->name,
                     decoder ? "added_tokens_decoder" : "the added_tokens.json beside it", member->string);
}

static Status add_all_declared(Adding *adding) {
  const cJSON *decoder = cJSON_GetObjectItemCaseSensitive(adding->config->tokenizer, "added_tokens_decoder");
  const cJSON *all = decoder != NULL ? decoder : adding->config->added, *member;
  Declared *list = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(mem_array(&list, all != NULL ? (size_t)cJSON_GetArraySize(all) : 0, "the added tokens"));
  cJSON_ArrayForEach(member, all) {
    TRY_CLEAN(read_declared(adding, member, decoder != NULL, &list[count]));
    count++;
  }
  qsort(list, count, sizeof *list, compare_declared);
  for (size_t i = 0; i < count; i++) {
    const char *text = list[i].written.text;
    // What tokenizer.json adds counts before added_tokens.json.
    int32_t id = tokenizer_find(adding->tokenizer, text);
    if (decoder == NULL && added_find(&adding->tokenizer->added, id) != NULL && id == list[i].id) continue;
    TRY_CLEAN(add_declared(adding, list[i].written, list[i].id));
  }
cleanup:
  free(list);
  return status;
}

/// Adds a token that the config names, unless it is an added token already.
static Status add_named(Adding *adding, const cJSON *value, const char *key) {
  Written written;
  if (!read_written(value, &written)) {
    return status_fail(STATUS_INPUT, "%s: %s is neither a text nor a token", adding->config->name, key);
  }
  const HfClass *kind = adding->config->kind;
  bool known = added_find(&adding->tokenizer->added, tokenizer_find(adding->tokenizer, written.text)) != NULL;
  if (known && (kind == NULL || !kind->plain)) return STATUS_OK;
  written.special = true;
  if (kind != NULL && kind->plain) written.token = (AddedToken){0};
  return add_written(adding, written);
}

/// extra_special_tokens, or additional_special_tokens if there are none: a list, or an object of names.
static Status add_extra(Adding *adding) {
  static const char *const keys[] = {"extra_special_tokens", "additional_special_tokens"};
  const cJSON *config = adding->config->tokenizer, *value;
  for (size_t i = 0; i < 2; i++) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, keys[i]);
    if (list == NULL || cJSON_IsNull(list)) continue;
    if (!cJSON_IsArray(list) && !cJSON_IsObject(list))
      return status_fail(STATUS_INPUT, "%s: %s is not a list", adding->config->name, keys[i]);
    if (list->child == NULL) continue;
    cJSON_ArrayForEach(value, list) {
      TRY(add_named(adding, value, keys[i]));
    }
    return STATUS_OK;
  }
  return STATUS_OK;
}

/// The other keys of a model's own: image_token and the like.
static Status add_own(Adding *adding) {
  const cJSON *member;
  cJSON_ArrayForEach(member, adding->config->tokenizer) {
    bool named = false;
    for (int i = 0; i < NAMED_COUNT; i++) named |= strcmp(member->string, NAMED[i]) == 0;
    if (!named && str_ends(member->string, "_token") && cJSON_IsString(member))
      TRY(add_named(adding, member, member->string));
  }
  return STATUS_OK;
}

/// *out = the id of bos_token or eos_token; unchanged if there is none.
static void set_id(const Adding *adding, int index, int32_t *out) {
  const char *text = named_text(adding, index);
  if (text != NULL) *out = tokenizer_find(adding->tokenizer, text);
}

Status hf_config_add_tokens(const HfConfig *config, Tokenizer *tokenizer) {
  Adding adding = {.config = config, .tokenizer = tokenizer, .top = -1};
  for (size_t i = 0; i < tokenizer->added.count; i++) {
    if (tokenizer->added.tokens[i].id > adding.top) adding.top = tokenizer->added.tokens[i].id;
  }
  TRY(add_all_declared(&adding));
  for (int i = 0; i < NAMED_COUNT; i++) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(config->tokenizer, NAMED[i]);
    const char *text = named_text(&adding, i);
    if (value != NULL && !cJSON_IsNull(value)) {
      TRY(add_named(&adding, value, NAMED[i]));
    } else if (text != NULL) {
      Written written = {.text = text, .special = true};
      if (config->kind->plain || added_find(&tokenizer->added, tokenizer_find(tokenizer, text)) == NULL)
        TRY(add_written(&adding, written));
    }
  }
  TRY(add_own(&adding));
  TRY(add_extra(&adding));
  set_id(&adding, NAMED_BOS, &tokenizer->bos);
  set_id(&adding, NAMED_EOS, &tokenizer->eos);
  return STATUS_OK;
}
