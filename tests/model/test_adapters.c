// Adapters in the forms that PEFT writes and others rename: the log probabilities that PEFT gives the samples
// (make_adapters.py), applied and merged. What is not read is refused by the name of what is in the way.
#include "support/model_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADAPTERS GEE_SOURCE_DIR "/tests/model/adapters"
enum { PATH_SIZE = 1024 };

// ---- what is read ----

static void logprobs_of(Model *model, bool base, float *out) {
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = batch.rows, .head_tile_rows = 8};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  assert_ok(base ? pass_forward_base(pass, &batch) : pass_forward(pass, &batch, (DropoutDraw){0}));
  assert_ok(pass_statistics(pass, &batch, 1.0f, NULL, NULL, out));
  pass_free(pass);
  batch_free(&batch);
}

/// The largest difference from the numbers of a list in adapters.json.
static double largest_error(Model *model, const cJSON *expected) {
  float found[SAMPLES_TOKENS] = {0};
  size_t count = 0;
  double worst = 0;
  const cJSON *number = NULL;
  logprobs_of(model, false, found);
  cJSON_ArrayForEach(number, expected) {
    double error = fabs((double)found[count++] - number->valuedouble);
    if (!(error <= worst)) worst = error;
  }
  assert_int_equal(count, 19);
  return worst;
}

/// Forms that bring weights of the base model, or are merged into some, by how their names begin.
static bool replaces_weights(const char *name) {
  static const char *const begins[] = {"saved_", "trained_", "kept_tied", "bias_all", "bias_of_adapted",
                                       "dora",   "head",     "embedding", "tokens"};
  for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
    if (str_starts(name, begins[i])) return true;
  }
  return false;
}

/// An adapter that is computed beside its weights leaves the base model there: the same bits as without it.
/// With one that replaces weights, the model refuses to pass for its base.
static void check_base(Model *model, const char *name, const char *base) {
  float expected[SAMPLES_TOKENS] = {0}, found[SAMPLES_TOKENS] = {0};
  if (model_has_base(model) == replaces_weights(name)) fail_msg("%s: wrong about its base", name);
  if (!model_has_base(model)) return;
  Model *plain = fixture_model(base, DTYPE_F32);
  logprobs_of(plain, false, expected);
  logprobs_of(model, true, found);
  assert_memory_equal(found, expected, sizeof found);
  model_free(plain);
}

static void check_form(const char *name, const cJSON *form, const char *folder) {
  const char *base = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(form, "base"));
  const cJSON *expected = cJSON_GetObjectItemCaseSensitive(form, "logprob");
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, "%s/%s", ADAPTERS, name);
  Model *model = fixture_model(base, DTYPE_F32);
  Status status = model_load_adapter(model, path);
  if (status != STATUS_OK) fail_msg("%s", status_message());
  double error = largest_error(model, expected);
  if (!(error <= 1e-4)) fail_msg("%s: the log probabilities are off by %g", name, error);
  check_base(model, name, base);

  ModelFiles *files = NULL;
  assert_ok(model_files_open(golden_path(base), &files));
  assert_ok(model_export_merged(model, files, DTYPE_F32, folder, NULL));
  model_files_close(files);
  Model *merged = fixture_model(folder, DTYPE_F32);
  error = largest_error(merged, expected);
  if (!(error <= 1e-4)) fail_msg("%s, merged: the log probabilities are off by %g", name, error);
  model_free(merged);
  model_free(model);
}

static void test_every_form(void **state) {
  (void)state;
  cJSON *json = NULL;
  const cJSON *form = NULL;
  size_t count = 0;
  const char *folder = test_folder();
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/model/adapters.json", &json));
  cJSON_ArrayForEach(form, cJSON_GetObjectItemCaseSensitive(json, "forms")) {
    check_form(form->string, form, folder);
    ops_fixture_clean(NULL);
    count++;
  }
  assert_true(count >= 73);
  cJSON_Delete(json);
}

// ---- what is refused ----

/// A folder with the weights of a form and its config, in which the members of `changes` are replaced. The
/// next call uses it again.
static const char *changed_config(const char *form, const char *changes) {
  static const char *folder;
  char path[PATH_SIZE];
  cJSON *json = NULL, *change = NULL, *member = NULL;
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/%s", ADAPTERS, form);
  assert_ok(file_copy(path, folder, "adapter_model.safetensors", true));
  (void)snprintf(path, sizeof path, "%s/%s/adapter_config.json", ADAPTERS, form);
  assert_ok(json_parse_file(path, &json));
  assert_ok(json_parse(changes, strlen(changes), "the change", &change));
  while ((member = cJSON_DetachItemFromArray(change, 0)) != NULL) {
    char *key = strdup(member->string);
    cJSON_DeleteItemFromObjectCaseSensitive(json, key);
    assert_true(cJSON_AddItemToObject(json, key, member));
    free(key);
  }
  char *text = cJSON_Print(json);
  (void)snprintf(path, sizeof path, "%s/adapter_config.json", folder);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  free(text);
  cJSON_Delete(change);
  cJSON_Delete(json);
  return folder;
}

