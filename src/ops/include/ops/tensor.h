// Matrices on a device, and the Ops context that every operation runs in. A Tensor is row-major [rows, cols].
// A vector has one row. Heads lie side by side in the columns: [rows, heads · head_dim].
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct Buffer;
struct Device;

/// What memory is used for. Memory is counted, planned and reported by these kinds.
typedef enum MemoryKind {
  MEMORY_WEIGHTS,   // frozen, which decides how products with them are computed (ops_use_compute)
  MEMORY_TRAINABLE, // values, gradients and optimizer state of what is trained
  MEMORY_ACTIVATIONS,
  MEMORY_CACHE, // keys and values while sampling
  MEMORY_HEAD,  // logit tiles
  MEMORY_KINDS
} MemoryKind;
const char *memory_kind_name(MemoryKind kind);

typedef struct Ops Ops;

/// Compiles every kernel. `gemm` is the config's device.gemm: "auto" or NULL (what ops_keep_choice kept of
/// the device, else the vendor's GEMM on a GPU and gee-cl's own on a CPU), "own", or "vendor"; "clblast" and
/// "cublas" are the vendor's too, and refused where it is another. The device is borrowed and must outlive
/// the Ops.
STATUS_CHECKED Status ops_create(struct Device *device, const char *gemm, Ops **out);
/// How products with MEMORY_WEIGHTS are computed (model.compute). All else is float32.
typedef enum Compute {
  COMPUTE_F32,
  COMPUTE_BF16, // all: both factors are rounded to bfloat16, to nearest even, and summed in float32
  COMPUTE_F16, // all: the same to IEEE halves, each row of the input and each matrix of weights times a power
               // of two that suits it (op_measure_weights)
  COMPUTE_INT8, // op_linear_inference: both to 8 bits with a scale for each 32 along k (cl/int8_cpu.h)
} Compute;
/// Its word in a config: "f32", "bf16", "f16", "int8".
const char *compute_name(Compute compute);
/// From here on products are computed so. STATUS_INPUT if the device cannot: a CPU needs gee-cl's own
/// products and AVX512-BF16 or AVX512-VNNI; every GPU can COMPUTE_BF16 and COMPUTE_F16, which no CPU can, and
/// none COMPUTE_INT8. A plan can, so that its memory is counted.
STATUS_CHECKED Status ops_use_compute(Ops *ops, Compute compute);
/// The same refusals, without compiling or proving anything.
STATUS_CHECKED Status ops_check_compute(Ops *ops, Compute compute);
Compute ops_compute(const Ops *ops);
/// Whether op_linear_inference gives other numbers than op_linear.
bool ops_inference_differs(const Ops *ops);
/// An Ops without a device: tensors are counted but not allocated, and operations do nothing after their
/// checks. Creating a model and a trainer on it plans their memory exactly. `like` is the device to plan for;
/// NULL sets no limits.
STATUS_CHECKED Status ops_create_plan(const struct Device *like, Ops **out);
void ops_free(Ops *ops);
bool ops_is_plan(const Ops *ops);
/// Bytes allocated now and at the peak, by kind. peak_total is the peak of the sum.
typedef struct MemoryUse {
  uint64_t now[MEMORY_KINDS], peak[MEMORY_KINDS];
  uint64_t now_total, peak_total;
} MemoryUse;
const MemoryUse *ops_memory(const Ops *ops);
/// The offset of a tensor_view is a multiple of this; in float32 elements.
size_t ops_view_alignment(const Ops *ops);
/// The largest allocation of the device, in bytes.
uint64_t ops_max_allocation(const Ops *ops);
/// Waits until all queued work is done (for timing).
STATUS_CHECKED Status ops_finish(Ops *ops);
/// The same on a CPU, so that a caller who may stop between two parts of the work does so soon. A GPU is done
/// before anybody notices, and is not made to wait for more work.
STATUS_CHECKED Status ops_keep_pace(Ops *ops);

/// Element (r, c) is element first + r · pitch + c of the buffer. tensor_create makes a dense tensor, whose
/// rows touch, at the start of its buffer. A view's rows may lie apart, and it may begin anywhere: an
/// operation accepts such a view only where ops/ops.h says "view", and refuses it elsewhere.
typedef struct Tensor {
  Ops *ops;
  struct Buffer *buffer; // NULL in a plan
  DType dtype;
  MemoryKind kind;
  size_t rows, cols;
  size_t first, pitch; // pitch ≥ cols
  size_t bytes;        // device memory that it owns; 0 in a view
  float scale;         // of weights, with COMPUTE_F16; 0 until op_measure_weights
} Tensor;

/// Allocates [rows, cols] and sets it to zero. `cols` is a multiple of the type's block. `name` is for
/// messages.
STATUS_CHECKED Status tensor_create(Ops *ops, const char *name, MemoryKind kind, DType dtype, size_t rows,
                                    size_t cols, Tensor *out);
/// A [rows, cols] window of `parent` (float32, whole) from element `offset`, a multiple of
/// ops_view_alignment. It keeps the memory alive: free it before or after the parent.
STATUS_CHECKED Status tensor_view(const Tensor *parent, size_t offset, size_t rows, size_t cols, Tensor *out);
/// Safe on a zeroed Tensor and twice.
void tensor_free(Tensor *tensor);

// Views that cost nothing. They own no memory, are never freed and are valid while the tensor lives. A view
// that would reach outside the tensor is [0, 0] instead, which every operation refuses.

/// Rows [first, first + rows).
Tensor tensor_rows(const Tensor *tensor, size_t first, size_t rows);
/// Columns [first, first + cols) of every row, with the tensor's pitch. first and cols are whole blocks.
Tensor tensor_columns(const Tensor *tensor, size_t first, size_t cols);
/// The first rows · cols elements of a dense tensor as [rows, cols].
Tensor tensor_reshape(const Tensor *tensor, size_t rows, size_t cols);
/// True where the rows touch: pitch = cols, or there is one row.
bool tensor_is_dense(const Tensor *tensor);

// Transfers need dense tensors. `first` and `count` are elements, in whole blocks of the tensor's type.

/// Host to device: `count` elements of the tensor's type, from element `first` on.
STATUS_CHECKED Status tensor_write(Tensor *to, size_t first, size_t count, const void *from);
/// Device to host; waits for the device. Zeros in a plan.
STATUS_CHECKED Status tensor_read(const Tensor *from, size_t first, size_t count, void *to);
STATUS_CHECKED Status tensor_zero(Tensor *tensor);
/// Copies the whole tensor; both have the same type and shape.
STATUS_CHECKED Status tensor_copy(Tensor *to, const Tensor *from);
