// The driver's part: one device, its memory, and a stream whose work waits until something waits for it.
#include "double.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void misuse(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)fputs("CUDA double: ", stderr);
  (void)vfprintf(stderr, format, arguments);
  (void)fputc('\n', stderr);
  va_end(arguments);
  abort();
}

// ---- calls that fail ----

static size_t calls, failing; // the one that fails; 0: none

bool fails_now(void) {
  return ++calls == failing;
}

EXPORT void cuda_double_fail(size_t n) {
  calls = 0;
  failing = n;
}
EXPORT size_t cuda_double_calls(void) {
  return calls;
}

/// For a call that needs a current context and may fail with `code`.
#define ENTER(code)                                                                                          \
  do {                                                                                                       \
    if (current == NULL) return INVALID_CONTEXT;                                                             \
    if (fails_now()) return (code);                                                                          \
  } while (0)

// ---- handles ----

enum { MOST_OBJECTS = 20000 };
typedef enum Kind { FREE, MEMORY, PINNED, STREAM, EVENT, MODULE } Kind;

/// Whatever the program creates and must free. A handle is its address; memory's is the address of its bytes.
typedef struct Object {
  Kind kind;
  char *bytes; // MEMORY, PINNED
  size_t size;
  size_t recorded,
      reached; // EVENT: how often it was recorded, and how often its place in the queue was passed
  bool timed;  // EVENT: it takes times
  double when; // EVENT: it was reached last
  Module *module;
} Object;

static Object objects[MOST_OBJECTS];
static size_t object_count; // that were ever used
static bool initialized;
static int retained;
static int context_object, *const context = &context_object, *current;

static Object *take(Kind kind) {
  for (size_t i = 0; i < MOST_OBJECTS; i++) {
    if (objects[i].kind != FREE) continue;
    if (i >= object_count) object_count = i + 1;
    objects[i] = (Object){.kind = kind};
    return &objects[i];
  }
  misuse("more than %d objects", MOST_OBJECTS);
}

static Object *find(const void *handle, Kind kind) {
  for (size_t i = 0; i < object_count; i++)
    if (&objects[i] == handle && objects[i].kind == kind) return &objects[i];
  misuse("%p is no %s that exists", handle, kind == STREAM ? "stream" : kind == EVENT ? "event" : "module");
}

/// The allocation of `kind` with [at, at + bytes) inside; NULL if there is none.
static Object *find_bytes(const char *at, size_t bytes, Kind kind) {
  for (size_t i = 0; i < object_count; i++) {
    const Object *object = &objects[i];
    if (object->kind == kind && at >= object->bytes && bytes <= object->size &&
        (size_t)(at - object->bytes) <= object->size - bytes)
      return &objects[i];
  }
  return NULL;
}

bool memory_holds(uint64_t at, size_t bytes) {
  return find_bytes((const char *)(uintptr_t)at, bytes, MEMORY) != NULL;
}

// ---- the stream ----

typedef enum Step { COPY, FILL, LAUNCH, PRODUCT, RECORD } Step;

typedef struct Work {
  Step step;
  char *to;
  const char *from;
  size_t bytes;
  Function *function;
  unsigned grid[3], block[3];
  unsigned char values[MOST_PARAMETERS][8];
  Product product;
  Object *event;
  struct Work *next;
} Work;

static Work *first, **last = &first;

static Work *add(Step step) {
  Work *work = calloc(1, sizeof *work);
  if (work == NULL) abort();
  work->step = step;
  *last = work;
  last = &work->next;
  return work;
}

static void do_work(Work *work) {
  struct timespec now;
  void *values[MOST_PARAMETERS];
  switch (work->step) {
  case COPY:
    memmove(work->to, work->from, work->bytes);
    break;
  case FILL:
    memset(work->to, 0, work->bytes);
    break;
  case LAUNCH:
    for (size_t i = 0; i < MOST_PARAMETERS; i++) values[i] = work->values[i];
    function_run(work->function, work->grid, work->block, values);
    break;
  case PRODUCT:
    run_product(&work->product);
    break;
  case RECORD:
    work->event->reached++;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    work->event->when = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    break;
  }
}

