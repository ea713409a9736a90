// What the files of the self-test share: a probe that makes known numbers and compares, and the tables of checks. Private to
// ops.
//
//   selftest.c            runs the tables        selftest_probe.c      the probe
//   selftest_products.c   matrix products        selftest_layers.c     norms, rope, attention, elementwise, rows
//   selftest_head.c       entropy, sampling, optimizer
#pragma once

#include "ops/ops.h"

enum { SELFTEST_POOL = 1 << 20, SELFTEST_TENSORS = 24 };

/// What one check uses; emptied before the next. A failure while making tensors is kept in `status`, so that a check asks
/// once, when it has made all of them.
typedef struct Probe {
  Ops *ops;
  Status status;
  double *pool;  // [SELFTEST_POOL]
  float *floats; // [SELFTEST_POOL] on the way to and from the device
  size_t used;
  Tensor tensors[SELFTEST_TENSORS];
  size_t tensor_count;
  double error; // the largest relative error found; NaN stays
} Probe;

typedef enum CheckWhen {
  CHECK_ALWAYS,
  CHECK_DEEP,   // not in SELFTEST_QUICK
  CHECK_VENDOR, // deep, and only where products go to a vendor's GEMM
} CheckWhen;

typedef struct SelfCheck {
  const char *operation;
  Status (*run)(Probe *probe);
  double tolerance;
  CheckWhen when;
} SelfCheck;

// Each ends with {0}.
extern const SelfCheck product_checks[], layer_checks[], head_checks[];

/// `count` random numbers in [−scale, scale) that float32 holds exactly.
double *draw(Probe *probe, size_t count, double scale);
/// A float32 tensor of these numbers; of NaN where `values` is NULL, so that an output not written is seen.
Tensor *device_f32(Probe *probe, size_t rows, size_t cols, const double *values);
Tensor *device_i32(Probe *probe, size_t rows, size_t cols, const int32_t *values);
/// Rounds `values` to the type, F32, F16 or BF16, in place too, and puts them on the device.
Tensor *device_rounded(Probe *probe, DType type, size_t rows, size_t cols, double *values);
/// A tensor of the type from its elements as they are stored. The others end here.
Tensor *device_tensor(Probe *probe, DType type, size_t rows, size_t cols, const void *values);

/// Keeps the relative error of `found`, a norm of differences over a norm, if it is the largest or not a number.
void keep_error(Probe *probe, double difference, double norm);
/// Reads the tensor, which is dense, and keeps its relative L2 error.
STATUS_CHECKED Status expect(Probe *probe, const Tensor *tensor, const double *expected);
