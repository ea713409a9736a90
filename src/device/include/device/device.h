// A device of any vendor: buffers, programs, launches and, where the vendor has one, a GEMM. This room does
// not know what a tensor means. Each back end, CUDA and OpenCL, fills in one table of functions
// (device/backend.h). A device has one queue and runs its commands in order. A Device may be used by one
// thread at a time.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What hardware a device is. ops decides which kernels it runs (ops/kernel_family.h).
typedef enum DeviceClass { DEVICE_CPU, DEVICE_GPU } DeviceClass;

typedef struct DeviceInfo {
  char backend[16];   // "opencl", "cuda"
  char platform[128]; // "Portable Computing Language"
  char name[128];
  char driver[128]; // version string
  char gemm[16];    // the vendor's GEMM: "CLBlast", "cuBLAS"
  DeviceClass kind;
  uint64_t memory;         // bytes
  uint64_t max_allocation; // bytes in one buffer
  uint64_t local_memory;   // bytes a work group shares
  size_t max_group;        // work items in a group
  size_t view_alignment;   // bytes; offsets of buffer_view are multiples of this
  unsigned compute_units;
  /// Floats in a vector register, as the driver reports it: 16, 8, 4; 1 if it has no vectors.
  unsigned vector_width;
} DeviceInfo;

/// A library that a back end opens at run time, and what came of that.
typedef struct BackendLibrary {
  const char *backend;
  char name[32];  // "libnvrtc.so.13"
  char path[300]; // where it is; empty if it was not found
  bool usable;
  char finding[1000]; // its version; or, if it is not usable, why not and where it was looked for
  char package[40];   // pip's, which has it for this driver; empty if it is usable or comes from elsewhere
} BackendLibrary;

typedef struct Device Device;
typedef struct Buffer Buffer;
typedef struct Program Program;
typedef struct Kernel Kernel;

/// Which device to use. NULL or "auto" in `backend` or `name` leaves that choice to gee-cl.
typedef struct DeviceOptions {
  const char *backend; // auto | cuda | opencl
  /// The device's number as `gee-cl devices` prints it, "cuda:N" or "opencl:N" for the N-th of one back end,
  /// its class ("cpu" or "gpu"), or a part of "platform name", in any case.
  const char *name;
  /// Where compiled programs are kept. NULL: $XDG_CACHE_HOME/gee-cl, else ~/.cache/gee-cl, else a folder in
  /// /tmp. "": no cache.
  const char *cache_directory;
  bool timed; // its commands can be timed
} DeviceOptions;

/// *list = every device found, in the order that `index` counts; the caller calls free(). *count may be 0.
STATUS_CHECKED Status device_list(DeviceInfo **list, size_t *count);
/// *list = the libraries that were looked for at run time, found or not; the caller calls free().
STATUS_CHECKED Status device_libraries(BackendLibrary **list, size_t *count);
/// *index = the device of `list` that `options` asks for; of several that match, the first GPU, else the
/// first CPU. STATUS_INPUT, with the list, if nothing matches.
STATUS_CHECKED Status device_choose(const DeviceOptions *options, const DeviceInfo *list, size_t count,
                                    size_t *index);
STATUS_CHECKED Status device_open(const DeviceOptions *options, Device **out);
void device_close(Device *device);
const DeviceInfo *device_info(const Device *device);

/// A buffer of `bytes` (> 0), content undefined.
STATUS_CHECKED Status buffer_create(Device *device, size_t bytes, Buffer **out);
/// A part of `parent`, in the same memory. The memory lives until the parent and all its views are freed.
/// `offset` is a multiple of view_alignment.
STATUS_CHECKED Status buffer_view(Buffer *parent, size_t offset, size_t bytes, Buffer **out);
/// Safe on NULL.
void buffer_free(Buffer *buffer);
size_t buffer_size(const Buffer *buffer);
/// Host to device. `from` may be reused when the call returns.
STATUS_CHECKED Status buffer_write(Buffer *to, size_t offset, const void *from, size_t bytes);
/// Device to host; waits for all earlier commands.
STATUS_CHECKED Status buffer_read(const Buffer *from, size_t offset, void *to, size_t bytes);
STATUS_CHECKED Status buffer_copy(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset,
                                  size_t bytes);
/// Sets bytes to zero; `offset` and `bytes` are multiples of 4.
STATUS_CHECKED Status buffer_zero(Buffer *to, size_t offset, size_t bytes);
STATUS_CHECKED Status device_finish(Device *device);

