// Shared by the tests of operations: one device (named by $GEE_TEST_DEVICE as by --device; default auto),
// tensors with sentinels behind them, and comparison with the double-precision twins. GEE_TEST_SMALL=1 asks
// for sizes that are small enough for a device that is simulated instruction by instruction.
#pragma once

#include "ops/ops.h"
#include "support/test.h"

/// Group set-up: opens the device and its Ops. If there is no device, says why and exits with TEST_SKIPPED.
int ops_fixture_open(void **state);
int ops_fixture_close(void **state);
/// Test tear-down: frees everything that the test made with the functions below.
int ops_fixture_clean(void **state);

Ops *fixture_ops(void);
/// The device, for tests that make their own Ops.
struct Device *fixture_device(void);
bool fixture_small(void);

/// `count` random numbers in [−scale, scale) that float32 holds exactly.
double *fixture_random(size_t count, double scale);
/// `count` zeros.
double *fixture_zeros(size_t count);
int32_t *fixture_ints(size_t count);

/// A float32 tensor of these values, with sentinels behind it. NULL fills it with NaN, for outputs that must
/// be overwritten.
Tensor *fixture_f32(size_t rows, size_t cols, const double *values);
/// Frozen weights of the type, F32, F16 or BF16; values[rows · cols] become what they hold.
Tensor *fixture_weights(DType type, size_t rows, size_t cols, double *values);
/// The same of a quantised type, of random blocks.
Tensor *fixture_blocks(DType type, size_t rows, size_t cols, double *values);
Tensor *fixture_i32(size_t rows, size_t cols, const int32_t *values);

/// Fails unless all values are finite, the sentinels are unchanged, the relative L2 error is at most
/// `tolerance`, and no element is off by more than 4 · `tolerance` of the largest expected one. Returns the
/// relative L2 error.
double fixture_compare(const char *what, const Tensor *tensor, const double *expected, double tolerance);
/// Fails unless the tensor holds exactly these integers and its sentinels are unchanged.
void fixture_compare_i32(const char *what, const Tensor *tensor, const int32_t *expected);
/// The relative L2 error, without failing; NaN if a value is not finite.
double fixture_error(const Tensor *tensor, const double *expected);

/// Odd sizes to try every operation with; ends with 0.
extern const size_t fixture_sizes[];

#define OPS_TEST(function)   cmocka_unit_test_teardown(function, ops_fixture_clean)
#define RUN_OPS_TESTS(tests) cmocka_run_group_tests(tests, ops_fixture_open, ops_fixture_close)
