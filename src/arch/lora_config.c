// Reading adapter_config.json. Rule: every key is in a table here: it is read, it changes nothing, or it is
// refused unless it is off. A key that is in none is refused too, because a newer PEFT may mean something by
// it.
#include "arch/lora.h"

#include "io/file.h"
#include "io/json.h"
#include "lora_parts.h"
#include "lora_rules.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- the keys ----

// Read here or in lora_rules.c.
static const char *const keys_read[] = {"peft_type",
                                        "task_type",
                                        "init_lora_weights",
                                        "r",
                                        "lora_alpha",
                                        "lora_dropout",
                                        "use_rslora",
                                        "rank_pattern",
                                        "alpha_pattern",
                                        "target_modules",
                                        "exclude_modules",
                                        "layers_pattern",
                                        "layers_to_transform",
                                        "modules_to_save",
                                        "bias",
                                        "use_dora",
                                        "trainable_token_indices",
                                        "ensure_weight_tying"};

// Where the adapter comes from, how it was trained, and settings of an initialization that init_lora_weights
// names. PEFT sets fan_in_fan_out back to false on every matrix of these families.
static const char *const keys_harmless[] = {"base_model_name_or_path",
                                            "revision",
                                            "auto_mapping",
                                            "peft_version",
                                            "inference_mode",
                                            "runtime_config",
                                            "megatron_core",
                                            "loftq_config",
                                            "eva_config",
                                            "corda_config",
                                            "lora_ga_config",
                                            "fan_in_fan_out",
                                            "merge_weights",
                                            "lora_dtype",
                                            "lorap_lr_ratio",
                                            "lorap_emb_lr",
                                            "qalora_group_size"};

// What else PEFT computes than B · A · x, and what to do about it.
static const struct {
  const char *key, *advice;
} keys_off[] = {{"lora_bias", "B has a bias; train it without lora_bias"},
                {"use_qalora", "it belongs to a GPTQ model; train it without use_qalora"},
                {"layer_replication", "save the enlarged model with PEFT's merge_and_unload, and use that"},
                {"target_parameters", "only modules have adapters here; use target_modules"},
                {"alora_invocation_tokens", "an adapter that starts at certain tokens is not computed here"},
                {"arrow_config", "routing between adapters is not computed here"},
                {"use_bdlora", "block-diagonal adapters are not read here"},
                {"kasa_config", "KaSA changes the base's weights; merge it with PEFT's merge_and_unload"},
                {"velora_config", "VeLoRA is not computed here"},
                {"monteclora_config", "MonteCLoRA draws random adapters; that is not computed here"},
                {"megatron_config", "adapters of Megatron's layers are not read here"},
                {"enable_lora", "adapters of fused matrices are not read here"}};

#define IN_LIST(list, key) is_in((list), sizeof(list) / sizeof *(list), (key))

static bool is_in(const char *const *list, size_t count, const char *key) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(list[i], key) == 0) return true;
  }
  return false;
}

static const char *advice_for(const char *key) {
  for (size_t i = 0; i < sizeof keys_off / sizeof *keys_off; i++) {
    if (strcmp(keys_off[i].key, key) == 0) return keys_off[i].advice;
  }
  return NULL;
}

// True for values that switch a feature off: null, false, an empty text, list or object.
static bool is_off(const cJSON *value) {
  if (cJSON_IsNull(value) || cJSON_IsFalse(value)) return true;
  if (cJSON_IsString(value)) return value->valuestring[0] == '\0';
  return (cJSON_IsObject(value) || cJSON_IsArray(value)) && value->child == NULL;
}

static Status check_keys(const cJSON *json, const char *path) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, json) {
    const char *key = item->string, *advice = advice_for(key);
    if (IN_LIST(keys_read, key) || IN_LIST(keys_harmless, key) || is_off(item)) continue;
    if (advice != NULL)
      return status_fail(STATUS_INPUT, "%s: \"%s\" is set, which is not supported: %s", path, key, advice);
    return status_fail(STATUS_INPUT,
                       "%s: \"%.100s\" is a key that this program does not know, so the adapter may mean "
                       "something else; if it changes nothing, remove it",
                       path, key);
  }
  return STATUS_OK;
}

