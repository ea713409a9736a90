// config.json, and after a line "----" generation_config.json, beside the weights of tests/golden/llama.
#include "fuzz.h"

#include "arch/files.h"
#include "arch/init_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static bool linked;
  if (!linked) fuzz_link("tests/golden/llama/model.safetensors", "model.safetensors");
  linked = true;
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("config.json", parts.first, parts.first_size);
  (void)fuzz_file("generation_config.json", parts.second, parts.second_size);
  InitConfig init;
  if (fuzz_accepted(init_config_read(fuzz_path(""), &init)))
    FUZZ_CHECK(init.deviation > 0 && (init.padding == SIZE_MAX || init.padding < init.model.vocab));
  ModelFiles *files = NULL;
  if (!fuzz_accepted(model_files_open(fuzz_path(""), &files))) return 0;
  const ModelConfig *config = model_files_config(files);
  FUZZ_CHECK(config->width == 64 && config->vocab == 67 && config->layers == 2); // the weights' own
  FUZZ_CHECK(config->head_dim > 0 && config->heads % config->kv_heads == 0 &&
             config->eos_count <= MODEL_MAX_EOS);
  model_files_close(files);
  return 0;
}
