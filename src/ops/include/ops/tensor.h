// Matrices on a device, and the Ops context that every operation runs in. A Tensor is row-major [rows, cols]; a vector
// has one row; heads lie side by side in the columns ([rows, heads * head_dim]).
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Buffer;
struct Device;

typedef enum DType { DTYPE_F32, DTYPE_F16, DTYPE_BF16, DTYPE_I32 } DType;
size_t dtype_size(DType type);

/// What memory is for; `gee-cl` prints and plans by these.
typedef enum MemoryKind {
  MEMORY_WEIGHTS,
  MEMORY_TRAINABLE, // values, gradients and optimiser state of what is trained
  MEMORY_ACTIVATIONS,
  MEMORY_CACHE, // keys and values while sampling
  MEMORY_HEAD,  // logit tiles
  MEMORY_KINDS
} MemoryKind;
const char *memory_kind_name(MemoryKind kind);

typedef struct Ops Ops;

/// GEMM choice: "auto" (vendor's on a GPU, own on a CPU), "own", "vendor" (config device.gemm; "clblast" means vendor).
/// Compiles every kernel. The device is borrowed and must outlive the Ops.
STATUS_CHECKED Status ops_create(struct Device *device, const char *gemm, Ops **out);
/// An Ops without a device: tensors are only counted, every other call returns STATUS_OK and does nothing. Creating a
/// model and a trainer on it plans their memory exactly. `like` gives alignment and largest allocation; may be NULL.
STATUS_CHECKED Status ops_create_plan(const struct Device *like, Ops **out);
void ops_free(Ops *ops);
bool ops_is_plan(const Ops *ops);
/// Bytes allocated now and at most, by kind; peak_total is the peak of the sum.
typedef struct MemoryUse {
  uint64_t now[MEMORY_KINDS], peak[MEMORY_KINDS];
  uint64_t now_total, peak_total;
} MemoryUse;
const MemoryUse *ops_memory(const Ops *ops);
/// Elements of float32 to which offsets of tensor_view must be aligned.
size_t ops_view_alignment(const Ops *ops);
/// Largest tensor in bytes that the device allocates in one piece.
uint64_t ops_max_allocation(const Ops *ops);
/// Waits until all queued work is done (for timing).
STATUS_CHECKED Status ops_finish(Ops *ops);

typedef struct Tensor {
  Ops *ops;
  struct Buffer *buffer; // NULL in a plan
  DType dtype;
  MemoryKind kind;
  bool is_view; // shares the memory of another tensor
  size_t rows, cols;
} Tensor;

/// Allocates [rows, cols], zeroed. `name` stands in messages.
STATUS_CHECKED Status tensor_create(Ops *ops, const char *name, MemoryKind kind, DType dtype, size_t rows,
                                    size_t cols, Tensor *out);
/// A [rows, cols] window of `parent` (float32), `offset` elements in; offset aligned to ops_view_alignment. Free it
/// before or after the parent.
STATUS_CHECKED Status tensor_view(const Tensor *parent, size_t offset, size_t rows, size_t cols, Tensor *out);
/// Safe on a zeroed Tensor and twice.
void tensor_free(Tensor *tensor);
/// The same memory with only its first `rows` rows; never freed itself.
Tensor tensor_first_rows(const Tensor *tensor, size_t rows);

/// Host to device, `count` elements of the tensor's own dtype from element `first`.
STATUS_CHECKED Status tensor_write(Tensor *to, size_t first, size_t count, const void *from);
STATUS_CHECKED Status tensor_read(const Tensor *from, size_t first, size_t count, void *to);
STATUS_CHECKED Status tensor_zero(Tensor *tensor);
/// Whole copy; same dtype and shape.
STATUS_CHECKED Status tensor_copy(Tensor *to, const Tensor *from);
