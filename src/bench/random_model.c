// A model of SmolLM2-135M's shape with random weights, for machines that have no model.
#include "bench/bench.h"

#include "model/random.h"

static Status set_config(InitConfig *config) {
  *config = (InitConfig){.deviation = 0.02f, .padding = SIZE_MAX, .type = DTYPE_BF16};
  config->model = (ModelConfig){.layers = 30,
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
  return family_find(FORMAT_HF, "llama", "the random model", &config->model.family);
}

Status bench_write_random(const char *folder) {
  InitConfig config;
  TRY(set_config(&config));
  return model_write_random(&config, 1, folder, NULL, NULL);
}
