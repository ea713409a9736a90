// Writes a tokenizer as Hugging Face's files. Rule: load_gguf.c with the metadata and transformers with these
// files must give the same ids, so both take the pre-tokenizer and the merges from the same place.
#include "text/export.h"

#include "gguf_pre.h"
#include "internal.h"
#include "io/file.h"
#include "io/json_write.h"
#include "spm.h"
#include "util/memory.h"
#include "util/str.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

// ---- from a Hugging Face folder: copies ----

static Status copy_folder(const char *from, const char *to) {
  static const char *const optional[] = {"tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "chat_template.jinja",
                                         "chat_template.json",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt"};
  TRY(file_copy(from, to, "tokenizer.json", true));
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++)
    TRY(file_copy(from, to, optional[i], false));
  return STATUS_OK;
}

// ---- from GGUF ----

/// The tokenizer in a GGUF file.
typedef struct Source {
  const TensorFile *file;
  const char *path;
  const PreFamily *family; // NULL: SentencePiece
  size_t count;            // tokens
  int64_t *types;          // [count], or NULL: all normal
} Source;

static const char tokens_key[] = "tokenizer.ggml.tokens";
static const char merges_key[] = "tokenizer.ggml.merges";

static Status source_read(const char *path, const TensorFile *file, Source *out) {
  size_t types = 0;
  bool spm;
  *out = (Source){.file = file, .path = path};
  TRY(gguf_tokenizer_kind(file, path, &spm));
  if (!spm) TRY(gguf_pre_family(file, path, &out->family));
  TRY(gguf_get_strings(file, tokens_key, &out->count));
  TRY(gguf_get_integers(file, "tokenizer.ggml.token_type", &out->types, &types));
  if (out->types == NULL || types == out->count) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %zu tokens but %zu token types", path, out->count, types);
}

static int64_t type_of(const Source *source, size_t token) {
  return source->types == NULL ? TYPE_NORMAL : source->types[token];
}

/// *out = entry `index` of an array of strings in fresh memory. Token texts become JSON keys, so NULs (where
/// cJSON and C end a string) and bytes that are not UTF-8 are refused.
static Status string_copy(const Source *source, const char *key, size_t index, char **out) {
  const char *bytes;
  size_t size;
  gguf_string_at(source->file, key, index, &bytes, &size);
  if (size > 0 && memchr(bytes, '\0', size) != NULL)
    return status_fail(STATUS_INPUT, "%s: entry %zu of %s contains a NUL", source->path, index, key);
  if (utf8_valid_prefix(bytes, size) != size)
    return status_fail(STATUS_INPUT, "%s: entry %zu of %s is not UTF-8", source->path, index, key);
  return str_copy(out, bytes, size);
}

static Status add_vocabulary(const Source *source, JsonWriter *json) {
  json_object_begin(json, "vocab");
  for (size_t i = 0; i < source->count; i++) {
    // Unused tokens only fill the vocabulary up to a round number; tokenizer.json does not list them.
    if (type_of(source, i) == TYPE_UNUSED) continue;
    char *text = NULL;
    TRY(string_copy(source, tokens_key, i, &text));
    json_integer(json, text, (int64_t)i);
    free(text);
  }
  json_object_end(json);
  return STATUS_OK;
}

static Status add_merges(const Source *source, JsonWriter *json) {
  size_t count = 0;
  TRY(gguf_get_strings(source->file, merges_key, &count));
  json_array_begin(json, "merges");
  for (size_t i = 0; i < count; i++) {
    char *text = NULL;
    TRY(string_copy(source, merges_key, i, &text));
    json_string(json, NULL, text);
    free(text);
  }
  json_array_end(json);
  return STATUS_OK;
}

static Status add_spm_merge(const Source *source, Merge merge, JsonWriter *json) {
  const int32_t ids[2] = {merge.left, merge.right};
  json_array_begin(json, NULL);
  for (int i = 0; i < 2; i++) {
    char *text = NULL;
    TRY(string_copy(source, tokens_key, (size_t)ids[i], &text));
    json_string(json, NULL, text);
    free(text);
  }
  json_array_end(json);
  return STATUS_OK;
}

