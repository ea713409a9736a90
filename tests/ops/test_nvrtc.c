// Every kernel file, except those for CPUs only, also compiles as CUDA C++, for sm_80 and sm_90, and its PTX
// has every kernel that ops launches. Skipped if NVRTC is not installed. No CUDA header is needed: the few
// functions are declared here. $GEE_NVRTC may name a libnvrtc.so that the loader does not find.
#include "support/test.h"

#include "context.h"
#include "kernels.h"
#include "util/str.h"
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct NvrtcProgram *NvrtcProgram;

/// Gives the options that a GPU's kernels are compiled with.
static Ops gpu_ops = {.family = &gpu_family, .group_items = 256, .vector_width = 4};
enum { MOST_OPTIONS = 80 };

static struct {
  int (*create)(NvrtcProgram *program, const char *source, const char *name, int headers,
                const char *const *texts, const char *const *names);
  int (*compile)(NvrtcProgram program, int count, const char *const *options);
  int (*log_size)(NvrtcProgram program, size_t *size);
  int (*log)(NvrtcProgram program, char *log);
  int (*ptx_size)(NvrtcProgram program, size_t *size);
  int (*ptx)(NvrtcProgram program, char *ptx);
  int (*destroy)(NvrtcProgram *program);
} nvrtc;

/// The first library that opens, from the loader's path or the usual folders; NULL if there is none.
static void *open_library(void) {
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"};
  static const char *const patterns[] = {"/usr/local/cuda*/lib64/libnvrtc.so*",
                                         "/usr/lib/x86_64-linux-gnu/libnvrtc.so*",
                                         "/usr/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so*",
                                         "/usr/local/lib/python3*/*-packages/nvidia/*/lib/libnvrtc.so*"};
  const char *set = getenv("GEE_NVRTC");
  if (set != NULL) return dlopen(set, RTLD_NOW);
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0] && library == NULL; i++)
    library = dlopen(names[i], RTLD_NOW);
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0] && library == NULL; i++) {
    glob_t found = {0};
    if (glob(patterns[i], 0, NULL, &found) == 0) {
      for (size_t j = 0; j < found.gl_pathc && library == NULL; j++) {
        if (strstr(found.gl_pathv[j], "builtins") == NULL) library = dlopen(found.gl_pathv[j], RTLD_NOW);
      }
    }
    globfree(&found);
  }
  return library;
}

/// *function = the library's symbol, copied with memcpy because ISO C has no cast from object to function
/// pointers.
static bool load(void *library, const char *symbol, void *function) {
  void *address = dlsym(library, symbol);
  memcpy(function, &address, sizeof address);
  return address != NULL;
}

static int open_nvrtc(void **state) {
  (void)state;
  void *library = open_library();
  if (library == NULL) {
    (void)fprintf(stderr, "skipped: no libnvrtc.so was found\n");
    exit(TEST_SKIPPED);
  }
  bool whole =
      load(library, "nvrtcCreateProgram", &nvrtc.create) &&
      load(library, "nvrtcCompileProgram", &nvrtc.compile) &&
      load(library, "nvrtcGetProgramLogSize", &nvrtc.log_size) &&
      load(library, "nvrtcGetProgramLog", &nvrtc.log) && load(library, "nvrtcGetPTXSize", &nvrtc.ptx_size) &&
      load(library, "nvrtcGetPTX", &nvrtc.ptx) && load(library, "nvrtcDestroyProgram", &nvrtc.destroy);
  return whole ? 0 : -1;
}

/// The PTX that `source` compiles to, which the caller frees. If it does not compile, prints the log and
/// returns NULL.
static char *compile(const char *name, const char *source, const char *architecture, const char *more) {
  const char *options[MOST_OPTIONS] = {architecture};
  Str joined = {0};
  assert_ok(ops_kernel_options(&gpu_ops, &joined));
  assert_ok(str_append_text(&joined, more));
  int count = 1;
  for (char *at = NULL, *option = strtok_r(joined.data, " ", &at); option != NULL && count < MOST_OPTIONS;
       option = strtok_r(NULL, " ", &at))
    options[count++] = option;
  NvrtcProgram program;
  size_t size = 0;
  char *text = NULL;
  assert_int_equal(nvrtc.create(&program, source, name, 0, NULL, NULL), 0);
  bool good = nvrtc.compile(program, count, options) == 0;
  assert_int_equal(good ? nvrtc.ptx_size(program, &size) : nvrtc.log_size(program, &size), 0);
  text = calloc(size + 1, 1);
  assert_non_null(text);
  assert_int_equal(good ? nvrtc.ptx(program, text) : nvrtc.log(program, text), 0);
  (void)nvrtc.destroy(&program);
  str_free(&joined);
  if (good) return text;
  print_error("%s for %s: %s\n", name, architecture, text);
  free(text);
  return NULL;
}

