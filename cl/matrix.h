// The matrix tile: C[M,N] += A[M,K] · Bᵀ[N,K] of a few rows, columns and steps of k, by MATRIX_LANES work
// items together. A and B are bfloat16, or with FACTORS_F16 IEEE halves, two steps of k in a word, the first
// in its low half; C is float32. Each filling says how its instruction wants the elements to be spread over
// the lanes:
//
//   load_a, load_b   a lane's words of A and B, from a slab whose rows are PITCH words long
//   multiply         the instruction
//   sum_row, sum_col which element of C a lane's i-th sum is
//
// src/ops/gemm_tile.c chooses the filling with -DMATRIX_…, cl/probe_gpu.cl says which ones a compiler may
// know. Rule: a filling's layout is the one that the vendor's document describes, named above it. tests/ops/
// matrix_emulated.h has the same layouts written the other way round, from the element to the lane, and
// replaces `multiply` by them (EMULATED), so that everything else here runs on any device.
#include "typed.h"

#define DEPTH 32 // steps of k in a slab
#define WORDS (DEPTH / 2)

#if defined(FACTORS_F16) && defined(cl_khr_fp16)
#pragma OPENCL EXTENSION cl_khr_fp16 : enable // for the vectors that AMD's instructions take
#endif

#if defined(MATRIX_MMA) || defined(MATRIX_MMA_8)
// NVIDIA from compute capability 8.0 on, and from 7.5 on with 8 steps of k. PTX ISA, "Matrix Fragments for
// mma.m16n8k16 with floating point type" and "for mma.m16n8k8".
#define MATRIX_LANES 32
#define MATRIX_M     16
#define MATRIX_N     8
#ifdef MATRIX_MMA
#define MATRIX_K 16
#else
#define MATRIX_K 8
#endif
#define PITCH   (WORDS + 4) // the rows of a fragment are in different banks
#define A_WORDS (MATRIX_K / 4)
#define B_WORDS (MATRIX_K / 8)
#define SUMS    4

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < A_WORDS; i++) a[i] =
      slab[(lane / 4 + i % 2 * 8) * PITCH + lane % 4 + i / 2 * 4];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < B_WORDS; i++) b[i] = slab[lane / 4 * PITCH + lane % 4 + i * 4];
}
INLINE uint sum_row(uint lane, uint i) {
  return lane / 4 + i / 2 * 8;
}
INLINE uint sum_col(uint lane, uint i) {
  return lane % 4 * 2 + i % 2;
}
#ifndef EMULATED
#ifdef FACTORS_F16
#define MMA_TYPES "f32.f16.f16.f32 "
#else
#define MMA_TYPES "f32.bf16.bf16.f32 "
#endif
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#ifdef MATRIX_MMA
  ASM volatile("mma.sync.aligned.m16n8k16.row.col." MMA_TYPES
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  ASM volatile("mma.sync.aligned.m16n8k8.row.col." MMA_TYPES
               "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(b[0]));
#endif
}
#ifndef FACTORS_F16
#define ROUNDS_A_PAIR
INLINE uint round_pair(float low, float high) {
  uint word;
  ASM("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}
#endif
#endif

#elif defined(MATRIX_WMMA)
// AMD's RDNA 3 (gfx11), in waves of 32. AMD, "How to accelerate AI applications on RDNA 3 using WMMA"
// (GPUOpen): both halves of a wave hold the same 16 rows.
#define MATRIX_LANES 32
#define MATRIX_M     16
#define MATRIX_N     16
#define MATRIX_K     16
#define PITCH        (WORDS + 4)
#define A_WORDS      8
#define B_WORDS      8
#define SUMS         8

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < A_WORDS; i++) a[i] = slab[lane % 16 * PITCH + i];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  load_a(b, slab, lane);
}
INLINE uint sum_row(uint lane, uint i) {
  return 2 * i + lane / 16;
}
INLINE uint sum_col(uint lane, uint i) {
  (void)i;
  return lane % 16;
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#ifdef FACTORS_F16
  float8 added = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(as_half16(vload8(0, a)), as_half16(vload8(0, b)),
                                                            vload8(0, sums));
#else
  float8 added = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(as_short16(vload8(0, a)),
                                                             as_short16(vload8(0, b)), vload8(0, sums));
#endif
  vstore8(added, 0, sums);
}
#endif

#elif defined(MATRIX_WMMA_12)
// AMD's RDNA 4 (gfx12), in waves of 32. AMD, "RDNA4 Instruction Set Architecture", section 7.12: a half of a
// wave holds 8 of the 16 steps.
#define MATRIX_LANES 32
#define MATRIX_M     16
#define MATRIX_N     16
#define MATRIX_K     16
#define PITCH        (WORDS + 4)
#define A_WORDS      4
#define B_WORDS      4
#define SUMS         8

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < A_WORDS; i++) a[i] = slab[lane % 16 * PITCH + lane / 16 * 4 + i];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  load_a(b, slab, lane);
}
INLINE uint sum_row(uint lane, uint i) {
  return lane / 16 * 8 + i;
}
INLINE uint sum_col(uint lane, uint i) {
  (void)i;
  return lane % 16;
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#ifdef FACTORS_F16
  float8 added = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(as_half8(vload4(0, a)),
                                                                  as_half8(vload4(0, b)), vload8(0, sums));
#else
  float8 added = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(as_short8(vload4(0, a)),
                                                                   as_short8(vload4(0, b)), vload8(0, sums));
#endif
  vstore8(added, 0, sums);
}
#endif

