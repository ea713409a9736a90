// A GGUF file: its metadata through every getter, its tensors dequantised, and its model config.
#include "fuzz_tensors.h"

#include "arch/files.h"

static void read_metadata(const TensorFile *file) {
  static const char *const keys[] = {"general.architecture",      "llama.block_count",
                                     "llama.rope.freq_base",      "tokenizer.ggml.tokens",
                                     "tokenizer.ggml.token_type", "a"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    int64_t integer, *list = NULL;
    double number;
    const char *text;
    size_t count = 0, size;
    (void)fuzz_accepted(gguf_get_integer(file, keys[i], &integer));
    (void)fuzz_accepted(gguf_get_integer_or(file, keys[i], 1, &integer));
    (void)fuzz_accepted(gguf_get_number_or(file, keys[i], 1, &number));
    (void)fuzz_accepted(gguf_get_string_or_null(file, keys[i], &text));
    if (fuzz_accepted(gguf_get_integers(file, keys[i], &list, &count))) free(list);
    if (!fuzz_accepted(gguf_get_strings(file, keys[i], &count))) continue;
    for (size_t k = 0; k < count; k++) gguf_string_at(file, keys[i], k, &text, &size);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  const char *path = fuzz_file("in.gguf", bytes, size);
  TensorFile *file = NULL;
  if (!fuzz_accepted(tensors_open(path, &file))) return 0;
  if (tensors_is_gguf(file)) read_metadata(file);
  fuzz_read_tensors(file);
  tensors_close(file);
  ModelFiles *model = NULL;
  if (fuzz_accepted(model_files_open(path, &model))) model_files_close(model);
  return 0;
}
