// Kernel families: which kernels a device runs, and with which group sizes. The hardware (DeviceClass) does
// not decide this alone: Mesa's llvmpipe is a CPU that runs the GPU family's kernels. A family is one
// constant table, chosen once in ops_create; no operation asks what the device is. Private to ops.
#pragma once

#include "launch.h"

typedef struct KernelFamily {
  const char *name;     // "cpu", "gpu"
  bool cpu_files;       // cl/*_cpu.cl are compiled too
  size_t lanes;         // LANES: floats that a work item computes side by side (cl/lanes.h)
  size_t max_row_items; // upper limit of GROUP: work items that share a row
  size_t element_items; // work items in a group of an elementwise kernel
  Status (*gemm)(Ops *ops, const GemmCall calls[], size_t count);
  /// The same with a product added to each; NULL: the family adds it in a launch of its own.
  Status (*gemm_sums)(Ops *ops, const GemmCall calls[], const GemmCall added[], size_t count);
  bool (*gemm_reads)(DType type, GemmMath math); // weights as they are; else they are widened first
  struct {
    KernelId forward, dq, dkv;
    size_t lanes; // (row, head) pairs, or key rows, per group
    size_t items; // work items along each of a group's two axes
  } attention;
} KernelFamily;

/// SIMD lanes, one work item per group: for CPU drivers that run each work item on a core.
extern const KernelFamily cpu_family;
/// Many work items per group: for GPUs, and for any driver without vectors.
extern const KernelFamily gpu_family;

const KernelFamily *family_for(const DeviceInfo *info);