/// Does queued work until `event` is reached as often as it was recorded; all of it for NULL.
static void do_until(const Object *event) {
  while (first != NULL && (event == NULL || event->reached < event->recorded)) {
    Work *work = first;
    first = work->next;
    if (first == NULL) last = &first;
    do_work(work);
    free(work);
  }
}

// ---- the driver's functions ----

EXPORT int cuInit(unsigned flags) {
  const char *fault = getenv("CUDA_DOUBLE_INIT");
  if (flags != 0) return INVALID_VALUE;
  if (fault != NULL) return atoi(fault);
  if (fails_now()) return NOT_INITIALIZED;
  initialized = true;
  return 0;
}

EXPORT int cuDriverGetVersion(int *version) {
  const char *set = getenv("CUDA_DOUBLE_VERSION");
  *version = set != NULL ? atoi(set) : 13000;
  return 0;
}

EXPORT int cuGetErrorName(int code, const char **text) {
  *text = code == OUT_OF_MEMORY     ? "CUDA_ERROR_OUT_OF_MEMORY"
          : code == INVALID_VALUE   ? "CUDA_ERROR_INVALID_VALUE"
          : code == NO_DEVICE       ? "CUDA_ERROR_NO_DEVICE"
          : code == INVALID_CONTEXT ? "CUDA_ERROR_INVALID_CONTEXT"
          : code == NOT_FOUND       ? "CUDA_ERROR_NOT_FOUND"
          : code == LAUNCH_FAILED   ? "CUDA_ERROR_LAUNCH_FAILED"
                                    : NULL;
  return *text != NULL ? 0 : INVALID_VALUE;
}

EXPORT int cuGetErrorString(int code, const char **text) {
  *text = code == OUT_OF_MEMORY ? "out of memory"
          : code == NO_DEVICE   ? "no CUDA-capable device is detected"
                                : "a fault of the double";
  return 0;
}

EXPORT int cuDeviceGetCount(int *count) {
  if (!initialized) return NOT_INITIALIZED;
  if (fails_now()) return NOT_INITIALIZED;
  *count = 1;
  return 0;
}

EXPORT int cuDeviceGet(int *device, int index) {
  if (index != 0) return INVALID_DEVICE;
  *device = index;
  return 0;
}

EXPORT int cuDeviceGetName(char *name, int size, int device) {
  if (device != 0) return INVALID_DEVICE;
  (void)snprintf(name, (size_t)size, "Double of an H100");
  return 0;
}

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  *bytes = (size_t)4 << 30;
  return device == 0 ? 0 : INVALID_DEVICE;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device) {
  const char *capability = getenv("CUDA_DOUBLE_CAPABILITY");
  int whole = capability != NULL ? atoi(capability) : 90;
  if (device != 0) return INVALID_DEVICE;
  *value = attribute == 1    ? 1024
           : attribute == 8  ? 48 * 1024
           : attribute == 16 ? 4
           : attribute == 75 ? whole / 10
                             : whole % 10;
  return 0;
}

EXPORT int cuDevicePrimaryCtxRetain(void **out, int device) {
  if (!initialized) return NOT_INITIALIZED;
  if (fails_now()) return OUT_OF_MEMORY;
  *out = context;
  retained++;
  return device == 0 ? 0 : INVALID_DEVICE;
}

/// The last release: nothing that was created may be left.
EXPORT int cuDevicePrimaryCtxRelease_v2(int device) {
  if (retained == 0) misuse("the context is released more often than it was retained");
  if (--retained > 0) return 0;
  do_until(NULL);
  for (size_t i = 0; i < object_count; i++)
    if (objects[i].kind != FREE)
      misuse("object %zu (kind %d, %zu bytes) was not freed", i, (int)objects[i].kind, objects[i].size);
  current = NULL;
  return device == 0 ? 0 : INVALID_DEVICE;
}

EXPORT int cuCtxSetCurrent(void *handle) {
  if (handle != context || retained == 0) return INVALID_CONTEXT;
  current = handle;
  return 0;
}

