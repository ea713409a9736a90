// Allocations fail while ops_create, and ops_use_compute where it can, compile the kernels. All
// programs and kernels are made by the same lines, and each takes the driver milliseconds, so not every
// allocation is tried: only the first ones, up to the first programs and kernels, and the last.
#include "support/alloc_faults.h"
#include "support/test.h"

#include "device/device.h"
#include "ops/ops.h"
#include <stdio.h>
#include <stdlib.h>

enum { FIRST = 40, LAST = 3 };

static Device *device;

/// Without the program cache: what fails in reading it only means that kernels are compiled.
static int open_device(void **state) {
  (void)state;
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE"), .cache_directory = ""};
  if (device_open(&options, &device) == STATUS_OK) return 0;
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  exit(TEST_SKIPPED);
}

static int close_device(void **state) {
  (void)state;
  device_close(device);
  return 0;
}

static bool bf16; // the device has it: what COMPUTE_BF16 needs comes last

static Status create(void *user) {
  Ops *ops = NULL;
  (void)user;
  Status status = ops_create(device, "auto", &ops);
  if (status != STATUS_OK) assert_null(ops);
  if (status == STATUS_OK && bf16) status = ops_use_compute(ops, COMPUTE_BF16);
  ops_free(ops);
  return status;
}

static void try_all_modes(size_t n) {
  static const FaultSweep sweep = {.name = "compiling the kernels", .run = create};
  for (FaultMode mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
    bool fired = false;
    const char *verdict = faults_try(&sweep, n, mode, &fired);
    if (verdict != NULL) fail_msg("%s", verdict);
    assert_true(fired);
  }
}

static void creates(void **state) {
  (void)state;
  Ops *ops = NULL;
  assert_ok(ops_create(device, "auto", &ops));
  bf16 = ops_use_compute(ops, COMPUTE_BF16) == STATUS_OK;
  ops_free(ops);
  faults_arm(SIZE_MAX, FAULT_ONCE);
  assert_ok(create(NULL));
  (void)faults_disarm();
  size_t total = faults_count();
  assert_true(total > FIRST + LAST);
  for (size_t n = 1; n <= FIRST; n++) try_all_modes(n);
  for (size_t n = total - LAST + 1; n <= total; n++) try_all_modes(n);
  print_message("compiling the kernels: the first %d and the last %d of %zu allocations failed\n", FIRST,
                LAST, total);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(creates)};
  return cmocka_run_group_tests(tests, open_device, close_device);
}
