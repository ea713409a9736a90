// Opening a model: its config from both formats; broken files are refused by name.
#include "support/model_fixture.h"
#include "support/process.h"

#include "arch/files.h"
#include "io/file.h"
#include "io/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_configs(void **state) {
  (void)state;
  ModelFiles *files = NULL;
  assert_ok(model_files_open(golden_path("llama"), &files));
  const ModelConfig *config = model_files_config(files);
  assert_string_equal(config->family->name[FORMAT_HF], "llama");
  assert_int_equal(config->eos_count, 2);
  assert_int_equal(config->eos[1], 5);
  const Rope *rope = &config->rope;
  assert_true(rope->type == ROPE_LLAMA3 && rope->factor == 4 && rope->original_positions == 32);
  assert_true(rope->theta == 100);
  assert_false(config->tied);
  model_files_close(files);
  assert_ok(model_files_open(golden_path("qwen2"), &files));
  config = model_files_config(files);
  rope = &config->rope;
  assert_string_equal(config->family->name[FORMAT_HF], "qwen2");
  assert_int_equal(config->eos_count, 2); // those of generation_config.json, not the one of config.json
  assert_int_equal(config->eos[1], 4);
  assert_true(config->tied && rope->theta == 1000 && rope->type == ROPE_DEFAULT);
  model_files_close(files);
  assert_ok(model_files_open(golden_path("llama.gguf"), &files));
  config = model_files_config(files);
  rope = &config->rope;
  assert_true(rope->type == ROPE_LLAMA3 && fabs(rope->factor - 8) < 1e-5);
  assert_int_equal(config->vocab, 67);
  assert_int_equal(config->eos[0], 2);
  assert_int_equal(config->bos, 1);
  model_files_close(files);
}

// ---- end tokens ----

static const char *fill(const char *folder, const char *source, const char *key, const char *value);

/// Opens the tiny Llama with these end tokens in config.json and this generation_config.json (NULL: none),
/// and compares the model's.
static void check_eos(const char *value, const char *generation, size_t count, const int32_t *expected) {
  ModelFiles *files = NULL;
  const char *folder = fill(test_folder(), "llama", "eos_token_id", value);
  if (generation != NULL)
    assert_ok(file_write_atomic(in_folder(folder, "generation_config.json"), generation, strlen(generation)));
  assert_ok(model_files_open(folder, &files));
  const ModelConfig *config = model_files_config(files);
  assert_int_equal(config->eos_count, count);
  assert_memory_equal(config->eos, expected, count * sizeof *expected);
  model_files_close(files);
}

