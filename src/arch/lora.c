// What LoRA adapts: targets by name; reading and writing adapter_config.json. Rule: an adapter_config.json
// that sets anything not computed here is refused.
#include "arch/lora.h"

#include "arch/model_config_write.h"
#include "formats.h"
#include "io/file.h"
#include "io/json.h"
#include "io/json_write.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char config_name[] = "adapter_config.json";

// ---- targets ----

static Status fail_unknown_target(const ModelFamily *family, const char *name, size_t size,
                                  const char *where) {
  Status status = STATUS_OK;
  Str known = {0};
  for (LinearRole role = 0; role < LINEARS; role++) {
    const char *target = family_linear_name(family, role);
    if (target != NULL) TRY_CLEAN(str_append_format(&known, "%s ", target));
  }
  status = status_fail(STATUS_INPUT, "%s: LoRA target \"%.*s\" is unknown; known are %sand all", where,
                       (int)(size < 64 ? size : 64), name, str_text(&known));
cleanup:
  str_free(&known);
  return status;
}

static Status add_target(const ModelFamily *family, const char *name, size_t size, const char *where,
                         Lora *lora) {
  for (LinearRole role = 0; role < LINEARS; role++) {
    const char *target = family_linear_name(family, role);
    if (target != NULL && strlen(target) == size && memcmp(target, name, size) == 0) {
      lora->targets[role] = true;
      return STATUS_OK;
    }
  }
  return fail_unknown_target(family, name, size, where);
}

static void add_all(const ModelFamily *family, Lora *lora) {
  for (LinearRole role = 0; role < LINEARS; role++) {
    lora->targets[role] = family_linear_name(family, role) != NULL;
  }
}

static Status parse_targets(const ModelFamily *family, const char *list, Lora *lora) {
  if (strcmp(list, "all") == 0) {
    add_all(family, lora);
    return STATUS_OK;
  }
  const char *separators = ", \t";
  size_t found = 0;
  for (const char *at = list + strspn(list, separators); *at != '\0'; at += strspn(at, separators)) {
    size_t size = strcspn(at, separators);
    TRY(add_target(family, at, size, "lora.targets", lora));
    at += size;
    found++;
  }
  return found > 0 ? STATUS_OK : status_fail(STATUS_INPUT, "lora.targets names no matrix");
}

// ---- numbers ----

// `alpha` is a double, as a file has it, so that the scale is rounded only once.
static Status set_numbers(const ModelConfig *config, size_t rank, double alpha, double dropout, Lora *lora) {
  lora->rank = rank;
  lora->alpha = (float)alpha;
  lora->dropout = (float)dropout;
  size_t largest = config->ffn > config->width ? config->ffn : config->width;
  if (rank == 0 || rank > largest)
    return status_fail(STATUS_INPUT, "LoRA rank %zu: expected 1 to %zu", rank, largest);
  if (!(lora->dropout >= 0.0f && lora->dropout < 1.0f)) {
    return status_fail(STATUS_INPUT, "LoRA dropout %g: expected at least 0 and below 1",
                       (double)lora->dropout);
  }
  if (!isfinite(lora->alpha)) return status_fail(STATUS_INPUT, "LoRA alpha is not a number");
  lora->scale = (float)(alpha / (double)rank);
  return STATUS_OK;
}

Status lora_from_options(const ModelConfig *config, const LoraOptions *options, Lora *out) {
  *out = (Lora){0};
  TRY(parse_targets(config->family, options->targets, out));
  return set_numbers(config, options->rank, (double)options->alpha, (double)options->dropout, out);
}

// ---- reading ----

// True for values that switch a feature off: missing, null, false, "none", an empty list or object.
static bool is_off(const cJSON *value) {
  if (value == NULL || cJSON_IsNull(value) || cJSON_IsFalse(value)) return true;
  if (cJSON_IsString(value)) return strcmp(value->valuestring, "none") == 0;
  return (cJSON_IsObject(value) || cJSON_IsArray(value)) && value->child == NULL;
}

