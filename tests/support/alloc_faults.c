// With ld's --wrap, calls of `f` go to __wrap_f in this file, and __real_f is the library's function. Rule:
// the address of a live object is kept with all bits inverted, so that LeakSanitizer does not take it for a
// reference.
#include "support/alloc_faults.h"

#define CL_TARGET_OPENCL_VERSION 120
#define PCRE2_CODE_UNIT_WIDTH    8
#include <CL/cl.h>
#include <brotli/decode.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unwind.h>
#include <utf8proc.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

// ---- what fails ----

static size_t seen, failing; // allocations since arming; the one that fails, 0: none
static FaultMode failing_mode;
static bool delivered;

void faults_arm(size_t n, FaultMode mode) {
  seen = 0;
  failing = n;
  failing_mode = mode;
  delivered = false;
}

bool faults_disarm(void) {
  failing = 0;
  return delivered;
}

size_t faults_count(void) {
  return seen;
}

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);

// ---- call paths ----

typedef struct Call {
  uint64_t path; // hash of the return addresses
  size_t n;      // the allocation's number
} Call;

static Call *calls;
static size_t call_room;
static bool recording;

/// (glibc's backtrace() would do, but leaves memory behind that LeakSanitizer finds.)
static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *path) {
  uint64_t *hash = path;
  *hash = (*hash ^ _Unwind_GetIP(context)) * UINT64_C(0x100000001b3);
  return _URC_NO_REASON;
}

static void record_call(void) {
  uint64_t path = UINT64_C(0xcbf29ce484222325);
  (void)_Unwind_Backtrace(add_frame, &path);
  if (seen > call_room) {
    call_room = 2 * seen;
    calls = __real_realloc(calls, call_room * sizeof *calls);
    if (calls == NULL) abort();
  }
  calls[seen - 1] = (Call){path, seen};
}

static int by_path(const void *first, const void *second) {
  const Call *a = first, *b = second;
  if (a->path != b->path) return a->path < b->path ? -1 : 1;
  return a->n < b->n ? -1 : a->n > b->n;
}

/// Keeps of `calls` the first two and the last of each path, and returns how many remain.
static size_t keep_ends_of_paths(size_t count) {
  size_t kept = 0, place = 0; // place: which of its path
  if (count == 0) return 0;
  qsort(calls, count, sizeof *calls, by_path);
  for (size_t i = 0; i < count; i++) {
    place = i > 0 && calls[i].path == calls[i - 1].path ? place + 1 : 0;
    bool last = i + 1 == count || calls[i + 1].path != calls[i].path;
    if (place < 2 || last) calls[kept++] = calls[i];
  }
  return kept;
}

/// Counts an allocation; true if it must fail.
static bool fails(void) {
  seen++;
  if (recording) record_call();
  bool now = failing != 0 && (failing_mode == FAULT_ONCE ? seen == failing : seen >= failing);
  if (!now) return false;
  delivered = true;
  errno = ENOMEM;
  return true;
}

// ---- live objects: a hash table of addresses ----

static uintptr_t *table; // 0: free
static size_t slots, used;

static size_t slot_of(uintptr_t key) {
  size_t slot = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 20) & (slots - 1);
  while (table[slot] != 0 && table[slot] != key) slot = (slot + 1) & (slots - 1);
  return slot;
}

static void grow(void) {
  uintptr_t *old = table;
  size_t old_slots = slots;
  slots = slots == 0 ? 1024 : 2 * slots;
  table = __real_calloc(slots, sizeof *table);
  if (table == NULL) abort();
  for (size_t i = 0; i < old_slots; i++)
    if (old[i] != 0) table[slot_of(old[i])] = old[i];
  __real_free(old);
}

/// Adds the result of an allocation unless it is NULL, and returns it.
static void *add_live(const void *object) {
  if (object == NULL) return NULL;
  if (2 * used >= slots) grow();
  uintptr_t key = ~(uintptr_t)object;
  size_t slot = slot_of(key);
  if (table[slot] == 0) used++;
  table[slot] = key;
  return (void *)(uintptr_t)object;
}

