// CUDA buffers. Everything goes through the device's one stream, so it happens in order. Transfers go through
// pinned memory, because the driver would stage them through its own, and wait, otherwise: a write returns as
// soon as the bytes are copied there.
#include "cuda.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

Status cuda_stages_create(CudaDevice *device) {
  for (size_t i = 0; i < STAGE_PARTS; i++) {
    TRY(CU(cuMemHostAlloc, (void **)&device->stages[i].memory, STAGE_BYTES, 0));
    TRY(CU(cuEventCreate, &device->stages[i].done, CU_EVENT_DISABLE_TIMING));
  }
  return STATUS_OK;
}

void cuda_stages_free(CudaDevice *device) {
  for (size_t i = 0; i < STAGE_PARTS; i++) {
    if (device->stages[i].done != NULL) (void)cuda.cuEventDestroy_v2(device->stages[i].done);
    if (device->stages[i].memory != NULL) (void)cuda.cuMemFreeHost(device->stages[i].memory);
  }
}

static Status wrap(CUdeviceptr memory, Buffer **out) {
  CudaBuffer *buffer = NULL;
  TRY(mem_array(&buffer, 1, "buffer"));
  buffer->memory = memory;
  *out = &buffer->base;
  return STATUS_OK;
}

Status cuda_buffer_create(Device *device, size_t bytes, Buffer **out) {
  CUdeviceptr memory = 0;
  TRY(cuda_enter(device));
  TRY(status_context(CU(cuMemAlloc_v2, &memory, bytes), "a buffer of %zu MiB", (bytes >> 20) + 1));
  Status status = wrap(memory, out);
  if (status != STATUS_OK) (void)cuda.cuMemFree_v2(memory);
  return status;
}

Status cuda_buffer_view(Buffer *root, size_t offset, size_t bytes, Buffer **out) {
  (void)bytes;
  return wrap(cuda_memory(root) + offset, out);
}

void cuda_buffer_free(Buffer *buffer) {
  if (buffer->root == buffer && cuda_enter(buffer->device) == STATUS_OK)
    (void)cuda.cuMemFree_v2(cuda_memory(buffer)); // waits for the work that uses it
  free(buffer);
}

/// The next part of the staging memory, once nothing uses it any more.
static Status take_stage(CudaDevice *device, CudaStage **out) {
  *out = &device->stages[device->next_stage];
  device->next_stage = (device->next_stage + 1) % STAGE_PARTS;
  return CU(cuEventSynchronize, (*out)->done);
}

Status cuda_buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes) {
  CudaDevice *device = cuda_device(to->device);
  TRY(cuda_enter(to->device));
  for (size_t at = 0; at < bytes; at += STAGE_BYTES) {
    CudaStage *stage;
    size_t size = size_min(STAGE_BYTES, bytes - at);
    TRY(take_stage(device, &stage));
    memcpy(stage->memory, (const unsigned char *)from + at, size);
    TRY(CU(cuMemcpyHtoDAsync_v2, cuda_memory(to) + offset + at, stage->memory, size, device->stream));
    TRY(CU(cuEventRecord, stage->done, device->stream));
  }
  return STATUS_OK;
}

/// Sends at most a part's worth of the `bytes` from byte `offset` on. *out = where they arrive.
static Status send_part(const Buffer *from, size_t offset, size_t bytes, CudaStage **out) {
  CudaDevice *device = cuda_device(from->device);
  TRY(take_stage(device, out));
  TRY(CU(cuMemcpyDtoHAsync_v2, (*out)->memory, cuda_memory(from) + offset, size_min(STAGE_BYTES, bytes),
         device->stream));
  return CU(cuEventRecord, (*out)->done, device->stream);
}

Status cuda_buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes) {
  CudaStage *arriving, *next;
  TRY(cuda_enter(from->device));
  TRY(send_part(from, offset, bytes, &arriving));
  next = arriving;
  for (size_t at = 0; at < bytes; at += STAGE_BYTES) {
    if (bytes - at > STAGE_BYTES)
      TRY(send_part(from, offset + at + STAGE_BYTES, bytes - at - STAGE_BYTES, &next));
    TRY(CU(cuEventSynchronize, arriving->done));
    memcpy((unsigned char *)to + at, arriving->memory, size_min(STAGE_BYTES, bytes - at));
    arriving = next;
  }
  return STATUS_OK;
}

Status cuda_buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset, size_t bytes) {
  TRY(cuda_enter(to->device));
  return CU(cuMemcpyDtoDAsync_v2, cuda_memory(to) + to_offset, cuda_memory(from) + from_offset, bytes,
            cuda_device(to->device)->stream);
}

Status cuda_buffer_zero(Buffer *to, size_t offset, size_t bytes) {
  TRY(cuda_enter(to->device));
  return CU(cuMemsetD32Async, cuda_memory(to) + offset, 0, bytes / 4, cuda_device(to->device)->stream);
}