// ---- what kind of adapter ----

static Status check_kind(const cJSON *json, const char *path) {
  const char *type = NULL;
  if (json_has(json, "lora_parameters") || json_has(json, "fine_tune_type")) {
    return status_fail(STATUS_INPUT,
                       "%s: an adapter of mlx-lm, which is not read; fuse it into the model with mlx_lm.fuse",
                       path);
  }
  TRY(json_get_string(json, "peft_type", path, &type));
  if (strcmp(type, "LORA") != 0) {
    return status_fail(STATUS_INPUT, "%s: peft_type \"%.64s\" is not supported; supported is LORA", path,
                       type);
  }
  if (!json_has(json, "task_type")) return STATUS_OK;
  TRY(json_get_string(json, "task_type", path, &type));
  if (strcmp(type, "CAUSAL_LM") == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: task_type \"%.64s\" is not supported; supported is CAUSAL_LM", path,
                     type);
}

// Initializations that leave the base's weights alone. What is loaded replaces what they drew.
static const char *const plain_inits[] = {"gaussian", "eva", "orthogonal", "mica"};

// Initializations that take something out of the base's weights, which PEFT computes again when it loads the
// adapter (and for pissa_niter, corda and lora_ga not even to the same weights).
static const struct {
  const char *name;
  bool convertible; // save_pretrained(path_initial_model_for_weight_conversion=...) makes it plain LoRA
} base_inits[] = {{"pissa", true}, {"olora", true}, {"corda", true}, {"lora_ga", true}, {"loftq", false}};

static Status check_init(const cJSON *json, const char *path) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "init_lora_weights");
  if (value == NULL || cJSON_IsBool(value)) return STATUS_OK;
  if (!cJSON_IsString(value))
    return status_fail(STATUS_INPUT, "%s: \"init_lora_weights\" must be a boolean or a name", path);
  const char *name = value->valuestring;
  for (size_t i = 0; i < sizeof plain_inits / sizeof *plain_inits; i++) {
    if (strcasecmp(name, plain_inits[i]) == 0) return STATUS_OK;
  }
  for (size_t i = 0; i < sizeof base_inits / sizeof *base_inits; i++) {
    if (strncasecmp(name, base_inits[i].name, strlen(base_inits[i].name)) != 0) continue;
    return status_fail(
        STATUS_INPUT,
        "%s: init_lora_weights \"%.64s\" changes the base's weights, which is not computed "
        "here; %s",
        path, name,
        base_inits[i].convertible
            ? "save it with PEFT's save_pretrained(path_initial_model_for_weight_conversion=...), "
              "which makes it plain LoRA"
            : "merge it into its base with PEFT's merge_and_unload, and use the merged model");
  }
  return status_fail(STATUS_INPUT, "%s: init_lora_weights \"%.64s\" is not known", path, name);
}

// ---- the adapter of each matrix ----

/// *out = the module of a weight: its name without ".weight" or ".bias".
static Status module_of(const WeightSpec *spec, char **out) {
  return str_copy(out, spec->name, (size_t)(strrchr(spec->name, '.') - spec->name));
}

typedef struct Reading {
  const ModelConfig *config;
  const LoraRules *rules;
  const char *path;
  bool rank_stabilized;
} Reading;

static Status set_target(const Reading *reading, const char *module, LoraTarget *target, Lora *lora) {
  double rank = 0, alpha = 0;
  TRY(lora_rules_sizes(reading->rules, module, &rank, &alpha));
  if (!(rank >= 1 && rank <= (double)lora_largest_rank(reading->config)) || floor(rank) != rank) {
    return status_fail(STATUS_INPUT, "%s: LoRA rank %.10g of %s: expected a whole number from 1 to %zu",
                       reading->path, rank, module, lora_largest_rank(reading->config));
  }
  target->rank = (size_t)rank;
  target->scale = (float)(alpha / (reading->rank_stabilized ? sqrt(rank) : rank));
  if (!isfinite(target->scale))
    return status_fail(STATUS_INPUT, "%s: alpha %g of %s is too large", reading->path, alpha, module);
  if (target->rank > lora->rank) lora->rank = target->rank;
  return STATUS_OK;
}