/// Merges of SentencePiece. In a tokenizer.json all ranks differ, so two tokens of one score cannot be told.
static Status add_spm_merges(const Source *source, JsonWriter *json) {
  Tokenizer *tokenizer = NULL;
  SpmMerges merges = {0};
  Status status = STATUS_OK;
  TRY(tokenizer_load(source->path, &tokenizer));
  TRY_CLEAN(spm_merges_read(source->file, source->path, &tokenizer->vocab, &merges));
  json_array_begin(json, "merges");
  for (size_t i = 0; i < merges.count; i++) {
    if (i > 0 && merges.list[i].rank == merges.list[i - 1].rank &&
        merges.list[i].result != merges.list[i - 1].result) {
      status =
          status_fail(STATUS_INPUT, "%s: the tokenizer cannot be exported: tokens %d and %d have one score",
                      source->path, merges.list[i - 1].result, merges.list[i].result);
      goto cleanup;
    }
    TRY_CLEAN(add_spm_merge(source, merges.list[i], json));
  }
  json_array_end(json);
cleanup:
  free(merges.list);
  tokenizer_free(tokenizer);
  return status;
}

static Status add_added_tokens(const Source *source, JsonWriter *json) {
  json_array_begin(json, "added_tokens");
  for (size_t i = 0; i < source->count; i++) {
    int64_t type = type_of(source, i);
    bool special = type == TYPE_CONTROL || type == TYPE_UNKNOWN;
    if (!special && type != TYPE_USER_DEFINED) continue;
    char *text = NULL;
    TRY(string_copy(source, tokens_key, i, &text));
    json_object_begin(json, NULL);
    json_integer(json, "id", (int64_t)i);
    json_string(json, "content", text);
    json_bool(json, "single_word", false);
    json_bool(json, "lstrip", false);
    json_bool(json, "rstrip", false);
    json_bool(json, "normalized", false);
    json_bool(json, "special", special);
    json_object_end(json);
    free(text);
  }
  json_array_end(json);
  return STATUS_OK;
}

static void add_byte_level(JsonWriter *json, const char *key) {
  json_object_begin(json, key);
  json_string(json, "type", "ByteLevel");
  json_bool(json, "add_prefix_space", false);
  json_bool(json, "trim_offsets", true);
  json_bool(json, "use_regex", false);
  json_object_end(json);
}

static void add_pattern(JsonWriter *json, const char *kind, const char *pattern) {
  json_object_begin(json, "pattern");
  json_string(json, kind, pattern);
  json_object_end(json);
}

static void add_replace(JsonWriter *json, const char *pattern, const char *content) {
  json_object_begin(json, NULL);
  json_string(json, "type", "Replace");
  add_pattern(json, "String", pattern);
  json_string(json, "content", content);
  json_object_end(json);
}

static void add_sequence(JsonWriter *json, const char *key, const char *list) {
  json_object_begin(json, key);
  json_string(json, "type", "Sequence");
  json_array_begin(json, list);
}

static void end_sequence(JsonWriter *json) {
  json_array_end(json);
  json_object_end(json);
}

/// *prefix = SentencePiece puts a space in front of a text.
static Status reads_prefix(const Source *source, bool *prefix) {
  int64_t value;
  TRY(gguf_get_integer_or(source->file, "tokenizer.ggml.add_space_prefix", 1, &value));
  *prefix = value != 0;
  return STATUS_OK;
}

static Status add_normalizer(const Source *source, JsonWriter *json) {
  bool prefix;
  if (source->family != NULL && !source->family->nfc) {
    json_null(json, "normalizer");
  } else if (source->family != NULL) {
    json_object_begin(json, "normalizer");
    json_string(json, "type", "NFC");
    json_object_end(json);
  } else {
    TRY(reads_prefix(source, &prefix));
    add_sequence(json, "normalizer", "normalizers");
    if (prefix) {
      json_object_begin(json, NULL);
      json_string(json, "type", "Prepend");
      json_string(json, "prepend", SPM_SPACE);
      json_object_end(json);
    }
    add_replace(json, " ", SPM_SPACE);
    end_sequence(json);
  }
  return STATUS_OK;
}

