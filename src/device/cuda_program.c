// CUDA programs and kernels. NVRTC makes machine code for the device, or, for a device that is newer than
// this NVRTC, PTX that the driver compiles. Rule: no fast-math option is ever added.
#include "cuda.h"

#include "util/memory.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_OPTIONS = 96, JIT_LOG = 16 * 1024, MOST_GROUPS_YZ = 65535 };

Status cuda_choose_architecture(CudaDevice *device, int major, int minor) {
  int count = 0, *known = NULL, own = 10 * major + minor, best = 0, lowest = INT_MAX;
  TRY(NVRTC(nvrtcGetNumSupportedArchs, &count));
  TRY(mem_array(&known, count > 0 ? (size_t)count : 1, "NVRTC's architectures"));
  Status status = NVRTC(nvrtcGetSupportedArchs, known);
  for (int i = 0; i < count && status == STATUS_OK; i++) {
    if (known[i] <= own && known[i] > best) best = known[i];
    if (known[i] < lowest) lowest = known[i];
  }
  free(known);
  if (status != STATUS_OK) return status;
  if (best == 0)
    return status_fail(STATUS_FAILED,
                       "%s has compute capability %d.%d, and this NVRTC begins with %d.%d: install NVRTC and "
                       "cuBLAS of an earlier CUDA",
                       device->base.info.name, major, minor, lowest / 10, lowest % 10);
  device->machine_code = best == own;
  (void)snprintf(device->architecture, sizeof device->architecture, "--gpu-architecture=%s_%d",
                 device->machine_code ? "sm" : "compute", best);
  return STATUS_OK;
}

/// *log = the compiler's output, or NULL if there is none.
static void read_log(nvrtcProgram program, char **log) {
  size_t size = 0;
  *log = NULL;
  if (cuda.nvrtcGetProgramLogSize(program, &size) != 0 || size <= 1) return;
  *log = calloc(size + 1, 1);
  if (*log != NULL && cuda.nvrtcGetProgramLog(program, *log) == 0) return;
  free(*log);
  *log = NULL;
}

static Status read_code(nvrtcProgram program, bool machine_code, char **code, size_t *size) {
  if (machine_code)
    TRY(NVRTC(nvrtcGetCUBINSize, program, size));
  else
    TRY(NVRTC(nvrtcGetPTXSize, program, size));
  TRY(mem_array(code, *size + 1, "compiled kernels"));
  return machine_code ? NVRTC(nvrtcGetCUBIN, program, *code) : NVRTC(nvrtcGetPTX, program, *code);
}

/// Compiles to *code, which the caller frees.
static Status compile(const CudaDevice *device, const char *source, const char *options, char **code,
                      size_t *size, char **log) {
  const char *list[MOST_OPTIONS] = {device->architecture};
  int count = 1;
  char *words = NULL, *rest = NULL;
  nvrtcProgram program = NULL;
  Status status = STATUS_OK;
  TRY(str_copy(&words, options, strlen(options)));
  for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
    if (count == MOST_OPTIONS) {
      status = status_fail(STATUS_FAILED, "more than %d options for the compiler", MOST_OPTIONS);
      goto cleanup;
    }
    list[count++] = word;
  }
  TRY_CLEAN(NVRTC(nvrtcCreateProgram, &program, source, NULL, 0, NULL, NULL));
  status = NVRTC(nvrtcCompileProgram, program, count, list);
  if (status == STATUS_OK)
    status = read_code(program, device->machine_code, code, size);
  else
    read_log(program, log);
cleanup:
  if (program != NULL) (void)cuda.nvrtcDestroyProgram(&program);
  free(words);
  return status;
}

/// Gives code[size] to the driver. *out owns `code`, also on failure. *log = what the driver's compiler says,
/// unless `log` is NULL.
static Status load(void *code, size_t size, Program **out, char **log) {
  CudaProgram *program = NULL;
  int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  char *errors = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&errors, JIT_LOG, "the driver's log"));
  TRY_CLEAN(mem_array(&program, 1, "program"));
  void *values[] = {errors, (void *)(uintptr_t)(JIT_LOG - 1)};
  TRY_CLEAN(CU(cuModuleLoadDataEx, &program->module, code, 2, options, values));
  program->code = code;
  program->code_size = size;
  code = NULL;
  *out = &program->base;
  program = NULL;
cleanup:
  if (status != STATUS_OK && log != NULL && errors != NULL && errors[0] != '\0') {
    *log = errors;
    errors = NULL;
  }
  free(errors);
  free(program);
  free(code);
  return status;
}

