// Floats made into blocks of a quantised type, on several threads, and what that takes from a tensor. Private
// to this room.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stddef.h>
#include <stdint.h>

/// The blocks of one step of a tensor. Safe to free on a zeroed struct.
typedef struct Blocks {
  DType type;
  uint8_t *bytes;
  double (*sums)[2];    // of each piece that a thread takes: squares and lost
  double squares, lost; // over all steps: of the values, and of what quantising took from them
} Blocks;

/// Room for `elements`, of a type for which can_quantise is true.
STATUS_CHECKED Status blocks_create(Blocks *blocks, DType type, size_t elements);
void blocks_free(Blocks *blocks);
/// bytes = values[elements] as blocks: whole ones, at most as many as there is room for. Values are finite.
void blocks_fill(Blocks *blocks, const float *values, size_t elements);
/// After the last step; of a zeroed struct nothing. STATUS_INPUT if half of the tensor was lost (root mean
/// square), as of values that are too small or too large for a scale of 16 bits.
STATUS_CHECKED Status blocks_finish(const Blocks *blocks);