static Status read_module(const Reading *reading, const char *module, const WeightSpec *spec, Lora *lora) {
  bool adapted = false;
  TRY(lora_rules_adapt(reading->rules, module, spec->kind == WEIGHT_LINEAR, &adapted));
  if (!adapted) return STATUS_OK;
  bool end = spec->kind == WEIGHT_EMBEDDING || spec->kind == WEIGHT_HEAD;
  if (end && lora->keeps_tied && reading->config->tied) {
    return status_fail(STATUS_INPUT,
                       "%s: an adapter on %s that \"ensure_weight_tying\" puts on embedding and head is not "
                       "read; merge it into its base with PEFT's merge_and_unload",
                       reading->path, module);
  }
  if (spec->kind == WEIGHT_EMBEDDING && lora->magnitudes) {
    return status_fail(STATUS_INPUT,
                       "%s: \"use_dora\" on %s is not read; merge it into its base with PEFT's "
                       "merge_and_unload",
                       reading->path, module);
  }
  if (spec->kind == WEIGHT_EMBEDDING) return set_target(reading, module, &lora->embedding, lora);
  if (spec->kind == WEIGHT_HEAD) return set_target(reading, module, &lora->head, lora);
  if (spec->kind == WEIGHT_LINEAR)
    return set_target(reading, module, &lora->targets[spec->layer * LINEARS + spec->linear], lora);
  return status_fail(STATUS_INPUT, "%s: \"target_modules\" puts an adapter on %s, which is no matrix",
                     reading->path, module);
}

static Status read_targets(const Reading *reading, Lora *lora) {
  WeightSpec spec;
  for (size_t i = 0; i < lora_weight_count(reading->config); i++) {
    char *module = NULL;
    lora_weight_spec(reading->config, i, &spec);
    TRY(module_of(&spec, &module));
    Status status = spec.kind == WEIGHT_BIAS ? STATUS_OK : read_module(reading, module, &spec, lora);
    lora->brings[i] = lora_rules_save(reading->rules, module);
    free(module);
    TRY(status);
  }
  return STATUS_OK;
}

static Status fail_no_target(const cJSON *json, const char *path) {
  const cJSON *targets = cJSON_GetObjectItemCaseSensitive(json, "target_modules");
  const char *first = cJSON_GetStringValue(cJSON_IsArray(targets) ? targets->child : targets);
  return status_fail(
      STATUS_INPUT,
      "%s: \"target_modules\" (\"%.100s\"%s) fits no matrix of this model; the adapter belongs "
      "to another",
      path, first, cJSON_GetArraySize(targets) > 1 ? ", ..." : "");
}

/// Biases that were trained ("all", or "lora_only" for those of adapted matrices) are in the file.
static Status read_biases(const ModelConfig *config, const cJSON *json, const char *path, Lora *lora) {
  const char *bias = "none";
  WeightSpec spec;
  if (json_has(json, "bias")) TRY(json_get_string(json, "bias", path, &bias));
  bool all = strcmp(bias, "all") == 0, adapted = strcmp(bias, "lora_only") == 0;
  if (!all && !adapted && strcmp(bias, "none") != 0) {
    return status_fail(STATUS_INPUT, "%s: bias \"%.64s\" is not one of none, all and lora_only", path, bias);
  }
  for (size_t i = 0; i < lora_weight_count(config); i++) {
    lora_weight_spec(config, i, &spec);
    if (spec.kind != WEIGHT_BIAS) continue;
    if (all || (adapted && lora_target(lora, spec.layer, spec.linear)->rank > 0)) lora->brings[i] = true;
  }
  return STATUS_OK;
}

// ---- rows of the embedding and the head ----

