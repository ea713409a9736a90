// OpenCL platforms and devices: listing and opening them. A platform that has no device, or fails to list its
// devices, is skipped: it is common for a driver to be installed without its hardware.
#include "opencl.h"

#include "device/cache_folder.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

/// A device of the list with its platform.
typedef struct Found {
  cl_platform_id platform;
  cl_device_id device;
} Found;

const Backend opencl_backend = {
    .name = "opencl",
    // -w: without it some drivers print their compiler's warnings to the user's terminal.
    .compiler_flags = "-w -cl-std=CL1.2",
    .list = opencl_list,
    .open = opencl_open,
    .close = opencl_close,
    .finish = opencl_finish,
    .buffer_create = opencl_buffer_create,
    .buffer_view = opencl_buffer_view,
    .buffer_free = opencl_buffer_free,
    .buffer_write = opencl_buffer_write,
    .buffer_read = opencl_buffer_read,
    .buffer_copy = opencl_buffer_copy,
    .buffer_zero = opencl_buffer_zero,
    .program_build = opencl_program_build,
    .program_load = opencl_program_load,
    .program_binary = opencl_program_binary,
    .program_free = opencl_program_free,
    .kernel_create = opencl_kernel_create,
    .kernel_free = opencl_kernel_free,
    .kernel_launch = opencl_kernel_launch,
    .timer_begin = opencl_timer_begin,
    .timer_end = opencl_timer_end,
    .timer_read = opencl_timer_read,
    .timer_drop = opencl_timer_drop,
    .can_gemm = opencl_can_gemm,
    .gemm = opencl_gemm,
};

/// Appends the platform's devices that are available and can compile.
static Status find_on(cl_platform_id platform, Found **found, size_t *count) {
  cl_uint devices = 0;
  if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &devices) != CL_SUCCESS || devices == 0)
    return STATUS_OK;
  cl_device_id *ids = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&ids, devices, "OpenCL devices"));
  if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, devices, ids, NULL) != CL_SUCCESS) goto cleanup;
  size_t capacity = *count;
  TRY_CLEAN(mem_reserve(found, &capacity, *count + devices, "OpenCL devices"));
  for (cl_uint i = 0; i < devices; i++) {
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    (void)clGetDeviceInfo(ids[i], CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
    (void)clGetDeviceInfo(ids[i], CL_DEVICE_COMPILER_AVAILABLE, sizeof compiler, &compiler, NULL);
    if (available && compiler) (*found)[(*count)++] = (Found){platform, ids[i]};
  }
cleanup:
  free(ids);
  return status;
}

/// *found = every usable device, in the order of the platforms; the caller frees it.
static Status find_all(Found **found, size_t *count) {
  *found = NULL;
  *count = 0;
  TRY(pocl_cache_prepare());
  cl_uint platforms = 0;
  if (clGetPlatformIDs(0, NULL, &platforms) != CL_SUCCESS || platforms == 0) return STATUS_OK;
  cl_platform_id *ids = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&ids, platforms, "OpenCL platforms"));
  if (clGetPlatformIDs(platforms, ids, NULL) != CL_SUCCESS) goto cleanup;
  for (cl_uint i = 0; i < platforms; i++) TRY_CLEAN(find_on(ids[i], found, count));
cleanup:
  free(ids);
  if (status != STATUS_OK) {
    free(*found);
    *found = NULL;
  }
  return status;
}

/// Copies a device's text into out[size], cut if it is longer, without the blanks that some drivers put
/// around it.
static void device_text(cl_device_id id, cl_device_info what, char *out, size_t size) {
  char text[512] = "";
  if (clGetDeviceInfo(id, what, sizeof text - 1, text, NULL) != CL_SUCCESS) text[0] = '\0';
  const char *start = text + strspn(text, " ");
  size_t length = strlen(start);
  while (length > 0 && start[length - 1] == ' ') length--;
  if (length > size - 1) length = size - 1;
  memcpy(out, start, length);
  out[length] = '\0';
}

static uint64_t device_number(cl_device_id id, cl_device_info what) {
  cl_ulong value = 0;
  (void)clGetDeviceInfo(id, what, sizeof value, &value, NULL);
  return value;
}

