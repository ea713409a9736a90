// The one list of a model's weights: Hugging Face's name, GGUF's name, shape. Loading, checking, training and saving all
// walk it.
#include "formats.h"
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *block, *gguf;
} linear_names[LINEARS] = {
    [LINEAR_Q] = {"q_proj", "self_attn", "attn_q"},   [LINEAR_K] = {"k_proj", "self_attn", "attn_k"},
    [LINEAR_V] = {"v_proj", "self_attn", "attn_v"},   [LINEAR_O] = {"o_proj", "self_attn", "attn_output"},
    [LINEAR_GATE] = {"gate_proj", "mlp", "ffn_gate"}, [LINEAR_UP] = {"up_proj", "mlp", "ffn_up"},
    [LINEAR_DOWN] = {"down_proj", "mlp", "ffn_down"},
};

const char *linear_name(LinearRole role) {
  return linear_names[role].name;
}

// Sizes of the layer's matrix [out, in].
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

enum { LAYER_NORMS = 2, BIASES = 3 };

static size_t layer_weights(const ModelConfig *config) {
  return LAYER_NORMS + LINEARS + (config->qkv_bias ? BIASES : 0);
}

// Order: embedding, layers, final norm, head (untied).
size_t weight_count(const ModelConfig *config) {
  return config->layers * layer_weights(config) + (config->tied ? 2 : 3);
}

static void name_it(WeightSpec *spec, bool gguf, const char *hf_name, const char *gguf_name) {
  (void)snprintf(spec->name, sizeof spec->name, "%s", hf_name);
  (void)snprintf(spec->stored, sizeof spec->stored, "%s", gguf ? gguf_name : hf_name);
}

static void layer_spec(const ModelConfig *config, bool gguf, size_t index, WeightSpec *spec) {
  char hf_name[WEIGHT_NAME_SIZE];
  char gguf_name[WEIGHT_NAME_SIZE];
  size_t layer = spec->layer;
  if (index < LAYER_NORMS) {
    spec->kind = index == 0 ? WEIGHT_ATTENTION_NORM : WEIGHT_FFN_NORM;
    spec->rank = 1;
    spec->rows = 1;
    spec->cols = config->width;
    (void)snprintf(hf_name, sizeof hf_name, "model.layers.%zu.%s.weight", layer,
                   index == 0 ? "input_layernorm" : "post_attention_layernorm");
    (void)snprintf(gguf_name, sizeof gguf_name, "blk.%zu.%s.weight", layer,
                   index == 0 ? "attn_norm" : "ffn_norm");
    name_it(spec, gguf, hf_name, gguf_name);
    return;
  }
  bool bias = index >= LAYER_NORMS + LINEARS;
  LinearRole role = (LinearRole)(index - LAYER_NORMS - (bias ? LINEARS : 0));
  size_t out = 0;
  size_t in = 0;
  linear_shape(config, role, &out, &in);
  spec->kind = bias ? WEIGHT_BIAS : WEIGHT_LINEAR;
  spec->linear = role;
  spec->rank = bias ? 1 : 2;
  spec->rows = bias ? 1 : out;
  spec->cols = bias ? out : in;
  bool interleaved = gguf && config->family == MODEL_LLAMA && (role == LINEAR_Q || role == LINEAR_K);
  spec->permuted_head = interleaved && !bias ? config->head_dim : 0;
  const char *what = bias ? "bias" : "weight";
  (void)snprintf(hf_name, sizeof hf_name, "model.layers.%zu.%s.%s.%s", layer, linear_names[role].block,
                 linear_name(role), what);
  (void)snprintf(gguf_name, sizeof gguf_name, "blk.%zu.%s.%s", layer, linear_names[role].gguf, what);
  name_it(spec, gguf, hf_name, gguf_name);
}

void weight_spec(const ModelConfig *config, bool gguf, size_t index, WeightSpec *out) {
  size_t each = layer_weights(config);
  memset(out, 0, sizeof *out);
  out->rank = 2;
  out->rows = config->vocab;
  out->cols = config->width;
  if (index == 0) {
    out->kind = WEIGHT_EMBEDDING;
    name_it(out, gguf, "model.embed_tokens.weight", "token_embd.weight");
  } else if (index <= config->layers * each) {
    out->layer = (index - 1) / each;
    layer_spec(config, gguf, (index - 1) % each, out);
  } else if (index == config->layers * each + 1) {
    out->kind = WEIGHT_FINAL_NORM;
    out->rank = 1;
    out->rows = 1;
    name_it(out, gguf, "model.norm.weight", "output_norm.weight");
  } else {
    out->kind = WEIGHT_HEAD;
    name_it(out, gguf, "lm_head.weight", "output.weight");
  }
}

// ---- against the file ----

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
    return status_fail(STATUS_INPUT, "%s: tensor %s has shape [%s], the config says [%zu]", path,
                       spec->stored, found, spec->cols);
  }
  return status_fail(STATUS_INPUT, "%s: tensor %s has shape [%s], the config says [%zu, %zu]", path,
                     spec->stored, found, spec->rows, spec->cols);
}

// Not weights, or not used: buffers that old transformers saved, GGUF's rope divisors (read with the config), and a tied
// model's copy of its embedding.
static bool is_harmless(const ModelConfig *config, const char *name) {
  size_t length = strlen(name);
  const char buffer[] = ".rotary_emb.inv_freq";
  bool ends = length >= sizeof buffer - 1 && strcmp(name + length - (sizeof buffer - 1), buffer) == 0;
  return ends || strcmp(name, "rope_freqs.weight") == 0 ||
         (config->tied && strcmp(name, "lm_head.weight") == 0);
}

Status weights_check(const ModelConfig *config, const TensorFile *file) {
  const bool gguf = tensors_is_gguf(file) != 0;
  size_t count = weight_count(config);
  size_t harmless = 0;
  WeightSpec spec;
  for (size_t i = 0; i < count; i++) {
    weight_spec(config, gguf, i, &spec);
    const StoredTensor *tensor = tensors_find(file, spec.stored);
    if (tensor == NULL) {
      return status_fail(STATUS_INPUT, "%s: tensor %s is missing", tensors_path(file), spec.stored);
    }
    TRY(check_shape(tensors_path(file), tensor, &spec));
  }
  for (size_t i = 0; i < tensors_count(file); i++) {
    if (is_harmless(config, tensors_at(file, i)->name)) harmless++;
  }
  if (tensors_count(file) == count + harmless) return STATUS_OK;
  // Names are distinct, so something is there that is not in the table: say which.
  for (size_t i = 0; i < tensors_count(file); i++) {
    const char *name = tensors_at(file, i)->name;
    bool known = is_harmless(config, name);
    for (size_t j = 0; j < count && !known; j++) {
      weight_spec(config, gguf, j, &spec);
      known = strcmp(spec.stored, name) == 0;
    }
    if (!known) {
      return status_fail(STATUS_INPUT,
                         "%s: tensor %s is none of this architecture's; the model is another one",
                         tensors_path(file), name);
    }
  }
  return status_fail(STATUS_INPUT, "%s: a tensor's name stands twice", tensors_path(file));
}
