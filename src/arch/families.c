// The table of families. To add one: docs/EXTENDING.md, "A model family".
#include "arch/family.h"

#include "util/str.h"
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

// ---- names of weights ----

// Llama's names, which many families share. Biases that a model lacks are skipped, and so is the head if it
// is the embedding.
static const WeightName llama_weights[] = {
    {WEIGHT_EMBEDDING, 0, {"model.embed_tokens", "token_embd"}},
    {WEIGHT_ATTENTION_NORM, 0, {"model.layers.#.input_layernorm", "blk.#.attn_norm"}},
    {WEIGHT_FFN_NORM, 0, {"model.layers.#.post_attention_layernorm", "blk.#.ffn_norm"}},
    {WEIGHT_LINEAR, LINEAR_Q, {"model.layers.#.self_attn.q_proj", "blk.#.attn_q"}},
    {WEIGHT_LINEAR, LINEAR_K, {"model.layers.#.self_attn.k_proj", "blk.#.attn_k"}},
    {WEIGHT_LINEAR, LINEAR_V, {"model.layers.#.self_attn.v_proj", "blk.#.attn_v"}},
    {WEIGHT_LINEAR, LINEAR_O, {"model.layers.#.self_attn.o_proj", "blk.#.attn_output"}},
    {WEIGHT_LINEAR, LINEAR_GATE, {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate"}},
    {WEIGHT_LINEAR, LINEAR_UP, {"model.layers.#.mlp.up_proj", "blk.#.ffn_up"}},
    {WEIGHT_LINEAR, LINEAR_DOWN, {"model.layers.#.mlp.down_proj", "blk.#.ffn_down"}},
    {WEIGHT_BIAS, LINEAR_Q, {"model.layers.#.self_attn.q_proj", "blk.#.attn_q"}},
    {WEIGHT_BIAS, LINEAR_K, {"model.layers.#.self_attn.k_proj", "blk.#.attn_k"}},
    {WEIGHT_BIAS, LINEAR_V, {"model.layers.#.self_attn.v_proj", "blk.#.attn_v"}},
    {WEIGHT_BIAS, LINEAR_O, {"model.layers.#.self_attn.o_proj", "blk.#.attn_output"}},
    {WEIGHT_BIAS, LINEAR_GATE, {"model.layers.#.mlp.gate_proj", "blk.#.ffn_gate"}},
    {WEIGHT_BIAS, LINEAR_UP, {"model.layers.#.mlp.up_proj", "blk.#.ffn_up"}},
    {WEIGHT_BIAS, LINEAR_DOWN, {"model.layers.#.mlp.down_proj", "blk.#.ffn_down"}},
    {WEIGHT_FINAL_NORM, 0, {"model.norm", "output_norm"}},
    {WEIGHT_HEAD, 0, {"lm_head", "output"}},
};

// ---- the families ----

static const BiasGroup llama_biases[] = {
    {"attention_bias", {[LINEAR_Q] = true, [LINEAR_K] = true, [LINEAR_V] = true, [LINEAR_O] = true}},
    {"mlp_bias", {[LINEAR_GATE] = true, [LINEAR_UP] = true, [LINEAR_DOWN] = true}}};
// Some configs say "attention_bias" too. transformers' Qwen2 does not read it, whatever it says.
static const BiasGroup qwen2_biases[] = {{NULL, {[LINEAR_Q] = true, [LINEAR_K] = true, [LINEAR_V] = true}}};

static const OffKey llama_off[] = {{"use_sliding_window", OFF_ABSENT}};
static const OffKey qwen2_off[] = {{"mlp_bias", OFF_ABSENT}, {"use_sliding_window", OFF_FALSE}};

static const ModelFamily families[] = {
    {.name = {[FORMAT_HF] = "llama", [FORMAT_GGUF] = "llama"},
     .class_name = "LlamaForCausalLM",
     .chat = NULL, // Llama 3, SmolLM2 and others share this type, each with its own template
     .biases = llama_biases,
     .bias_count = COUNT(llama_biases),
     .gguf_interleaved = true,
     .default_positions = 2048,
     .keeps_window = true,
     .off_keys = llama_off,
     .off_key_count = COUNT(llama_off),
     .weights = llama_weights,
     .weight_count = COUNT(llama_weights)},
    {.name = {[FORMAT_HF] = "qwen2", [FORMAT_GGUF] = "qwen2"},
     .class_name = "Qwen2ForCausalLM",
     .chat = "qwen2.5",
     .biases = qwen2_biases,
     .bias_count = COUNT(qwen2_biases),
     .default_positions = 32768,
     .default_kv_heads = 32,
     .off_keys = qwen2_off,
     .off_key_count = COUNT(qwen2_off),
     .weights = llama_weights,
     .weight_count = COUNT(llama_weights)},
};

const ModelFamily *family_at(size_t index) {
  return index < COUNT(families) ? &families[index] : NULL;
}

static Status fail_unknown_family(ModelFormat format, const char *name, const char *file) {
  static const char *const keys[FORMATS] = {[FORMAT_HF] = "model_type", [FORMAT_GGUF] = "architecture"};
  const char *names[COUNT(families)];
  size_t count = 0;
  for (size_t i = 0; i < COUNT(families); i++) {
    if (families[i].name[format] != NULL) names[count++] = families[i].name[format];
  }
  Str known = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < count; i++) TRY_CLEAN(str_append_item(&known, names[i], i, count, " and "));
  status = status_fail(STATUS_INPUT, "%s: %s \"%.64s\" is not supported; supported are %s", file,
                       keys[format], name, str_text(&known));
cleanup:
  str_free(&known);
  return status;
}

Status family_find(ModelFormat format, const char *name, const char *file, const ModelFamily **out) {
  for (size_t i = 0; i < COUNT(families); i++) {
    *out = &families[i];
    const char *own = families[i].name[format];
    if (own != NULL && strcmp(own, name) == 0) return STATUS_OK;
  }
  return fail_unknown_family(format, name, file);
}

const char *family_linear_name(const ModelFamily *family, LinearRole role) {
  for (size_t i = 0; i < family->weight_count; i++) {
    const WeightName *weight = &family->weights[i];
    if (weight->kind == WEIGHT_LINEAR && weight->linear == role)
      return strrchr(weight->name[FORMAT_HF], '.') + 1;
  }
  return NULL;
}
