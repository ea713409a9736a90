// Failing allocations while a model is opened, loaded, given adapters and passes, saved, read back and
// exported. The device is opened once, before the sweeps; creating buffers and kernels counts as allocating.
#include "io/file.h"
#include "model/random.h"
#include "support/alloc_faults.h"
#include "support/model_fixture.h"
#include <stdio.h>
#include <string.h>

typedef struct Job {
  const char *source; // a golden model
  DType dtype;
  Model *model; // for saving: loaded before the sweep
  ModelFiles *files;
  char folder[600]; // to save into
  bool twice;       // saves over an older folder
  uint64_t held;    // bytes on the device before the operation
} Job;

static const LoraOptions lora = {.rank = 2, .alpha = 4, .targets = "q_proj,down_proj"};

/// Memory on the device must be freed too.
static void check_device(void *user, bool failed, FaultMode mode) {
  const Job *job = user;
  uint64_t held = ops_memory(fixture_ops())->now_total;
  (void)failed;
  (void)mode;
  if (held != job->held) {
    fail_msg("%llu bytes on the device, not %llu", (unsigned long long)held, (unsigned long long)job->held);
  }
}

// ---- loading ----

/// Opens and loads a model, then adds adapters and passes.
static Status load(void *user) {
  static const PassOptions training = {.kind = PASS_TRAINING, .max_rows = 8, .head_tile_rows = 4},
                           sampling = {
                               .kind = PASS_INFERENCE, .max_rows = 8, .cache_rows = 16, .head_tile_rows = 4};
  const Job *job = user;
  ModelFiles *files = NULL;
  Model *model = NULL;
  Pass *passes[2] = {NULL, NULL};
  Status status = STATUS_OK;
  TRY_CLEAN(model_files_open(golden_path(job->source), &files));
  TRY_CLEAN(model_load(fixture_ops(), files, job->dtype, &model));
  TRY_CLEAN(job->dtype == DTYPE_F32 ? model_train_full(model) : model_add_lora(model, &lora, 1));
  TRY_CLEAN(pass_create(model, &training, &passes[0]));
  TRY_CLEAN(pass_create(model, &sampling, &passes[1]));
cleanup:
  pass_free(passes[0]);
  pass_free(passes[1]);
  model_free(model);
  model_files_close(files);
  return status;
}

/// Opens a folder whose names all carry a prefix, and whose head config.json ties to another embedding.
static Status open_wrapped(void *user) {
  ModelFiles *files = NULL;
  const char *folder = user;
  Status status = model_files_open(folder, &files);
  model_files_close(files);
  return status;
}

static Status fill_index(void *user, size_t index, size_t first, size_t count, float *out) {
  (void)user;
  (void)first;
  for (size_t i = 0; i < count; i++) out[i] = (float)index;
  return STATUS_OK;
}

static void opens_wrapped_names(void **state) {
  (void)state;
  static const char config[] =
      "{\"model_type\": \"llama\", \"hidden_size\": 4, \"intermediate_size\": 4, \"num_hidden_layers\": 1,"
      " \"num_attention_heads\": 1, \"vocab_size\": 5, \"tie_word_embeddings\": true,"
      " \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2}}";
  static const char *const names[] = {"embed_tokens", "lm_head", "norm"};
  static const char *const of_layer[] = {
      "input_layernorm",  "post_attention_layernorm", "self_attn.q_proj", "self_attn.k_proj",
      "self_attn.v_proj", "self_attn.o_proj",         "mlp.gate_proj",    "mlp.up_proj",
      "mlp.down_proj"};
  enum { ENDS = 3, ALL = 12 };
  static char wrapped[ALL][96];
  static char folder[600];
  char weights[640], config_path[640];
  TensorToWrite tensors[ALL];
  for (size_t i = 0; i < ALL; i++) {
    const char *layer = i < ENDS ? "" : "layers.0.", *name = i < ENDS ? names[i] : of_layer[i - ENDS];
    bool vector = i == 2 || i == 3 || i == 4;
    (void)snprintf(wrapped[i], sizeof wrapped[i], "_orig_mod.%s%s.weight", layer, name);
    tensors[i] = (TensorToWrite){wrapped[i], DTYPE_F32, vector ? 1 : 2, {i < 2 ? 5 : 4, 4}};
  }
  (void)snprintf(folder, sizeof folder, "%s", test_folder());
  (void)snprintf(weights, sizeof weights, "%s/model.safetensors", folder);
  (void)snprintf(config_path, sizeof config_path, "%s/config.json", folder);
  assert_ok(safetensors_write(weights, tensors, ALL, fill_index, NULL));
  assert_ok(file_write_atomic(config_path, config, strlen(config)));
  FaultSweep sweep = {"wrapped names", open_wrapped, NULL, folder};
  faults_sweep(&sweep);
}

static void loads(void **state) {
  (void)state;
  static Job jobs[] = {{.source = "llama", .dtype = DTYPE_F32},
                       {.source = "qwen2", .dtype = DTYPE_BF16},
                       {.source = "llama.gguf", .dtype = DTYPE_F16}};
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
    FaultSweep sweep = {jobs[i].source, load, check_device, &jobs[i]};
    faults_sweep(&sweep);
  }
}

// ---- saving ----

static Status save_into(void *user, Status (*write)(const Job *job, const char *folder)) {
  const Job *job = user;
  AtomicDir dir = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(atomic_dir_begin(job->folder, &dir));
  TRY_CLEAN(write(job, dir.partial));
  TRY_CLEAN(atomic_dir_commit(&dir));
cleanup:
  atomic_dir_abort(&dir);
  return status;
}

static Status write_trained(const Job *job, const char *folder) {
  return model_save_trained(job->model, folder);
}

