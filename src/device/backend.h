// What a back end (CUDA, OpenCL) implements: one table of functions. Everything that does not depend on
// the back end is written once, in device.c, choose.c and program_cache.c. Private to the device room.
//
// A back end's object starts with the struct from here, as its member `base`; its own fields follow. device.c
// has checked all arguments (ranges, NULLs) before it calls a back end.
#pragma once

#include "device/device.h"

typedef struct Backend Backend;

typedef struct Timeline Timeline;

/// The events around a command; a back end uses what it needs.
typedef struct Timer {
  void *first, *last;
} Timer;

struct Device {
  const Backend *backend;
  DeviceInfo info;
  char *identity;      // every version that a compiled program depends on; owned
  char *cache;         // folder of compiled programs, or NULL for no cache; owned
  bool keeps_programs; // the driver keeps a cache on disk itself
  bool timed;          // commands can be timed
  Timeline *timeline;  // NULL: they are not; owned
  Timer *timer;        // of the command that is being queued, or NULL
  bool gemm_refused;   // what device_gemm_refused says; a back end's gemm sets it
};

struct Buffer {
  Device *device;
  size_t size;
  Buffer *root;      // the allocation that holds this view; an allocation is its own root
  size_t offset;     // bytes into root
  size_t references; // of a root: 1 for itself, 1 for each view
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
  const char *compiler_flags; // put before every program's options

  /// Optional, for a back end whose libraries are opened at run time: appends what was found and what was
  /// not.
  Status (*libraries)(BackendLibrary **list, size_t *count);
  /// Appends its devices to *list (grown with realloc). Where this back end is not installed, it adds nothing
  /// and succeeds.
  Status (*list)(DeviceInfo **list, size_t *count);
  /// Opens the `index`-th device of its own list and fills in `base`, except for `cache` and the timeline.
  Status (*open)(size_t index, bool timed, Device **out);
  void (*close)(Device *device);
  Status (*finish)(Device *device);

  Status (*buffer_create)(Device *device, size_t bytes, Buffer **out);
  Status (*buffer_view)(Buffer *root, size_t offset, size_t bytes, Buffer **out);
  void (*buffer_free)(Buffer *buffer);
  Status (*buffer_write)(Buffer *to, size_t offset, const void *from, size_t bytes);
  Status (*buffer_read)(const Buffer *from, size_t offset, void *to, size_t bytes);
  Status (*buffer_copy)(Buffer *to, size_t to_offset, const Buffer *from, size_t from_offset, size_t bytes);
  Status (*buffer_zero)(Buffer *to, size_t offset, size_t bytes);

  /// Compiles. On failure *log is the compiler's whole output, which the caller frees, or NULL if there was
  /// none.
  Status (*program_build)(Device *device, const char *source, const char *options, Program **out, char **log);
  /// Optional, both or neither: program_load makes a program from the bytes that program_binary gave. If it
  /// fails, the program is compiled again.
  Status (*program_load)(Device *device, const void *bytes, size_t size, const char *options, Program **out);
  Status (*program_binary)(const Program *program, void **bytes, size_t *size);
  void (*program_free)(Program *program);
  Status (*kernel_create)(Program *program, const char *name, Kernel **out);
  void (*kernel_free)(Kernel *kernel);
  Status (*kernel_launch)(Kernel *kernel, const size_t groups[3], const size_t items[3],
                          const KernelArgument *arguments, size_t count);

  /// Called before and after a command is queued that is timed; `several`: it may be several of the queue's.
  Status (*timer_begin)(Device *device, Timer *timer, bool several);
  Status (*timer_end)(Device *device, Timer *timer);
  /// The command is done, and those before it have been read. timer_drop follows.
  Status (*timer_read)(Device *device, Timer *timer, double *start, double *end);
  /// Frees what the timer holds; safe on a zeroed one and twice.
  void (*timer_drop)(Device *device, Timer *timer);

  /// Optional, both or neither: the vendor's GEMM, and whether it can do this call on this device.
  bool (*can_gemm)(const Device *device, const GemmCall *call);
  Status (*gemm)(Device *device, const GemmCall *call);
};

extern const Backend cuda_backend, opencl_backend;