/// Removes an object, if it is there (a library may have allocated it without this file), and returns it.
static void *remove_live(const void *object) {
  if (slots == 0) return (void *)(uintptr_t)object;
  size_t hole = slot_of(~(uintptr_t)object);
  if (table[hole] == 0) return (void *)(uintptr_t)object;
  table[hole] = 0;
  used--;
  for (size_t next = (hole + 1) & (slots - 1); table[next] != 0; next = (next + 1) & (slots - 1)) {
    uintptr_t moved = table[next]; // an entry after the hole may belong into it
    table[next] = 0;
    table[slot_of(moved)] = moved;
  }
  return (void *)(uintptr_t)object;
}

size_t faults_live(void) {
  return used;
}

// ---- the calls ----

/// Defines __wrap_<name>: an allocation that returns `failure` (an expression) if it must fail.
#define WRAP(type, name, parameters, arguments, failure)                                                     \
  type __real_##name parameters;                                                                             \
  type __wrap_##name parameters;                                                                             \
  type __wrap_##name parameters {                                                                            \
    if (fails()) return failure;                                                                             \
    return add_live(__real_##name arguments);                                                                \
  }
/// The same for a call whose result need not be freed.
#define WRAP_CALL(type, name, parameters, arguments, failure)                                                \
  type __real_##name parameters;                                                                             \
  type __wrap_##name parameters;                                                                             \
  type __wrap_##name parameters {                                                                            \
    if (fails()) return failure;                                                                             \
    return __real_##name arguments;                                                                          \
  }
/// Defines __wrap_<name>, which frees its first argument.
#define WRAP_FREE(type, name, parameters, object, arguments)                                                 \
  type __real_##name parameters;                                                                             \
  type __wrap_##name parameters;                                                                             \
  type __wrap_##name parameters {                                                                            \
    (void)remove_live(object);                                                                               \
    return __real_##name arguments;                                                                          \
  }

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t count, size_t size), (count, size), NULL)
WRAP_FREE(void, free, (void *memory), memory, (memory))

void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size) {
  if (fails()) return NULL;
  uintptr_t before = (uintptr_t)memory;
  void *grown = __real_realloc(memory, size);
  if (grown == NULL) return NULL;
  (void)remove_live((const void *)before);
  return add_live(grown);
}

void *__real_mmap(void *place, size_t size, int access, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *place, size_t size, int access, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *place, size_t size, int access, int flags, int descriptor, off_t offset) {
  if (fails()) return MAP_FAILED;
  void *bytes = __real_mmap(place, size, access, flags, descriptor, offset);
  return bytes == MAP_FAILED ? bytes : add_live(bytes);
}
WRAP_FREE(int, munmap, (void *bytes, size_t size), bytes, (bytes, size))

WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(DIR *, fdopendir, (int descriptor), (descriptor), NULL)
WRAP_FREE(int, closedir, (DIR * directory), directory, (directory))
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
WRAP(FILE *, fdopen, (int descriptor, const char *mode), (descriptor, mode), NULL)
WRAP_FREE(int, fclose, (FILE * file), file, (file))

// ---- libraries ----

WRAP(pcre2_code_8 *, pcre2_compile_8,
     (PCRE2_SPTR8 pattern, PCRE2_SIZE size, uint32_t options, int *error, PCRE2_SIZE *offset,
      pcre2_compile_context_8 *context),
     (pattern, size, options, error, offset, context), (*error = PCRE2_ERROR_HEAP_FAILED, *offset = 0, NULL))
WRAP_FREE(void, pcre2_code_free_8, (pcre2_code_8 * code), code, (code))
WRAP(pcre2_match_data_8 *, pcre2_match_data_create_8, (uint32_t pairs, pcre2_general_context_8 *context),
     (pairs, context), NULL)
WRAP(pcre2_match_data_8 *, pcre2_match_data_create_from_pattern_8,
     (const pcre2_code_8 *code, pcre2_general_context_8 *context), (code, context), NULL)
WRAP_FREE(void, pcre2_match_data_free_8, (pcre2_match_data_8 * data), data, (data))
WRAP(pcre2_match_context_8 *, pcre2_match_context_create_8, (pcre2_general_context_8 * context), (context),
     NULL)
