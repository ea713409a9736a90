// The tables of the kernel families, and the choice of a device's family.
#include "kernel_family.h"

#include "gemm.h"

const KernelFamily cpu_family = {
    .name = "cpu",
    .cpu_files = true,
    .lanes = 16,
    .max_row_items = 1,
    .element_items = 64,
    .gemm = gemm_cpu,
    .gemm_reads_blocks = true,
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
    .gemm = gemm_portable,
    .gemm_reads_blocks = false,
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
