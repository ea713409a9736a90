// Reading every tensor of a file that opened, for the targets of tensor files.
#pragma once

#include "fuzz.h"
#include "io/tensors.h"

/// Reads the elements of each tensor as float32, a few thousand at most: first and last.
static inline void fuzz_read_tensors(const TensorFile *file) {
  float values[1024];
  for (size_t i = 0; i < tensors_count(file); i++) {
    const StoredTensor *tensor = tensors_at(file, i);
    FUZZ_CHECK(tensors_find(file, tensor->name) != NULL);
    size_t count = tensor->elements < 1024 ? tensor->elements : 1024;
    FUZZ_CHECK(tensors_read_f32(tensor, 0, count, values) == STATUS_OK);
    FUZZ_CHECK(tensors_read_f32(tensor, tensor->elements - count, count, values) == STATUS_OK);
  }
}
