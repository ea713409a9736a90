// Finding and opening NVIDIA's libraries. Rules: they are opened once and stay open; a library for a newer
// CUDA than the driver's is not tried, because it would load and then fail; and of each library it is
// remembered where it is, or what is wrong and where it was looked for.
#include "cuda.h"

#include "util/log.h"
#include <dlfcn.h>
#include <glob.h>
#include <link.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct Cuda cuda;

/// A name under which a library is installed.
typedef struct LibraryName {
  const char *name;
  int major;           // of the CUDA that it is part of; 0: the driver's own
  const char *helpers; // pattern of what it opens by name, from its own folder
} LibraryName;

static const LibraryName driver_names[] = {{"libcuda.so.1", 0, NULL}, {0}};
static const LibraryName nvrtc_names[] = {{"libnvrtc.so.13", 13, "libnvrtc-builtins.so.13.*"},
                                          {"libnvrtc.so.12", 12, "libnvrtc-builtins.so.12.*"},
                                          {"libnvrtc.so.11.2", 11, "libnvrtc-builtins.so.11.*"},
                                          {0}};
static const LibraryName cublas_names[] = {
    {"libcublasLt.so.13", 13, NULL}, {"libcublasLt.so.12", 12, NULL}, {"libcublasLt.so.11", 11, NULL}, {0}};

