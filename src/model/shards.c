// Writes the weights of a Hugging Face folder: one file, or shards and their index. Rule: shard_end alone
// decides where a shard ends, so the shards and the index agree.
#include "io/file.h"
#include "io/json_write.h"
#include "parts.h"
#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>

static const uint64_t shard_bytes = UINT64_C(5) * 1000 * 1000 * 1000;

static uint64_t tensor_bytes(const TensorToWrite *tensor) {
  uint64_t bytes = tensor->type == DTYPE_F32 ? 4 : 2;
  for (size_t i = 0; i < tensor->rank; i++) bytes *= tensor->shape[i];
  return bytes;
}

// A shard has consecutive tensors of the list. `fill` takes an index into the whole list, so it gets `first`
// added.
typedef struct ShardSource {
  TensorFill fill;
  void *user;
  size_t first;
} ShardSource;

static Status shard_fill(void *user, size_t index, size_t first, size_t count, float *out) {
  const ShardSource *source = user;
  return source->fill(source->user, source->first + index, first, count, out);
}

// The end of the shard that begins at `first`: as many tensors as fit, at least one.
static size_t shard_end(const TensorToWrite *tensors, size_t count, size_t first) {
  uint64_t bytes = 0;
  size_t end = first;
  while (end < count && (end == first || bytes + tensor_bytes(&tensors[end]) <= shard_bytes)) {
    bytes += tensor_bytes(&tensors[end++]);
  }
  return end;
}

static Status write_shard(const char *directory, const char *name, const TensorToWrite *tensors, size_t first,
                          size_t end, TensorFill fill, void *user) {
  char *path = NULL;
  ShardSource source = {.fill = fill, .user = user, .first = first};
  TRY(path_join(&path, directory, name));
  Status status = safetensors_write(path, tensors + first, end - first, shard_fill, &source);
  free(path);
  return status;
}

static Status write_index(const char *directory, const TensorToWrite *tensors, size_t count, size_t shards) {
  JsonWriter json = {.layout = JSON_PRETTY};
  uint64_t total = 0;
  for (size_t i = 0; i < count; i++) total += tensor_bytes(&tensors[i]);
  json_object_begin(&json, NULL);
  json_object_begin(&json, "metadata");
  json_integer(&json, "total_size", (int64_t)total);
  json_object_end(&json);
  json_object_begin(&json, "weight_map");
  for (size_t s = 0, first = 0; s < shards; s++) {
    char name[64];
    (void)snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, shards);
    size_t end = shard_end(tensors, count, first);
    for (; first < end; first++) json_string(&json, tensors[first].name, name);
  }
  json_object_end(&json);
  json_object_end(&json);
  return json_save(&json, directory, "model.safetensors.index.json");
}

Status hf_list_weights(const ModelConfig *config, DType type, WeightSpec **specs, TensorToWrite **list) {
  size_t count = weight_count(config);
  TRY(mem_array(specs, count, "list of tensors"));
  TRY(mem_array(list, count, "list of tensors"));
  for (size_t i = 0; i < count; i++) {
    WeightSpec *spec = &(*specs)[i];
    weight_spec(config, FORMAT_HF, i, spec);
    (*list)[i] = (TensorToWrite){.name = spec->name, .type = type, .rank = spec->rank};
    (*list)[i].shape[0] = spec->rank == 1 ? spec->cols : spec->rows;
    (*list)[i].shape[1] = spec->rank == 1 ? 0 : spec->cols;
  }
  return STATUS_OK;
}

Status hf_write_weights(const char *directory, const TensorToWrite *tensors, size_t count, TensorFill fill,
                        void *user) {
  size_t shards = 0;
  for (size_t first = 0; first < count; first = shard_end(tensors, count, first)) shards++;
  if (shards <= 1) return write_shard(directory, "model.safetensors", tensors, 0, count, fill, user);
  size_t first = 0;
  for (size_t s = 0; s < shards; s++) {
    char name[64];
    (void)snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", s + 1, shards);
    size_t end = shard_end(tensors, count, first);
    TRY(write_shard(directory, name, tensors, first, end, fill, user));
    first = end;
  }
  return write_index(directory, tensors, count, shards);
}
