// The kernel sources of cl/, embedded in the binary by cmake/embed.cmake. Room: ops.
#pragma once

typedef struct KernelSource {
  const char *name; // file name, "rmsnorm.cl"
  const char *text; // NUL-terminated source
} KernelSource;

/// Ends with {NULL, NULL}.
extern const KernelSource kernel_sources[];