static Status read_rows(const ModelConfig *config, const cJSON *list, const char *path, LoraRows *out) {
  Status status = STATUS_OK;
  bool *seen = NULL;
  const cJSON *item = NULL;
  TRY_CLEAN(mem_array(&seen, config->vocab, "tokens of an adapter"));
  TRY_CLEAN(mem_array(&out->rows, (size_t)cJSON_GetArraySize(list), "tokens of an adapter"));
  cJSON_ArrayForEach(item, list) {
    double row = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(row >= 0 && row < (double)config->vocab) || floor(row) != row || seen[(size_t)row]) {
      status = status_fail(STATUS_INPUT,
                           "%s: \"trainable_token_indices\" must be distinct tokens of this model, 0 to %zu",
                           path, config->vocab - 1);
      goto cleanup;
    }
    seen[(size_t)row] = true;
    out->rows[out->count++] = (size_t)row;
  }
cleanup:
  free(seen);
  return status;
}

static bool names_weight(const ModelConfig *config, WeightKind kind, const char *name) {
  char weight[WEIGHT_NAME_SIZE];
  weight_name(config->family, FORMAT_HF, kind, weight);
  char *end = strrchr(weight, '.');
  *end = '\0';
  const char *last = strrchr(weight, '.');
  return strcmp(name, weight) == 0 || (last != NULL && strcmp(name, last + 1) == 0);
}

static Status read_named_rows(const ModelConfig *config, const cJSON *item, const char *path, Lora *lora) {
  LoraRows *rows = NULL;
  if (names_weight(config, WEIGHT_EMBEDDING, item->string)) rows = &lora->embedding_rows;
  if (names_weight(config, WEIGHT_HEAD, item->string)) rows = &lora->head_rows;
  if (rows != NULL && rows->rows == NULL && cJSON_IsArray(item)) return read_rows(config, item, path, rows);
  return status_fail(STATUS_INPUT, "%s: \"trainable_token_indices\" of \"%.64s\" are not understood", path,
                     item->string);
}

/// True if the embedding or the head has an adapter, or is in the file as a whole.
static bool changes_ends(const ModelConfig *config, const Lora *lora) {
  bool changes = lora->embedding.rank > 0 || lora->head.rank > 0;
  for (size_t i = 0; i < lora_weight_count(config); i++) {
    WeightSpec spec;
    lora_weight_spec(config, i, &spec);
    bool end = spec.kind == WEIGHT_EMBEDDING || spec.kind == WEIGHT_HEAD;
    changes = changes || (end && lora->brings[i]);
  }
  return changes;
}

/// A list is about the embedding. In a tied model equal lists mean one set of values for both.
static Status read_token_rows(const ModelConfig *config, const cJSON *json, const char *path, Lora *lora) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "trainable_token_indices");
  LoraRows *embedding = &lora->embedding_rows, *head = &lora->head_rows;
  if (value == NULL || cJSON_IsNull(value)) return STATUS_OK;
  if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
    return status_fail(STATUS_INPUT, "%s: \"trainable_token_indices\" must be a list or an object", path);
  if (cJSON_IsArray(value)) TRY(read_rows(config, value, path, embedding));
  const cJSON *item = cJSON_IsObject(value) ? value->child : NULL;
  for (; item != NULL; item = item->next) TRY(read_named_rows(config, item, path, lora));
  bool same = embedding->count == head->count && head->count > 0 &&
              memcmp(embedding->rows, head->rows, head->count * sizeof *head->rows) == 0;
  if (config->tied && same) head->count = 0;
  bool torn = config->tied && lora->keeps_tied && head->count > 0;
  bool mixed = embedding->count + head->count > 0 && changes_ends(config, lora);
  if (!torn && !mixed) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s: \"trainable_token_indices\" together with %s is not read; merge the adapter into its "
      "base with PEFT's merge_and_unload",
      path, torn ? "\"ensure_weight_tying\"" : "adapters on embedding or head");
}

static Status read_flag(const cJSON *json, const char *key, const char *path, bool *out) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  *out = cJSON_IsTrue(value);
  if (value == NULL || cJSON_IsNull(value) || cJSON_IsBool(value)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" must be true or false", path, key);
}

