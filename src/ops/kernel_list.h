// Every kernel of gee-cl, as KERNEL_ROW(file without .cl, kernel). ops makes the KERNEL_… constants, the
// names and the programs from this one list. The files *_cpu.cl are compiled only for the CPU family. Room:
// ops.
#pragma once

#define KERNEL_LIST(KERNEL_ROW)                                                                              \
  KERNEL_ROW(gemm, gemm)                                                                                     \
  KERNEL_ROW(gemm_cpu, gemm_cpu)                                                                             \
  KERNEL_ROW(gemv_cpu, gemv_cpu)                                                                             \
  KERNEL_ROW(linear, bias_add)                                                                               \
  KERNEL_ROW(linear, bias_backward)                                                                          \
  KERNEL_ROW(rmsnorm, rmsnorm)                                                                               \
  KERNEL_ROW(rmsnorm, rmsnorm_backward)                                                                      \
  KERNEL_ROW(rmsnorm, rmsnorm_weight_partial)                                                                \
  KERNEL_ROW(rmsnorm, rmsnorm_weight_sum)                                                                    \
  KERNEL_ROW(embed, embed)                                                                                   \
  KERNEL_ROW(embed, embed_backward)                                                                          \
  KERNEL_ROW(rope, rope)                                                                                     \
  KERNEL_ROW(attention, attention)                                                                           \
  KERNEL_ROW(attention, attention_dq)                                                                        \
  KERNEL_ROW(attention, attention_dkv)                                                                       \
  KERNEL_ROW(attention_cpu, attention_cpu)                                                                   \
  KERNEL_ROW(attention_cpu, attention_dq_cpu)                                                                \
  KERNEL_ROW(attention_cpu, attention_dkv_cpu)                                                               \
  KERNEL_ROW(add, add)                                                                                       \
  KERNEL_ROW(swiglu, swiglu)                                                                                 \
  KERNEL_ROW(swiglu, swiglu_backward)                                                                        \
  KERNEL_ROW(rows, gather_rows)                                                                              \
  KERNEL_ROW(rows, store_rows)                                                                               \
  KERNEL_ROW(rows, scatter_add_rows)                                                                         \
  KERNEL_ROW(entropy, entropy)                                                                               \
  KERNEL_ROW(entropy, entropy_backward)                                                                      \
  KERNEL_ROW(entropy, pick_logprob)                                                                          \
  KERNEL_ROW(cross_entropy, largest_logprob)                                                                 \
  KERNEL_ROW(cross_entropy, cross_entropy_backward)                                                          \
  KERNEL_ROW(cross_entropy, subtract_targets)                                                                \
  KERNEL_ROW(divergence, divergence)                                                                         \
  KERNEL_ROW(divergence, divergence_backward)                                                                \
  KERNEL_ROW(sample, sample)                                                                                 \
  KERNEL_ROW(sample, sample_largest)                                                                         \
  KERNEL_ROW(dropout, dropout)                                                                               \
  KERNEL_ROW(adamw, adamw)                                                                                   \
  KERNEL_ROW(adamw, sum_squares)                                                                             \
  KERNEL_ROW(convert, widen)                                                                                 \
  KERNEL_ROW(convert, narrow)
