// The one list of a model's weights, from the names of its family and the sizes of its config. Rule: loading,
// checking, training and saving all use it, so they agree on every weight and its order.
#include "formats.h"
#include "util/str.h"
#include <stdio.h>
#include <string.h>

// ---- shapes ----

// The sizes of a layer's matrix [out, in].
static void linear_shape(const ModelConfig *config, LinearRole role, size_t *out, size_t *in) {
  size_t heads = config->heads * config->head_dim;
  size_t kv_heads = config->kv_heads * config->head_dim;
  *in = role == LINEAR_O ? heads : role == LINEAR_DOWN ? config->ffn : config->width;
  switch (role) {
  case LINEAR_Q:
    *out = heads;
    break;
  case LINEAR_K:
  case LINEAR_V:
    *out = kv_heads;
    break;
  case LINEAR_GATE:
  case LINEAR_UP:
    *out = config->ffn;
    break;
  default:
    *out = config->width;
  }
}

static void set_sizes(WeightSpec *spec, size_t rank, size_t rows, size_t cols) {
  spec->rank = rank;
  spec->rows = rows;
  spec->cols = cols;
}

static void set_shape(const ModelConfig *config, WeightSpec *spec) {
  size_t out = 0;
  size_t in = 0;
  switch (spec->kind) {
  case WEIGHT_EMBEDDING:
  case WEIGHT_HEAD:
    set_sizes(spec, 2, config->vocab, config->width);
    break;
  case WEIGHT_LINEAR:
    linear_shape(config, spec->linear, &out, &in);
    set_sizes(spec, 2, out, in);
    break;
  case WEIGHT_BIAS:
    linear_shape(config, spec->linear, &out, &in);
    set_sizes(spec, 1, 1, out);
    break;
  default: // norms
    set_sizes(spec, 1, 1, config->width);
  }
}

// ---- names ----

static void write_name(const WeightName *weight, ModelFormat format, size_t layer,
                       char out[WEIGHT_NAME_SIZE]) {
  const char *name = weight->name[format];
  const char *suffix = weight->kind == WEIGHT_BIAS ? "bias" : "weight";
  const char *mark = strchr(name, '#');
  if (mark == NULL) {
    (void)snprintf(out, WEIGHT_NAME_SIZE, "%s.%s", name, suffix);
  } else {
    (void)snprintf(out, WEIGHT_NAME_SIZE, "%.*s%zu%s.%s", (int)(mark - name), name, layer, mark + 1, suffix);
  }
}

void weight_name(const ModelFamily *family, ModelFormat format, WeightKind kind, char out[WEIGHT_NAME_SIZE]) {
  out[0] = '\0';
  for (size_t i = 0; i < family->weight_count; i++) {
    if (family->weights[i].kind == kind) write_name(&family->weights[i], format, 0, out);
  }
}

// ---- the table ----

static bool is_of_layer(const WeightName *weight) {
  return strchr(weight->name[FORMAT_HF], '#') != NULL;
}

static bool is_present(const ModelConfig *config, const WeightName *weight) {
  switch (weight->kind) {
  case WEIGHT_HEAD:
    return !config->tied;
  case WEIGHT_BIAS:
    return config->biases[weight->linear];
  default:
    return true;
  }
}

// How many names of the family's list a model has: before the layers, for each layer, and in all.
typedef struct NameCounts {
  size_t before, each, all;
} NameCounts;

static NameCounts count_names(const ModelConfig *config) {
  NameCounts counts = {0};
  for (size_t i = 0; i < config->family->weight_count; i++) {
    const WeightName *weight = &config->family->weights[i];
    if (!is_present(config, weight)) continue;
    counts.all++;
    if (is_of_layer(weight)) counts.each++;
    if (counts.each == 0) counts.before++;
  }
  return counts;
}

size_t weight_count(const ModelConfig *config) {
  NameCounts counts = count_names(config);
  return counts.all - counts.each + config->layers * counts.each;
}

// Name number `index` among those that the model has. The caller keeps `index` in range, so the loop ends.
static const WeightName *present_name(const ModelConfig *config, size_t index) {
  const WeightName *weight = config->family->weights;
  while (!is_present(config, weight) || index-- > 0) weight++;
  return weight;
}

