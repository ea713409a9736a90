// What tests of operations share: one device (environment GEE_TEST_DEVICE, default auto; a name as in --device), tensors
// with sentinels behind them, and comparison with the double-precision twins. GEE_TEST_SMALL=1 asks for sizes that a device
// simulated instruction by instruction can bear.
#pragma once

#include "support/test.h"
// (cmocka's prerequisites stand in test.h)
#include "ops/ops.h"

/// Group set-up: opens the device and its Ops. Exits with TEST_SKIPPED, saying why, where there is no device.
int ops_fixture_open(void **state);
int ops_fixture_close(void **state);
/// Test tear-down: frees what the test made with the functions below.
int ops_fixture_clean(void **state);

Ops *fixture_ops(void);
/// The device, for tests that make Ops of their own.
struct Device *fixture_device(void);
bool fixture_small(void);

/// `count` random numbers in [−scale, scale) that float32 holds exactly.
double *fixture_random(size_t count, double scale);
/// `count` zeros.
double *fixture_zeros(size_t count);
int32_t *fixture_ints(size_t count);

/// A float32 tensor of these values (NULL: NaN, for outputs that must be overwritten), with sentinels behind it.
Tensor *fixture_f32(size_t rows, size_t cols, const double *values);
Tensor *fixture_i32(size_t rows, size_t cols, const int32_t *values);

/// Fails unless the tensor is within `tolerance` of `expected` by relative L2 and by worst element over the largest
/// expected one, all is finite and the sentinels stand. Returns the relative L2.
double fixture_compare(const char *what, const Tensor *tensor, const double *expected, double tolerance);
/// Fails unless the tensor's integers are these and its sentinels stand.
void fixture_compare_i32(const char *what, const Tensor *tensor, const int32_t *expected);
/// The relative error without a verdict, NaN where something is not finite.
double fixture_error(const Tensor *tensor, const double *expected);

/// Odd sizes that every operation is tried at; ends with 0.
extern const size_t fixture_sizes[];

#define OPS_TEST(function)   cmocka_unit_test_teardown(function, ops_fixture_clean)
#define RUN_OPS_TESTS(tests) cmocka_run_group_tests(tests, ops_fixture_open, ops_fixture_close)