Status cuda_program_build(Device *base, const char *source, const char *options, Program **out, char **log) {
  char *code = NULL;
  size_t size = 0;
  TRY(cuda_enter(base));
  Status status = compile(cuda_device(base), source, options, &code, &size, log);
  if (status == STATUS_OK) return load(code, size, out, log);
  free(code);
  return status;
}

Status cuda_program_load(Device *base, const void *bytes, size_t size, const char *options, Program **out) {
  char *code = NULL;
  (void)options;
  TRY(cuda_enter(base));
  TRY(mem_array(&code, size + 1, "compiled kernels")); // PTX ends with a NUL
  memcpy(code, bytes, size);
  return load(code, size, out, NULL);
}

Status cuda_program_binary(const Program *base, void **bytes, size_t *size) {
  const CudaProgram *program = (const CudaProgram *)base;
  *size = program->code_size;
  TRY(mem_alloc(bytes, *size, 1, "compiled kernels"));
  memcpy(*bytes, program->code, *size);
  return STATUS_OK;
}

void cuda_program_free(Program *base) {
  CudaProgram *program = (CudaProgram *)base;
  if (cuda_enter(base->device) == STATUS_OK) (void)cuda.cuModuleUnload(program->module);
  free(program->code);
  free(program);
}

/// Asks for the parameters' sizes, since a launch does not check them.
static void read_sizes(CudaKernel *kernel) {
  size_t offset = 0;
  if (cuda.cuFuncGetParamInfo == NULL) return;
  while (kernel->count < CUDA_MOST_ARGUMENTS &&
         cuda.cuFuncGetParamInfo(kernel->function, kernel->count, &offset, &kernel->sizes[kernel->count]) ==
             CUDA_SUCCESS)
    kernel->count++;
  kernel->sizes_known = kernel->count < CUDA_MOST_ARGUMENTS;
}

Status cuda_kernel_create(Program *base, const char *name, Kernel **out) {
  CudaKernel *kernel = NULL;
  TRY(cuda_enter(base->device));
  TRY(mem_array(&kernel, 1, "kernel"));
  Status status = CU(cuModuleGetFunction, &kernel->function, ((const CudaProgram *)base)->module, name);
  if (status != STATUS_OK) {
    free(kernel);
    return status;
  }
  read_sizes(kernel);
  *out = &kernel->base;
  return STATUS_OK;
}

void cuda_kernel_free(Kernel *kernel) {
  free(kernel);
}

static Status check_argument(const CudaKernel *kernel, size_t index, const KernelArgument *argument) {
  size_t size = argument->value != NULL ? argument->size : sizeof(CUdeviceptr);
  if (!kernel->sizes_known || (index < kernel->count && kernel->sizes[index] == size)) return STATUS_OK;
  return status_fail(STATUS_FAILED, "argument %zu has %zu bytes, and the kernel takes %zu", index, size,
                     index < kernel->count ? kernel->sizes[index] : 0);
}

Status cuda_kernel_launch(Kernel *base, const size_t groups[3], const size_t items[3],
                          const KernelArgument *arguments, size_t count) {
  CudaKernel *kernel = (CudaKernel *)base;
  CUdeviceptr memory[CUDA_MOST_ARGUMENTS];
  void *values[CUDA_MOST_ARGUMENTS];
  TRY(cuda_enter(base->device));
  if (count > CUDA_MOST_ARGUMENTS || (kernel->sizes_known && count != kernel->count))
    return status_fail(STATUS_FAILED, "%zu arguments, and the kernel takes %zu", count, kernel->count);
  if (groups[0] > INT_MAX || groups[1] > MOST_GROUPS_YZ || groups[2] > MOST_GROUPS_YZ)
    return status_fail(STATUS_FAILED, "%zu x %zu x %zu groups; CUDA allows %d x %d x %d", groups[0],
                       groups[1], groups[2], INT_MAX, MOST_GROUPS_YZ, MOST_GROUPS_YZ);
  for (size_t i = 0; i < count; i++) {
    TRY(check_argument(kernel, i, &arguments[i]));
    memory[i] = arguments[i].buffer != NULL ? cuda_memory(arguments[i].buffer) : 0;
    // The library copies the values before it returns and does not write to them.
    values[i] = arguments[i].value != NULL ? (void *)(uintptr_t)arguments[i].value : &memory[i];
  }
  return CU(cuLaunchKernel, kernel->function, (unsigned)groups[0], (unsigned)groups[1], (unsigned)groups[2],
            (unsigned)items[0], (unsigned)items[1], (unsigned)items[2], 0, cuda_device(base->device)->stream,
            values, NULL);
}
