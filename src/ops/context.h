// What an Ops holds. Only ops.c, launch.c and tensor.c look inside; operations go through launch.h. Private to ops.
#pragma once

#include "kernel_family.h"
#include "util/str.h"

struct Ops {
  Device *device;       // borrowed; NULL in a plan
  const Device *vendor; // whose vendor's GEMM is asked first; NULL: nobody's
  const KernelFamily *family;
  size_t group_items;    // GROUP of the kernels
  size_t vector_width;   // VECTOR_WIDTH of the kernels
  size_t view_alignment; // bytes
  uint64_t max_allocation;
  Program **
      programs; // one a file of cl/, in the order of kernel_sources; NULL for headers and other families' files
  size_t program_count;
  Kernel *kernels[KERNEL_COUNT]; // NULL where the file is not for this device
  Tensor scratch[SCRATCH_SLOTS];
  MemoryUse memory;
};

/// Counts `bytes` of `kind` as allocated, or (`sign` −1) as freed.
void ops_count_memory(Ops *ops, MemoryKind kind, uint64_t bytes, int sign);

/// Appends the options that every kernel of this Ops is compiled with: the sizes of its family and the numbers of the
/// element types.
STATUS_CHECKED Status ops_kernel_options(const Ops *ops, Str *out);
