// A GGUF model in two parts, which a line "----" separates.
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("in-00002-of-00002.gguf", parts.second, parts.second_size);
  TensorFile *file = NULL;
  if (!fuzz_accepted(tensors_open(fuzz_file("in-00001-of-00002.gguf", parts.first, parts.first_size), &file)))
    return 0;
  fuzz_read_tensors(file);
  tensors_close(file);
  return 0;
}
