// What LoRA adapts in training, writing its adapter_config.json, and the names of its tensors. Rule: what is
// written here is read by lora_config.c and by PEFT as it was meant.
#include "arch/lora.h"

#include "arch/model_config_write.h"
#include "formats.h"
#include "io/json_write.h"
#include "lora_parts.h"
#include "util/memory.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- targets ----

static Status fail_unknown_target(const ModelFamily *family, const char *name, size_t size,
                                  const char *where) {
  Status status = STATUS_OK;
  Str known = {0};
  if (size == strlen("all") && memcmp(name, "all", size) == 0)
    return status_fail(STATUS_INPUT, "%s: \"all\" stands for every matrix: give it alone, or leave it out",
                       where);
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
      lora->roles[role] = true;
      return STATUS_OK;
    }
  }
  return fail_unknown_target(family, name, size, where);
}

static void add_all(const ModelFamily *family, Lora *lora) {
  for (LinearRole role = 0; role < LINEARS; role++) {
    lora->roles[role] = family_linear_name(family, role) != NULL;
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

size_t lora_largest_rank(const ModelConfig *config) {
  return config->ffn > config->width ? config->ffn : config->width;
}

Status lora_check_dropout(float dropout) {
  if (dropout >= 0.0f && dropout < 1.0f) return STATUS_OK;
  return status_fail(STATUS_INPUT, "LoRA dropout %g: expected at least 0 and below 1", (double)dropout);
}

static Status set_numbers(const ModelConfig *config, const LoraOptions *options, Lora *lora) {
  size_t largest = lora_largest_rank(config);
  if (options->rank == 0 || options->rank > largest)
    return status_fail(STATUS_INPUT, "LoRA rank %zu: expected 1 to %zu", options->rank, largest);
  TRY(lora_check_dropout(options->dropout));
  if (!isfinite(options->alpha)) return status_fail(STATUS_INPUT, "LoRA alpha is not a number");
  lora->rank = options->rank;
  lora->alpha = options->alpha;
  lora->dropout = options->dropout;
  float scale = (float)((double)options->alpha / (double)options->rank);
  TRY(mem_array(&lora->targets, config->layers * LINEARS, "the targets of an adapter"));
  for (size_t i = 0; i < config->layers * LINEARS; i++) {
    if (lora->roles[i % LINEARS]) lora->targets[i] = (LoraTarget){options->rank, scale};
  }
  return STATUS_OK;
}

Status lora_from_options(const ModelConfig *config, const LoraOptions *options, Lora *out) {
  *out = (Lora){0};
  TRY(parse_targets(config->family, options->targets, out));
  return set_numbers(config, options, out);
}

void lora_free(Lora *lora) {
  free(lora->targets);
  free(lora->brings);
  free(lora->embedding_rows.rows);
  free(lora->head_rows.rows);
  *lora = (Lora){0};
}

const LoraTarget *lora_target(const Lora *lora, size_t layer, LinearRole role) {
  return &lora->targets[layer * LINEARS + role];
}

const LoraTarget *lora_weight_target(const Lora *lora, const WeightSpec *weight) {
  const LoraTarget *target = NULL;
  if (weight->kind == WEIGHT_LINEAR) target = lora_target(lora, weight->layer, weight->linear);
  if (weight->kind == WEIGHT_EMBEDDING) target = &lora->embedding;
  if (weight->kind == WEIGHT_HEAD) target = &lora->head;
  return target != NULL && target->rank > 0 ? target : NULL;
}

// ---- writing ----

/// *out = what PEFT is to load the base model by, in fresh memory. transformers takes a .gguf file by the
/// folder it is in, with its name as gguf_file.
static Status base_path(const char *base, char **out) {
  const char *slash = strrchr(base, '/');
  if (!str_ends(base, ".gguf")) return str_copy(out, base, strlen(base));
  if (slash == NULL) return str_copy(out, ".", 1);
  return str_copy(out, base, slash == base ? 1 : (size_t)(slash - base));
}

Status lora_write_config(const ModelConfig *config, const Lora *lora, const char *base,
                         const char *directory) {
  if (lora->brings != NULL)
    return status_fail(STATUS_FAILED, "an adapter that was read is not written again");
  JsonWriter json = {.layout = JSON_PRETTY};
  char *path = NULL;
  TRY(base_path(base, &path));
  json_object_begin(&json, NULL);
  json_array_begin(&json, "target_modules");
  for (LinearRole role = 0; role < LINEARS; role++) {
    if (lora->roles[role]) json_string(&json, NULL, family_linear_name(config->family, role));
  }
  json_array_end(&json);
  json_string(&json, "peft_type", "LORA");
  json_string(&json, "task_type", "CAUSAL_LM");
  json_string(&json, "base_model_name_or_path", path);
  free(path);
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
  return json_save(&json, directory, LORA_CONFIG_NAME);
}

// ---- names of tensors ----

static const char peft_prefix[] = "base_model.model.";

Status lora_tensor_name(const WeightSpec *weight, LoraPart part, char **out) {
  static const char *const matrix[] = {"lora_A.weight", "lora_B.weight", "lora_magnitude_vector",
                                       "token_adapter.trainable_tokens_delta"};
  static const char *const embedding[] = {"lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector",
                                          "token_adapter.trainable_tokens_delta"};
  size_t stem = strlen(weight->name) - strlen(".weight");
  return str_format(out, "%s%.*s.%s", peft_prefix, (int)stem, weight->name,
                    weight->kind == WEIGHT_EMBEDDING ? embedding[part] : matrix[part]);
}

/// The endings of names that have the adapter's name in them, or DoRA's ".weight", and how PEFT writes them.
static const struct {
  const char *stored, *usual;
} endings[] = {{".lora_A.default.weight", ".lora_A.weight"},
               {".lora_B.default.weight", ".lora_B.weight"},
               {".lora_embedding_A.default", ".lora_embedding_A"},
               {".lora_embedding_B.default", ".lora_embedding_B"},
               {".lora_magnitude_vector.default.weight", ".lora_magnitude_vector"},
               {".lora_magnitude_vector.weight", ".lora_magnitude_vector"},
               {".trainable_tokens_delta.default", ".trainable_tokens_delta"}};

Status lora_usual_name(const char *stored, char **out) {
  Str plain = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(append_unwrapped(&plain, stored));
  const char *name = str_text(&plain), *ending = "";
  size_t stem = plain.size;
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    if (!str_ends(name, endings[i].stored)) continue;
    stem = plain.size - strlen(endings[i].stored);
    ending = endings[i].usual;
    break;
  }
  const char *prefix = str_starts(name, peft_prefix) ? "" : peft_prefix;
  TRY_CLEAN(str_format(out, "%s%.*s%s", prefix, (int)stem, name, ending));
cleanup:
  str_free(&plain);
  return status;
}

static ModelConfig untied(const ModelConfig *config) {
  ModelConfig copy = *config;
  copy.tied = false;
  return copy;
}

size_t lora_weight_count(const ModelConfig *config) {
  ModelConfig copy = untied(config);
  return weight_count(&copy);
}

void lora_weight_spec(const ModelConfig *config, size_t index, WeightSpec *out) {
  ModelConfig copy = untied(config);
  weight_spec(&copy, FORMAT_HF, index, out);
}

Status lora_weight(const ModelConfig *config, const Lora *lora, size_t index, WeightSpec *spec, char **out) {
  lora_weight_spec(config, index, spec);
  // PEFT puts an adapted matrix and its bias inside a module of its own.
  bool inside = spec->kind == WEIGHT_BIAS ? lora_target(lora, spec->layer, spec->linear)->rank > 0
                                          : lora_weight_target(lora, spec) != NULL;
  const char *last = strrchr(spec->name, '.');
  return str_format(out, "%s%.*s%s%s", peft_prefix, (int)(last - spec->name), spec->name,
                    inside ? ".base_layer" : "", last);
}
