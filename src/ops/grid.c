// Grids, from the sizes of the kernel family.
#include "grid.h"

#include "context.h"

Grid grid_groups(size_t groups, size_t items) {
  return (Grid){{groups, 1, 1}, {items, 1, 1}};
}

Grid grid_items(size_t count, size_t items) {
  return grid_groups(pieces(count, items), items);
}

Grid grid_rows(const Ops *ops, size_t rows) {
  return grid_groups(rows, ops->group_items);
}

Grid grid_elements(const Ops *ops, size_t count) {
  return grid_items(pieces(count, ops->family->lanes), ops->family->element_items);
}

Grid grid_columns(const Ops *ops, size_t cols, size_t rows) {
  Grid grid = grid_elements(ops, cols);
  grid.groups[0] *= rows;
  return grid;
}