static void refuses(const char *base, const char *folder, const char *part) {
  Model *model = fixture_model(base, DTYPE_F32);
  assert_fails(model_load_adapter(model, folder), STATUS_INPUT, part);
  model_free(model);
  ops_fixture_clean(NULL);
}

// Each changes the plain form.
static const struct {
  const char *change, *part;
} refused[] = {
    // another base
    {"{\"init_lora_weights\": \"pissa\"}", "path_initial_model_for_weight_conversion"},
    {"{\"init_lora_weights\": \"pissa_niter_16\"}", "\"pissa_niter_16\" changes the base's weights"},
    {"{\"init_lora_weights\": \"olora\"}", "\"olora\" changes the base's weights"},
    {"{\"init_lora_weights\": \"OLoRA\"}", "\"OLoRA\" changes the base's weights"},
    {"{\"init_lora_weights\": \"corda\"}", "\"corda\" changes the base's weights"},
    {"{\"init_lora_weights\": \"lora_ga\"}", "\"lora_ga\" changes the base's weights"},
    {"{\"init_lora_weights\": \"loftq\"}", "merge_and_unload"},
    {"{\"init_lora_weights\": \"new\"}", "\"new\" is not known"},
    {"{\"init_lora_weights\": 1}", "init_lora_weights"},
    {"{\"kasa_config\": {\"beta\": 1}}", "kasa_config"},
    // other arithmetic
    {"{\"use_dora\": true}", "q_proj.lora_magnitude_vector is missing"},
    {"{\"use_dora\": 1}", "use_dora"},
    {"{\"lora_bias\": true}", "lora_bias"},
    {"{\"use_qalora\": true}", "use_qalora"},
    {"{\"layer_replication\": [[0, 1], [0, 2]]}", "layer_replication"},
    {"{\"trainable_token_indices\": [1]}", "embed_tokens.token_adapter.trainable_tokens_delta is missing"},
    {"{\"trainable_token_indices\": [67]}", "distinct tokens of this model, 0 to 66"},
    {"{\"trainable_token_indices\": [1, 1]}", "distinct tokens"},
    {"{\"trainable_token_indices\": [-1]}", "distinct tokens"},
    {"{\"trainable_token_indices\": {\"tokens\": [1]}}", "of \"tokens\" are not understood"},
    {"{\"trainable_token_indices\": {\"lm_head\": 1}}", "of \"lm_head\" are not understood"},
    {"{\"trainable_token_indices\": 1}", "must be a list or an object"},
    {"{\"trainable_token_indices\": [1], \"target_modules\": [\"q_proj\", \"lm_head\"]}",
     "together with adapters on embedding or head"},
    {"{\"trainable_token_indices\": [1], \"modules_to_save\": [\"lm_head\"]}",
     "together with adapters on embedding or head"},
    {"{\"target_parameters\": [\"q\"]}", "target_parameters"},
    {"{\"alora_invocation_tokens\": [1]}", "alora_invocation_tokens"},
    {"{\"arrow_config\": {\"top_k\": 1}}", "arrow_config"},
    {"{\"use_bdlora\": {\"nblocks\": 1}}", "use_bdlora"},
    {"{\"velora_config\": {\"scale\": 1}}", "velora_config"},
    {"{\"monteclora_config\": {\"num_samples\": 1}}", "monteclora_config"},
    {"{\"megatron_config\": {\"x\": 1}}", "megatron_config"},
    {"{\"use_future\": true}", "\"use_future\" is a key that this program does not know"},
    {"{\"future_scale\": 2}", "\"future_scale\""},
    {"{\"peft_type\": \"IA3\"}", "peft_type \"IA3\""},
    {"{\"peft_type\": \"PROMPT_TUNING\"}", "PROMPT_TUNING"},
    {"{\"peft_type\": \"XLORA\"}", "XLORA"},
    {"{\"peft_type\": \"ADALORA\"}", "ADALORA"},
    {"{\"peft_type\": null}", "peft_type"},
    {"{\"task_type\": \"SEQ_CLS\"}", "task_type \"SEQ_CLS\""},
    {"{\"fine_tune_type\": \"lora\"}", "mlx_lm.fuse"},
    // targets
    {"{\"target_modules\": [\"q_proj\", \"v_proj\", \"lm_head\"]}", "lm_head.lora_A.weight is missing"},
    {"{\"target_modules\": \".*(q_proj|v_proj|embed_tokens)\"}", "embed_tokens.lora_embedding_A is missing"},
    {"{\"target_modules\": \".*norm\"}",
     "puts an adapter on model.layers.0.input_layernorm, which is no matrix"},
    {"{\"target_modules\": [\"c_attn\"]}", "(\"c_attn\") fits no matrix"},
    {"{\"target_modules\": \"q_proj|v_proj\"}", "(\"q_proj|v_proj\") fits no matrix"},
    {"{\"target_modules\": null}", "names no module"},
    {"{\"target_modules\": 7}", "target_modules"},
    {"{\"target_modules\": [\"q_proj\", 1]}", "target_modules"},
    {"{\"target_modules\": []}", "target_modules"},
    {"{\"target_modules\": \".*[(]?(q_proj\"}", "is broken"},
    {"{\"target_modules\": \".*[[:alpha:]]_proj\"}", "is not read here"},
    {"{\"target_modules\": \"(?i).*Q_PROJ\"}", "is not read here"},
    {"{\"target_modules\": \".{,99}q_proj\"}", "is not read here"},
    {"{\"target_modules\": \".*\\\\hq_proj\"}", "is not read here"},
    {"{\"target_modules\": \"(?|.*q_proj)\"}", "is not read here"},
    {"{\"target_modules\": \"((.*)*)*x{1,9}q_proj_\"}", "regular expression"},
    {"{\"target_modules\": \".*q_proj\", \"layers_to_transform\": [0]}", "layers_to_transform"},
    {"{\"target_modules\": \"all-linear\", \"layers_to_transform\": 0}", "layers_to_transform"},
    {"{\"layers_to_transform\": \"0\"}", "layers_to_transform"},
    {"{\"layers_to_transform\": [5]}", "fits no matrix"},
    {"{\"layers_to_transform\": [0], \"layers_pattern\": \"h\"}", "fits no matrix"},
    {"{\"layers_pattern\": \"layers\"}", "layers_pattern"},
    {"{\"exclude_modules\": [\"q_proj\", \"v_proj\"]}", "fits no matrix"},
    {"{\"exclude_modules\": {}}", "exclude_modules"},
    {"{\"modules_to_save\": \"lm_head\"}", "modules_to_save"},
    // numbers
    {"{\"r\": 0}", "\"r\""},
    {"{\"r\": 2.5}", "\"r\""},
    {"{\"r\": 97}", "rank 97"},
    {"{\"r\": null}", "\"r\" is null"},
    {"{\"lora_alpha\": null}", "\"lora_alpha\" is null"},
    {"{\"rank_pattern\": {\"q_proj\": 0}}", "rank 0 of model.layers.0.self_attn.q_proj"},
    {"{\"rank_pattern\": {\"q_proj\": 1.5}}", "rank 1.5"},
    {"{\"rank_pattern\": {\"q_proj\": \"2\"}}", "rank_pattern"},
    {"{\"rank_pattern\": [2]}", "rank_pattern"},
    {"{\"alpha_pattern\": {\"q_proj\": null}}", "alpha_pattern"},
    {"{\"alpha_pattern\": {\"q_proj\": 1e300}}", "too large"},
    {"{\"lora_alpha\": \"16\"}", "lora_alpha"},
    {"{\"lora_dropout\": 1}", "dropout"},
    {"{\"use_rslora\": 1}", "use_rslora"},
    {"{\"bias\": \"some\"}", "bias \"some\""},
    // the file holds other tensors
    {"{\"r\": 3}", "has shape [2, 64], but [3, 64] is expected"},
    {"{\"target_modules\": [\"q_proj\"]}",
     "v_proj.lora_A.weight is not one that adapter_config.json asks for"},
    {"{\"target_modules\": [\"q_proj\", \"v_proj\", \"o_proj\"]}",
     "self_attn.o_proj.lora_A.weight is missing, which adapter_config.json asks for"},
    {"{\"modules_to_save\": [\"lm_head\"]}", "lm_head.weight is missing"},
    {"{\"modules_to_save\": [\"v_proj\"]}", "v_proj.weight is missing"},
};

