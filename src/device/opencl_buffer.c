// OpenCL buffers. A view is always a sub-buffer of the root allocation, because OpenCL has no sub-buffers of
// sub-buffers.
#include "opencl.h"

#include "util/memory.h"
#include <stdlib.h>

static Status wrap(cl_mem memory, cl_int code, const char *call, Buffer **out) {
  TRY(opencl_check(code, call));
  OpenclBuffer *buffer = NULL;
  Status status = mem_array(&buffer, 1, "buffer");
  if (status != STATUS_OK) {
    (void)clReleaseMemObject(memory);
    return status;
  }
  buffer->memory = memory;
  *out = &buffer->base;
  return STATUS_OK;
}

Status opencl_buffer_create(Device *device, size_t bytes, Buffer **out) {
  cl_int code;
  cl_mem memory = clCreateBuffer(opencl_device(device)->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
  return wrap(memory, code, "clCreateBuffer", out);
}

Status opencl_buffer_view(Buffer *root, size_t offset, size_t bytes, Buffer **out) {
  const cl_buffer_region region = {offset, bytes};
  cl_int code;
  cl_mem memory = clCreateSubBuffer(opencl_memory(root), 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
  return wrap(memory, code, "clCreateSubBuffer", out);
}

void opencl_buffer_free(Buffer *buffer) {
  (void)clReleaseMemObject(opencl_memory(buffer));
  free(buffer);
}

static cl_command_queue queue_of(const Buffer *buffer) {
  return opencl_device(buffer->device)->queue;
}

Status opencl_buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes) {
  cl_int code = clEnqueueWriteBuffer(queue_of(to), opencl_memory(to), CL_TRUE, offset, bytes, from, 0, NULL,
                                     opencl_event(to->device));
  return opencl_check(code, "clEnqueueWriteBuffer");
}

Status opencl_buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes) {
  cl_int code = clEnqueueReadBuffer(queue_of(from), opencl_memory(from), CL_TRUE, offset, bytes, to, 0, NULL,
                                    opencl_event(from->device));
  return opencl_check(code, "clEnqueueReadBuffer");
}

Status opencl_buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset,
                          size_t bytes) {
  cl_int code = clEnqueueCopyBuffer(queue_of(to), opencl_memory(from), opencl_memory(to), from_offset,
                                    to_offset, bytes, 0, NULL, opencl_event(to->device));
  return opencl_check(code, "clEnqueueCopyBuffer");
}

Status opencl_buffer_zero(Buffer *to, size_t offset, size_t bytes) {
  static const unsigned char zeros[128];
  // The widest pattern that divides both, because some drivers fill one pattern at a time. The loop ends at 4
  // at the latest: device.c has checked that both are multiples of 4.
  size_t pattern = sizeof zeros;
  while ((offset | bytes) % pattern != 0) pattern /= 2;
  cl_int code = clEnqueueFillBuffer(queue_of(to), opencl_memory(to), zeros, pattern, offset, bytes, 0, NULL,
                                    opencl_event(to->device));
  return opencl_check(code, "clEnqueueFillBuffer");
}
