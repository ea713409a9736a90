// model.safetensors, whose names are resolved, beside the config of tests/golden/qwen2, which ties the head.
#include "fuzz.h"

#include "arch/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static bool linked;
  if (!linked) fuzz_link("tests/golden/qwen2/config.json", "config.json");
  linked = true;
  (void)fuzz_file("model.safetensors", bytes, size);
  ModelFiles *files = NULL;
  if (!fuzz_accepted(model_files_open(fuzz_path(""), &files))) return 0;
  const ModelConfig *config = model_files_config(files);
  for (size_t i = 0; i < weight_count(config); i++) {
    WeightSpec spec;
    FUZZ_CHECK(model_files_weight(files, i, &spec) != NULL);
  }
  model_files_close(files);
  return 0;
}
