// OpenCL programs and kernels. Rule: no fast-math option is ever added. The kernels call fma where they want
// it.
#include "opencl.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

static Status wrap(cl_program program, Program **out) {
  OpenclProgram *wrapped = NULL;
  Status status = mem_array(&wrapped, 1, "program");
  if (status != STATUS_OK) {
    (void)clReleaseProgram(program);
    return status;
  }
  wrapped->program = program;
  *out = &wrapped->base;
  return STATUS_OK;
}

/// *log = the compiler's output, or NULL if there is none.
static void read_log(cl_program program, cl_device_id id, char **log) {
  size_t size = 0;
  *log = NULL;
  if (clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) != CL_SUCCESS || size == 0)
    return;
  char *text = calloc(size + 1, 1);
  if (text == NULL) return;
  if (clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, size, text, NULL) != CL_SUCCESS ||
      text[0] == '\0') {
    free(text);
    return;
  }
  *log = text;
}

Status opencl_program_build(Device *base, const char *source, const char *options, Program **out,
                            char **log) {
  OpenclDevice *device = opencl_device(base);
  cl_int code;
  cl_program program = clCreateProgramWithSource(device->context, 1, &source, NULL, &code);
  TRY(opencl_check(code, "clCreateProgramWithSource"));
  code = clBuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (code != CL_SUCCESS) {
    read_log(program, device->id, log);
    (void)clReleaseProgram(program);
    return opencl_check(code, "clBuildProgram");
  }
  return wrap(program, out);
}

Status opencl_program_load(Device *base, const void *bytes, size_t size, const char *options, Program **out) {
  OpenclDevice *device = opencl_device(base);
  const unsigned char *binary = bytes;
  cl_int code, binary_code;
  cl_program program =
      clCreateProgramWithBinary(device->context, 1, &device->id, &size, &binary, &binary_code, &code);
  TRY(opencl_check(code, "clCreateProgramWithBinary"));
  code =
      binary_code != CL_SUCCESS ? binary_code : clBuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (code != CL_SUCCESS) {
    (void)clReleaseProgram(program);
    return opencl_check(code, "clBuildProgram from the cache");
  }
  return wrap(program, out);
}

Status opencl_program_binary(const Program *base, void **bytes, size_t *size) {
  const OpenclProgram *program = (const OpenclProgram *)base;
  *bytes = NULL;
  *size = 0;
  cl_int code = clGetProgramInfo(program->program, CL_PROGRAM_BINARY_SIZES, sizeof *size, size, NULL);
  TRY(opencl_check(code, "clGetProgramInfo"));
  if (*size == 0) return STATUS_OK;
  TRY(mem_alloc(bytes, *size, 1, "compiled kernels"));
  code = clGetProgramInfo(program->program, CL_PROGRAM_BINARIES, sizeof *bytes, bytes, NULL);
  return opencl_check(code, "clGetProgramInfo");
}

void opencl_program_free(Program *base) {
  OpenclProgram *program = (OpenclProgram *)base;
  (void)clReleaseProgram(program->program);
  free(program);
}

Status opencl_kernel_create(Program *base, const char *name, Kernel **out) {
  cl_int code;
  cl_kernel kernel = clCreateKernel(((OpenclProgram *)base)->program, name, &code);
  TRY(opencl_check(code, "clCreateKernel"));
  OpenclKernel *wrapped = NULL;
  Status status = mem_array(&wrapped, 1, "kernel");
  if (status != STATUS_OK) {
    (void)clReleaseKernel(kernel);
    return status;
  }
  wrapped->kernel = kernel;
  *out = &wrapped->base;
  return STATUS_OK;
}

void opencl_kernel_free(Kernel *base) {
  OpenclKernel *kernel = (OpenclKernel *)base;
  (void)clReleaseKernel(kernel->kernel);
  free(kernel);
}

Status opencl_kernel_launch(Kernel *base, const size_t groups[3], const size_t items[3],
                            const KernelArgument *arguments, size_t count) {
  OpenclKernel *kernel = (OpenclKernel *)base;
  for (size_t i = 0; i < count; i++) {
    const KernelArgument *argument = &arguments[i];
    cl_mem memory = argument->buffer != NULL ? opencl_memory(argument->buffer) : NULL;
    cl_int code = argument->value != NULL
                      ? clSetKernelArg(kernel->kernel, (cl_uint)i, argument->size, argument->value)
                      : clSetKernelArg(kernel->kernel, (cl_uint)i, sizeof memory, &memory);
    TRY(status_context(opencl_check(code, "clSetKernelArg"), "argument %zu", i));
  }
  size_t all[3] = {groups[0] * items[0], groups[1] * items[1], groups[2] * items[2]};
  cl_int code = clEnqueueNDRangeKernel(opencl_device(base->device)->queue, kernel->kernel, 3, NULL, all,
                                       items, 0, NULL, opencl_event(base->device));
  return opencl_check(code, "clEnqueueNDRangeKernel");
}
