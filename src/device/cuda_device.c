// CUDA devices: listing and opening them.
#include "cuda.h"

#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>

const Backend cuda_backend = {
    .name = "cuda",
    .compiler_flags = "--disable-warnings",
    .libraries = cuda_libraries,
    .list = cuda_list,
    .open = cuda_open,
    .close = cuda_close,
    .finish = cuda_finish,
    .buffer_create = cuda_buffer_create,
    .buffer_view = cuda_buffer_view,
    .buffer_free = cuda_buffer_free,
    .buffer_write = cuda_buffer_write,
    .buffer_read = cuda_buffer_read,
    .buffer_copy = cuda_buffer_copy,
    .buffer_zero = cuda_buffer_zero,
    .program_build = cuda_program_build,
    .program_load = cuda_program_load,
    .program_binary = cuda_program_binary,
    .program_free = cuda_program_free,
    .kernel_create = cuda_kernel_create,
    .kernel_free = cuda_kernel_free,
    .kernel_launch = cuda_kernel_launch,
    .timer_begin = cuda_timer_begin,
    .timer_end = cuda_timer_end,
    .timer_read = cuda_timer_read,
    .timer_drop = cuda_timer_drop,
    .can_gemm = cuda_can_gemm,
    .gemm = cuda_gemm,
};

static Status attribute(CUdevice id, int which, int *value) {
  return CU(cuDeviceGetAttribute, value, which, id);
}

static Status describe(int index, DeviceInfo *info) {
  CUdevice id = 0;
  size_t memory = 0;
  int items = 0, local = 0, units = 0, driver = 0, nvrtc[2] = {0}, cublas[2] = {0};
  *info = (DeviceInfo){.backend = "cuda",
                       .platform = "CUDA",
                       .gemm = "cuBLAS",
                       .kind = DEVICE_GPU,
                       .view_alignment = 256,
                       .vector_width = 1};
  TRY(CU(cuDeviceGet, &id, index));
  TRY(CU(cuDeviceGetName, info->name, sizeof info->name, id));
  TRY(CU(cuDeviceTotalMem_v2, &memory, id));
  TRY(attribute(id, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &items));
  TRY(attribute(id, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, &local));
  TRY(attribute(id, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &units));
  TRY(CU(cuDriverGetVersion, &driver));
  TRY(NVRTC(nvrtcVersion, &nvrtc[0], &nvrtc[1]));
  for (int i = 0; i < 2; i++) TRY(CUBLAS(cublasLtGetProperty, i, &cublas[i]));
  (void)snprintf(info->driver, sizeof info->driver, "driver of CUDA %d.%d, NVRTC %d.%d, cuBLAS %d.%d",
                 driver / 1000, driver % 1000 / 10, nvrtc[0], nvrtc[1], cublas[0], cublas[1]);
  info->memory = memory;
  info->max_allocation = memory;
  info->max_group = (size_t)items;
  info->local_memory = (uint64_t)local;
  info->compute_units = (unsigned)units;
  return STATUS_OK;
}

Status cuda_list(DeviceInfo **list, size_t *count) {
  bool usable = false;
  int more = 0;
  TRY(cuda_open_libraries(&usable));
  if (!usable) return STATUS_OK;
  TRY(CU(cuDeviceGetCount, &more));
  DeviceInfo *grown = realloc(*list, (*count + (size_t)more) * sizeof *grown);
  if (grown == NULL) return status_fail(STATUS_FAILED, "out of memory listing CUDA devices");
  *list = grown;
  for (int i = 0; i < more; i++) TRY(describe(i, &grown[(*count)++]));
  return STATUS_OK;
}

Status cuda_enter(const Device *device) {
  return CU(cuCtxSetCurrent, ((const CudaDevice *)device)->context);
}

/// Opens what a device works with, once it has a context.
static Status equip(CudaDevice *device) {
  int major = 0, minor = 0;
  TRY(cuda_enter(&device->base));
  TRY(attribute(device->id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major));
  TRY(attribute(device->id, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor));
  device->capability = 10 * major + minor;
  TRY(cuda_choose_architecture(device, major, minor));
  TRY(str_format(&device->base.identity, "%s\n%s\n%s", device->base.info.name, device->base.info.driver,
                 device->architecture));
  TRY(CU(cuStreamCreate, &device->stream, CU_STREAM_NON_BLOCKING));
  TRY(cuda_stages_create(device));
  return cuda_gemm_create(device);
}

Status cuda_open(size_t index, bool timed, Device **out) {
  (void)timed; // events need nothing of a stream
  CudaDevice *device = NULL;
  TRY(mem_array(&device, 1, "device"));
  device->base.backend = &cuda_backend;
  Status status = describe((int)index, &device->base.info);
  if (status == STATUS_OK) status = CU(cuDeviceGet, &device->id, (int)index);
  if (status == STATUS_OK) status = CU(cuDevicePrimaryCtxRetain, &device->context, device->id);
  if (status == STATUS_OK) status = equip(device);
  if (status == STATUS_OK) {
    *out = &device->base;
    return STATUS_OK;
  }
  free(device->base.identity);
  cuda_close(&device->base);
  return status_context(status, "opening CUDA device %zu (device.backend = opencl does without CUDA)", index);
}

void cuda_close(Device *base) {
  CudaDevice *device = cuda_device(base);
  if (device->context != NULL) {
    if (cuda.cuCtxSetCurrent(device->context) == CUDA_SUCCESS) {
      if (device->stream != NULL) (void)cuda.cuStreamSynchronize(device->stream);
      cuda_timers_free(base);
      cuda_gemm_free(device);
      cuda_stages_free(device);
      if (device->stream != NULL) (void)cuda.cuStreamDestroy_v2(device->stream);
    }
    (void)cuda.cuDevicePrimaryCtxRelease_v2(device->id);
  }
  free(device);
}

Status cuda_finish(Device *device) {
  TRY(cuda_enter(device));
  return CU(cuStreamSynchronize, cuda_device(device)->stream);
}
