// The table of families: every name in all three spellings, keys that a config must not switch on, and
// unknown families. The expected names are written out as the files of Hugging Face, llama.cpp and PEFT have
// them.
#include "support/test.h"

#include "arch/family.h"
#include "arch/lora.h"
#include "arch/model_config_write.h"
#include "arch/weights.h"
#include "io/file.h"
#include "io/json.h"
#include "text/chat.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Expected {
  const char *hf, *gguf;
  size_t rank, rows, cols;
  bool rotated; // q and k, whose rows GGUF may interleave
} Expected;

enum { WIDTH = 12, HEADS = 3, KV_HEADS = 1, HEAD_DIM = 6, FFN = 20, VOCAB = 50, LAYERS = 2 };

// Layer 1 of 2.
static const Expected in_layer[] = {
    {"model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight", 1, 1, WIDTH, false},
    {"model.layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight", 1, 1, WIDTH, false},
    {"model.layers.1.self_attn.q_proj.weight", "blk.1.attn_q.weight", 2, HEADS *HEAD_DIM, WIDTH, true},
    {"model.layers.1.self_attn.k_proj.weight", "blk.1.attn_k.weight", 2, KV_HEADS *HEAD_DIM, WIDTH, true},
    {"model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight", 2, KV_HEADS *HEAD_DIM, WIDTH, false},
    {"model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight", 2, WIDTH, HEADS *HEAD_DIM, false},
    {"model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight", 2, FFN, WIDTH, false},
    {"model.layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight", 2, FFN, WIDTH, false},
    {"model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight", 2, WIDTH, FFN, false},
    {"model.layers.1.self_attn.q_proj.bias", "blk.1.attn_q.bias", 1, 1, HEADS *HEAD_DIM, true},
    {"model.layers.1.self_attn.k_proj.bias", "blk.1.attn_k.bias", 1, 1, KV_HEADS *HEAD_DIM, true},
    {"model.layers.1.self_attn.v_proj.bias", "blk.1.attn_v.bias", 1, 1, KV_HEADS *HEAD_DIM, false},
    {"model.layers.1.self_attn.o_proj.bias", "blk.1.attn_output.bias", 1, 1, WIDTH, false},
    {"model.layers.1.mlp.gate_proj.bias", "blk.1.ffn_gate.bias", 1, 1, FFN, false},
    {"model.layers.1.mlp.up_proj.bias", "blk.1.ffn_up.bias", 1, 1, FFN, false},
    {"model.layers.1.mlp.down_proj.bias", "blk.1.ffn_down.bias", 1, 1, WIDTH, false},
};
static const Expected first = {"model.embed_tokens.weight", "token_embd.weight", 2, VOCAB, WIDTH, false};
static const Expected norm = {"model.norm.weight", "output_norm.weight", 1, 1, WIDTH, false};
static const Expected head = {"lm_head.weight", "output.weight", 2, VOCAB, WIDTH, false};

/// A config of that family whose sizes are all different; `biased`: with every bias that it may have.
static ModelConfig config_of(const char *name, bool tied, bool biased) {
  ModelConfig config = {.layers = LAYERS,
                        .width = WIDTH,
                        .heads = HEADS,
                        .kv_heads = KV_HEADS,
                        .head_dim = HEAD_DIM,
                        .ffn = FFN,
                        .vocab = VOCAB,
                        .max_positions = 64,
                        .rms_eps = 1e-5f,
                        .rope = rope_plain(10000),
                        .tied = tied,
                        .bos = -1};
  assert_ok(family_find(FORMAT_HF, name, "test", &config.family));
  for (size_t i = 0; i < config.family->bias_count; i++) {
    const BiasGroup *group = &config.family->biases[i];
    if (group->key == NULL || biased) model_config_add_biases(&config, group);
  }
  return config;
}

static void check_entry(const ModelConfig *config, size_t index, const Expected *expected) {
  WeightSpec hf;
  WeightSpec gguf;
  weight_spec(config, FORMAT_HF, index, &hf);
  weight_spec(config, FORMAT_GGUF, index, &gguf);
  assert_string_equal(hf.name, expected->hf);
  assert_string_equal(hf.stored, expected->hf);
  assert_string_equal(gguf.name, expected->hf);
  assert_string_equal(gguf.stored, expected->gguf);
  assert_int_equal(hf.rank, expected->rank);
  assert_int_equal(hf.rows, expected->rows);
  assert_int_equal(hf.cols, expected->cols);
  assert_int_equal(hf.permuted_head, 0);
  bool interleaved = expected->rotated && config->family->gguf_interleaved;
  assert_int_equal(gguf.permuted_head, interleaved ? HEAD_DIM : 0);
}

