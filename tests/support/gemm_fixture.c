// A device with both GEMMs. Rule: a test of products runs on each that is there.
#include "support/gemm_fixture.h"

#include "support/ops_fixture.h"
#include <stdio.h>
#include <stdlib.h>

Device *gemm_device;
Ops *gemm_own, *gemm_vendor;

int gemm_fixture_open(void **state) {
  (void)state;
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE")};
  if (device_open(&options, &gemm_device) != STATUS_OK) {
    (void)fprintf(stderr, "skipped: %s\n", status_message());
    exit(TEST_SKIPPED);
  }
  Status status = ops_create(gemm_device, "own", &gemm_own);
  const GemmCall plain = {.m = 1, .n = 1, .k = 1};
  if (status == STATUS_OK && !fixture_small() && device_can_gemm(gemm_device, &plain))
    status = ops_create(gemm_device, "vendor", &gemm_vendor);
  if (status != STATUS_OK) (void)fprintf(stderr, "%s\n", status_message());
  return status == STATUS_OK ? 0 : -1;
}

int gemm_fixture_close(void **state) {
  (void)state;
  ops_free(gemm_own);
  ops_free(gemm_vendor);
  device_close(gemm_device);
  return 0;
}
