// Grids of the operations that work in SIMD lanes (cl/lanes.h), from the family's table. Private to ops.
#pragma once

#include "launch.h"

/// How many pieces of `size` cover `count`.
static inline size_t pieces(size_t count, size_t size) {
  return (count + size - 1) / size;
}

/// A group a row.
Grid grid_rows(const Ops *ops, size_t rows);
/// A work item for every LANES of `count` elements.
Grid grid_elements(const Ops *ops, size_t count);
/// Likewise for each of `rows` rows of `cols` elements: axis 0 columns, axis 1 rows.
Grid grid_columns(const Ops *ops, size_t cols, size_t rows);