static Status write_merged(const Job *job, const char *folder) {
  return model_export_merged(job->model, job->files, DTYPE_F32, folder, NULL);
}

static Status write_random(const Job *job, const char *folder) {
  InitConfig config;
  (void)job;
  TRY(init_config_read("tests/golden/qwen2", &config));
  config.type = DTYPE_BF16;
  return model_write_random(&config, 1, folder, NULL, NULL);
}

static Status make_random(void *user) {
  return save_into(user, write_random);
}

static Status save(void *user) {
  return save_into(user, write_trained);
}

static Status export(void *user) {
  return save_into(user, write_merged);
}

static Status load_back(void *user) {
  const Job *job = user;
  return model_load_trained(job->model, job->folder);
}

static void check_folder(const Job *job, bool failed, FaultMode mode) {
  char partial[700];
  (void)snprintf(partial, sizeof partial, "%s" PARTIAL_END, job->folder);
  if (mode == FAULT_ONCE || !failed) assert_false(file_exists(partial));
  if (!failed) assert_true(file_exists(job->folder));
}

/// The folder is whole or not there.
static void check_saved(void *user, bool failed, FaultMode mode) {
  Job *job = user;
  check_folder(job, failed, mode);
  if (job->twice) assert_true(file_exists(job->folder));
  if (file_exists(job->folder)) assert_ok(model_load_trained(job->model, job->folder));
  if (!job->twice) assert_ok(directory_remove(job->folder));
  check_device(user, failed, mode);
}

static void check_exported(void *user, bool failed, FaultMode mode) {
  const Job *job = user;
  check_folder(job, failed, mode);
  if (file_exists(job->folder)) {
    ModelFiles *files = NULL;
    assert_ok(model_files_open(job->folder, &files));
    model_files_close(files);
  }
  assert_ok(directory_remove(job->folder));
  check_device(user, failed, mode);
}

/// Notes how much memory the device holds before the operation.
static void note_memory(Job *job) {
  job->held = ops_memory(fixture_ops())->now_total;
}

static Job open_job(const char *source, DType dtype) {
  Job job = {.source = source, .dtype = dtype};
  (void)snprintf(job.folder, sizeof job.folder, "%s/saved", test_folder());
  assert_ok(model_files_open(golden_path(source), &job.files));
  assert_ok(model_load(fixture_ops(), job.files, dtype, &job.model));
  return job;
}

static void close_job(Job *job) {
  model_free(job->model);
  model_files_close(job->files);
}

static void sweep_saving(Job *job, const char *what) {
  note_memory(job);
  FaultSweep fresh = {what, save, check_saved, job};
  faults_sweep(&fresh);
  job->twice = true;
  assert_ok(save(job));
  faults_sweep(&fresh);
  FaultSweep back = {what, load_back, NULL, job};
  faults_sweep(&back);
}

static void saves_adapters(void **state) {
  (void)state;
  Job job = open_job("llama", DTYPE_BF16);
  assert_ok(model_add_lora(job.model, &lora, 1));
  sweep_saving(&job, "an adapter");
  close_job(&job);
}

static void saves_full_models(void **state) {
  (void)state;
  Job job = open_job("qwen2", DTYPE_F32);
  assert_ok(model_train_full(job.model));
  sweep_saving(&job, "a full model");
  close_job(&job);
}

static void exports(void **state) {
  (void)state;
  Job job = open_job("llama", DTYPE_BF16);
  assert_ok(model_add_lora(job.model, &lora, 1));
  note_memory(&job);
  FaultSweep merged = {"a merged model", export, check_exported, &job};
  faults_sweep(&merged);
  close_job(&job);
}

static void random_models(void **state) {
  (void)state;
  Job job = open_job("llama", DTYPE_BF16); // only its folder is used
  note_memory(&job);
  FaultSweep made = {"a random model", make_random, check_exported, &job};
  faults_sweep(&made);
  close_job(&job);
}

static Status load_adapter(void *user) {
  const Job *job = user;
  Model *model = NULL;
  Status status = model_load(fixture_ops(), job->files, job->dtype, &model);
  if (status == STATUS_OK) status = model_load_adapter(model, job->folder);
  model_free(model);
  return status;
}

static void loads_adapters(void **state) {
  (void)state;
  Job job = open_job("llama", DTYPE_F32);
  assert_ok(model_add_lora(job.model, &lora, 1));
  assert_ok(save(&job));
  note_memory(&job);
  FaultSweep sweep = {"a model with its adapter", load_adapter, check_device, &job};
  faults_sweep(&sweep);
  close_job(&job);
}

// What the config and the file of an adapter may have: patterns, a .bin, a head of its own in a tied model.
static void loads_forms_of_adapters(void **state) {
  (void)state;
  static const char *const forms[][2] = {
      {"llama", "regex_unsloth"},         {"llama", "layer_patterns"}, {"llama", "rank_pattern_order"},
      {"llama", "bin_not_in_order"},      {"llama", "dora"},           {"qwen2", "embedding_tied"},
      {"qwen2", "trained_embedding_tied"}};
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    Job job = open_job(forms[i][0], DTYPE_F32);
    (void)snprintf(job.folder, sizeof job.folder, GEE_SOURCE_DIR "/tests/model/adapters/%s", forms[i][1]);
    note_memory(&job);
    FaultSweep sweep = {forms[i][1], load_adapter, check_device, &job};
    faults_sweep(&sweep);
    close_job(&job);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(opens_wrapped_names),
      OPS_TEST(loads),
      OPS_TEST(saves_adapters),
      OPS_TEST(saves_full_models),
      OPS_TEST(exports),
      OPS_TEST(random_models),
      OPS_TEST(loads_adapters),
      OPS_TEST(loads_forms_of_adapters),
  };
  return RUN_OPS_TESTS(tests);
}
