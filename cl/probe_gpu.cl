// Which matrix instructions of matrix.h this device's compiler may know, as far as it says before it compiles
// one: a compiler that is given another vendor's may end the program. Whether they are right is found by
// computing with them.
#include "platform.h"

/// found[i] = 1 if filling i of src/ops/gemm_tile.c may be tried, else 0. Groups: 1, of one work item.
KERNEL(probe)(GLOBAL uint *RESTRICT found) {
  found[0] = found[1] = found[2] = found[3] = found[4] = found[5] = found[6] = 0;
#if defined(__NV_CL_C_VERSION) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800)
  found[0] = 1; // mma.sync
#endif
#if defined(__GFX11__) && __AMDGCN_WAVEFRONT_SIZE == 32
  found[1] = 1; // WMMA
#endif
#if defined(__GFX12__) && __AMDGCN_WAVEFRONT_SIZE == 32
  found[2] = 1; // RDNA 4's
#endif
#if defined(__gfx90a__) || defined(__gfx940__) || defined(__gfx941__) || defined(__gfx942__) ||              \
    defined(__gfx950__)
  found[3] = 1; // MFMA
#endif
#if defined(__gfx908__)
  found[4] = 1; // CDNA 1's
#endif
#if defined(cl_intel_subgroup_matrix_multiply_accumulate)
  found[5] = found[6] = 1; // XMX, in sub-groups of 16 and of 8
#endif
}
