// Findings, and the checks that all kinds of files share. Rule: what is not there is named as not checked,
// and what is there and differs as wrong, with both hashes.
#include "verify.h"
#include "io/file.h"

#include <stdlib.h>
#include <string.h>

// ---- findings ----

Status finding_right(Findings *findings, const char *what, const char *detail) {
  findings->right++;
  return str_append_format(&findings->text, "right        %s: %s\n", what, detail);
}

Status finding_wrong(Findings *findings, const char *what, const char *detail) {
  findings->wrong++;
  return str_append_format(&findings->text, "WRONG        %s: %s\n", what, detail);
}

Status finding_unchecked(Findings *findings, const char *what, const char *why) {
  findings->unchecked++;
  return str_append_format(&findings->text, "not checked  %s: %s\n", what, why);
}

Status finding_lines(Findings *findings, const char *what, Str *differences, const char *detail) {
  if (differences->size == 0) return finding_right(findings, what, detail);
  for (char *line = differences->data, *end = NULL; *line != '\0'; line = end + 1) {
    end = line + strcspn(line, "\n");
    *end = '\0';
    TRY(finding_wrong(findings, what, line));
  }
  return STATUS_OK;
}

// ---- files ----

static const char *text_at(const cJSON *json, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
}

static Status compare_hashes(const char *what, const char *was, const char *is, Findings *findings) {
  char detail[256];
  if (strcmp(was, is) == 0) return finding_right(findings, what, "its SHA-256");
  (void)snprintf(detail, sizeof detail, "its SHA-256 is %s, and was %.64s", is, was);
  return finding_wrong(findings, what, detail);
}

Status verify_file(const char *path, const char *sha256, Findings *findings) {
  char is[SHA256_TEXT];
  if (path == NULL) return finding_unchecked(findings, "a file", "no path is given");
  if (sha256 == NULL || *sha256 == '\0') return finding_unchecked(findings, path, "no SHA-256 is given");
  if (!file_exists(path)) return finding_unchecked(findings, path, "the file is not here");
  Status status = file_sha256(path, is);
  if (status == STATUS_INPUT) return finding_wrong(findings, path, status_message());
  TRY(status);
  return compare_hashes(path, sha256, is, findings);
}

/// What is built into this program may differ from what was in another version.
static Status verify_built_in(const char *path, const char *sha256, Findings *findings) {
  char is[SHA256_TEXT], what[320];
  (void)snprintf(what, sizeof what, "built-in %.256s", path);
  Status status = data_source_sha256(path, true, is);
  if (status == STATUS_INPUT) return finding_unchecked(findings, what, status_message());
  TRY(status);
  if (strcmp(is, sha256) == 0) return finding_right(findings, what, "its SHA-256");
  return finding_unchecked(findings, what, "this version of the program has another one built in");
}

Status verify_data(const cJSON *json, Findings *findings) {
  const cJSON *file = NULL;
  cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(json, "data")) {
    const char *path = text_at(file, "path"), *sha256 = text_at(file, "sha256");
    bool built_in = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(file, "built_in"));
    TRY(built_in && path != NULL && sha256 != NULL ? verify_built_in(path, sha256, findings)
                                                   : verify_file(path, sha256, findings));
  }
  return STATUS_OK;
}

// ---- the model ----

/// `quantised` may be NULL.
static Status identify(const char *path, const char *quantised, ModelIdentity *out) {
  Runtime runtime = {0};
  DType type = DTYPE_STORED;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_parse_quantise(quantised, &type));
  TRY_CLEAN(model_files_open(path, &runtime.files));
  TRY_CLEAN(model_files_quantise(runtime.files, type));
  TRY_CLEAN(tokenizer_load(path, &runtime.tokenizer));
  TRY_CLEAN(runtime_identify(&runtime));
  *out = runtime.identity;
cleanup:
  runtime_close(&runtime);
  return status;
}

static Status compare_identity(const cJSON *json, const char *path, const ModelIdentity *is,
                               Findings *findings) {
  const cJSON *hashes = cJSON_GetObjectItemCaseSensitive(json, "sha256");
  const char *weights = text_at(hashes, "model"), *tokenizer = text_at(hashes, "tokenizer");
  const char *constants = text_at(json, "model_constants");
  char what[320];
  (void)snprintf(what, sizeof what, "weights of %.256s", path);
  TRY(weights != NULL ? compare_hashes(what, weights, is->weights, findings)
                      : finding_unchecked(findings, what, "no SHA-256 is given"));
  (void)snprintf(what, sizeof what, "tokenizer of %.256s", path);
  TRY(tokenizer != NULL ? compare_hashes(what, tokenizer, is->tokenizer, findings)
                        : finding_unchecked(findings, what, "no SHA-256 is given"));
  (void)snprintf(what, sizeof what, "sizes and constants of %.256s", path);
  if (constants == NULL) return finding_unchecked(findings, what, "they are not given");
  if (strcmp(constants, is->constants) == 0) return finding_right(findings, what, is->constants);
  char detail[2 * FACT_SIZE + 32];
  (void)snprintf(detail, sizeof detail, "they are %s, and were %.1000s", is->constants, constants);
  return finding_wrong(findings, what, detail);
}

Status verify_model(const cJSON *json, Findings *findings) {
  const char *path = text_at(json, "model_path");
  ModelIdentity is;
  if (path == NULL) return finding_unchecked(findings, "the model", "no path is given");
  if (!file_exists(path) && !file_is_directory(path))
    return finding_unchecked(findings, path, "the model is not here");
  const char *quantised = text_at(cJSON_GetObjectItemCaseSensitive(json, "sha256"), "quantised");
  Status status = identify(path, quantised, &is);
  if (status == STATUS_INPUT) return finding_wrong(findings, path, status_message());
  TRY(status);
  return compare_identity(json, path, &is, findings);
}

Status verify_adapter(const cJSON *json, const char *folder, Findings *findings) {
  const cJSON *hashes = cJSON_GetObjectItemCaseSensitive(json, "sha256");
  char *config = NULL, *weights = NULL;
  Status status = STATUS_OK;
  if (folder == NULL) return finding_unchecked(findings, "an adapter", "no folder is given");
  TRY_CLEAN(path_join(&config, folder, "adapter_config.json"));
  TRY_CLEAN(path_join(&weights, folder, "adapter_model.safetensors"));
  if (!file_exists(weights)) { // the .bin is taken only where there is no .safetensors
    free(weights);
    TRY_CLEAN(path_join(&weights, folder, "adapter_model.bin"));
  }
  TRY_CLEAN(verify_file(config, text_at(hashes, "adapter_config"), findings));
  TRY_CLEAN(verify_file(weights, text_at(hashes, "adapter"), findings));
cleanup:
  free(config);
  free(weights);
  return status;
}
