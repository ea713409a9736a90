// NVRTC's part: kernels compiled by the host's C++ compiler, into a shared library that stands for the
// machine code. Rule: what it is given is checked as NVRTC does, so an option that NVRTC does not know is
// refused.
#include "double.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SUCCESS = 0, NVRTC_OUT_OF_MEMORY = 1, INVALID_INPUT = 3, INVALID_OPTION = 5, COMPILATION = 6 };

typedef struct Code {
  char *source, *log, *bytes;
  size_t log_size, size;
} Code;

EXPORT int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return SUCCESS;
}

EXPORT const char *nvrtcGetErrorString(int code) {
  return code == COMPILATION      ? "NVRTC_ERROR_COMPILATION"
         : code == INVALID_OPTION ? "NVRTC_ERROR_INVALID_OPTION"
                                  : "NVRTC_ERROR";
}

static const int architectures[] = {75, 80, 86, 90};

EXPORT int nvrtcGetNumSupportedArchs(int *count) {
  *count = sizeof architectures / sizeof architectures[0];
  return SUCCESS;
}

EXPORT int nvrtcGetSupportedArchs(int *out) {
  memcpy(out, architectures, sizeof architectures);
  return SUCCESS;
}

EXPORT int nvrtcCreateProgram(Code **out, const char *source, const char *name, int headers,
                              const char *const *texts, const char *const *names) {
  (void)name, (void)texts, (void)names;
  if (headers != 0) return INVALID_INPUT;
  if (fails_now()) return NVRTC_OUT_OF_MEMORY;
  Code *code = calloc(1, sizeof *code);
  if (code == NULL) abort();
  code->source = strdup(source);
  *out = code;
  return SUCCESS;
}

EXPORT int nvrtcDestroyProgram(Code **code) {
  free((*code)->source);
  free((*code)->log);
  free((*code)->bytes);
  free(*code);
  *code = NULL;
  return SUCCESS;
}

/// The whole file in new memory with a NUL behind it; NULL if it cannot be read.
static char *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  struct stat info;
  if (file == NULL) return NULL;
  char *bytes = fstat(fileno(file), &info) == 0 ? calloc((size_t)info.st_size + 1, 1) : NULL;
  *size = bytes != NULL ? fread(bytes, 1, (size_t)info.st_size, file) : 0;
  (void)fclose(file);
  return bytes;
}

/// Copies `text`, up to `end`, replacing NVRTC's asm of the two conversions, `asm("cvt.…" : "=f"(out) :
/// "h"(in));`.
static void write_without_asm(FILE *file, const char *text) {
  for (const char *at; (at = strstr(text, "asm(\"cvt.")) != NULL;) {
    const char *out = strchr(strstr(at, "\"="), '('), *in = strchr(strstr(out, ": \""), '('),
               *end = strstr(in, ");");
    bool widens = strncmp(at, "asm(\"cvt.f32.f16 ", 17) == 0;
    if (!widens && strncmp(at, "asm(\"cvt.rn.f16.f32 ", 20) != 0) misuse("no such instruction: %.40s", at);
    (void)fwrite(text, 1, (size_t)(at - text), file);
    (void)fprintf(file, "%.*s = host.%s%.*s", (int)(strchr(out, ')') - out + 1), out,
                  widens ? "half_to_float" : "half_from_float", (int)(end - in), in);
    text = end + 1;
  }
  (void)fputs(text, file);
}

/// Writes `CALLABLE(name)` for each `extern "C" __global__ … void name(`.
static void write_callables(FILE *file, const char *source) {
  static const char mark[] = "__global__";
  for (const char *at = source; (at = strstr(at, mark)) != NULL; at++) {
    const char *name = strstr(at, "void");
    if (name == NULL) return;
    name += 4 + strspn(name + 4, " \n");
    (void)fprintf(file, "CALLABLE(%.*s)\n", (int)strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), name);
  }
}

static int run(const char *folder, const char *stage) {
  char command[2000];
  (void)snprintf(command, sizeof command, "c++ %s 2>'%s/log'", stage, folder);
  return system(command);
}

