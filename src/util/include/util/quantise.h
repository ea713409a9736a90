// From float32 to the blocks of a quantised type, on the host: the other way of util/dequant.h. The blocks of
// Q8_0 have the bits of ggml's; Q4_K's are of ggml's layout, but chosen by a search of its own; NF4 is
// QLoRA's.
#pragma once

#include "util/dtype.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// True if quantise can make blocks of the type: Q8_0, Q4_K or NF4.
bool can_quantise(DType type);
/// out = `blocks` blocks of values[blocks * elements per block], which must be finite. Values that are too
/// large for the scale of their block come back as infinite, NaN or 0.
void quantise(DType type, const float *values, size_t blocks, uint8_t *out);