static void test_refused_configs(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    refuses("llama", changed_config("plain", refused[i].change), refused[i].part);
  refuses("qwen2", changed_config("bias_of_adapted", "{\"bias\": \"all\"}"), "k_proj.bias is missing");
  refuses("qwen2", changed_config("trained_embedding_tied", "{\"ensure_weight_tying\": true}"),
          "only one of the two");
  refuses("qwen2", changed_config("trained_embeddings_tied", "{\"modules_to_save\": null}"),
          "different ones for the two");
  refuses("qwen2", changed_config("trained_embeddings_tied", "{\"ensure_weight_tying\": true}"),
          "different ones for the two");
  refuses("qwen2", changed_config("embedding_tied", "{\"ensure_weight_tying\": true}"),
          "ensure_weight_tying");
  refuses("llama", changed_config("tokens", "{\"trainable_token_indices\": [17, 8]}"), "has shape [3, 64]");
  refuses("llama", changed_config("tokens", "{\"trainable_token_indices\": null}"), "is not one that");
  refuses("qwen2", changed_config("tokens_differ_tied", "{\"ensure_weight_tying\": true}"),
          "ensure_weight_tying");
  refuses("llama", changed_config("embedding", "{\"use_dora\": true}"), "\"use_dora\" on model.embed_tokens");
  refuses("llama", changed_config("head", "{\"use_dora\": true}"), "lora_magnitude_vector is missing");
  refuses("llama", changed_config("dora", "{\"use_dora\": false}"), "lora_magnitude_vector is not one that");
  refuses("llama", changed_config("dora", "{\"r\": 5}"), "has shape [2, 64], but [5, 64] is expected");
  refuses("qwen2", ADAPTERS "/trained_embeddings", "is expected");
  refuses("qwen2", ADAPTERS "/plain", "is expected");
}