WRAP_FREE(void, pcre2_match_context_free_8, (pcre2_match_context_8 * context), context, (context))
WRAP_CALL(int, pcre2_match_8,
          (const pcre2_code_8 *code, PCRE2_SPTR8 text, PCRE2_SIZE size, PCRE2_SIZE start, uint32_t options,
           pcre2_match_data_8 *data, pcre2_match_context_8 *context),
          (code, text, size, start, options, data, context), PCRE2_ERROR_NOMEMORY)

utf8proc_ssize_t __real_utf8proc_map(const utf8proc_uint8_t *text, utf8proc_ssize_t size,
                                     utf8proc_uint8_t **out, utf8proc_option_t options);
utf8proc_ssize_t __wrap_utf8proc_map(const utf8proc_uint8_t *text, utf8proc_ssize_t size,
                                     utf8proc_uint8_t **out, utf8proc_option_t options);
utf8proc_ssize_t __wrap_utf8proc_map(const utf8proc_uint8_t *text, utf8proc_ssize_t size,
                                     utf8proc_uint8_t **out, utf8proc_option_t options) {
  *out = NULL;
  if (fails()) return UTF8PROC_ERROR_NOMEM;
  utf8proc_ssize_t length = __real_utf8proc_map(text, size, out, options);
  if (length >= 0) (void)add_live(*out);
  return length;
}

WRAP_CALL(size_t, ZSTD_decompress, (void *out, size_t room, const void *in, size_t size),
          (out, room, in, size), (size_t)0 - (size_t)ZSTD_error_memory_allocation)
WRAP(ZSTD_DStream *, ZSTD_createDStream, (void), (), NULL)
WRAP_FREE(size_t, ZSTD_freeDStream, (ZSTD_DStream * stream), stream, (stream))
WRAP_CALL(size_t, ZSTD_decompressStream, (ZSTD_DStream * stream, ZSTD_outBuffer *out, ZSTD_inBuffer *in),
          (stream, out, in), (size_t)0 - (size_t)ZSTD_error_memory_allocation)
WRAP(BrotliDecoderState *, BrotliDecoderCreateInstance,
     (brotli_alloc_func allocate, brotli_free_func release, void *user), (allocate, release, user), NULL)
WRAP_FREE(void, BrotliDecoderDestroyInstance, (BrotliDecoderState * stream), stream, (stream))
WRAP_CALL(int, inflateInit2_, (z_streamp stream, int bits, const char *version, int size),
          (stream, bits, version, size), Z_MEM_ERROR)
WRAP_CALL(int, inflate, (z_streamp stream, int flush), (stream, flush), Z_MEM_ERROR)

typedef void(CL_CALLBACK *ContextNotify)(const char *, const void *, size_t, void *);
typedef void(CL_CALLBACK *BuildNotify)(cl_program, void *);
WRAP(cl_context, clCreateContext,
     (const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,
      ContextNotify notify, void *user, cl_int *code),
     (properties, count, devices, notify, user, code), (*code = CL_OUT_OF_HOST_MEMORY, (cl_context)NULL))
WRAP_FREE(cl_int, clReleaseContext, (cl_context context), context, (context))
WRAP(cl_command_queue, clCreateCommandQueue,
     (cl_context context, cl_device_id device, cl_command_queue_properties properties, cl_int *code),
     (context, device, properties, code), (*code = CL_OUT_OF_HOST_MEMORY, (cl_command_queue)NULL))
WRAP_FREE(cl_int, clReleaseCommandQueue, (cl_command_queue queue), queue, (queue))
WRAP(cl_program, clCreateProgramWithSource,
     (cl_context context, cl_uint count, const char **texts, const size_t *sizes, cl_int *code),
     (context, count, texts, sizes, code), (*code = CL_OUT_OF_HOST_MEMORY, (cl_program)NULL))
WRAP_CALL(cl_int, clBuildProgram,
          (cl_program program, cl_uint count, const cl_device_id *devices, const char *options,
           BuildNotify notify, void *user),
          (program, count, devices, options, notify, user), CL_OUT_OF_HOST_MEMORY)
WRAP_FREE(cl_int, clReleaseProgram, (cl_program program), program, (program))
WRAP(cl_mem, clCreateBuffer, (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code),
     (context, flags, size, host, code), (*code = CL_MEM_OBJECT_ALLOCATION_FAILURE, (cl_mem)NULL))
