// What a back end (OpenCL; CUDA later) fills in: one table of functions, no operations in it. Everything above this line
// is written once, in device.c, choose.c and program_cache.c. Private to the device room.
//
// Objects are `base` first, the back end's own fields behind it. Arguments have been checked (ranges, NULLs) by device.c.
#pragma once

#include "device/device.h"

typedef struct Backend Backend;

struct Device {
  const Backend *backend;
  DeviceInfo info;
  char *identity;      // all versions that a compiled program depends on; owned
  char *cache;         // folder of compiled programs, or NULL for none; owned
  bool keeps_programs; // the driver has a cache on disk of its own
};

struct Buffer {
  Device *device;
  size_t size;
  Buffer *root;      // the allocation a view lies in; itself for an allocation
  size_t offset;     // bytes into root
  size_t references; // of a root: itself and its views
};

struct Program {
  Device *device;
  char *name; // owned
};

struct Kernel {
  Device *device;
  char *name; // owned
};

struct Backend {
  const char *name;
  const char *compiler_flags; // put in front of every program's options

  /// Appends to *list (grown with realloc); a machine without this back end adds nothing and succeeds.
  Status (*list)(DeviceInfo **list, size_t *count);
  /// Opens the `index`-th device of its own list, `base` fields filled in (cache excepted).
  Status (*open)(size_t index, Device **out);
  void (*close)(Device *device);
  Status (*finish)(Device *device);

  Status (*buffer_create)(Device *device, size_t bytes, Buffer **out);
  Status (*buffer_view)(Buffer *root, size_t offset, size_t bytes, Buffer **out);
  void (*buffer_free)(Buffer *buffer);
  Status (*buffer_write)(Buffer *to, size_t offset, const void *from, size_t bytes);
  Status (*buffer_read)(const Buffer *from, size_t offset, void *to, size_t bytes);
  Status (*buffer_copy)(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset, size_t bytes);
  Status (*buffer_zero)(Buffer *to, size_t offset, size_t bytes);

  /// Compiles. On failure *log (if any) is the compiler's whole output, which the caller frees.
  Status (*program_build)(Device *device, const char *source, const char *options, Program **out, char **log);
  /// Optional, both or none: a program from bytes that program_binary gave. A failure only means "build it again".
  Status (*program_load)(Device *device, const void *bytes, size_t size, const char *options, Program **out);
  Status (*program_binary)(const Program *program, void **bytes, size_t *size);
  void (*program_free)(Program *program);
  Status (*kernel_create)(Program *program, const char *name, Kernel **out);
  void (*kernel_free)(Kernel *kernel);
  Status (*kernel_launch)(Kernel *kernel, const size_t groups[3], const size_t items[3],
                          const KernelArgument *arguments, size_t count);

  /// Optional, both or none: the vendor's GEMM, and whether it has one for such a call on this device.
  bool (*can_gemm)(const Device *device, const GemmCall *call);
  Status (*gemm)(Device *device, const GemmCall *call);
};

extern const Backend opencl_backend;