static void add_split(JsonWriter *json, const char *pattern) {
  json_object_begin(json, NULL);
  json_string(json, "type", "Split");
  add_pattern(json, "Regex", pattern);
  json_string(json, "behavior", "Isolated");
  json_bool(json, "invert", false);
  json_object_end(json);
}

static void add_pre_tokenizer(const Source *source, JsonWriter *json) {
  if (source->family == NULL) {
    json_null(json, "pre_tokenizer");
    return;
  }
  add_sequence(json, "pre_tokenizer", "pretokenizers");
  if (source->family->digits) {
    json_object_begin(json, NULL);
    json_string(json, "type", "Digits");
    json_bool(json, "individual_digits", true);
    json_object_end(json);
  }
  for (const char *const *pattern = source->family->patterns; *pattern != NULL; pattern++)
    add_split(json, *pattern);
  add_byte_level(json, NULL);
  end_sequence(json);
}

static void add_type(JsonWriter *json, const char *type) {
  json_object_begin(json, NULL);
  json_string(json, "type", type);
  json_object_end(json);
}

static Status add_decoder(const Source *source, JsonWriter *json) {
  bool prefix;
  if (source->family != NULL) {
    add_byte_level(json, "decoder");
    return STATUS_OK;
  }
  TRY(reads_prefix(source, &prefix));
  add_sequence(json, "decoder", "decoders");
  add_replace(json, SPM_SPACE, " ");
  add_type(json, "ByteFallback");
  add_type(json, "Fuse");
  if (prefix) {
    json_object_begin(json, NULL);
    json_string(json, "type", "Strip");
    json_string(json, "content", " ");
    json_integer(json, "start", 1);
    json_integer(json, "stop", 0);
    json_object_end(json);
  }
  end_sequence(json);
  return STATUS_OK;
}

/// *id = tokenizer.ggml.<name>_token_id and *out = the text of that token; NULL if there is none.
static Status special_token(const Source *source, const char *name, char **out, int64_t *id) {
  *out = NULL;
  TRY(gguf_special_id(source->file, source->path, name, id));
  if (*id < 0 || (uint64_t)*id >= source->count) return STATUS_OK;
  return string_copy(source, tokens_key, (size_t)*id, out);
}

static void add_piece(JsonWriter *json, const char *kind, const char *id) {
  json_object_begin(json, NULL);
  json_object_begin(json, kind);
  json_string(json, "id", id);
  json_integer(json, "type_id", 0);
  json_object_end(json);
  json_object_end(json);
}

static void add_template_token(JsonWriter *json, const char *text, int64_t id) {
  json_object_begin(json, text);
  json_string(json, "id", text);
  json_array_begin(json, "ids");
  json_integer(json, NULL, id);
  json_array_end(json);
  json_array_begin(json, "tokens");
  json_string(json, NULL, text);
  json_array_end(json);
  json_object_end(json);
}

/// TemplateProcessing: bos before and eos after each text; each may be NULL.
static void add_template(JsonWriter *json, const char *bos, const char *eos) {
  for (int pair = 0; pair < 2; pair++) {
    json_array_begin(json, pair ? "pair" : "single");
    for (int text = 0; text <= pair; text++) {
      if (bos != NULL) add_piece(json, "SpecialToken", bos);
      add_piece(json, "Sequence", text ? "B" : "A");
      if (eos != NULL) add_piece(json, "SpecialToken", eos);
    }
    json_array_end(json);
  }
}

/// What add_special_tokens adds around a text, as TemplateProcessing; null if it adds nothing.
static Status add_post_processor(const Source *source, JsonWriter *json) {
  int64_t bos_id = -1, eos_id = -1;
  bool add_bos, add_eos;
  char *bos = NULL, *eos = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(gguf_adds_tokens(source->file, source->path, &add_bos, &add_eos));
  if (add_bos) TRY_CLEAN(special_token(source, "bos", &bos, &bos_id));
  if (add_eos) TRY_CLEAN(special_token(source, "eos", &eos, &eos_id));
  if (bos == NULL && eos == NULL) {
    json_null(json, "post_processor");
    goto cleanup;
  }
  json_object_begin(json, "post_processor");
  json_string(json, "type", "TemplateProcessing");
  add_template(json, bos, eos);
  json_object_begin(json, "special_tokens");
  if (bos != NULL) add_template_token(json, bos, bos_id);
  if (eos != NULL && eos_id != bos_id) add_template_token(json, eos, eos_id);
  json_object_end(json);
  json_object_end(json);
cleanup:
  free(bos);
  free(eos);
  return status;
}