// As transformers' generate: a generation_config.json decides alone, even if it names none.
static void test_end_tokens(void **state) {
  (void)state;
  const int32_t ten[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  check_eos("3", NULL, 1, (const int32_t[]){3});
  check_eos("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", NULL, 10, ten);
  check_eos("[1, 670, -1]", NULL, 1, ten); // with a warning
  check_eos("null", NULL, 0, ten);
  check_eos(NULL, NULL, 0, ten);
  check_eos("[]", NULL, 0, ten);
  check_eos("3", "{\"eos_token_id\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}", 10, ten);
  check_eos("3", "{\"eos_token_id\": 7}", 1, (const int32_t[]){7});
  check_eos("3", "{\"temperature\": 0.7}", 0, ten);
  check_eos("3", "{\"eos_token_id\": null}", 0, ten);
  check_eos("3", "{\"eos_token_id\": []}", 0, ten);
}

// ---- broken files ----

/// Fills a folder with the weights of a tiny model and its config, in which `key` has another value (raw
/// JSON).
static const char *fill(const char *folder, const char *source, const char *key, const char *value) {
  cJSON *json = NULL;
  char *text = NULL;
  MappedFile weights;
  assert_ok(json_parse_file(in_folder(golden_path(source), "config.json"), &json));
  if (value == NULL) {
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
  } else {
    cJSON *item = NULL;
    assert_ok(json_parse(value, strlen(value), "value", &item));
    if (json_has(json, key)) {
      cJSON_ReplaceItemInObjectCaseSensitive(json, key, item);
    } else {
      cJSON_AddItemToObject(json, key, item);
    }
  }
  text = cJSON_PrintUnformatted(json);
  assert_non_null(text);
  assert_ok(file_write_atomic(in_folder(folder, "config.json"), text, strlen(text)));
  assert_ok(file_map(in_folder(golden_path(source), "model.safetensors"), &weights));
  assert_ok(file_write_atomic(in_folder(folder, "model.safetensors"), weights.bytes, weights.size));
  file_unmap(&weights);
  free(text);
  cJSON_Delete(json);
  return folder;
}

/// What is refused, with a part of the message.
static const struct {
  const char *source, *key, *value, *part;
} hostile[] = {
    {"llama", "model_type", "\"gpt2\"", "\"gpt2\" is not supported; supported are"},
    {"llama", "model_type", NULL, "model_type"},
    {"llama", "hidden_size", "63", "shape"},
    {"llama", "hidden_size", "\"64\"", "hidden_size"},
    {"llama", "hidden_size", "-1", "hidden_size"},
    {"llama", "hidden_size", "2147483647", "hidden size"},
    {"llama", "num_hidden_layers", "3", "model.layers.2"},
    {"llama", "num_hidden_layers", "1", "model.layers.1"},
    {"llama", "num_hidden_layers", "1e300", "num_hidden_layers"},
    {"llama", "num_hidden_layers", "4000000", "layers"},
    {"llama", "num_attention_heads", "0", "num_attention_heads"},
    {"llama", "num_attention_heads", "3", "multiple"},
    {"llama", "num_key_value_heads", "9", "key/value"},
    {"llama", "head_dim", "15", "odd"},
    {"llama", "intermediate_size", "95", "mlp"},
    {"llama", "vocab_size", "66", "embed_tokens"},
    {"llama", "rms_norm_eps", "0", "epsilon"},
    {"llama", "hidden_act", "\"gelu\"", "silu"},
    {"llama", "attention_bias", "true", "tensor model.layers.0.self_attn.q_proj.bias is missing"},
    {"llama", "mlp_bias", "1", "\"mlp_bias\" must be true or false"},
    {"llama", "use_sliding_window", "true", "use_sliding_window"},
    {"qwen2", "mlp_bias", "true", "\"mlp_bias\": true is not supported"},
    {"llama", "rope_parameters", "{\"rope_type\":\"llama3\",\"factor\":4}", "low_freq_factor"},
    {"llama", "rope_parameters",
     "{\"rope_type\":\"llama3\",\"factor\":4,\"low_freq_factor\":4,\"high_freq_factor\":4,"
     "\"original_max_position_embeddings\":32}",
     "rotary"},
    {"llama", "rope_parameters", "[]", "rope_parameters"},
    {"llama", "eos_token_id", "670", "\"eos_token_id\" has 670, outside the vocabulary of 0 to"},
    {"llama", "eos_token_id", "2147483648", "\"eos_token_id\" has 2147483648, outside the vocabulary"},
    {"llama", "eos_token_id", "[670, -1]", "\"eos_token_id\" has -1, outside the vocabulary"},
    {"llama", "eos_token_id", "1e300", "must be an integer or a list of integers"},
    {"llama", "eos_token_id", "1.5", "must be an integer or a list of integers"},
    {"llama", "bos_token_id", "1.5", "\"bos_token_id\" is 1.5, but must be a whole number"},
    {"llama", "bos_token_id", "\"<s>\"", "\"bos_token_id\" is a string"},
    {"llama", "pad_token_id", "670", "\"pad_token_id\" is 670, but must be from -"},
    {"llama", "pad_token_id", "-670", "\"pad_token_id\" is -670, but must be from -"},
    {"llama", "sliding_window", "-4", "\"sliding_window\" is -4, but must be a whole number from 1"},
    {"llama", "sliding_window", "0.5", "\"sliding_window\" is 0.5, but must be a whole number from 1"},
    {"llama", "attention_chunk_size", "0", "\"attention_chunk_size\" is 0, but must be a whole number"},
    {"llama", "sliding_window", "8", "\"sliding_window\" is 8, shorter than the context"},
    {"llama", "eos_token_id", "[1, 2, \"</s>\"]", "must be an integer or a list of integers"},
    {"llama", "tie_word_embeddings", "1", "\"tie_word_embeddings\" must be true or false"},
    {"llama", "layer_types", "\"full_attention\"", "\"layer_types\" is a string"},
    {"llama", "layer_types", "[1]", "\"layer_types\" has \"not a string\""},
    {"llama", "rope_scaling", "[]", "\"rope_scaling\" is a list"},
    {"llama", "rope_scaling", "{\"type\": 3}", "\"type\" is a number"},
    {"llama", "rope_scaling", "{\"type\": \"linear\", \"factor\": 0.5}",
     "rotary embedding's factor is 0.5, but must be a number from 1"},
    {"llama", "rope_scaling", "{\"type\": \"linear\", \"factor\": \"4\"}", "\"factor\" is a string"},
    {"llama", "rope_scaling", "{\"type\": \"yarn\", \"factor\": 2, \"beta_slow\": 64}",
     "beta_fast is 32, but must be from its beta_slow of 64"},
    {"llama", "rope_scaling", "{\"type\": \"yarn\", \"factor\": 2, \"attention_factor\": -1}",
     "attention factor is -1, but must be a number above 0"},
    {"llama", "rope_scaling", "{\"type\": \"linear\", \"factor\": 2, \"rope_theta\": -1e4}",
     "base (theta) is -10000, but must be a number above 1"},
    {"llama", "eos_token_id", "\"</s>\"", "eos_token_id"},
    {"qwen2", "model_type", "\"llama\"", "bias"},
    {"qwen2", "tie_word_embeddings", "false", "lm_head"},
    {"qwen2", "use_sliding_window", "true", "use_sliding_window"},
};

static void test_hostile_configs(void **state) {
  (void)state;
  const char *folder = test_folder();
  for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
    ModelFiles *files = NULL;
    assert_fails(model_files_open(fill(folder, hostile[i].source, hostile[i].key, hostile[i].value), &files),
                 STATUS_INPUT, hostile[i].part);
    assert_null(files);
  }
}