/// `each`: the names of a layer, the first of in_layer.
static void check_names(const char *name, bool biased, size_t each, bool interleaved) {
  for (int tied = 0; tied < 2; tied++) {
    ModelConfig config = config_of(name, tied == 1, biased);
    assert_int_equal(config.family->gguf_interleaved, interleaved);
    assert_int_equal(weight_count(&config), LAYERS * each + (tied == 1 ? 2 : 3));
    check_entry(&config, 0, &first);
    for (size_t i = 0; i < each; i++) {
      WeightSpec spec;
      check_entry(&config, 1 + each + i, &in_layer[i]);
      weight_spec(&config, FORMAT_HF, 1 + i, &spec);
      assert_int_equal(spec.layer, 0);
      assert_true(test_contains(spec.name, "model.layers.0."));
    }
    check_entry(&config, 1 + LAYERS * each, &norm);
    if (tied == 0) check_entry(&config, 2 + LAYERS * each, &head);
  }
}

static void test_llama(void **state) {
  (void)state;
  check_names("llama", false, 9, true);
  check_names("llama", true, 16, true);
}

static void test_qwen2(void **state) {
  (void)state;
  check_names("qwen2", false, 12, false);
}

// In both formats, names are distinct and not truncated in any layer.
static void check_distinct(const ModelFamily *family) {
  ModelConfig config = config_of(family->name[FORMAT_HF], false, true);
  config.layers = 1024;
  size_t each = (weight_count(&config) - 3) / config.layers;
  size_t start = weight_count(&config) - each - 2; // the last layer and what follows it
  WeightSpec a;
  WeightSpec b;
  for (int format = 0; format < FORMATS; format++) {
    for (size_t i = start; i < weight_count(&config); i++) {
      weight_spec(&config, (ModelFormat)format, i, &a);
      assert_true(str_ends(a.stored, a.kind == WEIGHT_BIAS ? ".bias" : ".weight"));
      assert_int_equal(test_contains(a.stored, ".1023."), i < start + each);
      for (size_t j = start; j < i; j++) {
        weight_spec(&config, (ModelFormat)format, j, &b);
        assert_string_not_equal(a.stored, b.stored);
      }
    }
  }
}

// What holds for every family, including PEFT's names. The count fails when a new family is added without a
// test like those above.
static void test_every_family(void **state) {
  (void)state;
  size_t count = 0;
  const ModelFamily *family = NULL;
  for (; (family = family_at(count)) != NULL; count++) {
    const ModelFamily *found = NULL;
    assert_ok(family_find(FORMAT_HF, family->name[FORMAT_HF], "test", &found));
    assert_ptr_equal(found, family);
    if (family->name[FORMAT_GGUF] != NULL) {
      assert_ok(family_find(FORMAT_GGUF, family->name[FORMAT_GGUF], "test", &found));
      assert_ptr_equal(found, family);
    }
    static const char *const targets[] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                          "gate_proj", "up_proj", "down_proj"};
    for (LinearRole role = 0; role < LINEARS; role++) {
      assert_string_equal(family_linear_name(family, role), targets[role]);
    }
    check_distinct(family);
    char golden[256];
    (void)snprintf(golden, sizeof golden, GEE_SOURCE_DIR "/tests/golden/%s/config.json",
                   family->name[FORMAT_HF]);
    if (!file_exists(golden)) fail_msg("%s: every family needs a tiny model computed by PyTorch", golden);
    ChatTemplate *chat = NULL;
    if (family->chat != NULL) assert_ok(chat_open("", NULL, &(ChatOptions){.name = family->chat}, &chat));
    chat_free(chat);
  }
  assert_int_equal(count, 2);
}

static void test_unknown_family(void **state) {
  (void)state;
  const ModelFamily *family = NULL;
  assert_fails(family_find(FORMAT_HF, "gpt2", "x/config.json", &family), STATUS_INPUT,
               "x/config.json: model_type \"gpt2\" is not supported; supported are llama and qwen2");
  assert_fails(family_find(FORMAT_GGUF, "gpt2", "x.gguf", &family), STATUS_INPUT,
               "x.gguf: architecture \"gpt2\" is not supported; supported are llama and qwen2");
}

