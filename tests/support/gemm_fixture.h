// Shared by the tests of matrix products: a device (named by $GEE_TEST_DEVICE; default auto) with gee-cl's
// own GEMM and with its vendor's, each an Ops of its own.
#pragma once

#include "device/device.h"
#include "ops/ops.h"

extern Device *gemm_device;
/// gemm_vendor is NULL where the vendor has none, and in a simulator, which looks for faults in kernels of
/// gee-cl.
extern Ops *gemm_own, *gemm_vendor;

/// Group set-up. If there is no device, says why and exits with TEST_SKIPPED.
int gemm_fixture_open(void **state);
int gemm_fixture_close(void **state);
