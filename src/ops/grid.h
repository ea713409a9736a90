// Grids for the kernels that work in SIMD lanes (cl/lanes.h), from the sizes in the family's table. Private
// to ops.
#pragma once

#include "launch.h"

/// The number of blocks of `size` that cover `count`.
static inline size_t pieces(size_t count, size_t size) {
  return (count + size - 1) / size;
}

/// One group per row.
Grid grid_rows(const Ops *ops, size_t rows);
/// One work item per LANES elements.
Grid grid_elements(const Ops *ops, size_t count);
/// The same for each of `rows` rows of `cols` elements, for kernels that find their place with lanes_row and
/// lanes_column (cl/lanes.h).
Grid grid_columns(const Ops *ops, size_t cols, size_t rows);
