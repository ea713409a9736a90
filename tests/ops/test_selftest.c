// The selftest passes on a sound device and names every operation.
#include "support/ops_fixture.h"

#include "context.h"
#include "selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Reported {
  size_t operations;
  char names[1024];
} Reported;

static void note(void *user, const char *operation, double error, double tolerance, bool passed) {
  Reported *reported = user;
  reported->operations++;
  (void)strncat(reported->names, operation, sizeof reported->names - strlen(reported->names) - 2);
  (void)strcat(reported->names, " ");
  if (!passed || !(error <= tolerance)) fail_msg("%s: error %g, tolerance %g", operation, error, tolerance);
}

static void passes(void **state) {
  (void)state;
  Reported reported = {0};
  SelftestDepth depth = fixture_small() ? SELFTEST_QUICK : SELFTEST_DEEP;
  MemoryUse before = *ops_memory(fixture_ops());
  assert_ok(ops_selftest(fixture_ops(), depth, note, &reported));
  assert_memory_equal(ops_memory(fixture_ops()), &before, sizeof before);
  bool vendor = fixture_ops()->vendor != NULL && depth == SELFTEST_DEEP;
  assert_int_equal(reported.operations, (depth == SELFTEST_QUICK ? 36 : 41) + vendor);
  static const char *const all[] = {"linear ",
                                    "linear_dx ",
                                    "linear_dw ",
                                    "bias ",
                                    "embed ",
                                    "attention_backward ",
                                    "entropy_backward ",
                                    "sample ",
                                    "adamw ",
                                    "convert ",
                                    "quantised, decoded ",
                                    "quantised, linear ",
                                    "quantised, linear_dx ",
                                    "divergence_backward ",
                                    "largest_logprob ",
                                    "cross_entropy_backward "};
  static const char *const deep[] = {"linear, large ", "linear_dx, large ", "linear_dw, large ",
                                     "attention, long spans ", "attention_backward, long spans "};
  for (size_t i = 0; i < sizeof deep / sizeof *deep && depth == SELFTEST_DEEP; i++)
    assert_true(test_contains(reported.names, deep[i]));
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) assert_true(test_contains(reported.names, all[i]));
}

/// Kernels that this family never launches: another family's, and what only a vendor's GEMM needs.
static bool is_idle(const Ops *ops, KernelId kernel) {
  if (kernel == KERNEL_gemm) return ops->vendor != NULL || ops->family == &cpu_family;
  if (kernel == KERNEL_gemm_cpu || kernel == KERNEL_gemv_cpu) return ops->vendor != NULL;
  bool tiles = kernel == KERNEL_attention || kernel == KERNEL_attention_dq || kernel == KERNEL_attention_dkv;
  return tiles && ops->family == &cpu_family;
}

/// A kernel that the self-test never launches could be wrong unnoticed. Without any one kernel it must fail.
static void launches_every_kernel(void **state) {
  (void)state;
  if (fixture_small()) skip();
  Ops *ops = fixture_ops();
  for (size_t kernel = 0; kernel < KERNEL_COUNT; kernel++) {
    Kernel *compiled = ops->kernels[kernel];
    if (compiled == NULL || is_idle(ops, (KernelId)kernel)) continue;
    ops->kernels[kernel] = NULL;
    Status status = ops_selftest(ops, SELFTEST_QUICK, NULL, NULL);
    ops->kernels[kernel] = compiled;
    if (status == STATUS_OK) fail_msg("the self-test never launches kernel %zu of KERNEL_LIST", kernel);
  }
}

/// One that passes does not cover up a result before it that is not a number.
static void a_nan_stays(void **state) {
  (void)state;
  Probe probe = {0};
  keep_error(&probe, 1, 4);
  keep_error(&probe, 1, 8);
  assert_true(probe.error == 0.25);
  keep_error(&probe, NAN, 1);
  keep_error(&probe, 1e-9, 1);
  assert_true(isnan(probe.error));
}

typedef struct Heard {
  size_t outputs, values, checks, before;
  double sum;
} Heard;

/// Each check has told something since the one before.
static void count_check(void *user, const char *operation, double error, double tolerance, bool passed) {
  Heard *heard = user;
  (void)error;
  (void)tolerance;
  (void)passed;
  heard->checks++;
  if (heard->outputs == heard->before) fail_msg("%s tells nothing", operation);
  heard->before = heard->outputs;
}

static void hear(void *user, const float *values, size_t count) {
  Heard *heard = user;
  heard->outputs++;
  heard->values += count;
  for (size_t i = 0; i < count; i++) heard->sum += (double)values[i];
}

/// Every check tells what it computed, and the same each time.
static void outputs_are_heard(void **state) {
  (void)state;
  Heard heard[2] = {{0}, {0}};
  for (int i = 0; i < 2; i++)
    assert_ok(ops_selftest_heard(fixture_ops(), SELFTEST_QUICK, count_check, hear, &heard[i]));
  assert_memory_equal(&heard[0], &heard[1], sizeof heard[0]);
  assert_true(heard[0].outputs >= heard[0].checks && heard[0].values > 10000);
}

/// A plan computes nothing, so nothing can be wrong.
static void skips_a_plan(void **state) {
  (void)state;
  Ops *plan = NULL;
  assert_ok(ops_create_plan(NULL, &plan));
  assert_ok(ops_selftest(plan, SELFTEST_DEEP, NULL, NULL));
  ops_free(plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(passes), OPS_TEST(launches_every_kernel), OPS_TEST(a_nan_stays),
                                     OPS_TEST(outputs_are_heard), OPS_TEST(skips_a_plan)};
  return RUN_OPS_TESTS(tests);
}