static const struct {
  const char *file, *kernel;
} kernels[] = {
#define KERNEL_ROW(file, kernel) {#file, #kernel},
    KERNEL_LIST(KERNEL_ROW)
#undef KERNEL_ROW
};

static bool has_kernels(const char *name) {
  for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
    size_t size = strlen(kernels[k].file);
    if (strncmp(name, kernels[k].file, size) == 0 && strcmp(name + size, ".cl") == 0) return true;
  }
  return false;
}

/// NVIDIA's tile has its instruction in the PTX, the plain one has none.
static void compile_tiles(const char *source, const char *architecture) {
  static const size_t tiles[] = {0, TILE_PLAIN};
  for (size_t i = 0; i < 2; i++) {
    gpu_ops.tile = &matrix_tiles[tiles[i]];
    char *ptx = compile("gemm_tile.cl", source, architecture, "");
    assert_non_null(ptx);
    assert_non_null(strstr(ptx, ".entry gemm_tile("));
    assert_int_equal(strstr(ptx, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32") != NULL, i == 0);
    free(ptx);
  }
  gpu_ops.tile = NULL;
}

/// Compiles every file that KERNEL_LIST names, and finds each of its kernels in the PTX.
static void compile_all(const char *architecture) {
  int failures = 0;
  for (size_t i = 0; kernel_sources[i].name != NULL; i++) {
    const char *name = kernel_sources[i].name;
    char *source;
    if (!has_kernels(name) || str_ends(name, "_cpu.cl")) continue;
    assert_ok(kernel_source(name, &source));
    if (strcmp(name, "gemm_tile.cl") == 0) {
      compile_tiles(source, architecture);
      free(source);
      continue;
    }
    char *ptx = compile(name, source, architecture, "");
    free(source);
    if (ptx == NULL) failures++;
    for (size_t k = 0; k < sizeof kernels / sizeof kernels[0] && ptx != NULL; k++) {
      char entry[128];
      if (strncmp(kernels[k].file, name, strlen(name) - 3) != 0 ||
          strlen(kernels[k].file) != strlen(name) - 3)
        continue;
      (void)snprintf(entry, sizeof entry, ".entry %s(", kernels[k].kernel);
      if (strstr(ptx, entry) == NULL) fail_msg("%s has no kernel %s", name, kernels[k].kernel);
    }
    free(ptx);
  }
  assert_int_equal(failures, 0);
}

static void every_kernel_compiles_for_sm_80(void **state) {
  (void)state;
  compile_all("--gpu-architecture=compute_80");
}

static void every_kernel_compiles_for_sm_90(void **state) {
  (void)state;
  compile_all("--gpu-architecture=compute_90");
}

/// cl/gemm.cl in each of its parameter sets, with all sums in registers: PTX has no .local memory.
static void every_set_of_products_compiles(void **state) {
  (void)state;
  char *source;
  assert_ok(kernel_source("gemm.cl", &source));
  for (size_t i = 0; i < GEMM_SETS; i++) {
    char more[96];
    const GemmSet *set = &gemm_sets[i];
    (void)snprintf(more, sizeof more, " -DSIDE=%zu -DREACH=%zu -DDEPTH=%zu", set->side, set->reach,
                   set->depth);
    char *ptx = compile("gemm.cl", source, "--gpu-architecture=compute_80", more);
    assert_non_null(ptx);
    if (strstr(ptx, ".local") != NULL) fail_msg("the set %s keeps sums in memory", set->name);
    free(ptx);
  }
  free(source);
}

static void a_wrong_kernel_does_not_compile(void **state) {
  (void)state;
  char *ptx = compile("wrong.cl", "extern \"C\" __global__ void f(float *x) { x[0] = no_such_name; }",
                      "--gpu-architecture=compute_80", "");
  assert_null(ptx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_kernel_compiles_for_sm_80),
      cmocka_unit_test(every_kernel_compiles_for_sm_90),
      cmocka_unit_test(every_set_of_products_compiles),
      cmocka_unit_test(a_wrong_kernel_does_not_compile),
  };
  return cmocka_run_group_tests(tests, open_nvrtc, NULL);
}
