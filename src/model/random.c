// Writes a model with random weights. Rule: a weight depends on the seed, its tensor's place in the table and
// its own place in the tensor, not on the order of writing or the type.
#include "model/random.h"

#include "arch/model_config_write.h"
#include "parts.h"
#include "util/rng.h"
#include <stdlib.h>

typedef struct RandomModel {
  const InitConfig *config;
  uint64_t seed;
  WeightSpec *specs;
  uint64_t done; // weights
  RandomWritten written;
  void *user;
} RandomModel;

uint64_t random_weights(const ModelConfig *config) {
  uint64_t sum = 0;
  for (size_t i = 0; i < weight_count(config); i++) {
    WeightSpec spec;
    weight_spec(config, FORMAT_HF, i, &spec);
    sum += (uint64_t)spec.rows * spec.cols;
  }
  return sum;
}

uint64_t random_weights_bytes(const ModelConfig *config, DType type) {
  return random_weights(config) * dtype_info(type)->block_bytes;
}

/// The padding token's row of the embedding becomes zero, as far as it lies in [first, first + count).
static void clear_padding(const RandomModel *model, const WeightSpec *spec, size_t first, size_t count,
                          float *out) {
  if (spec->kind != WEIGHT_EMBEDDING || model->config->padding == SIZE_MAX) return;
  size_t row = model->config->padding * spec->cols;
  for (size_t i = 0; i < count; i++) {
    if (first + i >= row && first + i < row + spec->cols) out[i] = 0;
  }
}

static Status random_fill(void *user, size_t index, size_t first, size_t count, float *out) {
  RandomModel *model = user;
  const WeightSpec *spec = &model->specs[index];
  if (spec->rank == 1) {
    for (size_t i = 0; i < count; i++) out[i] = spec->kind == WEIGHT_BIAS ? 0 : 1;
  } else {
    rng_normals(out, count, model->seed, RNG_WEIGHTS, (uint32_t)index, first);
    for (size_t i = 0; i < count; i++) out[i] *= model->config->deviation;
    clear_padding(model, spec, first, count, out);
  }
  model->done += count;
  return model->written != NULL ? model->written(model->user, model->done) : STATUS_OK;
}

Status model_write_random(const InitConfig *config, uint64_t seed, const char *directory,
                          RandomWritten written, void *user) {
  Status status = STATUS_OK;
  RandomModel model = {.config = config, .seed = seed, .written = written, .user = user};
  TensorToWrite *list = NULL;
  TRY_CLEAN(init_config_write(config, directory));
  TRY_CLEAN(hf_list_weights(&config->model, config->type, &model.specs, &list));
  TRY_CLEAN(hf_write_weights(directory, list, weight_count(&config->model), random_fill, &model));
cleanup:
  free(model.specs);
  free(list);
  return status;
}