/// Compiles `source` with `options` ("-DNAME=value …") and the back end's own flags, or takes the program
/// from the cache. `name` is for messages. If the compiler fails, the message has the first lines of its log;
/// the whole log is in <cache>/<name>.log.
STATUS_CHECKED Status program_create(Device *device, const char *name, const char *source,
                                     const char *options, Program **out);
void program_free(Program *program);
STATUS_CHECKED Status kernel_create(Program *program, const char *name, Kernel **out);
void kernel_free(Kernel *kernel);

/// One argument of a launch.
typedef struct KernelArgument {
  const Buffer *buffer; // a pointer argument; if all fields are zero, the argument is a NULL pointer
  const void *value;    // a scalar argument of `size` bytes
  size_t size;
} KernelArgument;

/// Queues the kernel: groups[3] work groups of items[3] work items.
STATUS_CHECKED Status kernel_launch(Kernel *kernel, const size_t groups[3], const size_t items[3],
                                    const KernelArgument *arguments, size_t count);

// ---- what is kept of a device, beside its compiled programs ----

/// A text that device_keep kept.
typedef struct KeptText {
  char *text; // NULL: none
  char *path; // of its file; NULL: there is no folder for it
  bool stale; // a file is there, but of another driver or version, or damaged
} KeptText;

/// Fills in what was kept of this device as `name`, by this driver and for this `version`, a line. Free it
/// with kept_text_free.
STATUS_CHECKED Status device_kept(const Device *device, const char *name, const char *version, KeptText *out);
/// Keeps a text of at most KEPT_TEXT bytes in place of an earlier one. STATUS_FAILED, with the reason, if it
/// cannot be written.
STATUS_CHECKED Status device_keep(const Device *device, const char *name, const char *version,
                                  const char *text);
void kept_text_free(KeptText *kept);
enum { KEPT_TEXT = 1 << 14 };

// ---- times ----

/// A command of the queue that is done.
typedef struct DeviceCommand {
  const char *name;  // the kernel's while it exists; "write", "read", "copy", "zero", or "vendor gemm"
  double start, end; // seconds on a clock of the device's
} DeviceCommand;

/// Whether the device was opened to be timed.
bool device_is_timed(const Device *device);
/// From here on every command is timed, of a device that was opened to be.
STATUS_CHECKED Status device_timeline_begin(Device *device);
/// Safe where none has begun.
void device_timeline_end(Device *device);
/// The number of commands since the timeline began, or since their times were taken.
size_t device_timed(const Device *device);
/// Waits for the device. out[device_timed] = these commands, in the order in which they were queued and ran.
STATUS_CHECKED Status device_take_times(Device *device, DeviceCommand *out);

// ---- a vendor's GEMM (CLBlast, cuBLAS) ----

/// A matrix as it is stored: row-major, element (r, c) at offset + r · stride + c. If `transposed`, the
/// product uses its transpose; C is never transposed.
typedef struct GemmMatrix {
  const Buffer *buffer; // NULL only if nothing is computed: for device_can_gemm, and in a plan
  size_t offset;        // elements
  size_t stride;        // elements from one stored row to the next
  DType type;
  bool transposed;
} GemmMatrix;

/// How precise the products must be. Sums are always float32.
typedef enum GemmMath {
  GEMM_F32,         // float32 products of float32 values
  GEMM_HALF_INPUTS, // values may be rounded to 16 bits first
  GEMM_BYTE_INPUTS, // or to 8, with a scale for 32 of them along k
} GemmMath;

/// C[m,n] = alpha · op(A)[m,k] · op(B)[k,n] + beta · C
typedef struct GemmCall {
  size_t m, n, k;
  float alpha, beta;
  GemmMatrix a, b, c;
  GemmMath math;
  float b_scale; // what gee-cl's own GEMM multiplies b by before it rounds it to IEEE halves; 0: unknown
} GemmCall;

/// True if the vendor's GEMM can do a call with these types and this math. Buffers are not looked at.
bool device_can_gemm(const Device *device, const GemmCall *call);
/// The vendor's GEMM; writes into c.buffer. STATUS_FAILED unless device_can_gemm.
STATUS_CHECKED Status device_gemm(Device *device, const GemmCall *call);
/// True if the last device_gemm failed because the vendor's library did not compute the call, though there
/// was memory for it.
bool device_gemm_refused(const Device *device);
