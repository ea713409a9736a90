// gee-cl selftest: checks every operation of a device against known answers.
#include "cli.h"

#include <stdio.h>

static const char *device, *gemm, *compute;
static const Option options[] = {
    {"device", OPTION_TEXT, &device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},
    {"gemm", OPTION_TEXT, &gemm, "NAME", "Matrix products: auto (default), own or vendor.", 0, 0},
    COMPUTE_OPTION(compute),
    {0}};
static const Usage usage = {
    "selftest", "Check every operation on a device.", NULL, options,
    "Compiles all kernels for the device, runs each operation, and compares the result with the same "
    "operation in\n"
    "plain double-precision C. Every command that computes does this before it starts.\n\n"
    "  gee-cl selftest --device cpu"};

static void report(void *user, const char *operation, double error, double tolerance, bool passed) {
  size_t *count = user;
  *count += 1;
  printf("  %s%-4s%s %-28s error %9.2e   allowed %9.2e\n", style(stdout, passed ? STYLE_GREEN : STYLE_RED),
         passed ? "ok" : "BAD", style(stdout, STYLE_PLAIN), operation, error, tolerance);
}

Status cmd_selftest(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  Runtime runtime = {0};
  Status status = STATUS_OK;
  size_t count = 0;
  TRY_CLEAN(runtime_parse_compute(compute, &runtime.bf16));
  TRY_CLEAN(runtime_open_device(&runtime, &(DeviceOptions){.name = device}));
  printf("%s: %s (%s)\n", device_info(runtime.device)->platform, device_info(runtime.device)->name,
         device_info(runtime.device)->driver);
  TRY_CLEAN(ops_create(runtime.device, gemm, &runtime.ops));
  if (runtime.bf16) TRY_CLEAN(ops_use_bf16(runtime.ops));
  TRY_CLEAN(ops_selftest(runtime.ops, SELFTEST_DEEP, report, &count));
  printf("all %zu checks passed: this device computes correctly\n", count);
cleanup:
  runtime_close(&runtime);
  return status;
}
