// How products with frozen weights are computed, and whether a device can. The device says so itself: a
// kernel asks its processor (cl/probe_cpu.cl), because a driver may compile instructions that the processor
// does not have.
#include "context.h"

static const char *const names[] = {"f32", "bf16", "int8"};
static const char *const instructions[] = {NULL, "AVX512-BF16", "AVX512-VNNI"};

const char *compute_name(Compute compute) {
  return names[compute];
}

bool ops_inference_differs(const Ops *ops) {
  return ops->compute == COMPUTE_INT8;
}

/// found[compute - 1] = whether the processor has its instructions.
static Status probe(Ops *ops, uint32_t found[2]) {
  const size_t one[3] = {1, 1, 1};
  Program *program = NULL;
  Kernel *kernel = NULL;
  Buffer *buffer = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_create_program(ops, "probe_cpu.cl", &program));
  TRY_CLEAN(kernel_create(program, "probe", &kernel));
  TRY_CLEAN(buffer_create(ops->device, 2 * sizeof *found, &buffer));
  TRY_CLEAN(kernel_launch(kernel, one, one, &ARG_BUFFER(buffer), 1));
  TRY_CLEAN(buffer_read(buffer, 0, found, 2 * sizeof *found));
cleanup:
  buffer_free(buffer);
  kernel_free(kernel);
  program_free(program);
  return status;
}

Status ops_use_compute(Ops *ops, Compute compute) {
  if (compute != COMPUTE_F32 && ops->device != NULL) {
    const DeviceInfo *info = device_info(ops->device);
    uint32_t found[2] = {0, 0};
    if (ops->vendor != NULL && ops->family->cpu_files)
      return status_fail(STATUS_INPUT,
                         "model.compute = %s needs gee-cl's own products, not %s: set device.gemm = own",
                         names[compute], info->gemm);
    if (ops->family->cpu_files) TRY(probe(ops, found));
    if (found[compute - 1] == 0)
      return status_fail(STATUS_INPUT,
                         "model.compute = %s needs a CPU with %s, through pocl; %s through %s does not "
                         "offer that: set model.compute = f32",
                         names[compute], instructions[compute], info->name, info->platform);
  }
  ops->compute = compute;
  return ops_build_programs(ops);
}

Compute ops_compute(const Ops *ops) {
  return ops->compute;
}
