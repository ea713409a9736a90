// The OpenCL back end's objects and functions. Private to the opencl_*.c files.
#pragma once

#include "backend.h"

#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>

typedef struct OpenclDevice {
  Device base;
  cl_device_id id;
  cl_context context;
  cl_command_queue queue;
  bool used_gemm; // if so, CLBlast holds programs of this context
} OpenclDevice;

typedef struct OpenclBuffer {
  Buffer base;
  cl_mem memory;
} OpenclBuffer;

typedef struct OpenclProgram {
  Program base;
  cl_program program;
} OpenclProgram;

typedef struct OpenclKernel {
  Kernel base;
  cl_kernel kernel;
} OpenclKernel;

static inline OpenclDevice *opencl_device(const Device *device) {
  return (OpenclDevice *)device;
}
static inline cl_mem opencl_memory(const Buffer *buffer) {
  return ((const OpenclBuffer *)buffer)->memory;
}

/// STATUS_OK on CL_SUCCESS, else STATUS_FAILED "<call>: <the code's name>".
STATUS_CHECKED Status opencl_check(cl_int code, const char *call);

STATUS_CHECKED Status opencl_list(DeviceInfo **list, size_t *count);
STATUS_CHECKED Status opencl_open(size_t index, bool timed, Device **out);
void opencl_close(Device *device);
STATUS_CHECKED Status opencl_finish(Device *device);

STATUS_CHECKED Status opencl_buffer_create(Device *device, size_t bytes, Buffer **out);
STATUS_CHECKED Status opencl_buffer_view(Buffer *root, size_t offset, size_t bytes, Buffer **out);
void opencl_buffer_free(Buffer *buffer);
STATUS_CHECKED Status opencl_buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes);
STATUS_CHECKED Status opencl_buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes);
STATUS_CHECKED Status opencl_buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset,
                                         size_t bytes);
STATUS_CHECKED Status opencl_buffer_zero(Buffer *to, size_t offset, size_t bytes);

STATUS_CHECKED Status opencl_program_build(Device *device, const char *source, const char *options,
                                           Program **out, char **log);
STATUS_CHECKED Status opencl_program_load(Device *device, const void *bytes, size_t size, const char *options,
                                          Program **out);
STATUS_CHECKED Status opencl_program_binary(const Program *program, void **bytes, size_t *size);
void opencl_program_free(Program *program);
STATUS_CHECKED Status opencl_kernel_create(Program *program, const char *name, Kernel **out);
void opencl_kernel_free(Kernel *kernel);
STATUS_CHECKED Status opencl_kernel_launch(Kernel *kernel, const size_t groups[3], const size_t items[3],
                                           const KernelArgument *arguments, size_t count);

/// Where a command's event goes if it is timed, else NULL.
cl_event *opencl_event(const Device *device);
STATUS_CHECKED Status opencl_timer_begin(Device *device, Timer *timer, bool several);
STATUS_CHECKED Status opencl_timer_end(Device *device, Timer *timer);
STATUS_CHECKED Status opencl_timer_read(Device *device, Timer *timer, double *start, double *end);
void opencl_timer_drop(Device *device, Timer *timer);

bool opencl_can_gemm(const Device *device, const GemmCall *call);
STATUS_CHECKED Status opencl_gemm(Device *device, const GemmCall *call);
/// Frees what CLBlast keeps for a context that is about to close.
void opencl_gemm_forget(void);
