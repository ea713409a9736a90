// adapter_base.json. Rule: an identity is whole, 64 digits each, or the file is refused.
#include "train/identity.h"

#include "facts.h"
#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "util/log.h"
#include <stdlib.h>
#include <string.h>

#define BASE_FILE   "adapter_base.json"
#define CONSTANTS   "model_constants"
#define QUANTISED   "quantised"
#define BASE_FORMAT "gee-cl adapter base 1"

Status identity_of(const ModelFiles *files, const Tokenizer *tokenizer, ModelIdentity *out) {
  *out = (ModelIdentity){.tokenizer = "none"};
  DType quantised = model_files_quantised(files);
  if (quantised != DTYPE_STORED) out->quantised = dtype_name(quantised);
  const ModelConfig *config = model_files_config(files);
  fact_shape(config, out->constants);
  fact_append(out->constants, ", ");
  fact_constants(config, out->constants);
  TRY(model_files_sha256(files, out->weights));
  return tokenizer != NULL ? tokenizer_sha256(tokenizer, out->tokenizer) : STATUS_OK;
}

Status identity_write(const ModelIdentity *identity, const char *model, const char *directory) {
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_string(&json, "format", BASE_FORMAT);
  json_string(&json, "base_model_name_or_path", model);
  json_string(&json, "weights_sha256", identity->weights);
  json_string(&json, "tokenizer_sha256", identity->tokenizer);
  json_string(&json, CONSTANTS, identity->constants);
  if (identity->quantised != NULL) json_string(&json, QUANTISED, identity->quantised);
  json_object_end(&json);
  return json_save(&json, directory, BASE_FILE);
}

static Status read_sha256(const cJSON *object, const char *key, const char *path, const char **out) {
  TRY(json_get_string(object, key, path, out));
  bool whole = strlen(*out) == SHA256_TEXT - 1 && strspn(*out, "0123456789abcdef") == SHA256_TEXT - 1;
  if (whole || strcmp(*out, "none") == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%.80s\", which is no SHA-256 in hexadecimal digits", path,
                     key, *out);
}

/// An adapter and the model it is used on.
typedef struct Use {
  const char *directory, *made_for; // the adapter, and the path of its model when it was made
  const char *model;
  bool force;
} Use;

/// `what` is the part that differs.
static Status refuse(const Use *use, const char *what, const char *was, const char *is) {
  if (strcmp(was, is) == 0) return STATUS_OK;
  if (use->force) {
    log_say(LOG_WARNING,
            "%s was made for another %s (SHA-256 %.12s...) than that of %s (%.12s...), as --force allows",
            use->directory, what, was, use->model, is);
    return STATUS_OK;
  }
  return status_fail(
      STATUS_INPUT,
      "%s was made for another %s (SHA-256 %.12s...) than that of %s (%.12s...): give the model it was "
      "made for, %s, or --force to use it on this one",
      use->directory, what, was, use->model, is, use->made_for);
}

/// Weights that are quantised when they are loaded are others than those of the file; `is` may be NULL.
static Status check_quantised(const Use *use, const cJSON *base, const char *path, const char *is) {
  const char *was = "none";
  if (cJSON_GetObjectItemCaseSensitive(base, QUANTISED) != NULL)
    TRY(json_get_string(base, QUANTISED, path, &was));
  if (is == NULL) is = "none";
  if (strcmp(was, is) == 0) return STATUS_OK;
  if (use->force) {
    log_say(LOG_WARNING, "%s was made for model.quantise = %.20s, not for %s, as --force allows",
            use->directory, was, is);
    return STATUS_OK;
  }
  return status_fail(
      STATUS_INPUT,
      "%s was made for a model with model.quantise (--quantise) = %.20s, here it is %s: give that, "
      "or --force to use the adapter on these weights",
      use->directory, was, is);
}

/// The same weights are another model under another rope, norm or division into heads.
static Status check_constants(const Use *use, const cJSON *base, const char *path, const char *is) {
  const char *was = NULL;
  if (cJSON_GetObjectItemCaseSensitive(base, CONSTANTS) == NULL) {
    log_say(LOG_NOTE,
            "%s does not say which constants its model has (%s has no \"%s\"), so they are not checked",
            use->directory, BASE_FILE, CONSTANTS);
    return STATUS_OK;
  }
  TRY(json_get_string(base, CONSTANTS, path, &was));
  if (strcmp(was, is) == 0) return STATUS_OK;
  if (use->force) {
    log_say(LOG_WARNING,
            "%s was made for a model with other constants (%.400s) than those of %s (%s), as --force allows",
            use->directory, was, use->model, is);
    return STATUS_OK;
  }
  return status_fail(STATUS_INPUT,
                     "%s was made for a model with other constants (%.400s) than those of %s (%s): give the "
                     "model it was made for, %s, or --force to use it on this one",
                     use->directory, was, use->model, is, use->made_for);
}

static Status check(const ModelIdentity *identity, const char *model, const char *directory,
                    const cJSON *base, const char *path, bool force) {
  const char *format = NULL, *weights = NULL, *tokenizer = NULL;
  Use use = {.directory = directory, .model = model, .force = force};
  TRY(json_get_string(base, "format", path, &format));
  if (strcmp(format, BASE_FORMAT) != 0)
    return status_fail(STATUS_INPUT, "%s is \"%s\", made by another version of gee-cl; this one reads \"%s\"",
                       path, format, BASE_FORMAT);
  TRY(read_sha256(base, "weights_sha256", path, &weights));
  TRY(read_sha256(base, "tokenizer_sha256", path, &tokenizer));
  TRY(json_get_string(base, "base_model_name_or_path", path, &use.made_for));
  TRY(check_quantised(&use, base, path, identity->quantised));
  TRY(refuse(&use, "model", weights, identity->weights));
  TRY(check_constants(&use, base, path, identity->constants));
  return refuse(&use, "tokenizer", tokenizer, identity->tokenizer);
}

static Status has_file(const char *directory, const char *name, bool *out) {
  char *path = NULL;
  TRY(path_join(&path, directory, name));
  *out = file_exists(path);
  free(path);
  return STATUS_OK;
}

Status identity_check_adapter(const ModelIdentity *identity, const char *model, const char *directory,
                              bool force) {
  char *path = NULL;
  cJSON *base = NULL;
  Status status = STATUS_OK;
  TRY(path_join(&path, directory, BASE_FILE));
  if (!file_exists(path)) {
    bool is_adapter = false; // of a folder that is none, loading says so
    TRY_CLEAN(has_file(directory, "adapter_config.json", &is_adapter));
    if (is_adapter)
      log_say(LOG_NOTE, "%s does not say which model it was made for (it has no %s), so that is not checked",
              directory, BASE_FILE);
    goto cleanup;
  }
  TRY_CLEAN(json_parse_file(path, &base));
  TRY_CLEAN(check(identity, model, directory, base, path, force));
cleanup:
  cJSON_Delete(base);
  free(path);
  return status;
}
