// A model of SmolLM2-135M's shape with random weights, for machines that have no model.
#include "bench/bench.h"

#include "arch/model_config_write.h"
#include "arch/weights.h"
#include "io/file.h"
#include "util/memory.h"
#include "util/rng.h"
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 65521 }; // a prime, so that rows of weights begin at other draws

static const float scale = 0.02f; // of the weights: what models are initialised with

typedef struct RandomModel {
  WeightSpec *specs;
  TensorToWrite *tensors;
  size_t count;
  float *draws; // [DRAWS]
} RandomModel;

static Status fill(void *user, size_t index, size_t first, size_t count, float *out) {
  const RandomModel *model = user;
  bool norm = model->specs[index].rank == 1;
  for (size_t i = 0; i < count; i++) out[i] = norm ? 1 : model->draws[(first + i + 7 * index) % DRAWS];
  return STATUS_OK;
}

static Status set_config(ModelConfig *config) {
  *config = (ModelConfig){.layers = 30,
                          .width = 576,
                          .heads = 9,
                          .kv_heads = 3,
                          .head_dim = 64,
                          .ffn = 1536,
                          .vocab = 49152,
                          .max_positions = 8192,
                          .rms_eps = 1e-5f,
                          .rope = rope_plain(1e5),
                          .tied = true,
                          .eos = {2},
                          .eos_count = 1,
                          .bos = 1};
  return family_find(FORMAT_HF, "llama", "the random model", &config->family);
}

static Status list_weights(const ModelConfig *config, RandomModel *model) {
  model->count = weight_count(config);
  TRY(mem_array(&model->specs, model->count, "random weights"));
  TRY(mem_array(&model->tensors, model->count, "random weights"));
  TRY(mem_array(&model->draws, DRAWS, "random weights"));
  for (size_t i = 0; i < model->count; i++) {
    WeightSpec *spec = &model->specs[i];
    weight_spec(config, FORMAT_HF, i, spec);
    model->tensors[i] = (TensorToWrite){.name = spec->stored, .type = DTYPE_BF16, .rank = spec->rank};
    if (spec->rank == 1) model->tensors[i].shape[0] = spec->cols;
    if (spec->rank == 2)
      memcpy(model->tensors[i].shape, (size_t[]){spec->rows, spec->cols}, 2 * sizeof(size_t));
  }
  for (size_t i = 0; i < DRAWS; i++)
    model->draws[i] = scale * (2 * rng_uniform(1, RNG_DATA, (uint32_t)i, 0, 0) - 1);
  return STATUS_OK;
}

Status bench_write_random(const char *folder) {
  ModelConfig config;
  RandomModel model = {0};
  char *path = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(set_config(&config));
  TRY_CLEAN(list_weights(&config, &model));
  TRY_CLEAN(model_config_write(&config, DTYPE_BF16, folder));
  TRY_CLEAN(path_join(&path, folder, "model.safetensors"));
  TRY_CLEAN(safetensors_write(path, model.tensors, model.count, fill, &model));
cleanup:
  free(path);
  free(model.specs);
  free(model.tensors);
  free(model.draws);
  return status;
}