static Status add_model(const Source *source, JsonWriter *json) {
  json_object_begin(json, "model");
  json_string(json, "type", "BPE");
  json_null(json, "dropout");
  json_null(json, "unk_token");
  json_null(json, "continuing_subword_prefix");
  json_null(json, "end_of_word_suffix");
  json_bool(json, "fuse_unk", false);
  json_bool(json, "byte_fallback", source->family == NULL);
  json_bool(json, "ignore_merges", source->family != NULL && source->family->ignore_merges);
  TRY(add_vocabulary(source, json));
  TRY(source->family != NULL ? add_merges(source, json) : add_spm_merges(source, json));
  json_object_end(json);
  return STATUS_OK;
}

static Status write_tokenizer(const Source *source, const char *directory) {
  Status status = STATUS_OK;
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_string(&json, "version", "1.0");
  json_null(&json, "truncation");
  json_null(&json, "padding");
  TRY_CLEAN(add_added_tokens(source, &json));
  TRY_CLEAN(add_normalizer(source, &json));
  add_pre_tokenizer(source, &json);
  TRY_CLEAN(add_post_processor(source, &json));
  TRY_CLEAN(add_decoder(source, &json));
  TRY_CLEAN(add_model(source, &json));
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, directory, "tokenizer.json"));
cleanup:
  json_free(&json);
  return status;
}

static Status add_specials(const Source *source, JsonWriter *json) {
  static const struct {
    const char *gguf, *hf;
  } names[] = {
      {"bos", "bos_token"}, {"eos", "eos_token"}, {"unknown", "unk_token"}, {"padding", "pad_token"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char *text = NULL;
    int64_t id;
    TRY(special_token(source, names[i].gguf, &text, &id));
    if (text != NULL) json_string(json, names[i].hf, text);
    free(text);
  }
  return STATUS_OK;
}

static Status write_tokenizer_config(const Source *source, const char *directory) {
  Status status = STATUS_OK;
  const char *chat_template;
  JsonWriter json = {.layout = JSON_PRETTY};
  TRY(gguf_get_string_or_null(source->file, "tokenizer.chat_template", &chat_template));
  json_object_begin(&json, NULL);
  TRY_CLEAN(add_specials(source, &json));
  json_string(&json, "tokenizer_class", "PreTrainedTokenizerFast");
  json_bool(&json, "clean_up_tokenization_spaces", false);
  if (chat_template != NULL) json_string(&json, "chat_template", chat_template);
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, directory, "tokenizer_config.json"));
cleanup:
  json_free(&json);
  return status;
}

static Status write_specials(const Source *source, const char *directory) {
  Status status = STATUS_OK;
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  TRY_CLEAN(add_specials(source, &json));
  json_object_end(&json);
  TRY_CLEAN(json_save(&json, directory, "special_tokens_map.json"));
cleanup:
  json_free(&json);
  return status;
}

/// Not every tokenizer that llama.cpp knows can be one of Hugging Face's: a merge may make a token that is
/// marked unused, which no tokenizer.json has.
static Status check_exported(const char *directory) {
  Tokenizer *tokenizer = NULL;
  TRY(status_context(tokenizer_load(directory, &tokenizer), "the tokenizer cannot be exported"));
  tokenizer_free(tokenizer);
  return STATUS_OK;
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
  TRY_CLEAN(write_tokenizer_config(&source, directory));
  TRY_CLEAN(write_specials(&source, directory));
  TRY_CLEAN(check_exported(directory));
cleanup:
  free(source.types);
  tensors_close(file);
  return status;
}
