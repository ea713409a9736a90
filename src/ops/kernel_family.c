// The tables of the kernel families, and the choice of a device's family.
#include "kernel_family.h"

#include "gemm.h"
#include "ops/ops.h"

/// NF4's codes are no numbers, which the panels' decoder would need.
static bool cpu_reads(DType type, GemmMath math) {
  (void)math;
  return ops_can_read(type) && type != DTYPE_NF4;
}

/// cl/gemm.cl reads plain types, cl/gemm_tile.cl all.
static bool gpu_reads(DType type, GemmMath math) {
  return math == GEMM_F32 ? type == DTYPE_F32 || dtype_is_half(type) : ops_can_read(type);
}

const KernelFamily cpu_family = {
    .name = "cpu",
    .cpu_files = true,
    .lanes = 16,
    .max_row_items = 1,
    .element_items = 64,
    .gemm = gemm_cpu,
    .gemm_sums = gemm_cpu_sums,
    .gemm_reads = cpu_reads,
    .attention = {.forward = KERNEL_attention_cpu,
                  .dq = KERNEL_attention_dq_cpu,
                  .dkv = KERNEL_attention_dkv_cpu,
                  .lanes = 16,
                  .items = 1},
};

const KernelFamily gpu_family = {
    .name = "gpu",
    .cpu_files = false,
    .lanes = 1,
    .max_row_items = 256,
    .element_items = 256,
    .gemm = gemm_gpu,
    .gemm_reads = gpu_reads,
    .attention = {.forward = KERNEL_attention,
                  .dq = KERNEL_attention_dq,
                  .dkv = KERNEL_attention_dkv,
                  .lanes = 16,
                  .items = 16},
};

// A CPU driver without vectors (Mesa's llvmpipe) spreads work items over its lanes itself, as a GPU does.
const KernelFamily *family_for(const DeviceInfo *info) {
  return info->kind == DEVICE_CPU && info->vector_width > 1 ? &cpu_family : &gpu_family;
}
