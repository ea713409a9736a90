// Shared by the files of the self-test: a probe that makes known numbers and compares results, and the tables
// of checks. Private to ops.
//
//   selftest.c            runs the tables
//   selftest_probe.c      the probe
//   selftest_products.c   matrix products
//   selftest_half.c       the same in 16 bits
//   selftest_int8.c       the same in int8
//   selftest_blocks.c     quantised weights
//   selftest_layers.c     norms, rope, attention, elementwise, rows
//   selftest_head.c       entropy, divergence, sampling, optimizer
#pragma once

#include "ops/ops.h"

enum { SELFTEST_POOL = 1 << 20, SELFTEST_TENSORS = 24 };

/// What one check uses; emptied before the next check. A failure to make a tensor is kept in `status`, so a
/// check looks once, after it has made all its tensors.
typedef struct Probe {
  Ops *ops;
  Status status;
  double *pool;  // [SELFTEST_POOL], given out by draw()
  float *floats; // [SELFTEST_POOL], to convert to and from the device's types
  size_t used;   // of pool
  Tensor tensors[SELFTEST_TENSORS];
  size_t tensor_count;
  double error;          // the largest relative error so far; NaN once one was found
  SelftestOutput output; // NULL: nobody hears the results
  void *user;            // its first argument
} Probe;

typedef enum CheckWhen {
  CHECK_ALWAYS,
  CHECK_DEEP,   // not in SELFTEST_QUICK
  CHECK_BF16,   // only if products with frozen weights are computed in bfloat16
  CHECK_F16,    // only if they are computed in IEEE halves
  CHECK_INT8,   // only if they are computed in int8 where no gradient is needed
  CHECK_TUNED,  // as CHECK_DEEP, and only if products are not computed as usual (gee-cl tune)
  CHECK_VENDOR, // as CHECK_DEEP, and only if products go to a vendor's GEMM
} CheckWhen;

typedef struct SelfCheck {
  const char *operation;
  Status (*run)(Probe *probe);
  double tolerance;
  CheckWhen when;
} SelfCheck;

// The tables; each ends with {0}.
extern const SelfCheck product_checks[], half_checks[], int8_checks[], block_checks[], layer_checks[],
    head_checks[];

/// `count` random numbers in [−scale, scale) that float32 holds exactly.
double *draw(Probe *probe, size_t count, double scale);
/// A float32 tensor of these numbers, or of NaN if `values` is NULL, so that an output that is not written is
/// found.
Tensor *device_f32(Probe *probe, size_t rows, size_t cols, const double *values);
Tensor *device_i32(Probe *probe, size_t rows, size_t cols, const int32_t *values);
/// Rounds `values` in place to the type (F32, F16 or BF16) and writes them to a tensor of it.
Tensor *device_rounded(Probe *probe, DType type, size_t rows, size_t cols, double *values);
/// A tensor of the type from its stored elements. The three functions above use this one.
Tensor *device_tensor(Probe *probe, DType type, size_t rows, size_t cols, const void *values);

/// A tensor [rows, cols] of a quantised type, of random blocks, and values[rows · cols] that it holds.
Tensor *device_blocks(Probe *probe, DType type, size_t rows, size_t cols, double *values);
/// Frees the tensors, of which a probe holds a few, between types.
void free_tensors(Probe *probe);

/// Lets the probe's listener hear results that expect() does not read.
void tell(const Probe *probe, const float *values, size_t count);
/// Keeps the relative error difference / norm if it is the largest so far or not a number.
void keep_error(Probe *probe, double difference, double norm);
/// Reads the tensor, which must be dense, tells its values, and keeps its relative L2 error.
STATUS_CHECKED Status expect(Probe *probe, const Tensor *tensor, const double *expected);
