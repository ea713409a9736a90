// CLBlast as the vendor's GEMM. It is tuned for GPUs; on CPU devices ops has a kernel of its own.
#include "opencl.h"

#include <clblast_c.h>

Status opencl_gemm(Device *base, const GemmCall *call) {
  OpenclDevice *device = opencl_device(base);
  CLBlastTranspose a = call->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo;
  CLBlastTranspose b = call->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo;
  CLBlastStatusCode code = CLBlastSgemm(
      CLBlastLayoutRowMajor, a, b, call->m, call->n, call->k, call->alpha, opencl_memory(call->a),
      call->a_offset, call->lda, opencl_memory(call->b), call->b_offset, call->ldb, call->beta,
      opencl_memory(call->c), call->c_offset, call->ldc, &device->queue, NULL);
  device->used_gemm = true;
  if (code == CLBlastSuccess) return STATUS_OK;
  return status_fail(STATUS_FAILED, "CLBlastSgemm of [%zu, %zu] x [%zu, %zu] failed with code %d", call->m,
                     call->k, call->k, call->n, (int)code);
}

void opencl_gemm_forget(void) {
  (void)CLBlastClearCache();
}