static void describe(const Found *found, DeviceInfo *info) {
  cl_device_id id = found->device;
  *info = (DeviceInfo){.backend = "opencl", .gemm = "CLBlast"};
  char platform[512] = "";
  (void)clGetPlatformInfo(found->platform, CL_PLATFORM_NAME, sizeof platform - 1, platform, NULL);
  platform[sizeof info->platform - 1] = '\0';
  memcpy(info->platform, platform, sizeof info->platform);
  device_text(id, CL_DEVICE_NAME, info->name, sizeof info->name);
  device_text(id, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
  cl_device_type type = 0;
  (void)clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  info->kind = (type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) != 0 ? DEVICE_GPU : DEVICE_CPU;
  info->memory = device_number(id, CL_DEVICE_GLOBAL_MEM_SIZE);
  info->max_allocation = device_number(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  info->local_memory = device_number(id, CL_DEVICE_LOCAL_MEM_SIZE);
  (void)clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof info->max_group, &info->max_group, NULL);
  cl_uint bits = 0, units = 0, width = 0;
  (void)clGetDeviceInfo(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL);
  (void)clGetDeviceInfo(id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
  (void)clGetDeviceInfo(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof width, &width, NULL);
  info->view_alignment = bits >= 8 * 64 ? bits / 8 : 64;
  info->compute_units = units;
  info->vector_width = width > 0 ? width : 1;
}

Status opencl_list(DeviceInfo **list, size_t *count) {
  Found *found;
  size_t more;
  TRY(find_all(&found, &more));
  Status status = STATUS_OK;
  if (more > 0) {
    DeviceInfo *grown = realloc(*list, (*count + more) * sizeof *grown);
    if (grown == NULL) {
      status = status_fail(STATUS_FAILED, "out of memory listing OpenCL devices");
    } else {
      for (size_t i = 0; i < more; i++) describe(&found[i], &grown[*count + i]);
      *list = grown;
      *count += more;
    }
  }
  free(found);
  return status;
}

/// Drivers report faults such as an illegal access or a lost device at any time: log them; no call is waiting
/// for the result.
static void CL_CALLBACK on_fault(const char *text, const void *details, size_t size, void *user) {
  (void)details;
  (void)size;
  (void)user;
  log_say(LOG_WARNING, "the OpenCL driver says: %s", text);
}

/// Fills in `identity`: every version that a compiled program depends on.
static Status identify(OpenclDevice *device, cl_platform_id platform) {
  char platform_version[256] = "", device_version[256];
  (void)clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof platform_version - 1, platform_version, NULL);
  device_text(device->id, CL_DEVICE_VERSION, device_version, sizeof device_version);
  const DeviceInfo *info = &device->base.info;
  return str_format(&device->base.identity, "%s\n%s\n%s\n%s\n%s", info->platform, platform_version,
                    info->name, device_version, info->driver);
}

Status opencl_open(size_t index, bool timed, Device **out) {
  *out = NULL;
  Status status = STATUS_OK;
  OpenclDevice *device = NULL;
  Found *found = NULL;
  size_t count = 0;
  TRY(find_all(&found, &count));
  if (index >= count) {
    status = status_fail(STATUS_FAILED, "OpenCL device %zu is gone; %zu are left", index, count);
    goto cleanup;
  }
  TRY_CLEAN(mem_array(&device, 1, "OpenCL device"));
  device->base.backend = &opencl_backend;
  device->id = found[index].device;
  describe(&found[index], &device->base.info);
  TRY_CLEAN(identify(device, found[index].platform));
  // pocl has its own cache. Asked for a binary, it compiles every kernel for every group size, which takes 23
  // s instead of 1 s.
  device->base.keeps_programs = strstr(device->base.info.platform, "Portable Computing Language") != NULL;
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                              (cl_context_properties)found[index].platform, 0};
  cl_int code;
  device->context = clCreateContext(properties, 1, &device->id, on_fault, NULL, &code);
  TRY_CLEAN(opencl_check(code, "clCreateContext"));
  device->queue =
      clCreateCommandQueue(device->context, device->id, timed ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
  TRY_CLEAN(opencl_check(code, "clCreateCommandQueue"));
  *out = &device->base;
  device = NULL;
cleanup:
  if (device != NULL) {
    free(device->base.identity);
    opencl_close(&device->base);
  }
  free(found);
  return status;
}

void opencl_close(Device *base) {
  OpenclDevice *device = opencl_device(base);
  if (device->queue != NULL) {
    (void)clFinish(device->queue);
    if (device->used_gemm) opencl_gemm_forget();
    (void)clReleaseCommandQueue(device->queue);
  }
  if (device->context != NULL) (void)clReleaseContext(device->context);
  free(device);
}

Status opencl_finish(Device *device) {
  return opencl_check(clFinish(opencl_device(device)->queue), "clFinish");
}
