// Writes a tokenizer as Hugging Face's files. Rule: what load_gguf.c makes of the metadata and what transformers makes of
// these files give the same ids; both come from the one table of families.
#include "text/export.h"

#include "internal.h"
#include "io/file.h"
#include "io/json.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// ---- from a Hugging Face folder: copies ----

static Status copy_file(const char *from_directory, const char *to_directory, const char *name,
                        bool required) {
  Status status = STATUS_OK;
  char *from = NULL, *to = NULL;
  MappedFile file = {0};
  TRY_CLEAN(path_join(&from, from_directory, name));
  if (!required && !file_exists(from)) goto cleanup;
  TRY_CLEAN(path_join(&to, to_directory, name));
  TRY_CLEAN(file_map(from, &file));
  TRY_CLEAN(file_write_atomic(to, file.bytes, file.size));
cleanup:
  file_unmap(&file);
  free(from);
  free(to);
  return status;
}

static Status copy_folder(const char *from, const char *to) {
  static const char *const optional[] = {"tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "chat_template.jinja",
                                         "chat_template.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt"};
  TRY(copy_file(from, to, "tokenizer.json", true));
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
    TRY(copy_file(from, to, optional[i], false));
  return STATUS_OK;
}

// ---- from GGUF ----

/// What the files are made of.
typedef struct Source {
  const TensorFile *file;
  const char *path;
  const PreFamily *family;
  size_t count;   // tokens
  int64_t *types; // [count], or NULL: all normal
} Source;

static const char tokens_key[] = "tokenizer.ggml.tokens";
static const char merges_key[] = "tokenizer.ggml.merges";

static Status source_read(const char *path, const TensorFile *file, Source *out) {
  size_t types = 0;
  *out = (Source){.file = file, .path = path};
  TRY(gguf_family(file, path, &out->family));
  TRY(gguf_get_strings(file, tokens_key, &out->count));
  TRY(gguf_get_integers(file, "tokenizer.ggml.token_type", &out->types, &types));
  if (out->types == NULL || types == out->count) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %zu tokens but %zu token types", path, out->count, types);
}

static int64_t type_of(const Source *source, size_t token) {
  return source->types == NULL ? TYPE_NORMAL : source->types[token];
}

/// *out = entry `index` of an array of strings in fresh memory. JSON holds no NUL, so a text with one is refused.
static Status string_copy(const Source *source, const char *key, size_t index, char **out) {
  const char *bytes;
  size_t size;
  gguf_string_at(source->file, key, index, &bytes, &size);
  if (size > 0 && memchr(bytes, '\0', size) != NULL) {
    return status_fail(STATUS_INPUT, "%s: entry %zu of %s holds a NUL", source->path, index, key);
  }
  return str_copy(out, bytes, size);
}

static Status out_of_memory(const Source *source) {
  return status_fail(STATUS_FAILED, "%s: out of memory for its tokenizer", source->path);
}

static Status add_vocabulary(const Source *source, cJSON *model) {
  cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
  for (size_t i = 0; i < source->count; i++) {
    // Fillers up to a round number of rows; no tokenizer.json has them.
    if (type_of(source, i) == TYPE_UNUSED) continue;
    char *text = NULL;
    TRY(string_copy(source, tokens_key, i, &text));
    bool added = cJSON_AddNumberToObject(vocab, text, (double)i) != NULL;
    free(text);
    if (!added) return out_of_memory(source);
  }
  return STATUS_OK;
}

static Status add_merges(const Source *source, cJSON *model) {
  cJSON *merges = cJSON_AddArrayToObject(model, "merges");
  size_t count = 0;
  TRY(gguf_get_strings(source->file, merges_key, &count));
  for (size_t i = 0; i < count; i++) {
    char *text = NULL;
    TRY(string_copy(source, merges_key, i, &text));
    bool added = cJSON_AddItemToArray(merges, cJSON_CreateString(text)) != 0;
    free(text);
    if (!added) return out_of_memory(source);
  }
  return STATUS_OK;
}

static Status add_added_tokens(const Source *source, cJSON *json) {
  cJSON *list = cJSON_AddArrayToObject(json, "added_tokens");
  for (size_t i = 0; i < source->count; i++) {
    int64_t type = type_of(source, i);
    bool special = type == TYPE_CONTROL || type == TYPE_UNKNOWN;
    if (!special && type != TYPE_USER_DEFINED) continue;
    cJSON *token = cJSON_CreateObject();
    char *text = NULL;
    Status status = string_copy(source, tokens_key, i, &text);
    if (status == STATUS_OK && !cJSON_AddItemToArray(list, token)) status = out_of_memory(source);
    if (status != STATUS_OK) {
      cJSON_Delete(token);
      free(text);
      return status;
    }
    cJSON_AddNumberToObject(token, "id", (double)i);
    cJSON_AddStringToObject(token, "content", text);
    cJSON_AddFalseToObject(token, "single_word");
    cJSON_AddFalseToObject(token, "lstrip");
    cJSON_AddFalseToObject(token, "rstrip");
    cJSON_AddFalseToObject(token, "normalized");
    cJSON_AddBoolToObject(token, "special", special);
    free(text);
  }
  return STATUS_OK;
}

