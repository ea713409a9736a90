// The device calls. Rule: arguments are checked here, once for all back ends, before a back end's function is
// called.
#include "backend.h"

#include "cache.h"
#include "device/cache_folder.h"
#include "timing.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// In the order of `gee-cl devices`. Of two that match, `auto` takes the first, so CUDA comes before OpenCL.
static const Backend *const backends[] = {&cuda_backend, &opencl_backend};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

Status device_list(DeviceInfo **list, size_t *count) {
  *list = NULL;
  *count = 0;
  for (size_t i = 0; i < BACKENDS; i++) {
    Status status = backends[i]->list(list, count);
    if (status != STATUS_OK) {
      free(*list);
      *list = NULL;
      *count = 0;
      return status;
    }
  }
  return STATUS_OK;
}

Status device_libraries(BackendLibrary **list, size_t *count) {
  *list = NULL;
  *count = 0;
  for (size_t i = 0; i < BACKENDS; i++) {
    if (backends[i]->libraries == NULL) continue;
    Status status = backends[i]->libraries(list, count);
    if (status == STATUS_OK) continue;
    free(*list);
    *list = NULL;
    *count = 0;
    return status;
  }
  return STATUS_OK;
}

static const Backend *find_backend(const char *name) {
  for (size_t i = 0; i < BACKENDS; i++) {
    if (strcmp(backends[i]->name, name) == 0) return backends[i];
  }
  return NULL;
}

/// If CUDA was asked for and is not there: which of its libraries is missing, instead of the list of devices.
static Status explain_choice(const DeviceOptions *options, Status status) {
  if (status != STATUS_INPUT || options == NULL) return status;
  bool asked = (options->backend != NULL && strcasecmp(options->backend, "cuda") == 0) ||
               (options->name != NULL && strncasecmp(options->name, "cuda:", 5) == 0);
  BackendLibrary *list = NULL;
  size_t count = 0;
  if (asked) TRY(device_libraries(&list, &count));
  for (size_t i = 0; i < count; i++) {
    if (list[i].usable) continue;
    status = status_fail(STATUS_INPUT, "no CUDA device: %s: %s", list[i].name, list[i].finding);
    break;
  }
  free(list);
  return status;
}

Status device_open(const DeviceOptions *options, Device **out) {
  *out = NULL;
  DeviceInfo *list = NULL;
  size_t count, index;
  TRY(device_list(&list, &count));
  Status status = explain_choice(options, device_choose(options, list, count, &index));
  if (status == STATUS_OK) {
    const Backend *backend = find_backend(list[index].backend);
    size_t first =
        index; // the first device of this back end: device_list keeps each back end's devices together
    while (first > 0 && strcmp(list[first - 1].backend, list[index].backend) == 0) first--;
    bool timed = options != NULL && options->timed;
    status = backend->open(index - first, timed, out);
    if (status == STATUS_OK) (*out)->timed = timed;
  }
  if (status == STATUS_OK) {
    status = cache_directory(options != NULL ? options->cache_directory : NULL, &(*out)->cache);
    if (status != STATUS_OK) {
      device_close(*out);
      *out = NULL;
    }
  }
  free(list);
  return status;
}

void device_close(Device *device) {
  if (device == NULL) return;
  device_timeline_end(device);
  free(device->identity);
  free(device->cache);
  device->backend->close(device);
}

const DeviceInfo *device_info(const Device *device) {
  return &device->info;
}

Status device_finish(Device *device) {
  return device->backend->finish(device);
}

Status buffer_create(Device *device, size_t bytes, Buffer **out) {
  *out = NULL;
  if (bytes == 0) return status_fail(STATUS_FAILED, "a buffer of 0 bytes was asked for");
  if (bytes > device->info.max_allocation) {
    return status_fail(STATUS_FAILED,
                       "%s allocates at most %" PRIu64
                       " MiB in one piece, and %zu MiB are needed: use a smaller "
                       "model, model.dtype = bf16 or a smaller micro batch",
                       device->info.name, device->info.max_allocation >> 20, (bytes >> 20) + 1);
  }
  TRY(device->backend->buffer_create(device, bytes, out));
  (*out)->device = device;
  (*out)->size = bytes;
  (*out)->root = *out;
  (*out)->references = 1;
  return STATUS_OK;
}

