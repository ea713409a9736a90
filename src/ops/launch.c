// Grids, launches and the checks that every operation starts with.
#include "context.h"

#include "util/str.h"

static const char *const kernel_names[] = {
#define KERNEL_ROW(file, kernel) #kernel,
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

Grid grid_groups(size_t groups, size_t items) {
  return (Grid){{groups, 1, 1}, {items, 1, 1}};
}

Grid grid_items(size_t count, size_t items) {
  return grid_groups((count + items - 1) / items, items);
}

size_t ops_group_items(const Ops *ops) {
  return ops->group_items;
}

DeviceClass ops_device_class(const Ops *ops) {
  return ops->kind;
}

size_t ops_compute_units(const Ops *ops) {
  return ops->device == NULL || device_info(ops->device)->compute_units == 0
             ? 1
             : device_info(ops->device)->compute_units;
}

Status ops_launch(Ops *ops, KernelId kernel, Grid grid, const KernelArgument *arguments, size_t count) {
  if (ops->device == NULL) return STATUS_OK;
  if (ops->kernels[kernel] == NULL) {
    return status_fail(STATUS_FAILED, "kernel %s is not for %s", kernel_names[kernel],
                       device_info(ops->device)->name);
  }
  return kernel_launch(ops->kernels[kernel], grid.groups, grid.items, arguments, count);
}

Status ops_check_shape(const char *op, const char *tensor, const Tensor *value, size_t rows, size_t cols) {
  if (value->rows == rows && value->cols == cols) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %s is [%zu, %zu], needs [%zu, %zu]", op, tensor, value->rows,
                     value->cols, rows, cols);
}

Status ops_check_type(const char *op, const char *tensor, const Tensor *value, DType type) {
  static const char *const names[] = {"f32", "f16", "bf16", "i32"};
  if (value->dtype == type) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %s is %s, needs %s", op, tensor, names[value->dtype], names[type]);
}

Status ops_scratch(Ops *ops, int slot, size_t count, const Tensor **out) {
  Tensor *scratch = &ops->scratch[slot];
  *out = scratch;
  if (scratch->ops != NULL && scratch->cols >= count) return STATUS_OK;
  tensor_free(scratch);
  return tensor_create(ops, "scratch", MEMORY_ACTIVATIONS, DTYPE_F32, 1, count, scratch);
}
