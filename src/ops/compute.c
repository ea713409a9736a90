// How products with frozen weights are computed, and whether a device can. The device says so itself: a
// kernel asks its processor or its compiler (cl/probe_cpu.cl, cl/probe_gpu.cl), because a driver may compile
// instructions that the processor does not have.
#include "context.h"
#include "gemm_choice.h"

static const char *const names[] = {"f32", "bf16", "f16", "int8"};
/// What a CPU needs, and its place in what cl/probe_cpu.cl finds; no CPU has f16.
static const char *const instructions[] = {NULL, "AVX512-BF16", NULL, "AVX512-VNNI"};
enum { FOUND_BF16, FOUND_INT8, FOUND };

const char *compute_name(Compute compute) {
  return names[compute];
}

bool ops_inference_differs(const Ops *ops) {
  return ops->compute == COMPUTE_INT8;
}

Status ops_probe(Ops *ops, const char *file, uint32_t *found, size_t count) {
  const size_t one[3] = {1, 1, 1};
  Program *program = NULL;
  Kernel *kernel = NULL;
  Buffer *buffer = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_create_program(ops, file, &program));
  TRY_CLEAN(kernel_create(program, "probe", &kernel));
  TRY_CLEAN(buffer_create(ops->device, count * sizeof *found, &buffer));
  TRY_CLEAN(kernel_launch(kernel, one, one, &ARG_BUFFER(buffer), 1));
  TRY_CLEAN(buffer_read(buffer, 0, found, count * sizeof *found));
cleanup:
  buffer_free(buffer);
  kernel_free(kernel);
  program_free(program);
  return status;
}

static bool is_tiled(Compute compute) {
  return compute == COMPUTE_BF16 || compute == COMPUTE_F16;
}

/// Refuses what the processor has no instructions for.
static Status check_processor(Ops *ops, Compute compute) {
  const DeviceInfo *info = device_info(ops->device);
  uint32_t found[FOUND] = {0, 0};
  if (compute == COMPUTE_F16)
    return status_fail(STATUS_INPUT,
                       "model.compute = f16 needs a GPU, and %s through %s computes as a CPU: set "
                       "model.compute = f32",
                       info->name, info->platform);
  if (ops->vendor != NULL)
    return status_fail(STATUS_INPUT,
                       "model.compute = %s needs gee-cl's own products, not %s: set device.gemm = own",
                       compute_name(compute), info->gemm);
  TRY(ops_probe(ops, "probe_cpu.cl", found, FOUND));
  if (found[compute == COMPUTE_BF16 ? FOUND_BF16 : FOUND_INT8] != 0) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "model.compute = %s needs a CPU with %s, through pocl%s; %s through %s does not offer "
                     "that: set model.compute = f32",
                     compute_name(compute), instructions[compute],
                     compute == COMPUTE_BF16 ? ", or a GPU" : "", info->name, info->platform);
}

/// A GPU computes in 16 bits by one of its tiles (gemm_tile.h), of which every device has one.
Status ops_check_compute(Ops *ops, Compute compute) {
  if (compute == COMPUTE_F32 || ops->device == NULL) return STATUS_OK;
  const DeviceInfo *info = device_info(ops->device);
  if (ops->family->cpu_files) return check_processor(ops, compute);
  if (is_tiled(compute)) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "model.compute = %s needs a CPU with %s, through pocl; %s through %s does not offer "
                     "that: set model.compute = f32",
                     compute_name(compute), instructions[compute], info->name, info->platform);
}

Status ops_use_compute(Ops *ops, Compute compute) {
  TRY(ops_check_compute(ops, compute));
  ops->compute = compute;
  ops->vendor_rounds = false;
  if (!is_tiled(compute) || ops->family->cpu_files) return ops_build_programs(ops);
  TRY(tile_choose(ops));
  return gemm_prove_vendor(ops);
}

Compute ops_compute(const Ops *ops) {
  return ops->compute;
}
