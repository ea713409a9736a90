// A file of torch.save, and every tensor in it.
#include "fuzz_tensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  TensorFile *file = NULL;
  if (!fuzz_accepted(tensors_open(fuzz_file("in.bin", bytes, size), &file))) return 0;
  fuzz_read_tensors(file);
  tensors_close(file);
  return 0;
}
