// The tiny Llama: 257 tokens (each byte, and an end token), 2 layers of width 32.
#include "support/tiny_model.h"

#include "io/tensors.h"
#include "support/process.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>

enum {
  VOCAB = 257,
  WIDTH = 32,
  KV = 16,
  FFN = 48,
  LAYERS = 2,
  PER_LAYER = 9,
  TENSORS = 2 + LAYERS * PER_LAYER
};

static const char config[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 32, "
    "\"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 2, \"num_key_value_heads\": 1, \"head_dim\": 16, \"intermediate_size\": 48,"
    " \"vocab_size\": 257, \"max_position_embeddings\": 512, \"rms_norm_eps\": 1e-5, \"rope_theta\": 10000.0,"
    " \"tie_word_embeddings\": true, \"hidden_act\": \"silu\", \"bos_token_id\": 256, \"eos_token_id\": 256}";

/// Byte-level BPE writes byte b as the character b if that is printable, else as U+0100 + its rank among the
/// others.
static unsigned byte_character(unsigned byte, unsigned *others) {
  bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  return printable ? byte : 256 + (*others)++;
}

static void write_tokenizer(const char *folder) {
  Str text = {0};
  unsigned others = 0;
  assert_ok(str_append_text(
      &text, "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": 256, \"content\": \"<|endoftext|>\","
             " \"special\": true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\","
             " \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true},"
             " \"post_processor\": null, \"decoder\": {\"type\": \"ByteLevel\"},"
             " \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {"));
  for (unsigned byte = 0; byte < 256; byte++)
    assert_ok(str_append_format(&text, "%s\"\\u%04x\": %u", byte > 0 ? ", " : "",
                                byte_character(byte, &others), byte));
  assert_ok(str_append_text(&text, "}}}"));
  write_file(in_folder(folder, "tokenizer.json"), text.data, text.size);
  str_free(&text);
}

static Status fill_random(void *user, size_t index, size_t first, size_t count, float *out) {
  const TensorToWrite *tensors = user;
  bool norm = tensors[index].rank == 1;
  float *draws = malloc((first + count) * sizeof *draws);
  if (draws == NULL) return status_fail(STATUS_FAILED, "no memory for random weights");
  test_random(draws, first + count, 1000 + index);
  for (size_t i = 0; i < count; i++) out[i] = norm ? 1.0f : 0.3f * draws[first + i];
  free(draws);
  return STATUS_OK;
}

static void write_weights(const char *folder) {
  static const struct {
    const char *name;
    size_t rows, cols; // cols 0: a vector
  } layer[PER_LAYER] = {{"input_layernorm", WIDTH, 0},      {"self_attn.q_proj", WIDTH, WIDTH},
                        {"self_attn.k_proj", KV, WIDTH},    {"self_attn.v_proj", KV, WIDTH},
                        {"self_attn.o_proj", WIDTH, WIDTH}, {"post_attention_layernorm", WIDTH, 0},
                        {"mlp.gate_proj", FFN, WIDTH},      {"mlp.up_proj", FFN, WIDTH},
                        {"mlp.down_proj", WIDTH, FFN}};
  static char names[TENSORS][96];
  TensorToWrite tensors[TENSORS] = {{"model.embed_tokens.weight", DTYPE_F32, 2, {VOCAB, WIDTH}},
                                    {"model.norm.weight", DTYPE_F32, 1, {WIDTH}}};
  for (size_t i = 0; i < TENSORS - 2; i++) {
    (void)snprintf(names[i], sizeof names[i], "model.layers.%zu.%s.weight", i / PER_LAYER,
                   layer[i % PER_LAYER].name);
    size_t rows = layer[i % PER_LAYER].rows, cols = layer[i % PER_LAYER].cols;
    tensors[i + 2] = (TensorToWrite){names[i], DTYPE_F32, cols > 0 ? 2 : 1, {rows, cols}};
  }
  assert_ok(
      safetensors_write(in_folder(folder, "model.safetensors"), tensors, TENSORS, fill_random, tensors));
}

void tiny_model_write(const char *folder) {
  write_text(in_folder(folder, "config.json"), config);
  write_tokenizer(folder);
  write_weights(folder);
}
