// Kernel families: which kernels a device runs, and how they are laid out on it. What hardware a device is (DeviceClass) is
// another matter: Mesa's llvmpipe is a CPU with a GPU's kernels. A family is one constant table, chosen once in ops_create;
// no operation asks what the device is. Private to ops.
#pragma once

#include "launch.h"

typedef struct KernelFamily {
  const char *name;      // "cpu", "gpu"
  bool cpu_files;        // compiles cl/*_cpu.cl too
  size_t lanes;          // LANES: floats that a work item holds side by side (cl/lanes.h)
  size_t most_row_items; // GROUP at most: work items that share a row
  size_t element_items;  // work items in a group of an elementwise kernel
  Status (*gemm)(Ops *ops, const GemmCall *call);
  struct {
    KernelId forward, dq, dkv;
    size_t lanes; // (row, head) pairs, or key rows, that a group holds
    size_t items; // work items along each of the two edges of a group
  } attention;
} KernelFamily;

/// SIMD lanes, one work item a group: for CPU drivers that run a work item on a core.
extern const KernelFamily cpu_family;
/// Groups of work items: for GPUs, and for whatever works a float at a time.
extern const KernelFamily gpu_family;

const KernelFamily *family_for(const DeviceInfo *info);
