// One kernel source for two compilers: OpenCL C 1.2 and, through NVRTC, CUDA C++. A kernel uses only what is
// defined here and what the two languages share.
//
// Conventions
// - A kernel starts with KERNEL(name)(arguments), or with KERNEL_OF(x, y) name(arguments) if its groups
//   always have x × y work items. It is launched with whole groups, so it must check the range itself.
// - Pointer arguments: GLOBAL float *RESTRICT out, GLOBAL const float *RESTRICT in (without RESTRICT if two
//   may be the same memory). Scalars are uint, int or float. Compute an offset as (size_t)row * cols, because
//   sizes may exceed 2^32.
// - Outputs come first, then inputs, then sizes. The comment above a kernel gives their shapes.
// - GROUP is the number of work items per group in the kernels that sum over a row: a power of two, set by
//   ops. Launch such kernels with grid_rows(). As long as GROUP is the same, the order of sums is the same.
// - LANES is set by ops. In the CPU family it is 16 and GROUP is 1: one work item handles a row in SIMD lanes
//   (lanes.h). In the GPU family it is 1: GROUP work items of one lane each handle a row.
// - A tensor whose rows may lie apart is the argument VIEW(float, x): pointer x, ulong x_first, uint x_pitch.
//   Its element (r, c) is x[x_first + r * x_pitch + c], computed in 64 bits. VIEW_ALIASED is the same without
//   RESTRICT.
// - LOCAL declares an array in a group's memory, at the top of the kernel body; LOCAL_PTR points to it in a
//   function:
//       LOCAL float part[GROUP];            INLINE float f(LOCAL_PTR float *part)
// - Every work item of the group must reach a BARRIER(); BARRIER_GLOBAL() also orders the group's global
//   memory.
// - Functions start with INLINE. Float literals end in f. Code that CUDA compiles too has no vector types, no
//   names like int4 and no structs passed by value.
// - Include other files with #include "name.h" at the start of a line; each file is included once.
#ifdef __OPENCL_VERSION__

#define KERNEL(name) __kernel void name
#define GLOBAL       __global
#define LOCAL        __local
#define LOCAL_PTR    __local
#define CONSTANT     __constant
#define RESTRICT     restrict
// always_inline: pocl 3.1 gives each group its own LOCAL arrays only in code that is part of the kernel. In a
// function that is not inlined, all groups may share one array.
#define INLINE           static inline __attribute__((always_inline))
#define BARRIER()        barrier(CLK_LOCAL_MEM_FENCE)
#define BARRIER_GLOBAL() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define UNROLL           _Pragma("unroll")
#define ASM              __asm__
#define NOT_FUSED        _Pragma("OPENCL FP_CONTRACT OFF")(void) 0 // first in a function's body
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
/// Counts work items over all groups.
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

/// a · b, rounded to float32 even where a sum follows, with which the compiler might fuse it.
INLINE float rounded_product(float a, float b) {
  NOT_FUSED;
  return a * b;
}

/// The numbers that two IEEE halves in a word are, and the bits of a number, rounded to nearest even. OpenCL
/// 1.2 has both of memory alone, and there without an extension; compilers make instructions of it.
INLINE void floats_of_halves(uint word, float *low, float *high) {
#ifdef __F16C__ // as in load_half
  const half *both = (const half *)&word;
  *low = __builtin_load_halff(both);
  *high = __builtin_load_halff(both + 1);
#else
  float2 both = vload_half2(0, (const half *)&word);
  *low = both.x;
  *high = both.y;
#endif
}
INLINE uint half_of_float(float value) {
  ushort bits;
  vstore_half_rte(value, 0, (half *)&bits);
  return bits;
}

/// Element i of IEEE halves, stored as ushort. pocl's vload_half computes with branches what a CPU with F16C
/// has an instruction for.
INLINE float load_half(GLOBAL const ushort *from, size_t i) {
#ifdef __F16C__
  return __builtin_load_halff((const __private half *)(size_t)(from + i));
#else
  return vload_half(i, (GLOBAL const half *)from);
#endif
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
#define ASM              asm
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

INLINE float rounded_product(float a, float b) {
  return __fmul_rn(a, b);
}

INLINE float float_of_half(uint bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"((ushort)(bits)));
  return value;
}
INLINE uint half_of_float(float value) {
  ushort bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

INLINE void floats_of_halves(uint word, float *low, float *high) {
  *low = float_of_half(word);
  *high = float_of_half(word >> 16);
}

INLINE float load_half(const ushort *from, size_t i) {
  return float_of_half(from[i]);
}

INLINE void store_half(ushort *to, size_t i, float value) {
  to[i] = (ushort)half_of_float(value);
}

#endif

// ---- the same in both languages ----
//
// exp, log, sqrt, rsqrt, fabs, fmin, fmax and fma take and return float in both. -ffast-math is never used.

/// Element i of bfloat16 values, stored as ushort.
INLINE float load_bfloat(GLOBAL const ushort *from, size_t i) {
  return float_of_bits((uint)from[i] << 16);
}

/// The bits of a bfloat16, rounded to nearest even; NaN stays NaN.
INLINE uint bfloat_bits(float value) {
  uint bits = bits_of_float(value);
  uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x40u : rounded;
}
INLINE void store_bfloat(GLOBAL ushort *to, size_t i, float value) {
  to[i] = (ushort)bfloat_bits(value);
}

#ifndef __OPENCL_VERSION__
typedef unsigned long long ulong; // 64 bits, as in OpenCL
#endif

#define VIEW(type, name)         GLOBAL type *RESTRICT name, ulong name##_first, uint name##_pitch
#define VIEW_ALIASED(type, name) GLOBAL type *name, ulong name##_first, uint name##_pitch

// TYPE_F32, TYPE_F16, … are the numbers of util/dtype.h, which ops passes with -D; typed.h loads elements of
// them.