void weight_spec(const ModelConfig *config, ModelFormat format, size_t index, WeightSpec *out) {
  NameCounts counts = count_names(config);
  const size_t layered = config->layers * counts.each;
  memset(out, 0, sizeof *out);
  // The table repeats the names of a layer for every layer, the family's list has them once: map to the list.
  if (index >= counts.before + layered) {
    index -= layered - counts.each;
  } else if (index >= counts.before) {
    out->layer = (index - counts.before) / counts.each;
    index -= out->layer * counts.each;
  }
  const WeightName *weight = present_name(config, index);
  out->kind = weight->kind;
  out->linear = weight->linear;
  set_shape(config, out);
  bool of_linear = weight->kind == WEIGHT_LINEAR || weight->kind == WEIGHT_BIAS;
  bool rotated = of_linear && (weight->linear == LINEAR_Q || weight->linear == LINEAR_K);
  bool interleaved = format == FORMAT_GGUF && config->family->gguf_interleaved;
  out->permuted_head = rotated && interleaved ? config->head_dim : 0;
  write_name(weight, FORMAT_HF, out->layer, out->name);
  write_name(weight, format, out->layer, out->stored);
}

// ---- checking a file ----

static Status check_shape(const char *path, const StoredTensor *tensor, const WeightSpec *spec) {
  bool fits = spec->rank == 1
                  ? tensor->rank == 1 && tensor->shape[0] == spec->cols
                  : tensor->rank == 2 && tensor->shape[0] == spec->rows && tensor->shape[1] == spec->cols;
  if (fits) return STATUS_OK;
  char found[96] = "";
  size_t used = 0;
  for (size_t i = 0; i < tensor->rank && used < sizeof found; i++) {
    used += (size_t)snprintf(found + used, sizeof found - used, "%s%zu", i > 0 ? ", " : "", tensor->shape[i]);
  }
  if (spec->rank == 1) {
    return status_fail(STATUS_INPUT, "%s: tensor %s has shape [%s], but the config says [%zu]", path,
                       spec->stored, found, spec->cols);
  }
  return status_fail(STATUS_INPUT, "%s: tensor %s has shape [%s], but the config says [%zu, %zu]", path,
                     spec->stored, found, spec->rows, spec->cols);
}

bool weights_have_biases(const ModelConfig *config, const TensorFile *file, const BiasGroup *group) {
  const ModelFamily *family = config->family;
  for (size_t i = 0; i < family->weight_count; i++) {
    const WeightName *weight = &family->weights[i];
    char name[WEIGHT_NAME_SIZE];
    if (weight->kind != WEIGHT_BIAS || !group->linears[weight->linear]) continue;
    write_name(weight, tensors_format(file), 0, name);
    if (tensors_find(file, name) != NULL) return true;
  }
  return false;
}

// Tensors that may be ignored: GGUF's rope divisors (read with the config), buffers that old transformers
// saved, and a tied model's copy of its embedding (weights_resolve has compared them).
static bool may_be_ignored(const ModelConfig *config, ModelFormat format, const char *name) {
  if (format == FORMAT_GGUF) return strcmp(name, GGUF_ROPE_DIVISORS) == 0;
  char head[WEIGHT_NAME_SIZE];
  weight_name(config->family, format, WEIGHT_HEAD, head);
  return str_ends(name, "rotary_emb.inv_freq") || (config->tied && strcmp(name, head) == 0);
}

static Status fail_missing(const TensorFile *file, const WeightSpec *spec) {
  const char *advice =
      spec->kind == WEIGHT_HEAD ? ", and config.json does not say \"tie_word_embeddings\": true" : "";
  return status_fail(STATUS_INPUT, "%s: tensor %s is missing%s", tensors_path(file), spec->stored, advice);
}

Status weights_check(const ModelConfig *config, const TensorFile *file) {
  const ModelFormat format = tensors_format(file);
  size_t count = weight_count(config);
  size_t ignored = 0;
  WeightSpec spec;
  for (size_t i = 0; i < count; i++) {
    weight_spec(config, format, i, &spec);
    const StoredTensor *tensor = tensors_find(file, spec.stored);
    if (tensor == NULL) return fail_missing(file, &spec);
    TRY(check_shape(tensors_path(file), tensor, &spec));
  }
  for (size_t i = 0; i < tensors_count(file); i++) {
    if (may_be_ignored(config, format, tensors_at(file, i)->name)) ignored++;
  }
  if (tensors_count(file) == count + ignored) return STATUS_OK;
  // Names are distinct, so a tensor is not in the table: find it for the message.
  for (size_t i = 0; i < tensors_count(file); i++) {
    const char *name = tensors_at(file, i)->name;
    bool known = may_be_ignored(config, format, name);
    for (size_t j = 0; j < count && !known; j++) {
      weight_spec(config, format, j, &spec);
      known = strcmp(spec.stored, name) == 0;
    }
    if (!known) {
      return status_fail(STATUS_INPUT,
                         "%s: tensor %s does not belong to this architecture; the model is of another kind",
                         tensors_path(file), name);
    }
  }
  return status_fail(STATUS_INPUT, "%s: two tensors have the same name", tensors_path(file));
}