EXPORT int cuStreamCreate(Object **stream, unsigned flags) {
  ENTER(OUT_OF_MEMORY);
  *stream = take(STREAM);
  return flags <= 1 ? 0 : INVALID_VALUE;
}

EXPORT int cuStreamSynchronize(Object *stream) {
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  do_until(NULL);
  return 0;
}

EXPORT int cuStreamDestroy_v2(Object *stream) {
  find(stream, STREAM)->kind = FREE;
  return 0;
}

EXPORT int cuEventCreate(Object **event, unsigned flags) {
  ENTER(OUT_OF_MEMORY);
  *event = take(EVENT);
  (*event)->timed = (flags & 2) == 0;
  return flags <= 3 ? 0 : INVALID_VALUE;
}

EXPORT int cuEventRecord(Object *event, Object *stream) {
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  find(event, EVENT)->recorded++;
  add(RECORD)->event = event;
  return 0;
}

EXPORT int cuEventSynchronize(Object *event) {
  ENTER(LAUNCH_FAILED);
  do_until(find(event, EVENT));
  return 0;
}

EXPORT int cuEventElapsedTime(float *milliseconds, const Object *from, const Object *to) {
  ENTER(LAUNCH_FAILED);
  (void)find(from, EVENT), (void)find(to, EVENT);
  if (!from->timed || !to->timed || from->recorded == 0 || to->recorded == 0) return INVALID_HANDLE;
  if (from->reached < from->recorded || to->reached < to->recorded) return 600; // not ready
  *milliseconds = (float)(1e3 * (to->when - from->when));
  return 0;
}

EXPORT int cuEventDestroy_v2(Object *event) {
  do_until(find(event, EVENT));
  event->kind = FREE;
  return 0;
}

static int allocate(Kind kind, size_t bytes, Object **out) {
  if (bytes == 0) return INVALID_VALUE;
  char *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory == NULL) return OUT_OF_MEMORY;
  memset(memory, 0xff, bytes);
  *out = take(kind);
  (*out)->bytes = memory;
  (*out)->size = bytes;
  return 0;
}

static void release(Kind kind, const char *bytes) {
  Object *object = find_bytes(bytes, 1, kind);
  if (object == NULL || object->bytes != bytes) misuse("%p was not allocated", (const void *)bytes);
  do_until(NULL);
  free(object->bytes);
  object->kind = FREE;
}

EXPORT int cuMemAlloc_v2(uint64_t *memory, size_t bytes) {
  Object *object;
  ENTER(OUT_OF_MEMORY);
  int code = allocate(MEMORY, bytes, &object);
  if (code == 0) *memory = (uintptr_t)object->bytes;
  return code;
}

EXPORT int cuMemFree_v2(uint64_t memory) {
  release(MEMORY, (const char *)(uintptr_t)memory);
  return 0;
}

EXPORT int cuMemHostAlloc(void **memory, size_t bytes, unsigned flags) {
  Object *object;
  ENTER(OUT_OF_MEMORY);
  int code = allocate(PINNED, bytes, &object);
  if (code == 0) *memory = object->bytes;
  return flags == 0 ? code : INVALID_VALUE;
}

EXPORT int cuMemFreeHost(void *memory) {
  release(PINNED, memory);
  return 0;
}

static int copy(void *to, Kind to_kind, const void *from, Kind from_kind, size_t bytes,
                const Object *stream) {
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  if (find_bytes(to, bytes, to_kind) == NULL)
    misuse("a copy of %zu bytes to %p, outside any memory", bytes, to);
  if (find_bytes(from, bytes, from_kind) == NULL)
    misuse("a copy of %zu bytes from %p, outside any memory", bytes, from);
  Work *work = add(COPY);
  work->to = to;
  work->from = from;
  work->bytes = bytes;
  return 0;
}

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, Object *stream) {
  return copy((void *)(uintptr_t)to, MEMORY, from, PINNED, bytes, stream);
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, Object *stream) {
  return copy(to, PINNED, (const void *)(uintptr_t)from, MEMORY, bytes, stream);
}
EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, Object *stream) {
  return copy((void *)(uintptr_t)to, MEMORY, (const void *)(uintptr_t)from, MEMORY, bytes, stream);
}

