// A model's config from a GGUF file.
#include "fuzz.h"

#include "arch/files.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  ModelFiles *files = NULL;
  if (!fuzz_accepted(model_files_open(fuzz_file("in.gguf", bytes, size), &files))) return 0;
  const ModelConfig *config = model_files_config(files);
  double frequencies[512];
  FUZZ_CHECK(config->head_dim % 2 == 0 && config->head_dim <= 1024 && config->heads % config->kv_heads == 0);
  rope_inverse_frequencies(&config->rope, config->head_dim, frequencies);
  for (size_t i = 0; i < config->head_dim / 2; i++) FUZZ_CHECK(isfinite(frequencies[i]));
  model_files_close(files);
  return 0;
}
