// The double is opened as the program opens it, by its path, so that both have the same one.
#include "support/cuda_double.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char library[] = GEE_CUDA_DOUBLE "/libcuda.so.1";

static void skip_all(const char *why) {
  (void)fprintf(stderr, "skipped: %s\n", why);
  exit(TEST_SKIPPED);
}

void use_cuda_double(void) {
  if (access(library, R_OK) != 0) skip_all("the double of CUDA was not built: it needs x86-64");
  if (system("command -v c++ >/dev/null") != 0) skip_all("there is no C++ compiler");
  // What it compiled is thrown away when it is built anew (tests/cuda_double/CMakeLists.txt).
  if (setenv("CUDA_PATH", GEE_CUDA_DOUBLE, 1) != 0 ||
      setenv("XDG_CACHE_HOME", GEE_CUDA_DOUBLE "/cache", 1) != 0)
    abort();
}

/// *function = the double's function.
static void find(const char *name, void *function) {
  void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
  assert_non_null(handle);
  void *address = dlsym(handle, name);
  assert_non_null(address);
  memcpy(function, &address, sizeof address);
  (void)dlclose(handle);
}

void cuda_calls_fail(size_t n) {
  void (*arm)(size_t) = NULL;
  find("cuda_double_fail", &arm);
  arm(n);
}

size_t cuda_calls(void) {
  size_t (*count)(void) = NULL;
  find("cuda_double_calls", &count);
  return count();
}
