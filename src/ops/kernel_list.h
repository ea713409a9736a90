// Every kernel of gee-cl, as KERNEL_ROW(file without .cl, kernel): the file of cl/ that is compiled, which
// may include the kernel's own. ops makes the KERNEL_… constants, the names and the programs from this one
// list. The files *_cpu.cl are compiled only for the CPU family, and *_bf16_cpu.cl, *_int8_cpu.cl,
// gemm_tile.cl and halves.cl only where ops_use_compute asks for them. Room: ops.
#pragma once

#define KERNEL_LIST(KERNEL_ROW)                                                                              \
  KERNEL_ROW(gemm, gemm)                                                                                     \
  KERNEL_ROW(gemm_tile, gemm_tile)                                                                           \
  KERNEL_ROW(halves, half_rows)                                                                              \
  KERNEL_ROW(halves, row_largest)                                                                            \
  KERNEL_ROW(gemm_cpu, gemm_cpu)                                                                             \
  KERNEL_ROW(gemv_cpu, gemv_cpu)                                                                             \
  KERNEL_ROW(gemv_bf16_cpu, gemv_bf16)                                                                       \
  KERNEL_ROW(gemm_bf16_cpu, gemm_bf16)                                                                       \
  KERNEL_ROW(gemm_bf16_cpu, round_rows)                                                                      \
  KERNEL_ROW(gemm_int8_cpu, gemm_int8)                                                                       \
  KERNEL_ROW(gemm_int8_cpu, int8_rows)                                                                       \
  KERNEL_ROW(layers, bias_add)                                                                               \
  KERNEL_ROW(layers, bias_backward)                                                                          \
  KERNEL_ROW(layers, rmsnorm)                                                                                \
  KERNEL_ROW(layers, add_rmsnorm)                                                                            \
  KERNEL_ROW(layers, rmsnorm_backward)                                                                       \
  KERNEL_ROW(layers, rmsnorm_weight_partial)                                                                 \
  KERNEL_ROW(layers, rmsnorm_weight_sum)                                                                     \
  KERNEL_ROW(layers, embed)                                                                                  \
  KERNEL_ROW(layers, embed_backward)                                                                         \
  KERNEL_ROW(layers, rope)                                                                                   \
  KERNEL_ROW(layers, rope_keys)                                                                              \
  KERNEL_ROW(attention, attention)                                                                           \
  KERNEL_ROW(attention, attention_dq)                                                                        \
  KERNEL_ROW(attention, attention_dkv)                                                                       \
  KERNEL_ROW(attention_cpu, attention_cpu)                                                                   \
  KERNEL_ROW(attention_cpu, attention_dq_cpu)                                                                \
  KERNEL_ROW(attention_cpu, attention_dkv_cpu)                                                               \
  KERNEL_ROW(layers, add)                                                                                    \
  KERNEL_ROW(layers, swiglu)                                                                                 \
  KERNEL_ROW(layers, swiglu_backward)                                                                        \
  KERNEL_ROW(layers, gather_rows)                                                                            \
  KERNEL_ROW(layers, store_rows)                                                                             \
  KERNEL_ROW(layers, scatter_add_rows)                                                                       \
  KERNEL_ROW(layers, entropy)                                                                                \
  KERNEL_ROW(layers, entropy_backward)                                                                       \
  KERNEL_ROW(layers, pick_logprob)                                                                           \
  KERNEL_ROW(layers, largest_logprob)                                                                        \
  KERNEL_ROW(layers, cross_entropy_backward)                                                                 \
  KERNEL_ROW(layers, subtract_targets)                                                                       \
  KERNEL_ROW(layers, divergence)                                                                             \
  KERNEL_ROW(layers, divergence_backward)                                                                    \
  KERNEL_ROW(layers, sample)                                                                                 \
  KERNEL_ROW(layers, sample_largest)                                                                         \
  KERNEL_ROW(layers, dropout)                                                                                \
  KERNEL_ROW(layers, adamw)                                                                                  \
  KERNEL_ROW(layers, sum_squares)                                                                            \
  KERNEL_ROW(layers, widen)                                                                                  \
  KERNEL_ROW(layers, narrow)
