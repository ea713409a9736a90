// Which instructions for coarse products this device's processor has.
#include "platform.h"

/// found[0] = 1 if it has AVX512-BF16, for cl/gemm_bf16_cpu.cl, and found[1] = 1 if it has AVX512-VNNI, for
/// cl/gemm_int8_cpu.cl (Intel's manual, CPUID leaf 7: subleaf 1, EAX bit 5; subleaf 0, ECX bit 11), and the
/// driver computes with AVX-512; else 0. Groups: 1, of one work item.
KERNEL(probe)(GLOBAL uint *RESTRICT found) {
  found[0] = found[1] = 0;
#if defined(__AVX512F__) && VECTOR_WIDTH == 16
  uint a = 7, b, c = 1, d;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  found[0] = a >> 5 & 1;
  a = 7;
  c = 0;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  found[1] = c >> 11 & 1;
#endif
}
