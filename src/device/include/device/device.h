// One device, whatever its vendor: buffers, programs, launches and, where the vendor has one, a GEMM. This room never
// sees a tensor's meaning. Behind it stands a vtable (device/backend.h); OpenCL is the first back end.
// All commands of a device run in order, one queue. A Device is used by one thread at a time.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What hardware a device is. Which kernels it runs is ops' matter (ops/kernel_family.h).
typedef enum DeviceClass { DEVICE_CPU, DEVICE_GPU } DeviceClass;

typedef struct DeviceInfo {
  char backend[16];   // "opencl"
  char platform[128]; // "Portable Computing Language"
  char name[128];
  char driver[128]; // version string
  DeviceClass kind;
  uint64_t memory;         // bytes
  uint64_t max_allocation; // bytes in one buffer
  uint64_t local_memory;   // bytes a work group shares
  size_t max_group;        // work items in a group
  size_t view_alignment;   // bytes; offsets of buffer_view are multiples of this
  unsigned compute_units;
  unsigned
      vector_width; // floats in a vector register as the driver tells: 16, 8, 4; 1: it works a float at a time
} DeviceInfo;

typedef struct Device Device;
typedef struct Buffer Buffer;
typedef struct Program Program;
typedef struct Kernel Kernel;

/// Which device to take. NULL or "auto" anywhere means: choose. `name` matches a device by case-insensitive substring
/// of "platform name", or by "index" as `gee-cl devices` prints it, or a class: "cpu", "gpu".
typedef struct DeviceOptions {
  const char *backend; // auto | opencl
  const char *name;
  const char
      *cache_directory; // compiled programs; NULL: $XDG_CACHE_HOME/gee-cl or ~/.cache/gee-cl; "": no cache
} DeviceOptions;

/// *list = every device found (free()); *count may be 0. Order is the order of `index`.
STATUS_CHECKED Status device_list(DeviceInfo **list, size_t *count);
/// Index of what `options` picks from `list`: auto takes a GPU, else a CPU. STATUS_INPUT where nothing matches, naming
/// what there is.
STATUS_CHECKED Status device_choose(const DeviceOptions *options, const DeviceInfo *list, size_t count,
                                    size_t *index);
STATUS_CHECKED Status device_open(const DeviceOptions *options, Device **out);
void device_close(Device *device);
const DeviceInfo *device_info(const Device *device);

/// A buffer of `bytes` (> 0), content undefined.
STATUS_CHECKED Status buffer_create(Device *device, size_t bytes, Buffer **out);
/// A part of `parent` that shares its memory: kept alive by the view; `offset` a multiple of view_alignment.
STATUS_CHECKED Status buffer_view(Buffer *parent, size_t offset, size_t bytes, Buffer **out);
/// Safe on NULL.
void buffer_free(Buffer *buffer);
size_t buffer_size(const Buffer *buffer);
/// Host to device; `bytes` is copied before the call returns.
STATUS_CHECKED Status buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes);
/// Device to host; waits for all earlier commands.
STATUS_CHECKED Status buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes);
STATUS_CHECKED Status buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset,
                                  size_t bytes);
/// Zero bytes; offset and bytes multiples of 4.
STATUS_CHECKED Status buffer_zero(Buffer *to, size_t offset, size_t bytes);
STATUS_CHECKED Status device_finish(Device *device);

/// Compiles `source` with `options` ("-DNAME=value …") and the back end's own flags, or takes it from the cache. `name` stands in messages; a
/// compiler's log is part of the failure's message (its first lines) and whole in <cache>/<name>.log.
STATUS_CHECKED Status program_create(Device *device, const char *name, const char *source,
                                     const char *options, Program **out);
void program_free(Program *program);
STATUS_CHECKED Status kernel_create(Program *program, const char *name, Kernel **out);
void kernel_free(Kernel *kernel);

/// One argument of a launch.
typedef struct KernelArgument {
  const Buffer *buffer; // a pointer argument; all fields zero: a NULL pointer
  const void *value;    // a scalar argument of `size` bytes
  size_t size;
} KernelArgument;

/// Queues the kernel: groups[3] work groups of items[3] work items.
STATUS_CHECKED Status kernel_launch(Kernel *kernel, const size_t groups[3], const size_t items[3],
                                    const KernelArgument *arguments, size_t count);

// ---- a vendor's GEMM (CLBlast, cuBLAS) ----

/// A matrix as it is stored: row-major, element (r, c) at offset + r · stride + c. `transposed` means that the product takes
/// its transpose; C is never transposed.
typedef struct GemmMatrix {
  const Buffer *buffer; // NULL only where no product is computed: to ask device_can_gemm, and in a plan
  size_t offset;        // elements
  size_t stride;        // elements from one stored row to the next
  DType type;
  bool transposed;
} GemmMatrix;

/// How precisely products may be taken; sums are float32 always.
typedef enum GemmMath {
  GEMM_F32,         // float32 products of float32 values
  GEMM_HALF_INPUTS, // values may be rounded to 16 bits first
} GemmMath;

/// C[m,n] = alpha · op(A)[m,k] · op(B)[k,n] + beta · C
typedef struct GemmCall {
  size_t m, n, k;
  float alpha, beta;
  GemmMatrix a, b, c;
  GemmMath math;
} GemmCall;

/// True where the device's vendor offers a GEMM for these types and this math. Buffers are not looked at.
bool device_can_gemm(const Device *device, const GemmCall *call);
/// The vendor's GEMM; writes into c.buffer. Only where device_can_gemm.
STATUS_CHECKED Status device_gemm(Device *device, const GemmCall *call);
