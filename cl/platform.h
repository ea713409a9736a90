// One kernel source for two compilers: OpenCL C 1.2 and, by NVRTC, CUDA C++. A kernel uses only what is defined here and
// what both languages share.
//
// Conventions
// - A kernel opens with KERNEL(name)(arguments), or KERNEL_OF(x, y) name(arguments) where its groups are always x × y work
//   items, and is launched with whole groups: check the range yourself.
// - Pointer arguments: GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT in (leave RESTRICT out where two may be
//   the same memory). Scalars are uint, int or float; form an offset as (size_t)row * cols, sizes may pass 2^32.
// - Outputs first, then inputs, then sizes. Shapes stand in the comment above the kernel.
// - GROUP is the number of work items in a group of the kernels that reduce (a power of two, set by ops): launch such
//   kernels with ops_group_items(). A fixed GROUP is a fixed order of sums.
// - LANES (set by ops) is 16 in the CPU family of kernels, where GROUP is 1: a row is one work item that works in SIMD
//   lanes (lanes.h). In the GPU family it is 1: a row is GROUP work items of one lane each.
// - A tensor whose rows may lie apart is VIEW(float, x) among the arguments: pointer x, ulong x_first, uint x_pitch. Its
//   element (r, c) is x[x_first + r * x_pitch + c], in 64 bits; kernels move x on by x_first before anything else.
//   VIEW_ALIASED leaves restrict out.
// - LOCAL declares an array in a group's memory, at the top of the kernel body; LOCAL_PTR points to it in a function:
//       LOCAL float part[GROUP];            INLINE float f(LOCAL_PTR float *part)
// - BARRIER() must be met by every work item of the group; BARRIER_GLOBAL() also orders the group's global memory.
// - Functions start with INLINE. Float literals carry an f. No vector types, no structs by value, no int4-style names.
// - Include others with #include "name.h" at the start of a line; each file is taken once.
#ifdef __OPENCL_VERSION__

#define KERNEL(name) __kernel void name
#define GLOBAL       __global
#define LOCAL        __local
#define LOCAL_PTR    __local
#define CONSTANT     __constant
#define RESTRICT     restrict
// always: pocl 3.1 gives each group its own LOCAL arrays only in code that is part of the kernel itself; what its
// optimizer leaves as a function of its own may share one array between all groups.
#define INLINE           static inline __attribute__((always_inline))
#define BARRIER()        barrier(CLK_LOCAL_MEM_FENCE)
#define BARRIER_GLOBAL() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define UNROLL           _Pragma("unroll")
#define KERNEL_OF(x, y)  __kernel __attribute__((reqd_work_group_size(x, y, 1))) void

INLINE uint group_id(uint axis) {
  return (uint)get_group_id(axis);
}
INLINE uint group_count(uint axis) {
  return (uint)get_num_groups(axis);
}
INLINE uint local_id(uint axis) {
  return (uint)get_local_id(axis);
}
INLINE uint local_count(uint axis) {
  return (uint)get_local_size(axis);
}
/// Over all groups.
INLINE size_t item_id(uint axis) {
  return get_global_id(axis);
}
INLINE uint multiply_high(uint a, uint b) {
  return mul_hi(a, b);
}
INLINE float float_of_bits(uint bits) {
  return as_float(bits);
}
INLINE uint bits_of_float(float value) {
  return as_uint(value);
}
INLINE uint count_bits(uint bits) {
  return popcount(bits);
}

/// Element i of IEEE halves, kept as ushort.
INLINE float load_half(GLOBAL const ushort *from, size_t i) {
  return vload_half(i, (GLOBAL const half *)from);
}
/// Rounds to nearest even.
INLINE void store_half(GLOBAL ushort *to, size_t i, float value) {
  vstore_half_rte(value, i, (GLOBAL half *)to);
}

#else // CUDA C++

typedef unsigned int uint;
typedef unsigned short ushort;
typedef unsigned char uchar;

#define KERNEL(name) extern "C" __global__ void name
#define GLOBAL
#define LOCAL __shared__
#define LOCAL_PTR
#define CONSTANT         __constant__
#define RESTRICT         __restrict__
#define INLINE           static __device__ __forceinline__
#define BARRIER()        __syncthreads()
#define BARRIER_GLOBAL() __syncthreads()
#define UNROLL           _Pragma("unroll")
#define KERNEL_OF(x, y)  extern "C" __global__ __launch_bounds__((x) * (y)) void

INLINE uint group_id(uint axis) {
  return axis == 0 ? blockIdx.x : axis == 1 ? blockIdx.y : blockIdx.z;
}
INLINE uint group_count(uint axis) {
  return axis == 0 ? gridDim.x : axis == 1 ? gridDim.y : gridDim.z;
}
INLINE uint local_id(uint axis) {
  return axis == 0 ? threadIdx.x : axis == 1 ? threadIdx.y : threadIdx.z;
}
INLINE uint local_count(uint axis) {
  return axis == 0 ? blockDim.x : axis == 1 ? blockDim.y : blockDim.z;
}
INLINE size_t item_id(uint axis) {
  return (size_t)group_id(axis) * local_count(axis) + local_id(axis);
}
INLINE uint multiply_high(uint a, uint b) {
  return __umulhi(a, b);
}
INLINE float float_of_bits(uint bits) {
  return __uint_as_float(bits);
}
INLINE uint bits_of_float(float value) {
  return __float_as_uint(value);
}
INLINE uint count_bits(uint bits) {
  return (uint)__popc(bits);
}

INLINE float load_half(const ushort *from, size_t i) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(from[i]));
  return value;
}

INLINE void store_half(ushort *to, size_t i, float value) {
  ushort bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  to[i] = bits;
}

#endif

// ---- the same on both ----
//
// exp, log, sqrt, rsqrt, fabs, fmin, fmax and fma take and give float on both. -ffast-math is never used.

/// Element i of bfloat16 values, kept as ushort.
INLINE float load_bfloat(GLOBAL const ushort *from, size_t i) {
  return float_of_bits((uint)from[i] << 16);
}

/// Rounds to nearest even; NaN stays NaN.
INLINE void store_bfloat(GLOBAL ushort *to, size_t i, float value) {
  uint bits = bits_of_float(value);
  uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  to[i] = (ushort)((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded);
}

#ifndef __OPENCL_VERSION__
typedef unsigned long long ulong; // 64 bits, as OpenCL's
#endif

#define VIEW(type, name)         GLOBAL type *RESTRICT name, ulong name##_first, uint name##_pitch
#define VIEW_ALIASED(type, name) GLOBAL type *name, ulong name##_first, uint name##_pitch

// TYPE_F32, TYPE_F16, …: the numbers of util/dtype.h, which ops passes by -D.

/// The tensor of `type` from its element `first` on.
INLINE GLOBAL const void *skip_typed(GLOBAL const void *from, ulong first, uint type) {
  if (type == TYPE_F32) return (GLOBAL const float *)from + first;
  return (GLOBAL const ushort *)from + first;
}

/// Element i of a tensor of TYPE_F32, TYPE_F16 or TYPE_BF16.
INLINE float load_typed(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) return ((GLOBAL const float *)from)[i];
  if (type == TYPE_F16) return load_half((GLOBAL const ushort *)from, i);
  return load_bfloat((GLOBAL const ushort *)from, i);
}
