// The index of a sharded model; its shards are those of tests/golden/qwen2_untied.
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static bool linked;
  if (!linked) {
    fuzz_link("tests/golden/qwen2_untied/model-00001-of-00002.safetensors",
              "model-00001-of-00002.safetensors");
    fuzz_link("tests/golden/qwen2_untied/model-00002-of-00002.safetensors",
              "model-00002-of-00002.safetensors");
    linked = true;
  }
  TensorFile *file = NULL;
  if (!fuzz_accepted(tensors_open(fuzz_file("model.safetensors.index.json", bytes, size), &file))) return 0;
  fuzz_read_tensors(file);
  tensors_close(file);
  return 0;
}
