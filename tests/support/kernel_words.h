// What the kernels of tests call things, in OpenCL C and in CUDA C++. Put KERNEL_WORDS before a source.
#pragma once

#define KERNEL_WORDS                                                                                         \
  "#ifdef __OPENCL_VERSION__\n"                                                                              \
  "#define KERNEL __kernel void\n"                                                                           \
  "#define GLOBAL __global\n"                                                                                \
  "#define ITEM get_global_id(0)\n"                                                                          \
  "#else\n"                                                                                                  \
  "#define KERNEL extern \"C\" __global__ void\n"                                                            \
  "#define GLOBAL\n"                                                                                         \
  "#define ITEM (blockIdx.x * blockDim.x + threadIdx.x)\n"                                                   \
  "typedef unsigned int uint;\n"                                                                             \
  "#endif\n"
