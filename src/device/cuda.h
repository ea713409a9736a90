// The CUDA back end's objects and functions. Private to the cuda_*.c files.
//
// NVIDIA's libraries are opened at run time, so the program neither needs them to build nor to start. The few
// functions and constants that it uses are declared here, once, as NVIDIA's cuda.h, nvrtc.h and cublas_api.h
// have them; they are the same in CUDA 11.2 to 13. Where a later header gives a function another name under
// the old one, as cuMemAlloc_v2, that name is the library's.
#pragma once

#include "backend.h"

#include "util/str.h"

typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct _nvrtcProgram *nvrtcProgram;
typedef struct cublasLtContext *cublasLtHandle_t;
typedef struct cublasLtMatmulDescOpaque_t *cublasLtMatmulDesc_t;
typedef struct cublasLtMatrixLayoutOpaque_t *cublasLtMatrixLayout_t;
typedef struct cublasLtMatmulPreferenceOpaque_t *cublasLtMatmulPreference_t;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NO_DEVICE = 100,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK = 8,
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
  CU_STREAM_NON_BLOCKING = 1,
  CU_EVENT_DISABLE_TIMING = 2,
  CUBLAS_OP_N = 0,
  CUBLAS_OP_T = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_COMPUTE_32F = 68,
  CUBLAS_COMPUTE_32F_PEDANTIC = 69,
  CUBLAS_COMPUTE_32F_FAST_TF32 = 77,
  CUDA_R_32F = 0,
  CUDA_R_16F = 2,
  CUDA_R_16BF = 14,
  CUBLASLT_MATRIX_LAYOUT_ROWS = 2,
  CUBLASLT_MATRIX_LAYOUT_COLS = 3,
  CUBLASLT_MATMUL_DESC_TRANSA = 3,
  CUBLASLT_MATMUL_DESC_TRANSB = 4,
  CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1,
  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5, // B, C and D follow
  CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE = 2,
};

/// cublasLtMatmulHeuristicResult_t: how to compute a product, as the library describes it to itself.
typedef struct CudaAlgorithm {
  uint64_t algorithm[8];
  size_t workspace; // bytes that it needs
  int state;        // 0 if the fields above are valid
  float waves;
  int reserved[4];
} CudaAlgorithm;

// Every function that is called: CALL(name, parameters), and for those that older libraries lack, which are
// then NULL, MAYBE(result, name, parameters). All others return an int, 0 for success.
#define CUDA_CALLS(CALL, MAYBE)                                                                              \
  CALL(cuInit, (unsigned flags))                                                                             \
  CALL(cuDriverGetVersion, (int *version))                                                                   \
  CALL(cuGetErrorName, (int code, const char **text))                                                        \
  CALL(cuGetErrorString, (int code, const char **text))                                                      \
  CALL(cuDeviceGetCount, (int *count))                                                                       \
  CALL(cuDeviceGet, (CUdevice * device, int index))                                                          \
  CALL(cuDeviceGetName, (char *name, int size, CUdevice device))                                             \
  CALL(cuDeviceTotalMem_v2, (size_t * bytes, CUdevice device))                                               \
  CALL(cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))                                   \
  CALL(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                                     \
  CALL(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                      \
  CALL(cuCtxSetCurrent, (CUcontext context))                                                                 \
  CALL(cuStreamCreate, (CUstream * stream, unsigned flags))                                                  \
  CALL(cuStreamSynchronize, (CUstream stream))                                                               \
  CALL(cuStreamDestroy_v2, (CUstream stream))                                                                \
  CALL(cuEventCreate, (CUevent * event, unsigned flags))                                                     \
  CALL(cuEventRecord, (CUevent event, CUstream stream))                                                      \
  CALL(cuEventSynchronize, (CUevent event))                                                                  \
  CALL(cuEventDestroy_v2, (CUevent event))                                                                   \
  CALL(cuEventElapsedTime, (float *milliseconds, CUevent from, CUevent to))                                  \
  CALL(cuMemAlloc_v2, (CUdeviceptr * memory, size_t bytes))                                                  \
  CALL(cuMemFree_v2, (CUdeviceptr memory))                                                                   \
  CALL(cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                                        \
  CALL(cuMemFreeHost, (void *memory))                                                                        \
  CALL(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))              \
  CALL(cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))                    \
  CALL(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))              \
  CALL(cuMemsetD32Async, (CUdeviceptr to, unsigned value, size_t words, CUstream stream))                    \
  CALL(cuModuleLoadDataEx,                                                                                   \
       (CUmodule * module, const void *image, unsigned count, int *options, void **values))                  \
  CALL(cuModuleUnload, (CUmodule module))                                                                    \
  CALL(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))                      \
  MAYBE(int, cuFuncGetParamInfo, (CUfunction function, size_t index, size_t * offset, size_t * size))        \
  CALL(cuLaunchKernel, (CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,              \
                        unsigned block_x, unsigned block_y, unsigned block_z, unsigned local_bytes,          \
                        CUstream stream, void **arguments, void **extra))

