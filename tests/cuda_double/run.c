// Running kernels: every thread of a group on a stack of its own, from one barrier to the next. Groups run
// one after another; before each its shared memory is filled with NaN, since a real group finds anything
// there.
#include "double.h"

#include "util/half.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Dim3 {
  unsigned x, y, z;
} Dim3;
typedef struct Host {
  void (*barrier)(void);
  float (*half_to_float)(uint16_t);
  uint16_t (*half_from_float)(float);
} Host;

struct Module {
  void *library;
  Dim3 *thread, *block, *block_size, *grid;
  char *shared, *shared_end;
};

static void *symbol(void *library, const char *name) {
  void *address = dlsym(library, name);
  if (address == NULL) misuse("compiled code has no %s", name);
  return address;
}

static void barrier(void);

Module *module_open(const void *image, size_t size) {
  char path[] = "/tmp/cuda_double_module.XXXXXX";
  int file = mkstemp(path);
  if (file < 0 || write(file, image, size) != (ssize_t)size) abort();
  (void)close(file);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  (void)unlink(path);
  if (library == NULL) return NULL;
  Module *module = calloc(1, sizeof *module);
  if (module == NULL) abort();
  char **shared = symbol(library, "shared_bounds");
  *module = (Module){.library = library,
                     .thread = symbol(library, "threadIdx"),
                     .block = symbol(library, "blockIdx"),
                     .block_size = symbol(library, "blockDim"),
                     .grid = symbol(library, "gridDim"),
                     .shared = shared[0],
                     .shared_end = shared[1]};
  *(Host *)symbol(library, "host") = (Host){barrier, half_to_float, half_from_float};
  return module;
}

void module_close(Module *module) {
  (void)dlclose(module->library);
  free(module);
}

bool module_find(Module *module, const char *name, Function *out) {
  char run[200], parameter[200];
  (void)snprintf(run, sizeof run, "run_%s", name);
  (void)snprintf(parameter, sizeof parameter, "parameter_%s", name);
  void *found[2] = {dlsym(module->library, run), dlsym(module->library, parameter)};
  if (found[0] == NULL || found[1] == NULL) return false;
  *out = (Function){.module = module};
  memcpy(&out->run, &found[0], sizeof out->run);
  memcpy(&out->parameter, &found[1], sizeof out->parameter);
  return true;
}

// ---- threads ----

// No power of two, so that the tops of the stacks do not share a few lines of the cache.
enum { MOST_THREADS = 1024, STACK = 32 * 1024 + 448 };

static struct {
  void *scheduler, *threads[MOST_THREADS]; // stack pointers of what does not run
  char *stacks;
  Dim3 places[MOST_THREADS];
  bool waiting[MOST_THREADS], done[MOST_THREADS];
  unsigned current;
  bool on_stacks;
  Function *function;
  void **values;
} state;

/// Saves this stack in *save and continues on another; x86-64. The C library's swapcontext makes a system
/// call, which takes a hundred times as long.
void change_stack(void **save, void *load) __attribute__((visibility("hidden")));
__asm__(".text\n"
        ".globl change_stack; .hidden change_stack\n"
        "change_stack:\n"
        "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, (%rdi); mov %rsi, %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");

static void leave_thread(void) {
  change_stack(&state.threads[state.current], state.scheduler);
}

static void barrier(void) {
  state.function->has_barriers = true;
  // The first group of a kernel runs on stacks; if it met no barrier, the others run without, for speed.
  if (!state.on_stacks) misuse("a later group of a kernel has a barrier that the first did not reach");
  state.waiting[state.current] = true;
  leave_thread();
}

static void thread_main(void) {
  state.function->run(state.values);
  state.done[state.current] = true;
  leave_thread();
}

static void prepare_stacks(unsigned count) {
  if (state.stacks == NULL) {
    state.stacks = mmap(NULL, (size_t)MOST_THREADS * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (state.stacks == MAP_FAILED) abort();
  }
  for (unsigned i = 0; i < count; i++) {
    // As change_stack leaves it: six registers, and where to return to.
    void (*start)(void) = thread_main;
    char *top = state.stacks + (size_t)(i + 1) * STACK - 16;
    memcpy(top, &start, sizeof start);
    state.threads[i] = top - 6 * sizeof(void *);
    state.waiting[i] = state.done[i] = false;
  }
}

/// Runs one group's threads from barrier to barrier. If some wait at one and others have returned, they would
/// hang on many devices.
static void run_on_stacks(const Module *module, unsigned count) {
  state.on_stacks = true;
  prepare_stacks(count);
  for (unsigned left = count; left > 0;) {
    unsigned waiting = 0;
    for (unsigned i = 0; i < count; i++) {
      if (state.done[i]) continue;
      state.current = i;
      state.waiting[i] = false;
      *module->thread = state.places[i];
      change_stack(&state.scheduler, state.threads[i]);
      waiting += state.waiting[i];
    }
    if (waiting != 0 && waiting != count)
      misuse("%u of %u threads of a group reach a barrier", waiting, count);
    left = waiting;
  }
  state.on_stacks = false;
}

static void run_plainly(const Module *module, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    *module->thread = state.places[i];
    state.function->run(state.values);
  }
}

void function_run(Function *function, const unsigned grid[3], const unsigned block[3], void **values) {
  const Module *module = function->module;
  unsigned threads = block[0] * block[1] * block[2];
  size_t groups = (size_t)grid[0] * grid[1] * grid[2];
  state.function = function;
  state.values = values;
  for (unsigned i = 0; i < threads; i++)
    state.places[i] = (Dim3){i % block[0], i / block[0] % block[1], i / block[0] / block[1]};
  *module->block_size = (Dim3){block[0], block[1], block[2]};
  *module->grid = (Dim3){grid[0], grid[1], grid[2]};
  for (size_t i = 0; i < groups; i++) {
    *module->block =
        (Dim3){(unsigned)(i % grid[0]), (unsigned)(i / grid[0] % grid[1]), (unsigned)(i / grid[0] / grid[1])};
    if (module->shared != NULL) memset(module->shared, 0xff, (size_t)(module->shared_end - module->shared));
    if (!function->has_run || function->has_barriers)
      run_on_stacks(module, threads);
    else
      run_plainly(module, threads);
    function->has_run = true;
  }
}
