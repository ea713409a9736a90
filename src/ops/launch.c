// Launching kernels, and the checks that every operation starts with.
#include "context.h"

static const char *const kernel_names[] = {
#define KERNEL_ROW(file, kernel) #kernel,
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

size_t ops_compute_units(const Ops *ops) {
  return ops->device == NULL || device_info(ops->device)->compute_units == 0
             ? 1
             : device_info(ops->device)->compute_units;
}

// No scalar has this size, so an argument with it can only be a view that was passed as ARG_TENSOR.
static const size_t refused_view = SIZE_MAX;

KernelArgument ops_tensor_argument(const Tensor *tensor) {
  if (tensor->first == 0 && tensor_is_dense(tensor)) return ARG_BUFFER(tensor->buffer);
  return (KernelArgument){.size = refused_view};
}

static Status check_views(KernelId kernel, const KernelArgument *arguments, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (arguments[i].size != refused_view) continue;
    return status_fail(STATUS_FAILED, "kernel %s takes no view, but argument %zu is one",
                       kernel_names[kernel], i);
  }
  return STATUS_OK;
}

Status ops_launch(Ops *ops, KernelId kernel, Grid grid, const KernelArgument *arguments, size_t count) {
  return ops_launch_variant(ops, kernel, ops->kernels[kernel], grid, arguments, count);
}

Status ops_launch_variant(Ops *ops, KernelId kernel, Kernel *variant, Grid grid,
                          const KernelArgument *arguments, size_t count) {
  TRY(check_views(kernel, arguments, count));
  if (ops->device == NULL) return STATUS_OK;
  if (variant == NULL) {
    return status_fail(STATUS_FAILED, "kernel %s is not compiled for %s", kernel_names[kernel],
                       device_info(ops->device)->name);
  }
  return kernel_launch(variant, grid.groups, grid.items, arguments, count);
}

Status ops_check_shape(const char *op, const char *tensor, const Tensor *value, size_t rows, size_t cols) {
  if (value->rows == rows && value->cols == cols) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %s is [%zu, %zu], needs [%zu, %zu]", op, tensor, value->rows,
                     value->cols, rows, cols);
}

Status ops_check_type(const char *op, const char *tensor, const Tensor *value, DType type) {
  if (value->dtype == type) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %s is %s, needs %s", op, tensor, dtype_name(value->dtype),
                     dtype_name(type));
}

Status ops_check_dense(const char *op, const char *tensor, const Tensor *value) {
  if (tensor_is_dense(value)) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: the rows of %s lie %zu elements apart, needs %zu", op, tensor,
                     value->pitch, value->cols);
}

Status ops_check_whole(const char *op, const char *tensor, const Tensor *value) {
  TRY(ops_check_dense(op, tensor, value));
  if (value->first == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %s begins at element %zu of its buffer, needs 0", op, tensor,
                     value->first);
}

Status ops_scratch(Ops *ops, int slot, size_t count, const Tensor **out) {
  Tensor *scratch = &ops->scratch[slot];
  *out = scratch;
  if (scratch->ops != NULL && scratch->cols >= count) return STATUS_OK;
  tensor_free(scratch);
  return tensor_create(ops, "scratch", MEMORY_ACTIVATIONS, DTYPE_F32, 1, count, scratch);
}