Status buffer_view(Buffer *parent, size_t offset, size_t bytes, Buffer **out) {
  *out = NULL;
  Device *device = parent->device;
  if (bytes == 0 || offset > parent->size || bytes > parent->size - offset) {
    return status_fail(STATUS_FAILED, "a view of bytes %zu to %zu in a buffer of %zu", offset, offset + bytes,
                       parent->size);
  }
  if (offset % device->info.view_alignment != 0) {
    return status_fail(STATUS_FAILED, "a view at byte %zu, not a multiple of %zu", offset,
                       device->info.view_alignment);
  }
  size_t root_offset = parent->offset + offset;
  TRY(device->backend->buffer_view(parent->root, root_offset, bytes, out));
  (*out)->device = device;
  (*out)->size = bytes;
  (*out)->root = parent->root;
  (*out)->offset = root_offset;
  parent->root->references++;
  return STATUS_OK;
}

void buffer_free(Buffer *buffer) {
  if (buffer == NULL) return;
  Buffer *root = buffer->root;
  const Backend *backend = buffer->device->backend;
  // A view counts in its root, so the root's memory outlives its views in whatever order they are freed.
  if (buffer != root) backend->buffer_free(buffer);
  if (--root->references == 0) backend->buffer_free(root);
}

size_t buffer_size(const Buffer *buffer) {
  return buffer->size;
}

static Status check_range(const char *what, const Buffer *buffer, size_t offset, size_t bytes) {
  if (offset <= buffer->size && bytes <= buffer->size - offset) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s of %zu bytes at %zu in a buffer of %zu", what, bytes, offset,
                     buffer->size);
}

Status buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes) {
  TRY(check_range("a write", to, offset, bytes));
  if (bytes == 0) return STATUS_OK;
  TRY(timing_begin(to->device, "write", false));
  return timing_end(to->device, to->device->backend->buffer_write(to, offset, from, bytes));
}

Status buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes) {
  TRY(check_range("a read", from, offset, bytes));
  if (bytes == 0) return STATUS_OK;
  TRY(timing_begin(from->device, "read", false));
  return timing_end(from->device, from->device->backend->buffer_read(from, offset, to, bytes));
}

Status buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset, size_t bytes) {
  TRY(check_range("a copy", to, to_offset, bytes));
  TRY(check_range("a copy", from, from_offset, bytes));
  if (bytes == 0) return STATUS_OK;
  TRY(timing_begin(to->device, "copy", false));
  return timing_end(to->device, to->device->backend->buffer_copy(to, to_offset, from, from_offset, bytes));
}

Status buffer_zero(Buffer *to, size_t offset, size_t bytes) {
  TRY(check_range("zeroing", to, offset, bytes));
  if (offset % 4 != 0 || bytes % 4 != 0) {
    return status_fail(STATUS_FAILED, "zeroing %zu bytes at %zu: not whole words of 4 bytes", bytes, offset);
  }
  if (bytes == 0) return STATUS_OK;
  TRY(timing_begin(to->device, "zero", false));
  return timing_end(to->device, to->device->backend->buffer_zero(to, offset, bytes));
}

/// Compiles. If that fails, the compiler's log goes into the message and into a file.
static Status build(Device *device, const char *name, const char *source, const char *options,
                    Program **out) {
  char *log = NULL;
  Status status = device->backend->program_build(device, source, options, out, &log);
  if (status != STATUS_OK && log != NULL) status = cache_report_log(device, name, log);
  free(log);
  return status_context(status, "kernels %s", name);
}

/// Takes the program from the cache, or compiles it and stores it there.
static Status load_or_build(Device *device, const char *name, const char *source, const char *options,
                            Program **out) {
  const Backend *backend = device->backend;
  CacheEntry entry = {0};
  bool cached = device->cache != NULL && !device->keeps_programs && backend->program_load != NULL;
  if (cached) TRY(cache_find(device, name, source, options, &entry));
  Status status = STATUS_FAILED;
  if (entry.bytes != NULL) status = backend->program_load(device, entry.bytes, entry.size, options, out);
  if (status != STATUS_OK) {
    status = build(device, name, source, options, out);
    void *binary = NULL;
    size_t size = 0;
    if (status == STATUS_OK && cached && backend->program_binary(*out, &binary, &size) == STATUS_OK &&
        size > 0) {
      cache_store(&entry, binary, size);
    }
    free(binary);
  }
  cache_entry_free(&entry);
  return status;
}

