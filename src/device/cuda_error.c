// What NVIDIA's libraries say of a failure, by name, because a user can search for a name.
#include "cuda.h"

Status cuda_check(int code, const char *call) {
  if (code == CUDA_SUCCESS) return STATUS_OK;
  const char *name = NULL, *text = NULL;
  if (cuda.cuGetErrorName(code, &name) != CUDA_SUCCESS || name == NULL) name = "unknown error";
  if (cuda.cuGetErrorString(code, &text) != CUDA_SUCCESS || text == NULL) text = "no description";
  return status_fail(STATUS_FAILED, "%s: %s: %s (%d)", call, text, name, code);
}

Status nvrtc_check(int code, const char *call) {
  if (code == 0) return STATUS_OK;
  const char *text = cuda.nvrtcGetErrorString != NULL ? cuda.nvrtcGetErrorString(code) : "failed";
  return status_fail(STATUS_FAILED, "%s: %s (%d)", call, text, code);
}

Status cublas_check(int code, const char *call) {
  if (code == 0) return STATUS_OK;
  const char *text = cuda.cublasLtGetStatusString != NULL ? cuda.cublasLtGetStatusString(code) : "failed";
  return status_fail(STATUS_FAILED, "%s: %s%s (%d)", call,
                     code == CUBLAS_STATUS_ALLOC_FAILED ? "out of memory: " : "", text, code);
}