#elif defined(MATRIX_MFMA)
// AMD's CDNA 2 and 3 (gfx90a, gfx94x), and with halves CDNA 1 (gfx908), in waves of 64. AMD, "Matrix
// Instruction Calculator", v_mfma_f32_16x16x16_bf16_1k and v_mfma_f32_16x16x16_f16.
#define MATRIX_LANES 64
#define MATRIX_M     16
#define MATRIX_N     16
#define MATRIX_K     16
#define PITCH        (WORDS + 2)
#define A_WORDS      2
#define B_WORDS      2
#define SUMS         4

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < A_WORDS; i++) a[i] = slab[lane % 16 * PITCH + lane / 16 * 2 + i];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  load_a(b, slab, lane);
}
INLINE uint sum_row(uint lane, uint i) {
  return lane / 16 * 4 + i;
}
INLINE uint sum_col(uint lane, uint i) {
  (void)i;
  return lane % 16;
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#ifdef FACTORS_F16
  float4 added = __builtin_amdgcn_mfma_f32_16x16x16f16(as_half4(vload2(0, a)), as_half4(vload2(0, b)),
                                                       vload4(0, sums), 0, 0, 0);
#else
  float4 added = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(as_short4(vload2(0, a)), as_short4(vload2(0, b)),
                                                           vload4(0, sums), 0, 0, 0);
#endif
  vstore4(added, 0, sums);
}
#endif

#elif defined(MATRIX_MFMA_8)
// AMD's CDNA 1 (gfx908) with bfloat16, in waves of 64. The same document, v_mfma_f32_16x16x8_bf16.
#define MATRIX_LANES 64
#define MATRIX_M     16
#define MATRIX_N     16
#define MATRIX_K     8
#define PITCH        (WORDS + 1)
#define A_WORDS      1
#define B_WORDS      1
#define SUMS         4

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  a[0] = slab[lane % 16 * PITCH + lane / 16];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  load_a(b, slab, lane);
}
INLINE uint sum_row(uint lane, uint i) {
  return lane / 16 * 4 + i;
}
INLINE uint sum_col(uint lane, uint i) {
  (void)i;
  return lane % 16;
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
  vstore4(__builtin_amdgcn_mfma_f32_16x16x8bf16(as_short2(a[0]), as_short2(b[0]), vload4(0, sums), 0, 0, 0),
          0, sums);
}
#endif

#elif defined(MATRIX_XMX_16) || defined(MATRIX_XMX_8)
// Intel's XMX, in sub-groups of 16 (Ponte Vecchio, Battlemage) or 8 (Arc A). Khronos,
// cl_intel_subgroup_matrix_multiply_accumulate: the columns of A lie along the lanes, one or two in each, and
// so do the columns of B.
#ifdef MATRIX_XMX_16
#define MATRIX_LANES 16
#else
#define MATRIX_LANES 8
#endif
#define MATRIX_M 8
#define MATRIX_N MATRIX_LANES
#define MATRIX_K 16
#define PITCH    (WORDS + 1)
#define A_WORDS  (MATRIX_LANES == 16 ? 4 : 8)
#define B_WORDS  8
#define SUMS     8
#ifndef EMULATED
#define MATRIX_ATTRIBUTE __attribute__((intel_reqd_sub_group_size(MATRIX_LANES)))
#endif