Status program_create(Device *device, const char *name, const char *source, const char *options,
                      Program **out) {
  *out = NULL;
  char *flags = NULL;
  TRY(str_format(&flags, "%s %s", device->backend->compiler_flags, options != NULL ? options : ""));
  Status status = load_or_build(device, name, source, flags, out);
  free(flags);
  if (status != STATUS_OK) return status;
  (*out)->device = device;
  status = str_copy(&(*out)->name, name, strlen(name));
  if (status != STATUS_OK) {
    program_free(*out);
    *out = NULL;
  }
  return status;
}

void program_free(Program *program) {
  if (program == NULL) return;
  free(program->name);
  program->device->backend->program_free(program);
}

Status kernel_create(Program *program, const char *name, Kernel **out) {
  *out = NULL;
  TRY(status_context(program->device->backend->kernel_create(program, name, out), "kernel %s of %s", name,
                     program->name));
  (*out)->device = program->device;
  Status status = str_copy(&(*out)->name, name, strlen(name));
  if (status != STATUS_OK) {
    kernel_free(*out);
    *out = NULL;
  }
  return status;
}

void kernel_free(Kernel *kernel) {
  if (kernel == NULL) return;
  free(kernel->name);
  kernel->device->backend->kernel_free(kernel);
}

Status kernel_launch(Kernel *kernel, const size_t groups[3], const size_t items[3],
                     const KernelArgument *arguments, size_t count) {
  const DeviceInfo *info = &kernel->device->info;
  if (items[0] * items[1] * items[2] > info->max_group) {
    return status_fail(STATUS_FAILED, "kernel %s: a group of %zu x %zu x %zu, %s allows %zu", kernel->name,
                       items[0], items[1], items[2], info->name, info->max_group);
  }
  if (groups[0] == 0 || groups[1] == 0 || groups[2] == 0) return STATUS_OK;
  TRY(timing_begin(kernel->device, kernel->name, false));
  Status status = kernel->device->backend->kernel_launch(kernel, groups, items, arguments, count);
  return timing_end(kernel->device, status_context(status, "kernel %s", kernel->name));
}

bool device_can_gemm(const Device *device, const GemmCall *call) {
  return device->backend->gemm != NULL && device->backend->can_gemm(device, call);
}

/// STATUS_FAILED unless the stored [rows, cols] matrix lies inside its buffer. rows and cols are at least 1.
static Status check_matrix(const char *name, const GemmMatrix *matrix, size_t rows, size_t cols) {
  size_t end = matrix->offset + (rows - 1) * matrix->stride + cols;
  if (matrix->stride >= cols && dtype_bytes(matrix->type, end) <= matrix->buffer->size) return STATUS_OK;
  return status_fail(STATUS_FAILED, "gemm: %s is [%zu, %zu] at %zu, rows %zu apart, in a buffer of %zu bytes",
                     name, rows, cols, matrix->offset, matrix->stride, matrix->buffer->size);
}

bool device_gemm_refused(const Device *device) {
  return device->gemm_refused;
}

Status device_gemm(Device *device, const GemmCall *call) {
  device->gemm_refused = false;
  if (!device_can_gemm(device, call)) {
    return status_fail(STATUS_FAILED, "%s has no vendor GEMM for %s · %s to %s", device->info.name,
                       dtype_name(call->a.type), dtype_name(call->b.type), dtype_name(call->c.type));
  }
  if (call->m == 0 || call->n == 0 || call->k == 0) return STATUS_OK;
  size_t a_rows = call->a.transposed ? call->k : call->m, a_cols = call->a.transposed ? call->m : call->k;
  size_t b_rows = call->b.transposed ? call->n : call->k, b_cols = call->b.transposed ? call->k : call->n;
  TRY(check_matrix("A", &call->a, a_rows, a_cols));
  TRY(check_matrix("B", &call->b, b_rows, b_cols));
  TRY(check_matrix("C", &call->c, call->m, call->n));
  TRY(timing_begin(device, "vendor gemm", true));
  return timing_end(device, device->backend->gemm(device, call));
}
