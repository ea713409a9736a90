// What a result says beside its config about how it was made. Rule: the config says all of it, so what
// differs from it was changed.
#include "provenance.h"
#include "verify.h"

#include <string.h>

/// The sampling of the config. How many tokens and answers there are is also decided by the prompts and by
/// --plan-for, so these are taken from `said`.
static GapOptions sampling_of(const Config *config, const cJSON *said) {
  const cJSON *answers = cJSON_GetObjectItemCaseSensitive(said, "answers");
  const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(said, "max_new_tokens");
  GapOptions options = {.sampling = config->sampling,
                        .entropy_tau = config->loss.entropy_temperature,
                        .answers = config->eval.answers,
                        .seed = config->train.seed};
  if (cJSON_IsNumber(answers) && answers->valuedouble >= 1) options.answers = (size_t)answers->valuedouble;
  if (cJSON_IsNumber(tokens) && tokens->valuedouble >= 1 &&
      tokens->valuedouble < (double)options.sampling.max_new_tokens)
    options.sampling.max_new_tokens = (size_t)tokens->valuedouble;
  return options;
}

/// Writes what `said` has of the config's settings, as it stands there if nobody changed it.
static void write_expected(const Config *config, const cJSON *said, JsonWriter *json) {
  const cJSON *sampling = cJSON_GetObjectItemCaseSensitive(said, "sampling");
  json_object_begin(json, NULL);
  json_string(json, "model_path", config->model.path);
  if (json_has(said, "limit")) json_integer(json, "limit", (int64_t)config->benchmarks.limit);
  if (json_has(said, "seed")) provenance_write_seed(config->train.seed, json);
  if (json_has(said, "max_drift")) json_float(json, "max_drift", config->train.max_drift);
  if (sampling != NULL) {
    GapOptions options = sampling_of(config, sampling);
    json_object_begin(json, "sampling");
    provenance_write_sampling(&options, json);
    json_object_end(json);
  }
  json_object_begin(json, "sha256");
  json_string(json, "dtype", dtype_name(config_dtype(config)));
  if (config_compute(config) != COMPUTE_F32)
    json_string(json, "compute", compute_name(config_compute(config)));
  else if (json_has(cJSON_GetObjectItemCaseSensitive(said, "sha256"), "compute"))
    json_null(json, "compute"); // nothing should stand there
  json_object_end(json);
  json_object_end(json);
}

/// Adds a line for each member of `expected`, and of the objects in it, that `said` has otherwise or not at
/// all.
static Status compare_members(const cJSON *said, const cJSON *expected, Str *differences) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, expected) {
    const cJSON *other = cJSON_GetObjectItemCaseSensitive(said, member->string);
    if (cJSON_IsObject(member))
      TRY(compare_members(other, member, differences));
    else if (!cJSON_Compare(other, member, true))
      TRY(str_append_format(differences, "%s is not what the config says\n", member->string));
  }
  return STATUS_OK;
}

static Status compare_all(const cJSON *said, const Config *config, Str *differences) {
  JsonWriter json = {0};
  Str text = {0};
  cJSON *expected = NULL;
  write_expected(config, said, &json);
  Status status = json_finish(&json, "settings", &text);
  if (status == STATUS_OK) status = json_parse(text.data, text.size, "settings", &expected);
  if (status == STATUS_OK) status = compare_members(said, expected, differences);
  cJSON_Delete(expected);
  str_free(&text);
  return status;
}

Status verify_read_config(const cJSON *json, Config *out) {
  char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "config"));
  TRY(config_init(out));
  if (text == NULL || *text == '\0') return status_fail(STATUS_INPUT, "no config is given");
  TRY(config_parse(out, text, "config"));
  return out->model.path != NULL ? STATUS_OK : status_fail(STATUS_INPUT, "the config names no model");
}

Status verify_settings(const cJSON *json, Findings *findings) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "config"));
  Config config = {0};
  Str differences = {0};
  Status status = STATUS_OK;
  if (text == NULL || *text == '\0') return finding_unchecked(findings, "settings", "no config is given");
  status = verify_read_config(json, &config);
  if (status == STATUS_INPUT) {
    status = finding_wrong(findings, "settings", status_message());
    goto cleanup;
  }
  TRY_CLEAN(status);
  TRY_CLEAN(compare_all(json, &config, &differences));
  TRY_CLEAN(finding_lines(findings, "settings", &differences, "they are those of the config beside them"));
cleanup:
  str_free(&differences);
  config_free(&config);
  return status;
}
