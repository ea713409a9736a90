// Whether a device has bfloat16 products, and having them. The device says so itself: a kernel asks its
// processor (cl/bf16_probe_cpu.cl), because a driver may compile instructions that the processor does not
// have.
#include "context.h"

static Status probe(Ops *ops, uint32_t *found) {
  const size_t one[3] = {1, 1, 1};
  Program *program = NULL;
  Kernel *kernel = NULL;
  Buffer *buffer = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_create_program(ops, "bf16_probe_cpu.cl", &program));
  TRY_CLEAN(kernel_create(program, "bf16_probe", &kernel));
  TRY_CLEAN(buffer_create(ops->device, sizeof *found, &buffer));
  TRY_CLEAN(kernel_launch(kernel, one, one, &ARG_BUFFER(buffer), 1));
  TRY_CLEAN(buffer_read(buffer, 0, found, sizeof *found));
cleanup:
  buffer_free(buffer);
  kernel_free(kernel);
  program_free(program);
  return status;
}

Status ops_use_bf16(Ops *ops) {
  if (ops->device != NULL) {
    const DeviceInfo *info = device_info(ops->device);
    uint32_t found = 0;
    if (ops->vendor != NULL && ops->family->cpu_files)
      return status_fail(STATUS_INPUT,
                         "model.compute = bf16 needs gee-cl's own products, not %s: set device.gemm = own",
                         info->gemm);
    if (ops->family->cpu_files) TRY(probe(ops, &found));
    if (found == 0)
      return status_fail(
          STATUS_INPUT,
          "model.compute = bf16 needs a CPU with AVX512-BF16, through pocl; %s through %s does not "
          "offer that: set model.compute = f32",
          info->name, info->platform);
  }
  ops->frozen_math = GEMM_HALF_INPUTS;
  return ops_build_programs(ops);
}