static cJSON *byte_level(void) {
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "type", "ByteLevel");
  cJSON_AddFalseToObject(json, "add_prefix_space");
  cJSON_AddTrueToObject(json, "trim_offsets");
  cJSON_AddFalseToObject(json, "use_regex");
  return json;
}

static void add_pre_tokenizer(const Source *source, cJSON *json) {
  cJSON *pre = cJSON_AddObjectToObject(json, "pre_tokenizer");
  cJSON_AddStringToObject(pre, "type", "Sequence");
  cJSON *steps = cJSON_AddArrayToObject(pre, "pretokenizers");
  if (source->family->digits) {
    cJSON *digits = cJSON_CreateObject();
    cJSON_AddStringToObject(digits, "type", "Digits");
    cJSON_AddTrueToObject(digits, "individual_digits");
    cJSON_AddItemToArray(steps, digits);
  }
  cJSON *split = cJSON_CreateObject();
  cJSON_AddStringToObject(split, "type", "Split");
  cJSON *pattern = cJSON_AddObjectToObject(split, "pattern");
  cJSON_AddStringToObject(pattern, "Regex", *source->family->pattern);
  cJSON_AddStringToObject(split, "behavior", "Isolated");
  cJSON_AddFalseToObject(split, "invert");
  cJSON_AddItemToArray(steps, split);
  cJSON_AddItemToArray(steps, byte_level());
}

/// *out = the text of the token whose id stands under tokenizer.ggml.<name>_token_id, NULL where there is none; *id too.
static Status special_token(const Source *source, const char *name, char **out, int64_t *id) {
  *out = NULL;
  Str key = {0};
  Status status = str_append_format(&key, "tokenizer.ggml.%s_token_id", name);
  if (status == STATUS_OK) status = gguf_get_integer_or(source->file, str_text(&key), -1, id);
  str_free(&key);
  TRY(status);
  if (*id < 0 || (uint64_t)*id >= source->count) return STATUS_OK;
  return string_copy(source, tokens_key, (size_t)*id, out);
}

static void add_piece(cJSON *list, const char *kind, const char *id) {
  cJSON *piece = cJSON_CreateObject();
  cJSON *inside = cJSON_AddObjectToObject(piece, kind);
  cJSON_AddStringToObject(inside, "id", id);
  cJSON_AddNumberToObject(inside, "type_id", 0);
  cJSON_AddItemToArray(list, piece);
}

static void add_template_token(cJSON *tokens, const char *text, int64_t id) {
  cJSON *token = cJSON_AddObjectToObject(tokens, text);
  cJSON_AddStringToObject(token, "id", text);
  cJSON_AddItemToObject(token, "ids", cJSON_CreateIntArray((const int[]){(int)id}, 1));
  cJSON_AddItemToObject(token, "tokens", cJSON_CreateStringArray((const char *const[]){text}, 1));
}

/// What add_special_tokens puts around a text, as TemplateProcessing; nothing where it puts nothing.
static Status add_post_processor(const Source *source, cJSON *json) {
  int64_t add_bos = 0, add_eos = 0, bos_id = -1, eos_id = -1;
  char *bos = NULL, *eos = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(
      gguf_get_integer_or(source->file, "tokenizer.ggml.add_bos_token", source->family->add_bos, &add_bos));
  TRY_CLEAN(gguf_get_integer_or(source->file, "tokenizer.ggml.add_eos_token", 0, &add_eos));
  if (add_bos != 0) TRY_CLEAN(special_token(source, "bos", &bos, &bos_id));
  if (add_eos != 0) TRY_CLEAN(special_token(source, "eos", &eos, &eos_id));
  if (bos == NULL && eos == NULL) {
    cJSON_AddNullToObject(json, "post_processor");
    goto cleanup;
  }
  cJSON *post = cJSON_AddObjectToObject(json, "post_processor");
  cJSON_AddStringToObject(post, "type", "TemplateProcessing");
  for (int pair = 0; pair < 2; pair++) {
    cJSON *list = cJSON_AddArrayToObject(post, pair ? "pair" : "single");
    for (int text = 0; text <= pair; text++) {
      if (bos != NULL) add_piece(list, "SpecialToken", bos);
      add_piece(list, "Sequence", text ? "B" : "A");
      if (eos != NULL) add_piece(list, "SpecialToken", eos);
    }
  }
  cJSON *tokens = cJSON_AddObjectToObject(post, "special_tokens");
  if (bos != NULL) add_template_token(tokens, bos, bos_id);
  if (eos != NULL && eos_id != bos_id) add_template_token(tokens, eos, eos_id);
cleanup:
  free(bos);
  free(eos);
  return status;
}

