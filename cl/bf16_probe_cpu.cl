// Whether this device can run cl/gemm_bf16_cpu.cl.
#include "platform.h"

/// found[0] = 1 if the processor has AVX512-BF16 (Intel's manual, CPUID leaf 7, subleaf 1, EAX bit 5) and the
/// driver computes with AVX-512, else 0. Groups: 1, of one work item.
KERNEL(bf16_probe)(GLOBAL uint *RESTRICT found) {
  found[0] = 0;
#if defined(__AVX512F__) && VECTOR_WIDTH == 16
  uint a = 7, b, c = 1, d;
  __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  found[0] = a >> 5 & 1;
#endif
}
