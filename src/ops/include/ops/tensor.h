// Matrices on a device, and the Ops context that every operation runs in. A Tensor is row-major [rows, cols]; a vector
// has one row; heads lie side by side in the columns ([rows, heads * head_dim]).
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Buffer;
struct Device;

/// What memory is for; `gee-cl` prints and plans by these.
typedef enum MemoryKind {
  MEMORY_WEIGHTS,
  MEMORY_TRAINABLE, // values, gradients and optimizer state of what is trained
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

/// Element (r, c) lies at first + r · pitch + c of the buffer, counted in elements. A tensor that was created is dense: its
/// rows touch, and it begins where its buffer does. A view may be neither, and an operation takes such a view only where
/// ops/ops.h says "views"; it refuses one elsewhere.
typedef struct Tensor {
  Ops *ops;
  struct Buffer *buffer; // NULL in a plan
  DType dtype;
  MemoryKind kind;
  size_t rows, cols;
  size_t first, pitch; // pitch ≥ cols
  size_t bytes;        // of device memory that it owns; 0 in a view, whose memory is another tensor's
} Tensor;

/// Allocates [rows, cols], zeroed. `cols` is a multiple of the type's block. `name` stands in messages.
STATUS_CHECKED Status tensor_create(Ops *ops, const char *name, MemoryKind kind, DType dtype, size_t rows,
                                    size_t cols, Tensor *out);
/// A [rows, cols] window of `parent` (float32), `offset` elements in; offset aligned to ops_view_alignment. Free it
/// before or after the parent.
STATUS_CHECKED Status tensor_view(const Tensor *parent, size_t offset, size_t rows, size_t cols, Tensor *out);
/// Safe on a zeroed Tensor and twice.
void tensor_free(Tensor *tensor);

// Views that cost nothing: values without memory of their own, never freed, good while the tensor lives. One that would
// reach outside the tensor is empty, [0, 0], and every operation refuses that.

/// Rows [first, first + rows).
Tensor tensor_rows(const Tensor *tensor, size_t first, size_t rows);
/// Columns [first, first + cols) of every row: rows as far apart as the tensor's. first and cols fill whole blocks.
Tensor tensor_columns(const Tensor *tensor, size_t first, size_t cols);
/// The first rows · cols elements of a dense tensor as [rows, cols].
Tensor tensor_reshape(const Tensor *tensor, size_t rows, size_t cols);
/// True where the rows touch: pitch = cols, or there is one row.
bool tensor_is_dense(const Tensor *tensor);

// Transfers are of dense tensors. `first` and `count` are elements, whole blocks of the tensor's type.

/// Host to device, `count` elements of the tensor's own dtype from element `first`.
STATUS_CHECKED Status tensor_write(Tensor *to, size_t first, size_t count, const void *from);
STATUS_CHECKED Status tensor_read(const Tensor *from, size_t first, size_t count, void *to);
STATUS_CHECKED Status tensor_zero(Tensor *tensor);
/// Whole copy; same dtype and shape.
STATUS_CHECKED Status tensor_copy(Tensor *to, const Tensor *from);
