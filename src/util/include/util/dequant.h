// From stored elements to float32, on the host: what a file's tensor is read with, and the twin of the
// kernels' own decoders (cl/blocks.h). Every value has the bits that ggml computes.
#pragma once

#include "util/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// True if dequantise can decode the type.
bool can_dequantise(DType type);
/// out[blocks * elements per block] = `blocks` blocks of a type for which can_dequantise is true. `bytes` may
/// have any alignment.
void dequantise(DType type, const uint8_t *bytes, size_t blocks, float *out);