static void test_adapter_names(void **state) {
  (void)state;
  ModelConfig config = config_of("qwen2", true, false);
  WeightSpec spec;
  char *name = NULL;
  weight_spec(&config, FORMAT_GGUF, 1 + 12 + 2, &spec);
  assert_ok(lora_tensor_name(&spec, LORA_A, &name));
  assert_string_equal(name, "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight");
  free(name);
  weight_spec(&config, FORMAT_HF, 1 + 8, &spec);
  assert_ok(lora_tensor_name(&spec, LORA_B, &name));
  assert_string_equal(name, "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight");
  free(name);
}

static void test_targets(void **state) {
  (void)state;
  ModelConfig config = config_of("llama", false, false);
  LoraOptions options = {.rank = 4, .alpha = 6, .dropout = 0.5f, .targets = " q_proj,up_proj\t"};
  Lora lora;
  Lora read;
  assert_ok(lora_from_options(&config, &options, &lora));
  for (LinearRole role = 0; role < LINEARS; role++) {
    assert_int_equal(lora_target(&lora, 1, role)->rank, role == LINEAR_Q || role == LINEAR_UP ? 4 : 0);
  }
  assert_true(lora_target(&lora, 1, LINEAR_Q)->scale == 1.5f);
  const char *folder = test_folder();
  assert_ok(lora_write_config(&config, &lora, "base", folder));
  assert_ok(lora_read_config(&config, folder, &read));
  assert_int_equal(read.rank, 4);
  assert_true(read.alpha == 6 && read.dropout == 0.5f);
  assert_memory_equal(read.targets, lora.targets, config.layers * LINEARS * sizeof *read.targets);
  lora_free(&read);
  lora_free(&lora);
  options.targets = "q_proj nose";
  assert_fails(lora_from_options(&config, &options, &lora), STATUS_INPUT,
               "lora.targets: LoRA target \"nose\" is unknown; known are q_proj k_proj v_proj o_proj "
               "gate_proj up_proj down_proj and all");
  options.targets = "all,q_proj";
  assert_fails(lora_from_options(&config, &options, &lora), STATUS_INPUT,
               "lora.targets: \"all\" stands for every matrix: give it alone, or leave it out");
  options.targets = "all";
  assert_ok(lora_from_options(&config, &options, &lora));
  for (LinearRole role = 0; role < LINEARS; role++) assert_int_equal(lora_target(&lora, 0, role)->rank, 4);
  lora_free(&lora);
  options.rank = 21; // no matrix has that many rows and columns
  assert_fails(lora_from_options(&config, &options, &lora), STATUS_INPUT, "expected 1 to 20");
}

// The config written for a family has its type, its class, its own switches as false, and none of other
// families.
static void check_written(const char *name, const char *class_name, const char *const *off,
                          const char *not_there) {
  ModelConfig config = config_of(name, true, false);
  char *path = NULL;
  cJSON *json = NULL;
  const char *text = NULL;
  const char *folder = test_folder();
  assert_ok(model_config_write(&config, DTYPE_F32, folder));
  assert_ok(path_join(&path, folder, "config.json"));
  assert_ok(json_parse_file(path, &json));
  assert_ok(json_get_string(json, "model_type", path, &text));
  assert_string_equal(text, name);
  const cJSON *architectures = cJSON_GetObjectItemCaseSensitive(json, "architectures");
  assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(architectures, 0)), class_name);
  for (; *off != NULL; off++) assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, *off)));
  assert_false(json_has(json, not_there));
  cJSON_Delete(json);
  free(path);
}

static void test_written_configs(void **state) {
  (void)state;
  check_written("llama", "LlamaForCausalLM", (const char *const[]){"attention_bias", "mlp_bias", NULL},
                "use_sliding_window");
  check_written("qwen2", "Qwen2ForCausalLM", (const char *const[]){"use_sliding_window", NULL}, "mlp_bias");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_llama),           cmocka_unit_test(test_qwen2),
      cmocka_unit_test(test_every_family),    cmocka_unit_test(test_unknown_family),
      cmocka_unit_test(test_adapter_names),   cmocka_unit_test(test_targets),
      cmocka_unit_test(test_written_configs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
