// Which matrix instructions of matrix.h this device's compiler may know, as far as it says before it compiles
// one: a compiler that is given another vendor's may end the program. Whether they are right is found by
// computing with them.
#include "platform.h"

#define BF16 1 // as FACTORS_BF16 and FACTORS_F16 of src/ops/gemm_tile.h
#define F16  2

/// found[i] = which factors filling i of src/ops/gemm_tile.c may be tried with, else 0. Groups: 1, of one
/// work item.
KERNEL(probe)(GLOBAL uint *RESTRICT found) {
  for (uint i = 0; i < 9; i++) found[i] = 0;
#if defined(__NV_CL_C_VERSION) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800)
  found[0] = BF16 + F16; // mma.sync
#endif
#if defined(__NV_CL_C_VERSION) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 750)
  found[1] = F16; // Turing's
#endif
#if defined(__GFX11__) && __AMDGCN_WAVEFRONT_SIZE == 32
  found[2] = BF16 + F16; // WMMA
#endif
#if defined(__GFX12__) && __AMDGCN_WAVEFRONT_SIZE == 32
  found[3] = BF16 + F16; // RDNA 4's
#endif
#if defined(__gfx90a__) || defined(__gfx940__) || defined(__gfx941__) || defined(__gfx942__) ||              \
    defined(__gfx950__)
  found[4] = BF16 + F16; // MFMA
#endif
#if defined(__gfx908__)
  found[4] = F16;
  found[5] = BF16; // CDNA 1's
#endif
#if defined(cl_intel_subgroup_matrix_multiply_accumulate)
  found[6] = found[7] = BF16 + F16; // XMX, in sub-groups of 16 and of 8
#endif
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx940__) ||              \
    defined(__gfx941__) || defined(__gfx942__) || defined(__gfx950__) || defined(__gfx1011__) ||             \
    defined(__gfx1012__) || defined(__gfx1030__) || defined(__gfx1031__) || defined(__gfx1032__) ||          \
    defined(__gfx1033__) || defined(__gfx1034__) || defined(__gfx1035__) || defined(__gfx1036__) ||          \
    defined(__GFX11__) || defined(__GFX12__)
  found[8] = F16; // dot2
#endif
}