static Status refuse_features(const cJSON *json, const char *path) {
  static const char *const features[] = {"bias",
                                         "fan_in_fan_out",
                                         "use_dora",
                                         "use_rslora",
                                         "use_qalora",
                                         "rank_pattern",
                                         "alpha_pattern",
                                         "modules_to_save",
                                         "exclude_modules",
                                         "layers_to_transform",
                                         "layer_replication",
                                         "trainable_token_indices",
                                         "target_parameters",
                                         "lora_bias",
                                         "use_bdlora",
                                         "arrow_config",
                                         "corda_config",
                                         "alora_invocation_tokens"};
  for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
    if (!is_off(cJSON_GetObjectItemCaseSensitive(json, features[i]))) {
      return status_fail(STATUS_INPUT, "%s: \"%s\" is set, which is not supported", path, features[i]);
    }
  }
  return STATUS_OK;
}

static Status read_targets(const ModelFamily *family, const cJSON *json, const char *path, Lora *lora) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "target_modules");
  if (cJSON_IsString(value) && strcmp(value->valuestring, "all-linear") == 0) {
    add_all(family, lora);
    return STATUS_OK;
  }
  const cJSON *item = cJSON_IsArray(value) ? value->child : NULL;
  size_t found = 0;
  for (; item != NULL && cJSON_IsString(item); item = item->next) {
    TRY(add_target(family, item->valuestring, strlen(item->valuestring), path, lora));
    found++;
  }
  if (item == NULL && found > 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"target_modules\" must be a list of matrix names", path);
}

static Status read_file(const ModelConfig *config, const char *path, Lora *lora) {
  Status status = STATUS_OK;
  cJSON *json = NULL;
  const char *type = NULL;
  int64_t rank = 0;
  double alpha = 0;
  double dropout = 0;
  TRY_CLEAN(json_parse_file(path, &json));
  TRY_CLEAN(json_get_string(json, "peft_type", path, &type));
  if (strcmp(type, "LORA") != 0) {
    status =
        status_fail(STATUS_INPUT, "%s: peft_type \"%s\" is not supported; supported is LORA", path, type);
    goto cleanup;
  }
  TRY_CLEAN(refuse_features(json, path));
  TRY_CLEAN(json_get_integer(json, "r", path, 1, INT32_MAX, &rank));
  TRY_CLEAN(json_get_number(json, "lora_alpha", path, &alpha));
  if (json_has(json, "lora_dropout")) TRY_CLEAN(json_get_number(json, "lora_dropout", path, &dropout));
  TRY_CLEAN(read_targets(config->family, json, path, lora));
  TRY_CLEAN(set_numbers(config, (size_t)rank, alpha, dropout, lora));
cleanup:
  cJSON_Delete(json);
  return status;
}

Status lora_read_config(const ModelConfig *config, const char *directory, Lora *out) {
  char *path = NULL;
  *out = (Lora){0};
  TRY(path_join(&path, directory, config_name));
  Status status = read_file(config, path, out);
  free(path);
  return status;
}

// ---- writing ----

Status lora_write_config(const ModelConfig *config, const Lora *lora, const char *base,
                         const char *directory) {
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_array_begin(&json, "target_modules");
  for (LinearRole role = 0; role < LINEARS; role++) {
    if (lora->targets[role]) json_string(&json, NULL, family_linear_name(config->family, role));
  }
  json_array_end(&json);
  json_string(&json, "peft_type", "LORA");
  json_string(&json, "task_type", "CAUSAL_LM");
  json_string(&json, "base_model_name_or_path", base);
  json_integer(&json, "r", (int64_t)lora->rank);
  json_number(&json, "lora_alpha", hf_decimal(lora->alpha));
  json_number(&json, "lora_dropout", hf_decimal(lora->dropout));
  json_string(&json, "bias", "none");
  json_bool(&json, "fan_in_fan_out", false);
  json_bool(&json, "inference_mode", true);
  json_bool(&json, "init_lora_weights", true);
  json_bool(&json, "use_rslora", false);
  json_bool(&json, "use_dora", false);
  json_null(&json, "modules_to_save");
  json_null(&json, "layers_to_transform");
  json_null(&json, "layers_pattern");
  json_object_begin(&json, "rank_pattern");
  json_object_end(&json);
  json_object_begin(&json, "alpha_pattern");
  json_object_end(&json);
  json_null(&json, "revision");
  json_object_end(&json);
  return json_save(&json, directory, config_name);
}

Status lora_tensor_name(const WeightSpec *weight, char which, char **out) {
  size_t stem = strlen(weight->name) - strlen(".weight");
  return str_format(out, "base_model.model.%.*s.lora_%c.weight", (int)stem, weight->name, which);
}