WRAP(cl_mem, clCreateSubBuffer,
     (cl_mem root, cl_mem_flags flags, cl_buffer_create_type type, const void *info, cl_int *code),
     (root, flags, type, info, code), (*code = CL_OUT_OF_HOST_MEMORY, (cl_mem)NULL))
WRAP_FREE(cl_int, clReleaseMemObject, (cl_mem memory), memory, (memory))
WRAP(cl_kernel, clCreateKernel, (cl_program program, const char *name, cl_int *code), (program, name, code),
     (*code = CL_OUT_OF_HOST_MEMORY, (cl_kernel)NULL))
WRAP_FREE(cl_int, clReleaseKernel, (cl_kernel kernel), kernel, (kernel))

/// cJSON is a shared library, which --wrap does not reach, but it has hooks.
static void hook_cjson(void) {
  cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = __wrap_free};
  cJSON_InitHooks(&hooks);
}

// ---- sweeping ----

static bool is_about_memory(const char *message) {
  for (const char *at = message; *at != '\0'; at++)
    if (strncasecmp(at, "memory", 6) == 0) return true;
  return false;
}

const char *faults_try(const FaultSweep *sweep, size_t n, FaultMode mode, bool *fired) {
  static char verdict[1400];
  hook_cjson();
  size_t before = faults_live();
  (void)status_fail(STATUS_OK, "no message");
  faults_arm(n, mode);
  Status status = sweep->run(sweep->user);
  *fired = faults_disarm();
  size_t after = faults_live();
  const char *message = status_message(), *fault = NULL;
  if (!*fired && status != STATUS_OK) fault = "failed though nothing was out of memory";
  if (*fired && status == STATUS_OK) fault = "succeeded all the same";
  if (*fired && status != STATUS_OK && status != STATUS_FAILED) fault = "did not return STATUS_FAILED";
  if (*fired && status == STATUS_FAILED && !is_about_memory(message))
    fault = "gave a message about something else";
  if (after != before) fault = "left something that is not freed";
  if (fault == NULL) return NULL;
  (void)snprintf(verdict, sizeof verdict, "%s, allocation %zu%s failing: it %s (%zu more live; \"%s\")",
                 sweep->name, n, mode == FAULT_FROM ? " and all after it" : "", fault, after - before,
                 message);
  return verdict;
}

static void check_disk(const FaultSweep *sweep, bool failed, FaultMode mode) {
  if (sweep->check != NULL) sweep->check(sweep->user, failed, mode);
}

/// Records the calls of a run without a fault, and returns how many there are.
static size_t record_run(const FaultSweep *sweep) {
  bool fired = false;
  recording = true;
  const char *verdict = faults_try(sweep, SIZE_MAX, FAULT_ONCE, &fired);
  recording = false;
  size_t total = faults_count();
  if (verdict != NULL) fail_msg("%s", verdict);
  check_disk(sweep, false, FAULT_ONCE);
  return total;
}

// A list that lasts as long as the process, as that of the inputs does, may grow in the run that is recorded
// and in none after it. So runs are recorded until two make as many allocations.
enum { MOST_RUNS = 8 };

void faults_sweep(const FaultSweep *sweep) {
  bool fired = false;
  const char *all = getenv("GEE_FAULTS");
  (void)sweep->run(sweep->user); // allocations that are made once and kept happen here
  check_disk(sweep, false, FAULT_ONCE);
  size_t total = record_run(sweep), before = 0;
  for (size_t runs = 1; total != before && runs < MOST_RUNS; runs++) {
    before = total;
    total = record_run(sweep);
  }
  size_t chosen = all != NULL && strcmp(all, "all") == 0 ? total : keep_ends_of_paths(total);
  for (FaultMode mode = FAULT_ONCE; mode <= FAULT_FROM; mode++) {
    for (size_t i = 0; i < chosen; i++) {
      const char *verdict = faults_try(sweep, calls[i].n, mode, &fired);
      if (verdict != NULL) fail_msg("%s", verdict);
      check_disk(sweep, fired, mode);
      // A run may make more allocations than were counted, as it cleans up after others, but never fewer.
      if (!fired) fail_msg("%s: allocation %zu of %zu was not made", sweep->name, calls[i].n, total);
    }
  }
  print_message("%s: %zu of %zu allocations failed\n", sweep->name, chosen, total);
}