/// With 16 lanes a word has a step of two rows.
INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
#ifdef MATRIX_XMX_16
  uint place = lane / 2, shift = lane % 2 * 16;
  UNROLL for (uint i = 0; i < A_WORDS; i++) {
    uint first = slab[2 * i * PITCH + place], second = slab[(2 * i + 1) * PITCH + place];
    a[i] = (first >> shift & 0xffffu) | second >> shift << 16;
  }
#else
  UNROLL for (uint i = 0; i < A_WORDS; i++) a[i] = slab[i * PITCH + lane];
#endif
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  UNROLL for (uint i = 0; i < B_WORDS; i++) b[i] = slab[lane * PITCH + i];
}
INLINE uint sum_row(uint lane, uint i) {
  (void)lane;
  return i;
}
INLINE uint sum_col(uint lane, uint i) {
  (void)i;
  return lane;
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#ifdef MATRIX_XMX_16
  short8 rows = as_short8(vload4(0, a));
#else
  int8 rows = as_int8(vload8(0, a));
#endif
#ifdef FACTORS_F16
  float8 added = intel_sub_group_f16_f16_matrix_mad_k16(rows, as_int8(vload8(0, b)), vload8(0, sums));
#else
  float8 added = intel_sub_group_bf16_bf16_matrix_mad_k16(rows, as_int8(vload8(0, b)), vload8(0, sums));
#endif
  vstore8(added, 0, sums);
}
#endif

#else
// Any device: each work item for itself, one element of C by one word. With MATRIX_DOT2 the word is one
// instruction of AMD's: "Vega" 7nm Instruction Set Architecture, V_DOT2_F32_F16.
#define MATRIX_LANES 1
#define MATRIX_M     1
#define MATRIX_N     1
#define MATRIX_K     2
#define PITCH        (WORDS + 1)
#define A_WORDS      1
#define B_WORDS      1
#define SUMS         1

INLINE void load_a(uint *a, LOCAL_PTR const uint *slab, uint lane) {
  (void)lane;
  a[0] = slab[0];
}
INLINE void load_b(uint *b, LOCAL_PTR const uint *slab, uint lane) {
  load_a(b, slab, lane);
}
INLINE uint sum_row(uint lane, uint i) {
  (void)lane;
  (void)i;
  return 0;
}
INLINE uint sum_col(uint lane, uint i) {
  return sum_row(lane, i);
}
#ifndef EMULATED
INLINE void multiply(float *sums, const uint *a, const uint *b) {
#if defined(MATRIX_DOT2)
  sums[0] = __builtin_amdgcn_fdot2(as_half2(a[0]), as_half2(b[0]), sums[0], false);
#elif defined(FACTORS_F16)
  float a_low, a_high, b_low, b_high;
  floats_of_halves(a[0], &a_low, &a_high);
  floats_of_halves(b[0], &b_low, &b_high);
  sums[0] = fma(a_low, b_low, sums[0]);
  sums[0] = fma(a_high, b_high, sums[0]);
#else
  sums[0] = fma(float_of_bits(a[0] << 16), float_of_bits(b[0] << 16), sums[0]);
  sums[0] = fma(float_of_bits(a[0] & 0xffff0000u), float_of_bits(b[0] & 0xffff0000u), sums[0]);
#endif
}
#endif
#endif

#ifndef ROUNDS_A_PAIR
/// Two values in a word, rounded to nearest even; NaN stays NaN.
INLINE uint round_pair(float low, float high) {
#ifdef FACTORS_F16
  return half_of_float(low) | half_of_float(high) << 16;
#else
  return bfloat_bits(low) | bfloat_bits(high) << 16;
#endif
}
#endif
#ifndef MATRIX_ATTRIBUTE
#define MATRIX_ATTRIBUTE
#endif