/// Compiles in `folder`. The preprocessor's output shows the kernels' names behind the macros.
static int compile(Code *code, const char *folder, const char *defines) {
  char path[300], stage[1900];
  size_t size;
  (void)snprintf(path, sizeof path, "%s/source.cpp", folder);
  FILE *file = fopen(path, "w");
  if (file == NULL) abort();
  (void)fprintf(file, "%s\n", code->source);
  (void)fclose(file);
  (void)snprintf(stage, sizeof stage, "-E -P %s '%s' -o '%s/plain.cpp'", defines, path, folder);
  if (run(folder, stage) != 0) return COMPILATION;
  (void)snprintf(path, sizeof path, "%s/plain.cpp", folder);
  char *plain = read_file(path, &size);
  (void)snprintf(path, sizeof path, "%s/whole.cpp", folder);
  file = fopen(path, "w");
  if (file == NULL || plain == NULL) abort();
  (void)fprintf(file, "#include \"%s\"\n#define __global__\n", CUDA_PRELUDE);
  write_without_asm(file, plain);
  (void)fputc('\n', file);
  write_callables(file, plain);
  (void)fclose(file);
  free(plain);
  // As NVRTC does, a · b + c may become one fma.
  (void)snprintf(stage, sizeof stage,
                 "-w -std=c++17 -O2 -march=native -ffp-contract=fast -fno-strict-aliasing -shared "
                 "-fPIC '%s' -o '%s/code.so' -lm",
                 path, folder);
  if (run(folder, stage) != 0) return COMPILATION;
  (void)snprintf(path, sizeof path, "%s/code.so", folder);
  code->bytes = read_file(path, &code->size);
  return SUCCESS;
}

/// Sorts the options into *defines and the architecture, which must be one of this NVRTC's.
static int read_options(int count, const char *const *options, char *defines, size_t size) {
  bool known = false;
  defines[0] = '\0';
  for (int i = 0; i < count; i++) {
    size_t used = strlen(defines);
    if (strncmp(options[i], "-D", 2) == 0) {
      (void)snprintf(defines + used, size - used, " %s", options[i]);
    } else if (strncmp(options[i], "--gpu-architecture=", 19) == 0) {
      const char *number = strchr(options[i], '_');
      for (size_t j = 0; number != NULL && j < sizeof architectures / sizeof architectures[0]; j++)
        known = known || atoi(number + 1) == architectures[j];
    } else if (strcmp(options[i], "--disable-warnings") != 0) {
      return INVALID_OPTION;
    }
  }
  return known ? SUCCESS : INVALID_OPTION;
}

EXPORT int nvrtcCompileProgram(Code *code, int count, const char *const *options) {
  char folder[] = "/tmp/cuda_double.XXXXXX", path[300], defines[1500], command[300];
  int result = read_options(count, options, defines, sizeof defines);
  if (result != SUCCESS) return result;
  if (fails_now()) return NVRTC_OUT_OF_MEMORY;
  if (mkdtemp(folder) == NULL) abort();
  result = compile(code, folder, defines);
  (void)snprintf(path, sizeof path, "%s/log", folder);
  code->log = read_file(path, &code->log_size);
  (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
  if (system(command) != 0) abort();
  return result;
}

EXPORT int nvrtcGetProgramLogSize(Code *code, size_t *size) {
  *size = code->log_size + 1;
  return SUCCESS;
}
EXPORT int nvrtcGetProgramLog(Code *code, char *log) {
  memcpy(log, code->log != NULL ? code->log : "", code->log_size + 1);
  return SUCCESS;
}
EXPORT int nvrtcGetCUBINSize(Code *code, size_t *size) {
  *size = code->size;
  return SUCCESS;
}
EXPORT int nvrtcGetCUBIN(Code *code, char *bytes) {
  memcpy(bytes, code->bytes, code->size);
  return SUCCESS;
}
EXPORT int nvrtcGetPTXSize(Code *code, size_t *size) {
  return nvrtcGetCUBINSize(code, size);
}
EXPORT int nvrtcGetPTX(Code *code, char *bytes) {
  return nvrtcGetCUBIN(code, bytes);
}