#define NVRTC_CALLS(CALL, MAYBE)                                                                             \
  CALL(nvrtcVersion, (int *major, int *minor))                                                               \
  MAYBE(const char *, nvrtcGetErrorString, (int code))                                                       \
  CALL(nvrtcGetNumSupportedArchs, (int *count))                                                              \
  CALL(nvrtcGetSupportedArchs, (int *architectures))                                                         \
  CALL(nvrtcCreateProgram, (nvrtcProgram * program, const char *source, const char *name, int headers,       \
                            const char *const *texts, const char *const *names))                             \
  CALL(nvrtcCompileProgram, (nvrtcProgram program, int count, const char *const *options))                   \
  CALL(nvrtcGetProgramLogSize, (nvrtcProgram program, size_t * size))                                        \
  CALL(nvrtcGetProgramLog, (nvrtcProgram program, char *log))                                                \
  CALL(nvrtcGetCUBINSize, (nvrtcProgram program, size_t * size))                                             \
  CALL(nvrtcGetCUBIN, (nvrtcProgram program, char *code))                                                    \
  CALL(nvrtcGetPTXSize, (nvrtcProgram program, size_t * size))                                               \
  CALL(nvrtcGetPTX, (nvrtcProgram program, char *code))                                                      \
  CALL(nvrtcDestroyProgram, (nvrtcProgram * program))

#define CUBLAS_CALLS(CALL, MAYBE)                                                                            \
  CALL(cublasLtGetProperty, (int property, int *value))                                                      \
  MAYBE(const char *, cublasLtGetStatusString, (int status))                                                 \
  CALL(cublasLtCreate, (cublasLtHandle_t * handle))                                                          \
  CALL(cublasLtDestroy, (cublasLtHandle_t handle))                                                           \
  CALL(cublasLtMatmulDescCreate, (cublasLtMatmulDesc_t * product, int compute_type, int scale_type))         \
  CALL(cublasLtMatmulDescDestroy, (cublasLtMatmulDesc_t product))                                            \
  CALL(cublasLtMatmulDescSetAttribute,                                                                       \
       (cublasLtMatmulDesc_t product, int attribute, const void *value, size_t size))                        \
  CALL(cublasLtMatrixLayoutCreate,                                                                           \
       (cublasLtMatrixLayout_t * layout, int type, uint64_t rows, uint64_t cols, int64_t stride))            \
  CALL(cublasLtMatrixLayoutDestroy, (cublasLtMatrixLayout_t layout))                                         \
  CALL(cublasLtMatrixLayoutSetAttribute,                                                                     \
       (cublasLtMatrixLayout_t layout, int attribute, const void *value, size_t size))                       \
  CALL(cublasLtMatmulPreferenceCreate, (cublasLtMatmulPreference_t * preference))                            \
  CALL(cublasLtMatmulPreferenceDestroy, (cublasLtMatmulPreference_t preference))                             \
  CALL(cublasLtMatmulPreferenceSetAttribute,                                                                 \
       (cublasLtMatmulPreference_t preference, int attribute, const void *value, size_t size))               \
  CALL(cublasLtMatmulAlgoGetHeuristic,                                                                       \
       (cublasLtHandle_t handle, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,                     \
        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,                        \
        cublasLtMatmulPreference_t preference, int most, CudaAlgorithm *found, int *count))                  \
  CALL(cublasLtMatmulAlgoCheck,                                                                              \
       (cublasLtHandle_t handle, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a,                     \
        cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,                        \
        const uint64_t *algorithm, CudaAlgorithm *result))                                                   \
  CALL(cublasLtMatmul,                                                                                       \
       (cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void *alpha, const void *a,             \
        cublasLtMatrixLayout_t a_layout, const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,   \
        const void *c, cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,            \
        const uint64_t *algorithm, void *workspace, size_t workspace_size, CUstream stream))

#define MEMBER(name, parameters)               int(*name) parameters;
#define MEMBER_MAYBE(result, name, parameters) result(*name) parameters;
/// The functions of the three libraries, once cuda_open_libraries has found them.
extern struct Cuda {
  CUDA_CALLS(MEMBER, MEMBER_MAYBE)
  NVRTC_CALLS(MEMBER, MEMBER_MAYBE)
  CUBLAS_CALLS(MEMBER, MEMBER_MAYBE)
} cuda;
#undef MEMBER
#undef MEMBER_MAYBE

/// cuMemAlloc_v2 and so on as a Status: CU(cuStreamSynchronize, stream).
#define CU(name, ...)     cuda_check(cuda.name(__VA_ARGS__), #name)
#define NVRTC(name, ...)  nvrtc_check(cuda.name(__VA_ARGS__), #name)
#define CUBLAS(name, ...) cublas_check(cuda.name(__VA_ARGS__), #name)

/// Parts of pinned host memory through which transfers go, so that the copy of one part and the transfer of
/// the other overlap.
enum { STAGE_PARTS = 2, STAGE_BYTES = 4 * 1024 * 1024 };
typedef struct CudaStage {
  unsigned char *memory; // pinned
  CUevent done;          // the last transfer through it
} CudaStage;

