// adapter_config.json, and after a line "----" adapter_model.safetensors, on the model of tests/golden/llama.
// The model is planned, not loaded: no device is needed.
#include "fuzz.h"

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static ModelFiles *files;
  static Ops *ops;
  if (files == NULL && (model_files_open(fuzz_source("tests/golden/llama"), &files) != STATUS_OK ||
                        ops_create_plan(NULL, &ops) != STATUS_OK))
    fuzz_broken("the golden model opens", __FILE__, __LINE__);
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("adapter_config.json", parts.first, parts.first_size);
  (void)fuzz_file("adapter_model.safetensors", parts.second, parts.second_size);
  Model *model = NULL;
  FUZZ_CHECK(model_load(ops, files, DTYPE_F32, &model) == STATUS_OK);
  (void)fuzz_accepted(model_load_adapter(model, fuzz_path("")));
  model_free(model);
  return 0;
}