static Status read_adapter(const ModelConfig *config, const cJSON *json, const char *path,
                           const LoraRules *rules, Lora *lora) {
  Reading reading = {.config = config, .rules = rules, .path = path};
  double number = 0;
  TRY(mem_array(&lora->targets, config->layers * LINEARS, "the targets of an adapter"));
  TRY(mem_array(&lora->brings, lora_weight_count(config), "the targets of an adapter"));
  TRY(json_get_number(json, "lora_alpha", path, &number));
  lora->alpha = (float)number;
  number = 0;
  if (json_has(json, "lora_dropout")) TRY(json_get_number(json, "lora_dropout", path, &number));
  lora->dropout = (float)number;
  TRY(lora_check_dropout(lora->dropout));
  TRY(read_flag(json, "use_rslora", path, &reading.rank_stabilized));
  TRY(read_flag(json, "use_dora", path, &lora->magnitudes));
  TRY(read_flag(json, "ensure_weight_tying", path, &lora->keeps_tied));
  TRY(read_targets(&reading, lora));
  if (lora->rank == 0) return fail_no_target(json, path);
  TRY(read_token_rows(config, json, path, lora));
  return read_biases(config, json, path, lora);
}

static Status read_file(const ModelConfig *config, const char *path, Lora *lora) {
  Status status = STATUS_OK;
  cJSON *json = NULL;
  LoraRules *rules = NULL;
  TRY_CLEAN(json_parse_file(path, &json));
  TRY_CLEAN(check_kind(json, path));
  TRY_CLEAN(check_init(json, path));
  TRY_CLEAN(check_keys(json, path));
  TRY_CLEAN(lora_rules_read(json, path, &rules));
  TRY_CLEAN(read_adapter(config, json, path, rules, lora));
cleanup:
  lora_rules_free(rules);
  cJSON_Delete(json);
  return status;
}

// ---- the folder ----

/// *out = a folder inside `directory` that has an adapter_config.json; NULL if there is none. Trainers write
/// "checkpoint-500", and PEFT writes a folder for each adapter that has a name.
static Status find_inside(const char *directory, char **out) {
  Status status = STATUS_OK;
  char **names = NULL, *path = NULL;
  size_t count = 0;
  *out = NULL;
  TRY(directory_list(directory, &names, &count));
  for (size_t i = 0; i < count && *out == NULL; i++) {
    free(path);
    path = NULL;
    TRY_CLEAN(str_format(&path, "%s/%s/%s", directory, names[i], LORA_CONFIG_NAME));
    if (file_exists(path)) TRY_CLEAN(path_join(out, directory, names[i]));
  }
cleanup:
  free(path);
  directory_free_list(names);
  return status;
}

static Status fail_no_config(const char *directory) {
  char *inside = NULL;
  TRY(find_inside(directory, &inside));
  Status status = inside != NULL
                      ? status_fail(STATUS_INPUT, "%s: no %s here, but in %s; give that folder", directory,
                                    LORA_CONFIG_NAME, inside)
                      : status_fail(STATUS_INPUT, "%s: no %s here; give the folder of a PEFT adapter",
                                    directory, LORA_CONFIG_NAME);
  free(inside);
  return status;
}

static Status check_folder(const char *directory, const char *config_path) {
  if (file_is_directory(directory)) return file_exists(config_path) ? STATUS_OK : fail_no_config(directory);
  if (!file_exists(directory)) return status_fail(STATUS_INPUT, "%s: there is no such adapter", directory);
  if (str_ends(directory, ".gguf")) {
    return status_fail(STATUS_INPUT,
                       "%s: an adapter in GGUF is not read; give the PEFT folder that it was made from",
                       directory);
  }
  return status_fail(STATUS_INPUT, "%s: an adapter is a folder with %s and its weights; give the folder",
                     directory, LORA_CONFIG_NAME);
}

Status lora_read_config(const ModelConfig *config, const char *directory, Lora *out) {
  char *path = NULL;
  *out = (Lora){0};
  TRY(path_join(&path, directory, LORA_CONFIG_NAME));
  Status status = check_folder(directory, path);
  if (status == STATUS_OK) status = read_file(config, path, out);
  if (status != STATUS_OK) lora_free(out);
  free(path);
  return status;
}