static void write_file(const char *folder, const char *name, const char *text, size_t size) {
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_ok(file_write_atomic(path, text, size));
}

static void test_refused_folders(void **state) {
  (void)state;
  const char *folder = test_folder();
  char path[PATH_SIZE], part[2 * PATH_SIZE];
  refuses("llama", folder, "give the folder of a PEFT adapter");
  (void)snprintf(path, sizeof path, "%s/checkpoint-500", folder);
  assert_ok(directory_create(path));
  assert_ok(file_copy(ADAPTERS "/plain", path, "adapter_config.json", true));
  (void)snprintf(part, sizeof part, "no adapter_config.json here, but in %s; give that folder", path);
  refuses("llama", folder, part);
  refuses("llama", path, "neither adapter_model.safetensors nor adapter_model.bin");
  write_file(folder, "lora.gguf", "GGUF", 4);
  (void)snprintf(path, sizeof path, "%s/lora.gguf", folder);
  refuses("llama", path, "an adapter in GGUF is not read");
  refuses("llama", ADAPTERS "/plain/adapter_model.safetensors", "give the folder");
  refuses("llama", "/nowhere", "there is no such adapter");
}

/// The plain form with one tensor of the given name and shape instead of its weights.
static const char *one_tensor(const char *name, const char *shape, size_t elements) {
  const char *folder = test_folder();
  char header[512] = {0}, bytes[8192] = {0};
  int size = snprintf(header + 8, sizeof header - 8,
                      "{\"%s\": {\"dtype\": \"F32\", \"shape\": %s, \"data_offsets\": [0, %zu]}}", name,
                      shape, 4 * elements);
  header[0] = (char)size;
  header[1] = (char)(size >> 8);
  memcpy(bytes, header, 8 + (size_t)size);
  assert_ok(file_copy(ADAPTERS "/plain", folder, "adapter_config.json", true));
  write_file(folder, "adapter_model.safetensors", bytes, 8 + (size_t)size + 4 * elements);
  return folder;
}

#define FIRST "base_model.model.model.layers.0.self_attn.q_proj.lora_A"

static void test_refused_tensors(void **state) {
  (void)state;
  refuses("llama", one_tensor(FIRST ".weight", "[0]", 0), "is empty; the adapter was saved from a model");
  refuses("llama", one_tensor(FIRST ".weight", "[128]", 128), "has shape [128], but [2, 64] is expected");
  refuses("llama", one_tensor(FIRST ".weight", "[2, 64]", 128), "q_proj.lora_B.weight is missing");
  refuses("llama", one_tensor(FIRST ".other.weight", "[2, 64]", 128), "q_proj.lora_A.weight is missing");
}

/// What is merged when it is read needs weights that do not round the result.
static void test_merged_needs_floats(void **state) {
  (void)state;
  static const char *const forms[] = {ADAPTERS "/dora", ADAPTERS "/head", ADAPTERS "/embedding"};
  for (size_t i = 0; i < 3; i++) {
    Model *model = fixture_model("llama", DTYPE_BF16);
    assert_fails(model_load_adapter(model, forms[i]), STATUS_INPUT, "needs float32 weights; use --dtype f32");
    model_free(model);
  }
}

/// An adapter is read once: a second one is refused, and one that was read is not written.
static void test_read_only(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  assert_ok(model_load_adapter(model, ADAPTERS "/plain"));
  assert_fails(model_load_adapter(model, ADAPTERS "/plain"), STATUS_FAILED, "trained parameters already");
  assert_fails(model_save_trained(model, test_folder()), STATUS_FAILED, "is not written again");
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_every_form),      OPS_TEST(test_refused_configs),     OPS_TEST(test_refused_folders),
      OPS_TEST(test_refused_tensors), OPS_TEST(test_merged_needs_floats), OPS_TEST(test_read_only),
  };
  return RUN_OPS_TESTS(tests);
}
