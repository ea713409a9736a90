// What an Ops holds. Operations reach the device through launch.h; a few files of ops also read the fields
// below. Private to ops.
#pragma once

#include "gemm_tile.h"
#include "kernel_family.h"
#include "ops/products.h"
#include "util/str.h"

typedef struct Profile Profile;

struct Ops {
  Device *device;       // borrowed; NULL in a plan
  const Device *vendor; // the device whose vendor GEMM is asked first; NULL: only gee-cl's own
  GemmChoice products;  // and for which products
  bool vendor_rounds;   // it also multiplies values that are rounded to bfloat16
  const KernelFamily *family;
  Compute compute;         // of products with MEMORY_WEIGHTS; all others are float32
  const Tile *tile;        // of products in 16 bits on a GPU; NULL: none is compiled
  size_t group_items;      // GROUP in the kernels
  size_t vector_width;     // VECTOR_WIDTH in the kernels
  size_t view_alignment;   // bytes
  uint64_t max_allocation; // bytes
  uint64_t local_memory;   // bytes of a group
  size_t max_group;        // work items
  /// One per file of cl/, in the order of kernel_sources; NULL for files that KERNEL_LIST does not name and
  /// for those that this Ops does not compute with.
  Program **programs;
  size_t program_count;
  Kernel *kernels[KERNEL_COUNT]; // NULL for kernels that this Ops does not compute with
  /// cl/gemm.cl in the sets that `products` names; NULL for the first, which is KERNEL_gemm, and for others.
  Program *set_programs[GEMM_SETS];
  Kernel *set_kernels[GEMM_SETS];
  Tensor scratch[SCRATCH_SLOTS];
  MemoryUse memory;
  Profile *profile; // NULL: nothing is recorded
};

/// Compiles every file of KERNEL_LIST that this Ops computes with and that is not compiled yet.
STATUS_CHECKED Status ops_build_programs(Ops *ops);
/// Drops the program that has the kernel, so that it may be compiled in another way.
void ops_drop_program(Ops *ops, KernelId kernel);
/// found[count] = what the kernel `probe` of cl/<file> says.
STATUS_CHECKED Status ops_probe(Ops *ops, const char *file, uint32_t *found, size_t count);
/// The self-test of products in 16 bits alone. ops_try_halves fails only if nothing could be computed, and
/// tells wrong numbers by *right.
STATUS_CHECKED Status ops_selftest_half(Ops *ops);
STATUS_CHECKED Status ops_try_halves(Ops *ops, bool *right);
/// Compiles cl/<file> for this Ops.
STATUS_CHECKED Status ops_create_program(Ops *ops, const char *file, Program **out);
/// The same with more compiler options, " -DNAME=value".
STATUS_CHECKED Status ops_create_variant(Ops *ops, const char *file, const char *more, Program **out);

/// Drops a profile that has not ended.
void ops_profile_free(Ops *ops);

/// Counts `bytes` of `kind` as allocated, or as freed if `sign` is −1.
void ops_count_memory(Ops *ops, MemoryKind kind, uint64_t bytes, int sign);

/// Appends the compiler options of every kernel of this Ops: its family's sizes, the numbers of the element
/// types, and what its tile needs.
STATUS_CHECKED Status ops_kernel_options(const Ops *ops, Str *out);
