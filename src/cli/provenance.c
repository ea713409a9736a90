// What numbers depend on. Rule: a fact is written in one way, whatever file it stands in.
#include "provenance.h"
#include "gee_revision.h"
#include "io/file.h"
#include "ops/products.h"
#include "util/clock.h"

#include <inttypes.h>
#include <stdio.h>

// ---- the model ----

/// PEFT, and so gee-cl, takes the .bin only where there is no .safetensors.
Status adapter_identify(const char *path, UsedAdapter *out) {
  *out = (UsedAdapter){.path = path};
  if (path == NULL) return STATUS_OK;
  TRY(runtime_hash_adapter(path, "adapter_config.json", out->config));
  TRY(runtime_hash_adapter(path, "adapter_model.safetensors", out->weights));
  return out->weights[0] != '\0' ? STATUS_OK : runtime_hash_adapter(path, "adapter_model.bin", out->weights);
}

static void add_adapter(const UsedAdapter *adapter, JsonWriter *json) {
  if (adapter->path == NULL) return;
  json_string(json, "adapter_config", adapter->config);
  json_string(json, "adapter", adapter->weights);
}

void provenance_write_adapter(const UsedAdapter *adapter, JsonWriter *json) {
  json_object_begin(json, "sha256");
  add_adapter(adapter, json);
  json_object_end(json);
}

void provenance_write_hashes(const Config *config, const Runtime *runtime, const UsedAdapter *adapter,
                             JsonWriter *json) {
  json_string(json, "model", runtime->identity.weights);
  json_string(json, "tokenizer", runtime->identity.tokenizer);
  json_string(json, "dtype", dtype_name(config_dtype(config)));
  if (config_quantise(config) != DTYPE_STORED)
    json_string(json, "quantised", dtype_name(config_quantise(config)));
  if (config_compute(config) != COMPUTE_F32)
    json_string(json, "compute", compute_name(config_compute(config)));
  add_adapter(adapter, json);
}

// ---- data ----

static Status add_source(void *user, const DataSource *source) {
  JsonWriter *json = user;
  json_object_begin(json, NULL);
  json_string(json, "what", source->what);
  json_string(json, "path", source->path);
  if (source->built_in) json_bool(json, "built_in", true);
  json_string(json, "sha256", source->sha256);
  json_object_end(json);
  return STATUS_OK;
}

Status provenance_write_data(const Config *config, JsonWriter *json) {
  json_array_begin(json, "data");
  TRY(data_list_sources(&config->data, add_source, json));
  if (config->eval.file != NULL) {
    DataSource held_out = {.what = "prompts to measure on", .path = config->eval.file};
    TRY(data_source_sha256(held_out.path, false, held_out.sha256));
    TRY(add_source(json, &held_out));
  }
  json_array_end(json);
  return STATUS_OK;
}

// ---- how ----

/// JSON's numbers are doubles, so a larger seed is written as text.
void provenance_write_seed(uint64_t seed, JsonWriter *json) {
  char text[24];
  (void)snprintf(text, sizeof text, "%" PRIu64, seed);
  if (seed <= UINT64_C(1) << 53)
    json_integer(json, "seed", (int64_t)seed);
  else
    json_string(json, "seed", text);
}

void provenance_write_sampling(const GapOptions *gap, JsonWriter *json) {
  json_integer(json, "answers", (int64_t)gap->answers);
  json_integer(json, "max_new_tokens", (int64_t)gap->sampling.max_new_tokens);
  json_float(json, "temperature", gap->sampling.temperature);
  json_float(json, "top_p", gap->sampling.top_p);
  json_integer(json, "top_k", (int64_t)gap->sampling.top_k);
  json_float(json, "repetition_penalty", gap->sampling.repetition_penalty);
  json_float(json, "entropy_temperature", gap->entropy_tau);
  provenance_write_seed(gap->seed, json);
}

Status provenance_write_products(const Device *device, const char *gemm, JsonWriter *json) {
  Str products = {0};
  Status status = device_describe_gemm(device, gemm, &products);
  if (status == STATUS_OK && products.size > 0) json_string(json, "products", str_text(&products));
  str_free(&products);
  return status;
}

Status provenance_write_device(const Device *device, const char *gemm, JsonWriter *json) {
  const DeviceInfo *info = device_info(device);
  json_object_begin(json, "device");
  json_string(json, "name", info->name);
  json_string(json, "platform", info->platform);
  json_string(json, "driver", info->driver);
  json_string(json, "gemm", gemm);
  TRY(provenance_write_products(device, gemm, json));
  json_object_end(json);
  return STATUS_OK;
}

/// The whole config with every option that was given, as an .ini that repeats the run.
static Status add_config(const Config *config, JsonWriter *json) {
  Str text = {0};
  Status status = config_render(config, &text);
  if (status == STATUS_OK) json_bytes(json, "config", str_text(&text), text.size);
  str_free(&text);
  return status;
}

const char *provenance_program(void) {
  return "gee-cl " GEE_VERSION " " GEE_REVISION;
}

Status provenance_write(const Config *config, const Runtime *runtime, const UsedAdapter *adapter,
                        JsonWriter *json) {
  json_object_begin(json, "program");
  json_string(json, "version", GEE_VERSION);
  json_string(json, "revision", GEE_REVISION);
  json_object_end(json);
  json_string(json, "model_path", config->model.path);
  if (adapter->path != NULL) json_string(json, "adapter_path", adapter->path);
  json_object_begin(json, "sha256");
  provenance_write_hashes(config, runtime, adapter, json);
  json_object_end(json);
  json_string(json, "model_constants", runtime->identity.constants);
  TRY(provenance_write_device(runtime->device, config->gemm, json));
  return add_config(config, json);
}

void provenance_write_items(const char *path, const char *sha256, JsonWriter *json) {
  json_object_begin(json, "items");
  json_string(json, "path", path);
  json_string(json, "sha256", sha256);
  json_object_end(json);
}

void provenance_write_time(const char *key, JsonWriter *json) {
  char now[CLOCK_TEXT];
  clock_utc(now);
  json_string(json, key, now);
}
