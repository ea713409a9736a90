// CLBlast as the vendor's GEMM. It is tuned for GPUs; for CPU devices ops has its own kernel.
#include "opencl.h"

#include <clblast_c.h>

/// CLBlast's half-precision GEMM also sums in 16 bits, so only its float32 GEMM is used.
bool opencl_can_gemm(const Device *device, const GemmCall *call) {
  (void)device;
  return call->a.type == DTYPE_F32 && call->b.type == DTYPE_F32 && call->c.type == DTYPE_F32 &&
         !call->c.transposed;
}

Status opencl_gemm(Device *base, const GemmCall *call) {
  OpenclDevice *device = opencl_device(base);
  const GemmMatrix *a = &call->a, *b = &call->b, *c = &call->c;
  CLBlastStatusCode code = CLBlastSgemm(
      CLBlastLayoutRowMajor, a->transposed ? CLBlastTransposeYes : CLBlastTransposeNo,
      b->transposed ? CLBlastTransposeYes : CLBlastTransposeNo, call->m, call->n, call->k, call->alpha,
      opencl_memory(a->buffer), a->offset, a->stride, opencl_memory(b->buffer), b->offset, b->stride,
      call->beta, opencl_memory(c->buffer), c->offset, c->stride, &device->queue, opencl_event(base));
  device->used_gemm = true;
  if (code == CLBlastSuccess) return STATUS_OK;
  return status_fail(STATUS_FAILED, "CLBlastSgemm of [%zu, %zu] x [%zu, %zu] failed with code %d", call->m,
                     call->k, call->k, call->n, (int)code);
}

void opencl_gemm_forget(void) {
  (void)CLBlastClearCache();
}
