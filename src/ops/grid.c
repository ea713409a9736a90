// Grids by device class. Rule: LANES here and in cl/lanes.h are the same numbers.
#include "grid.h"

enum { CPU_LANES = 16, CPU_ITEMS = 64, GPU_LANES = 1, GPU_ITEMS = 256 };

Grid grid_rows(const Ops *ops, size_t rows) {
  return grid_groups(rows, ops_group_items(ops));
}

Grid grid_elements(const Ops *ops, size_t count) {
  if (ops_device_class(ops) == DEVICE_CPU) return grid_items((count + CPU_LANES - 1) / CPU_LANES, CPU_ITEMS);
  return grid_items((count + GPU_LANES - 1) / GPU_LANES, GPU_ITEMS);
}

Grid grid_columns(const Ops *ops, size_t cols, size_t rows) {
  Grid grid = grid_elements(ops, cols);
  grid.groups[1] = rows;
  return grid;
}