typedef struct CudaDevice {
  Device base;
  CUdevice id;
  CUcontext context; // the primary one, which cuBLAS uses too
  CUstream stream;
  cublasLtHandle_t cublas;
  CUdeviceptr workspace; // cuBLAS's
  struct CudaPlan *plans;
  size_t plan_count, plan_capacity;
  CudaStage stages[STAGE_PARTS];
  size_t next_stage;
  CUevent timed_last;    // the end of the last command whose times were read, or NULL
  double timed_end;      // when that was
  char architecture[48]; // "--gpu-architecture=sm_90"
  int capability;        // 90: of 9.0
  bool machine_code;     // NVRTC knows the device; else it makes PTX for the driver to compile
} CudaDevice;

typedef struct CudaBuffer {
  Buffer base;
  CUdeviceptr memory;
} CudaBuffer;

typedef struct CudaProgram {
  Program base;
  CUmodule module;
  void *code; // machine code or PTX, for the program cache
  size_t code_size;
} CudaProgram;

enum { CUDA_MOST_ARGUMENTS = 40 };
typedef struct CudaKernel {
  Kernel base;
  CUfunction function;
  bool sizes_known; // by drivers of CUDA 12.4 and later
  size_t count, sizes[CUDA_MOST_ARGUMENTS];
} CudaKernel;

static inline CudaDevice *cuda_device(const Device *device) {
  return (CudaDevice *)device;
}
static inline CUdeviceptr cuda_memory(const Buffer *buffer) {
  return ((const CudaBuffer *)buffer)->memory;
}

/// STATUS_OK on 0, else STATUS_FAILED "<call>: <the library's own name and text of the code>".
STATUS_CHECKED Status cuda_check(int code, const char *call);
STATUS_CHECKED Status nvrtc_check(int code, const char *call);
STATUS_CHECKED Status cublas_check(int code, const char *call);

/// Opens the libraries, once in a process, and fills in `cuda`. *usable = whether there are all three of them
/// and a device.
STATUS_CHECKED Status cuda_open_libraries(bool *usable);
STATUS_CHECKED Status cuda_libraries(BackendLibrary **list, size_t *count);

/// Makes the device's context the calling thread's. Every entry of the back end begins with it.
STATUS_CHECKED Status cuda_enter(const Device *device);

STATUS_CHECKED Status cuda_list(DeviceInfo **list, size_t *count);
STATUS_CHECKED Status cuda_open(size_t index, bool timed, Device **out);
void cuda_close(Device *device);
STATUS_CHECKED Status cuda_finish(Device *device);

STATUS_CHECKED Status cuda_timer_begin(Device *device, Timer *timer, bool several);
STATUS_CHECKED Status cuda_timer_end(Device *device, Timer *timer);
STATUS_CHECKED Status cuda_timer_read(Device *device, Timer *timer, double *start, double *end);
void cuda_timer_drop(Device *device, Timer *timer);
void cuda_timers_free(Device *device);

STATUS_CHECKED Status cuda_stages_create(CudaDevice *device);
void cuda_stages_free(CudaDevice *device);
STATUS_CHECKED Status cuda_buffer_create(Device *device, size_t bytes, Buffer **out);
STATUS_CHECKED Status cuda_buffer_view(Buffer *root, size_t offset, size_t bytes, Buffer **out);
void cuda_buffer_free(Buffer *buffer);
STATUS_CHECKED Status cuda_buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes);
STATUS_CHECKED Status cuda_buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes);
STATUS_CHECKED Status cuda_buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset,
                                       size_t bytes);
STATUS_CHECKED Status cuda_buffer_zero(Buffer *to, size_t offset, size_t bytes);

/// Fills in `architecture` and `machine_code` for a device of compute capability major.minor.
STATUS_CHECKED Status cuda_choose_architecture(CudaDevice *device, int major, int minor);
STATUS_CHECKED Status cuda_program_build(Device *device, const char *source, const char *options,
                                         Program **out, char **log);
STATUS_CHECKED Status cuda_program_load(Device *device, const void *bytes, size_t size, const char *options,
                                        Program **out);
STATUS_CHECKED Status cuda_program_binary(const Program *program, void **bytes, size_t *size);
void cuda_program_free(Program *program);
STATUS_CHECKED Status cuda_kernel_create(Program *program, const char *name, Kernel **out);
void cuda_kernel_free(Kernel *kernel);
STATUS_CHECKED Status cuda_kernel_launch(Kernel *kernel, const size_t groups[3], const size_t items[3],
                                         const KernelArgument *arguments, size_t count);

STATUS_CHECKED Status cuda_gemm_create(CudaDevice *device);
void cuda_gemm_free(CudaDevice *device);
bool cuda_can_gemm(const Device *device, const GemmCall *call);
STATUS_CHECKED Status cuda_gemm(Device *device, const GemmCall *call);
