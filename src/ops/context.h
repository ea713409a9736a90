// What an Ops holds. Only ops.c, launch.c and tensor.c look inside; operations go through launch.h. Private to ops.
#pragma once

#include "launch.h"

struct Ops {
  Device *device; // borrowed; NULL in a plan
  bool vendor_gemm;
  DeviceClass kind;      // whose kernels it gets
  size_t group_items;    // GROUP of the kernels
  size_t vector_width;   // VECTOR_WIDTH of the kernels
  size_t view_alignment; // bytes
  uint64_t max_allocation;
  Program **
      programs; // one a file of cl/, in the order of kernel_sources; NULL for headers and other devices' files
  size_t program_count;
  Kernel *kernels[KERNEL_COUNT]; // NULL where the file is not for this device
  Tensor scratch[SCRATCH_SLOTS];
  MemoryUse memory;
};

/// Counts `bytes` of `kind` as allocated, or (`sign` −1) as freed.
void ops_count_memory(Ops *ops, MemoryKind kind, uint64_t bytes, int sign);

/// The options that every kernel of this Ops is compiled with.
enum { KERNEL_OPTIONS = 96 };
void ops_kernel_options(const Ops *ops, char options[KERNEL_OPTIONS]);
