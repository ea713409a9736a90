// How an operation reaches the device: kernels by name and one launch helper. Private to ops.
//
//   TRY(LAUNCH(out->ops, rmsnorm, grid_rows(out->ops, out->rows), ARG_TENSOR(out), ARG_TENSOR(x), ARG_UINT(x->cols),
//              ARG_FLOAT(eps)));
//
// An operation checks its shapes (TRY(ops_check_shape(…))) and launches; in a plan a launch does nothing, so no operation asks
// whether it is one, except where it reads something back.
#pragma once

#include "device/device.h"
#include "kernel_list.h"
#include "ops/tensor.h"

typedef enum KernelId {
#define KERNEL_ROW(file, kernel) KERNEL_##kernel,
  KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
      KERNEL_COUNT
} KernelId;

/// groups[3] work groups of items[3] work items.
typedef struct Grid {
  size_t groups[3], items[3];
} Grid;

/// `groups` groups of `items` work items in a row: for kernels that work a row (or tile) a group.
Grid grid_groups(size_t groups, size_t items);
/// As many groups of `items` as cover `count` work items: for elementwise kernels, which check the range.
Grid grid_items(size_t count, size_t items);

/// Cores or compute units, at least 1 (1 in a plan).
size_t ops_compute_units(const Ops *ops);

/// Queues a kernel; does nothing in a plan, or where the grid has no groups. STATUS_FAILED where a view stands in an
/// ARG_TENSOR.
STATUS_CHECKED Status ops_launch(Ops *ops, KernelId kernel, Grid grid, const KernelArgument *arguments,
                                 size_t count);

#define LAUNCH(ops, kernel, grid, ...)                                                                       \
  ops_launch((ops), KERNEL_##kernel, (grid), (const KernelArgument[]){__VA_ARGS__},                          \
             sizeof((const KernelArgument[]){__VA_ARGS__}) / sizeof(KernelArgument))

#define ARG_BUFFER(pointer) ((KernelArgument){.buffer = (pointer)})
#define ARG_UINT(number)    ((KernelArgument){.value = &(uint32_t){(uint32_t)(number)}, .size = 4})
#define ARG_FLOAT(number)   ((KernelArgument){.value = &(float){(number)}, .size = 4})
/// An element count or place, which may pass 2^32: ulong in a kernel.
#define ARG_COUNT(number) ((KernelArgument){.value = &(uint64_t){(uint64_t)(number)}, .size = 8})

/// A tensor for a kernel that takes its pointer alone and counts rows from it: a view there would be read at the wrong
/// place, so it becomes an argument that ops_launch refuses.
#define ARG_TENSOR(tensor) ops_tensor_argument(tensor)
KernelArgument ops_tensor_argument(const Tensor *tensor);
/// A tensor that may be a view, for VIEW(type, name) in a kernel's arguments: pointer, first element, pitch.
#define ARG_VIEW(tensor) ARG_BUFFER((tensor)->buffer), ARG_COUNT((tensor)->first), ARG_UINT((tensor)->pitch)

/// STATUS_FAILED "op_x: tensor is [r, c], needs [r, c]" unless the tensor has this shape (a caller's mistake).
STATUS_CHECKED Status ops_check_shape(const char *op, const char *tensor, const Tensor *value, size_t rows,
                                      size_t cols);
/// Likewise unless it has this type.
STATUS_CHECKED Status ops_check_type(const char *op, const char *tensor, const Tensor *value, DType type);
/// Likewise unless its rows touch; unless it is dense and begins where its buffer does.
STATUS_CHECKED Status ops_check_dense(const char *op, const char *tensor, const Tensor *value);
STATUS_CHECKED Status ops_check_whole(const char *op, const char *tensor, const Tensor *value);

/// A float32 scratch of at least `count` elements that lives with the Ops and grows (what it held is lost when it grows).
/// Counted as activations. An operation may use a slot within itself only. `*out` is borrowed; in a plan its buffer is NULL.
enum { SCRATCH_GEMM, SCRATCH_REDUCE, SCRATCH_OTHER, SCRATCH_SLOTS };
STATUS_CHECKED Status ops_scratch(Ops *ops, int slot, size_t count, const Tensor **out);

/// *out = the text of cl/<name> with each #include "…" replaced by that file, once; the caller frees it.
STATUS_CHECKED Status kernel_source(const char *name, char **out);