EXPORT int cuMemsetD32Async(uint64_t to, unsigned value, size_t words, Object *stream) {
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  if (value != 0 || to % 4 != 0 || !memory_holds(to, 4 * words))
    misuse("a fill of %zu words at %llx", words, (unsigned long long)to);
  Work *work = add(FILL);
  work->to = (char *)(uintptr_t)to;
  work->bytes = 4 * words;
  return 0;
}

EXPORT int cuModuleLoadDataEx(Object **out, const void *image, unsigned count, int *options, void **values) {
  ENTER(OUT_OF_MEMORY);
  (void)count, (void)options, (void)values;
  // The size of an image is in its header: this one is an ELF file, whose section headers come last.
  const unsigned char *header = image;
  uint64_t sections;
  uint16_t entry, entries;
  if (memcmp(header, "\177ELF", 4) != 0) return INVALID_IMAGE;
  memcpy(&sections, header + 40, sizeof sections);
  memcpy(&entry, header + 58, sizeof entry);
  memcpy(&entries, header + 60, sizeof entries);
  Module *module = module_open(image, (size_t)(sections + (uint64_t)entry * entries));
  if (module == NULL) return INVALID_IMAGE;
  *out = take(MODULE);
  (*out)->module = module;
  return 0;
}

EXPORT int cuModuleUnload(Object *module) {
  do_until(NULL);
  module_close(find(module, MODULE)->module);
  module->kind = FREE;
  return 0;
}

enum { MOST_FUNCTIONS = 4000 };
static Function functions[MOST_FUNCTIONS];
static size_t function_count;

EXPORT int cuModuleGetFunction(Function **out, Object *module, const char *name) {
  ENTER(NOT_FOUND);
  if (function_count == MOST_FUNCTIONS) misuse("more than %d kernels", MOST_FUNCTIONS);
  *out = &functions[function_count];
  if (!module_find(find(module, MODULE)->module, name, *out)) return NOT_FOUND;
  function_count++;
  return 0;
}

EXPORT int cuFuncGetParamInfo(Function *function, size_t index, size_t *offset, size_t *size) {
  int parameter = function->parameter((unsigned)index);
  *offset = 0;
  *size = (size_t)abs(parameter);
  return parameter != 0 ? 0 : INVALID_VALUE;
}

static bool within(const unsigned sizes[3], unsigned x, unsigned y, unsigned z) {
  return sizes[0] > 0 && sizes[1] > 0 && sizes[2] > 0 && sizes[0] <= x && sizes[1] <= y && sizes[2] <= z;
}

EXPORT int cuLaunchKernel(Function *function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z, unsigned local_bytes,
                          Object *stream, void **arguments, void **extra) {
  const unsigned grid[3] = {grid_x, grid_y, grid_z}, block[3] = {block_x, block_y, block_z};
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  if (local_bytes != 0 || extra != NULL || !within(grid, INT32_MAX, 65535, 65535)) return INVALID_VALUE;
  if (!within(block, 1024, 1024, 64) || block_x * block_y * block_z > 1024) return INVALID_VALUE;
  Work *work = add(LAUNCH);
  work->function = function;
  memcpy(work->grid, grid, sizeof grid);
  memcpy(work->block, block, sizeof block);
  for (unsigned i = 0; function->parameter(i) != 0; i++) {
    int size = function->parameter(i);
    memcpy(work->values[i], arguments[i], (size_t)abs(size));
    uint64_t pointer;
    memcpy(&pointer, work->values[i], sizeof pointer);
    if (size < 0 && pointer != 0 && !memory_holds(pointer, 1))
      misuse("argument %u of a launch is no memory", i);
  }
  return 0;
}

int queue_product(const Product *product, void *stream) {
  ENTER(LAUNCH_FAILED);
  (void)find(stream, STREAM);
  add(PRODUCT)->product = *product;
  return 0;
}
