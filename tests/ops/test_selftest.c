// The selftest passes on a sound device and names every operation.
#include "support/ops_fixture.h"

#include "context.h"

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
  assert_int_equal(reported.operations, (depth == SELFTEST_QUICK ? 33 : 38) + vendor);
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

/// A plan computes nothing, so nothing can be wrong.
static void skips_a_plan(void **state) {
  (void)state;
  Ops *plan = NULL;
  assert_ok(ops_create_plan(NULL, &plan));
  assert_ok(ops_selftest(plan, SELFTEST_DEEP, NULL, NULL));
  ops_free(plan);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(passes), OPS_TEST(launches_every_kernel),
                                     OPS_TEST(skips_a_plan)};
  return RUN_OPS_TESTS(tests);
}
