// What numbers depend on, as members of the JSON that holds them: the same for results.json, the gap and
// run.json, so that gee-cl verify reads one form. docs/METRICS.md has the fields.
#pragma once

#include "cli.h"
#include "eval/gap.h"
#include "io/json_write.h"

/// An adapter that is measured, and the SHA-256 of its files before it is.
typedef struct UsedAdapter {
  const char *path; // NULL: none
  char config[SHA256_TEXT], weights[SHA256_TEXT];
} UsedAdapter;
/// Hashes the files of an adapter; path NULL: the base model.
STATUS_CHECKED Status adapter_identify(const char *path, UsedAdapter *out);

/// The program, its version and the revision of its source, as --version prints them.
const char *provenance_program(void);
/// Adds the program, the model with the adapter, the device, and the whole config. The runtime's device is
/// open, and it is identified.
STATUS_CHECKED Status provenance_write(const Config *config, const Runtime *runtime,
                                       const UsedAdapter *adapter, JsonWriter *json);
/// Adds "device", with where its matrix products are computed: device.gemm, and for a GPU what that means
/// there.
STATUS_CHECKED Status provenance_write_device(const Device *device, const char *gemm, JsonWriter *json);
/// Adds "products", which GEMM computes which products, for a device that has a choice.
STATUS_CHECKED Status provenance_write_products(const Device *device, const char *gemm, JsonWriter *json);
/// Adds the members that tell a model with its adapter from others.
void provenance_write_hashes(const Config *config, const Runtime *runtime, const UsedAdapter *adapter,
                             JsonWriter *json);
/// Adds "sha256" of an adapter alone.
void provenance_write_adapter(const UsedAdapter *adapter, JsonWriter *json);
/// Adds "data": the files that the prompts are made from.
STATUS_CHECKED Status provenance_write_data(const Config *config, JsonWriter *json);
/// Adds "seed".
void provenance_write_seed(uint64_t seed, JsonWriter *json);
/// Adds how answers are sampled.
void provenance_write_sampling(const GapOptions *gap, JsonWriter *json);
/// Adds "items": the file of the items, bound by the SHA-256 of its bytes.
void provenance_write_items(const char *path, const char *sha256, JsonWriter *json);
/// Adds the time now.
void provenance_write_time(const char *key, JsonWriter *json);
