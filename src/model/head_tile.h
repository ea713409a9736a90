// A tile of the head: the rows whose logits exist at a time. head.c and head_targets.c make tiles, one after
// the other, in the same memory.
#pragma once

#include "parts.h"

/// Views of the head's buffers for the tile's rows. Those of the backward are absent in an inference pass.
typedef struct Tile {
  Tensor rows, hidden, norm, rstd, logits, stats;
  Tensor weights, dnorm, dhidden, gradient;
} Tile;

/// Sets up the tile of rows[count] of the last forward, up to what the head's matrix is multiplied with.
STATUS_CHECKED Status tile_norm(Pass *pass, const int32_t *rows, size_t count, Tile *tile);
/// The same with the logits.
STATUS_CHECKED Status tile_logits(Pass *pass, const int32_t *rows, size_t count, Tile *tile);
/// From the gradient of the logits, which it finds in their place: adds to now.dx, and to the gradients of
/// the head's parameters.
STATUS_CHECKED Status tile_input_backward(Pass *pass, Tile *tile);
/// Fails unless the last forward ran this batch, and the temperature is one.
STATUS_CHECKED Status head_check_forward(const Pass *pass, const Batch *batch, float tau);