// Folders with libraries, the user's own first. They are patterns; one that begins with a variable counts
// only if that is set. "" is the loader's own search.
#define USERS_FOLDERS "$CUDA_PATH", "$CUDA_PATH/lib64", "$CUDA_PATH/lib", "$CUDA_PATH/*/lib"
static const char *const driver_places[] = {
    USERS_FOLDERS, "", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", NULL};
// pip puts a library into nvidia/<package>/lib.
static const char *const toolkit_places[] = {USERS_FOLDERS,
                                             "",
                                             "$CUDA_HOME/lib64",
                                             "$CUDA_HOME/lib",
                                             "/usr/local/cuda/lib64",
                                             "/usr/local/cuda/lib",
                                             "/usr/local/cuda-*/lib64",
                                             "/opt/cuda/lib64",
                                             "$VIRTUAL_ENV/lib/python3*/site-packages/nvidia/*/lib",
                                             "$CONDA_PREFIX/lib",
                                             "$CONDA_PREFIX/lib/python3*/site-packages/nvidia/*/lib",
                                             "$HOME/.local/lib/python3*/site-packages/nvidia/*/lib",
                                             "/usr/local/lib/python3*/*-packages/nvidia/*/lib",
                                             "/usr/lib/python3*/*-packages/nvidia/*/lib",
                                             NULL};
enum { PATH_SIZE = 512 };

/// A function of a library, and where in `cuda` its address goes.
typedef struct Symbol {
  const char *name;
  size_t offset;
  bool required;
} Symbol;

#define SYMBOL(name, parameters)               {#name, offsetof(struct Cuda, name), true},
#define SYMBOL_MAYBE(result, name, parameters) {#name, offsetof(struct Cuda, name), false},
static const Symbol driver_symbols[] = {CUDA_CALLS(SYMBOL, SYMBOL_MAYBE){0}};
static const Symbol nvrtc_symbols[] = {NVRTC_CALLS(SYMBOL, SYMBOL_MAYBE){0}};
static const Symbol cublas_symbols[] = {CUBLAS_CALLS(SYMBOL, SYMBOL_MAYBE){0}};

typedef struct Library {
  const LibraryName *names; // newest first
  const char *package; // pip's, for the newest CUDA; for CUDA N before 13 it ends in -cuN. NULL: none has it
  const char *const *places;
  const Symbol *symbols;
  bool looked_for, open;
  BackendLibrary found;
} Library;

enum { DRIVER, COMPILER, PRODUCTS, LIBRARIES };
static Library libraries[LIBRARIES] = {
    [DRIVER] = {.names = driver_names, .places = driver_places, .symbols = driver_symbols},
    [COMPILER] = {.names = nvrtc_names,
                  .package = "nvidia-cuda-nvrtc",
                  .places = toolkit_places,
                  .symbols = nvrtc_symbols},
    [PRODUCTS] = {.names = cublas_names,
                  .package = "nvidia-cublas",
                  .places = toolkit_places,
                  .symbols = cublas_symbols},
};

/// Puts the value of a variable at the start of a place; false if it is not set.
static bool expand(const char *place, char *out, size_t size) {
  if (place[0] != '$') return snprintf(out, size, "%s", place) < (int)size;
  char name[32];
  size_t length = strcspn(place + 1, "/");
  (void)snprintf(name, sizeof name, "%.*s", (int)length, place + 1);
  const char *value = getenv(name);
  if (value == NULL || value[0] == '\0') return false;
  return snprintf(out, size, "%s%s", value, place + 1 + length) < (int)size;
}

static void say(Library *library, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(Library *library, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(library->found.finding, sizeof library->found.finding, format, arguments);
  va_end(arguments);
}

/// Fills in `cuda` from an open library; false, with the reason, if it lacks a function.
static bool take_symbols(Library *library, void *handle) {
  for (const Symbol *symbol = library->symbols; symbol->name != NULL; symbol++) {
    void *address = dlsym(handle, symbol->name);
    if (address == NULL && symbol->required) {
      say(library, "has no %s: it is too old or not NVIDIA's", symbol->name);
      return false;
    }
    // memcpy: ISO C has no cast from object to function pointers.
    memcpy((char *)&cuda + symbol->offset, &address, sizeof address);
  }
  return true;
}

/// Where an open library lies.
static void read_path(Library *library, void *handle) {
  const struct link_map *map = NULL;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map != NULL)
    (void)snprintf(library->found.path, sizeof library->found.path, "%s", map->l_name);
}

/// Opens the libraries that match `pattern`, so that the one which asks for them by name finds them.
static void open_helpers(const char *folder, const char *pattern) {
  char path[PATH_SIZE];
  glob_t found = {0};
  if (snprintf(path, sizeof path, "%s/%s", folder, pattern) >= (int)sizeof path) return;
  if (glob(path, 0, NULL, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; i++) (void)dlopen(found.gl_pathv[i], RTLD_LAZY | RTLD_LOCAL);
  globfree(&found);
}

/// Tries one file, or, without a folder, what the loader finds under that name.
static void try_name(Library *library, const char *folder, const LibraryName *name) {
  char path[PATH_SIZE];
  (void)snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name->name);
  if (folder[0] != '\0') {
    if (access(path, R_OK) != 0) return;
    if (name->helpers != NULL) open_helpers(folder, name->helpers);
  }
  void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (handle == NULL) {
    const char *why = dlerror();
    // The loader says the same of a file that is not there.
    if (folder[0] != '\0') say(library, "%s", why != NULL ? why : "cannot be opened");
    return;
  }
  (void)snprintf(library->found.name, sizeof library->found.name, "%s", name->name);
  read_path(library, handle);
  library->open = take_symbols(library, handle);
  if (!library->open) (void)dlclose(handle);
}

static void try_folder(Library *library, const char *folder, int newest) {
  for (const LibraryName *name = library->names; name->name != NULL && !library->open; name++)
    if (name->major <= newest) try_name(library, folder, name);
}

static void try_place(Library *library, const char *place, int newest) {
  glob_t found = {0};
  if (place[0] == '\0') return try_folder(library, place, newest);
  if (glob(place, GLOB_ONLYDIR, NULL, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc && !library->open; i++)
      try_folder(library, found.gl_pathv[i], newest);
  globfree(&found);
}

/// Says under which names and where a library was looked for in vain, unless a worse fault is known.
static void say_missing(Library *library, int newest) {
  if (library->found.finding[0] != '\0') return;
  char names[128] = "", looked[700] = "", place[PATH_SIZE];
  for (const LibraryName *name = library->names; name->name != NULL; name++) {
    if (name->major > newest) continue;
    size_t used = strlen(names);
    (void)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", name->name);
  }
  for (const char *const *at = library->places; *at != NULL; at++) {
    size_t used = strlen(looked);
    if (!expand(*at, place, sizeof place)) continue;
    (void)snprintf(looked + used, sizeof looked - used, "%s%s", used > 0 ? ", " : "",
                   place[0] != '\0' ? place : "the loader's folders");
  }
  if (names[0] != '\0')
    say(library, "not found; looked for %s in %s", names, looked);
  else
    say(library, "the driver is of CUDA %d, and CUDA 11.2 or later is needed: install a newer driver",
        newest);
}

/// Names the package that would have given the library to a driver of CUDA `newest`. pip has none of CUDA 10.
static void name_package(Library *library, int newest) {
  char *package = library->found.package;
  if (newest >= 13)
    (void)snprintf(package, sizeof library->found.package, "%s", library->package);
  else if (newest >= 11)
    (void)snprintf(package, sizeof library->found.package, "%s-cu%d", library->package, newest);
}

/// Opens a library for CUDA `newest` or an older one.
static void find_library(Library *library, int newest) {
  char place[PATH_SIZE];
  library->looked_for = true;
  library->found.backend = cuda_backend.name;
  (void)snprintf(library->found.name, sizeof library->found.name, "%s", library->names[0].name);
  for (const char *const *at = library->places; *at != NULL && !library->open; at++)
    if (expand(*at, place, sizeof place)) try_place(library, place, newest);
  if (library->open) return;
  say_missing(library, newest);
  if (library->package != NULL) name_package(library, newest);
}

/// Starts the driver. *version = of its CUDA, 0 if it has no device or does not start.
static void start_driver(int *version) {
  Library *driver = &libraries[DRIVER];
  int count = 0;
  find_library(driver, 0);
  *version = 0;
  if (!driver->open) return;
  bool started = CU(cuInit, 0) == STATUS_OK && CU(cuDriverGetVersion, version) == STATUS_OK &&
                 CU(cuDeviceGetCount, &count) == STATUS_OK;
  if (started && count > 0) {
    driver->found.usable = true;
    return say(driver, "CUDA %d.%d, %d device%s", *version / 1000, *version % 1000 / 10, count,
               str_plural((uint64_t)count));
  }
  say(driver, "%s", started ? "lists no device" : status_message());
  *version = 0;
}

/// Says the version of an open library, which is two calls for one and one for the other.
static void say_version(Library *library, int code, const int version[2]) {
  library->found.usable = code == 0;
  if (library->found.usable)
    say(library, "%d.%d", version[0], version[1]);
  else
    say(library, "does not say its version (%d)", code);
}

static void open_all(void) {
  int driver = 0, version[2] = {0};
  Library *compiler = &libraries[COMPILER], *products = &libraries[PRODUCTS];
  start_driver(&driver);
  if (driver == 0) return;
  find_library(compiler, driver / 1000);
  if (compiler->open) say_version(compiler, cuda.nvrtcVersion(&version[0], &version[1]), version);
  find_library(products, driver / 1000);
  if (!products->open) return;
  int code = cuda.cublasLtGetProperty(0, &version[0]);
  if (code == 0) code = cuda.cublasLtGetProperty(1, &version[1]);
  say_version(products, code, version);
}

Status cuda_open_libraries(bool *usable) {
  if (!libraries[DRIVER].looked_for) open_all();
  *usable = true;
  for (size_t i = 0; i < LIBRARIES; i++) {
    const BackendLibrary *found = &libraries[i].found;
    if (!found->usable && i > 0 && libraries[DRIVER].found.usable && *usable)
      log_say(LOG_NOTE, "CUDA is not used: %s: %s", found->name, found->finding);
    *usable = *usable && found->usable;
  }
  return STATUS_OK;
}

Status cuda_libraries(BackendLibrary **list, size_t *count) {
  bool usable;
  TRY(cuda_open_libraries(&usable));
  BackendLibrary *grown = realloc(*list, (*count + LIBRARIES) * sizeof *grown);
  if (grown == NULL) return status_fail(STATUS_FAILED, "out of memory listing CUDA's libraries");
  *list = grown;
  for (size_t i = 0; i < LIBRARIES; i++)
    if (libraries[i].looked_for) grown[(*count)++] = libraries[i].found;
  return STATUS_OK;
}