static Status write_json(const cJSON *json, const char *directory, const char *name) {
  Status status = STATUS_OK;
  char *text = NULL, *path = NULL;
  TRY_CLEAN(json_print(json, true, &text));
  TRY_CLEAN(path_join(&path, directory, name));
  TRY_CLEAN(file_write_atomic(path, text, strlen(text)));
cleanup:
  free(text);
  free(path);
  return status;
}

static Status write_tokenizer(const Source *source, const char *directory) {
  Status status = STATUS_OK;
  cJSON *json = cJSON_CreateObject();
  cJSON_AddStringToObject(json, "version", "1.0");
  cJSON_AddNullToObject(json, "truncation");
  cJSON_AddNullToObject(json, "padding");
  TRY_CLEAN(add_added_tokens(source, json));
  if (source->family->nfc) {
    cJSON_AddStringToObject(cJSON_AddObjectToObject(json, "normalizer"), "type", "NFC");
  } else {
    cJSON_AddNullToObject(json, "normalizer");
  }
  add_pre_tokenizer(source, json);
  TRY_CLEAN(add_post_processor(source, json));
  cJSON_AddItemToObject(json, "decoder", byte_level());
  cJSON *model = cJSON_AddObjectToObject(json, "model");
  cJSON_AddStringToObject(model, "type", "BPE");
  cJSON_AddNullToObject(model, "dropout");
  cJSON_AddNullToObject(model, "unk_token");
  cJSON_AddNullToObject(model, "continuing_subword_prefix");
  cJSON_AddNullToObject(model, "end_of_word_suffix");
  cJSON_AddFalseToObject(model, "fuse_unk");
  cJSON_AddFalseToObject(model, "byte_fallback");
  cJSON_AddBoolToObject(model, "ignore_merges", source->family->ignore_merges);
  TRY_CLEAN(add_vocabulary(source, model));
  TRY_CLEAN(add_merges(source, model));
  TRY_CLEAN(write_json(json, directory, "tokenizer.json"));
cleanup:
  cJSON_Delete(json);
  return status;
}

static Status add_specials(const Source *source, cJSON *json) {
  static const struct {
    const char *gguf, *hf;
  } names[] = {
      {"bos", "bos_token"}, {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *text = NULL;
    int64_t id;
    TRY(special_token(source, names[i].gguf, &text, &id));
    if (text != NULL) cJSON_AddStringToObject(json, names[i].hf, text);
    free(text);
  }
  return STATUS_OK;
}

static Status write_configs(const Source *source, const char *directory) {
  Status status = STATUS_OK;
  const char *chat_template;
  cJSON *config = cJSON_CreateObject();
  cJSON *specials = cJSON_CreateObject();
  TRY_CLEAN(add_specials(source, specials));
  TRY_CLEAN(add_specials(source, config));
  cJSON_AddStringToObject(config, "tokenizer_class", "PreTrainedTokenizerFast");
  cJSON_AddFalseToObject(config, "clean_up_tokenization_spaces");
  TRY_CLEAN(gguf_get_string_or_null(source->file, "tokenizer.chat_template", &chat_template));
  if (chat_template != NULL) cJSON_AddStringToObject(config, "chat_template", chat_template);
  TRY_CLEAN(write_json(config, directory, "tokenizer_config.json"));
  TRY_CLEAN(write_json(specials, directory, "special_tokens_map.json"));
cleanup:
  cJSON_Delete(config);
  cJSON_Delete(specials);
  return status;
}

Status tokenizer_export(const char *model, const char *directory) {
  if (file_is_directory(model)) return copy_folder(model, directory);
  Status status = STATUS_OK;
  TensorFile *file = NULL;
  Source source = {0};
  TRY(tensors_open(model, &file));
  if (!tensors_is_gguf(file)) {
    status = status_fail(STATUS_INPUT, "%s: neither a Hugging Face folder nor a GGUF file", model);
    goto cleanup;
  }
  TRY_CLEAN(source_read(model, file, &source));
  TRY_CLEAN(write_tokenizer(&source, directory));
  TRY_CLEAN(write_configs(&source, directory));
cleanup:
  free(source.types);
  tensors_close(file);
  return status;
}
