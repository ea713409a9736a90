// How an operation launches its kernels. Private to ops.
//
//   TRY(LAUNCH(out->ops, rmsnorm, grid_rows(out->ops, out->rows), ARG_TENSOR(out), ARG_TENSOR(x),
//              ARG_UINT(x->cols), ARG_FLOAT(eps)));
//
// An operation checks its shapes (TRY(ops_check_shape(…))), then launches. In a plan a launch does nothing,
// so only operations that read a result back need to ask whether they run in one.
#pragma once

#include "device/device.h"
#include "kernel_list.h"
#include "ops/profile.h"
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

/// `groups` groups of `items` work items, along axis 0: for kernels that work on one row (or tile) per group.
Grid grid_groups(size_t groups, size_t items);
/// As many groups of `items` work items as cover `count`: for elementwise kernels, which check the range.
Grid grid_items(size_t count, size_t items);

/// The device's compute units, at least 1; 1 in a plan.
size_t ops_compute_units(const Ops *ops);

/// Queues a kernel. Does nothing in a plan, or if the grid has no groups. STATUS_FAILED if an ARG_TENSOR was
/// given a view.
STATUS_CHECKED Status ops_launch(Ops *ops, KernelId kernel, Grid grid, const KernelArgument *arguments,
                                 size_t count);

/// The same of a kernel that is compiled in several variants: this one.
STATUS_CHECKED Status ops_launch_variant(Ops *ops, KernelId kernel, Kernel *variant, Grid grid,
                                         const KernelArgument *arguments, size_t count);

#define LAUNCH(ops, kernel, grid, ...)                                                                       \
  ops_launch((ops), KERNEL_##kernel, (grid), (const KernelArgument[]){__VA_ARGS__},                          \
             sizeof((const KernelArgument[]){__VA_ARGS__}) / sizeof(KernelArgument))

#define LAUNCH_AS(ops, kernel, variant, grid, ...)                                                           \
  ops_launch_variant((ops), KERNEL_##kernel, (variant), (grid), (const KernelArgument[]){__VA_ARGS__},       \
                     sizeof((const KernelArgument[]){__VA_ARGS__}) / sizeof(KernelArgument))

#define ARG_BUFFER(pointer) ((KernelArgument){.buffer = (pointer)})
#define ARG_UINT(number)    ((KernelArgument){.value = &(uint32_t){(uint32_t)(number)}, .size = 4})
#define ARG_FLOAT(number)   ((KernelArgument){.value = &(float){(number)}, .size = 4})
/// An element count or index, which may exceed 2^32: ulong in a kernel.
#define ARG_COUNT(number) ((KernelArgument){.value = &(uint64_t){(uint64_t)(number)}, .size = 8})

/// A tensor for a kernel that takes only its pointer. The kernel would read a view at the wrong place, so a
/// view becomes an argument that ops_launch refuses.
#define ARG_TENSOR(tensor) ops_tensor_argument(tensor)
KernelArgument ops_tensor_argument(const Tensor *tensor);
/// A tensor that may be a view, for VIEW(type, name) in a kernel's arguments: pointer, first element, pitch.
#define ARG_VIEW(tensor) ARG_BUFFER((tensor)->buffer), ARG_COUNT((tensor)->first), ARG_UINT((tensor)->pitch)

/// States what the operation must do at least, from here to the end of the block that it is in; the command
/// queue's work until then is the operation's. The tensors are those that it reads or writes, one that it
/// reads and writes twice; NULL is none.
///
///   OPERATION(out->ops, "add", 0, out, a, b);
#define OPERATION(ops, name, flops, ...)                                                                     \
  OPERATION_OF((ops), (name), (flops),                                                                       \
               ops_bytes((const Tensor *const[]){__VA_ARGS__},                                               \
                         sizeof((const Tensor *const[]){__VA_ARGS__}) / sizeof(Tensor *)))
/// The same where the bytes are not those of whole tensors.
#define OPERATION_OF(ops, name, flops, bytes)                                                                \
  OPS_SPAN Ops *const operation_ =                                                                           \
      ops_is_profiled(ops) ? ops_operation_begin((ops), (name), (OpsWork){(flops), (bytes)}) : NULL
bool ops_is_profiled(const Ops *ops);
/// Use OPERATION.
Ops *ops_operation_begin(Ops *ops, const char *name, OpsWork work);
/// What the tensors hold.
double ops_bytes(const Tensor *const tensors[], size_t count);

/// STATUS_FAILED unless the tensor has this shape, which is a caller's mistake. The message names the
/// operation and the tensor: "op_x: tensor is [r, c], needs [r, c]".
STATUS_CHECKED Status ops_check_shape(const char *op, const char *tensor, const Tensor *value, size_t rows,
                                      size_t cols);
/// STATUS_FAILED unless the tensor has this type.
STATUS_CHECKED Status ops_check_type(const char *op, const char *tensor, const Tensor *value, DType type);
/// STATUS_FAILED unless the tensor's rows touch.
STATUS_CHECKED Status ops_check_dense(const char *op, const char *tensor, const Tensor *value);
/// STATUS_FAILED unless the tensor's rows touch and it begins at its buffer's first element.
STATUS_CHECKED Status ops_check_whole(const char *op, const char *tensor, const Tensor *value);

/// *out = a float32 scratch tensor of at least `count` elements, borrowed from the Ops; in a plan its buffer
/// is NULL. A slot loses its content when it grows, and no operation may rely on it after it returns. Counted
/// as activations.
enum { SCRATCH_GEMM, SCRATCH_ROUNDED, SCRATCH_REDUCE, SCRATCH_OTHER, SCRATCH_SLOTS };
STATUS_CHECKED Status ops_scratch(Ops *ops, int slot, size_t count, const Tensor **out);

/// *out = the text of cl/<name> with each #include "…" replaced by that file, the first time; the caller
/// frees it.
STATUS_CHECKED Status kernel_source(const char *name, char **out);