/// transformers warns of such a token and goes on.
static void test_start_tokens(void **state) {
  (void)state;
  static const char *const outside[] = {"670", "-2", "9007199254740992"};
  const char *folder = test_folder();
  for (size_t i = 0; i < 3; i++) {
    ModelFiles *files = NULL;
    assert_ok(model_files_open(fill(folder, "llama", "bos_token_id", outside[i]), &files));
    assert_int_equal(model_files_config(files)->bos, -1);
    model_files_close(files);
  }
}

static void test_hostile_folders(void **state) {
  (void)state;
  ModelFiles *files = NULL;
  MappedFile config;
  const char *folder = test_folder();
  assert_fails(model_files_open(folder, &files), STATUS_INPUT, "model.safetensors");
  assert_fails(model_files_open(in_folder(folder, "nothing.gguf"), &files), STATUS_INPUT, "nothing.gguf");
  assert_fails(model_files_open(golden_path("llama/model.safetensors"), &files), STATUS_INPUT, "config.json");
  folder = fill(test_folder(), "llama", "model_type", "\"llama\"");
  assert_ok(file_map(golden_path("llama/config.json"), &config));
  for (size_t size = 0; size < config.size - 2; size += 97) {
    assert_ok(file_write_atomic(in_folder(folder, "config.json"), config.bytes, size));
    assert_fails(model_files_open(folder, &files), STATUS_INPUT, "config.json");
  }
  file_unmap(&config);
}

// A GGUF that is truncated anywhere, or has a byte of its header changed, is refused or opens, and never
// crashes.
static void test_hostile_gguf(void **state) {
  (void)state;
  MappedFile file;
  const char *path = in_folder(test_folder(), "model.gguf");
  assert_ok(file_map(golden_path("llama.gguf"), &file));
  uint8_t *bytes = malloc(file.size);
  assert_non_null(bytes);
  size_t refused = 0;
  for (size_t size = 0; size < file.size; size += file.size / 23) {
    ModelFiles *files = NULL;
    assert_ok(file_write_atomic(path, file.bytes, size));
    assert_int_equal(model_files_open(path, &files), STATUS_INPUT);
  }
  for (size_t at = 0; at < 1500; at += 7) {
    ModelFiles *files = NULL;
    memcpy(bytes, file.bytes, file.size);
    bytes[at] ^= 0xff;
    assert_ok(file_write_atomic(path, bytes, file.size));
    Status status = model_files_open(path, &files);
    assert_true(status == STATUS_OK || status == STATUS_INPUT);
    if (status != STATUS_OK) refused++;
    model_files_close(files);
  }
  assert_true(refused > 50);
  free(bytes);
  file_unmap(&file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_configs),         cmocka_unit_test(test_end_tokens),
      cmocka_unit_test(test_hostile_configs), cmocka_unit_test(test_hostile_folders),
      cmocka_unit_test(test_hostile_gguf),    cmocka_unit_test(test_start_tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
