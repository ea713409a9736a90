// A stand-in for libcuda, libnvrtc and libcublasLt: one shared library under the three names. NVRTC's part
// compiles kernels for the host; the driver's part runs them and checks, as the real one does or more
// strictly, every handle, range and launch limit; work waits in the stream until something waits for it, so
// that host memory which is used too early or too late shows. A misuse that the real libraries would not
// report ends the process with a message. What a test can make of it:
//
//   CUDA_DOUBLE_INIT=803         cuInit fails with this code
//   CUDA_DOUBLE_VERSION=12040    the driver's CUDA is 12.4
//   CUDA_DOUBLE_CAPABILITY=61    the device's compute capability is 6.1
//   CUDA_DOUBLE_HALVES=rounded   cuBLASLt's products of 16-bit factors have sums in 16 bits
//   CUDA_DOUBLE_HALVES=refused   there is no algorithm for them; "failing", "memory": they fail so
//   cuda_double_fail(n)          the n-th call from now on fails, of those that the real ones may fail
//   cuda_double_calls()          such calls since then
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))

enum {
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  NO_DEVICE = 100,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  INVALID_HANDLE = 400,
  NOT_FOUND = 500,
  LAUNCH_OUT_OF_RESOURCES = 701,
  LAUNCH_FAILED = 719,
};

/// Ends the process: the program used a library in a way that must not happen.
_Noreturn void misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// True if this call is the one that is to fail.
bool fails_now(void);
EXPORT void cuda_double_fail(size_t n);
EXPORT size_t cuda_double_calls(void);

// ---- kernels (run.c) ----

typedef struct Module Module;
/// Opens compiled code; NULL if it is none.
Module *module_open(const void *image, size_t size);
void module_close(Module *module);

enum { MOST_PARAMETERS = 64 };
typedef struct Function {
  Module *module;
  void (*run)(void **values);
  int (*parameter)(unsigned index); // its size, negative for a pointer; 0 behind the last
  bool has_barriers;
  bool has_run;
} Function;
/// False if the module has no such kernel.
bool module_find(Module *module, const char *name, Function *out);
void function_run(Function *function, const unsigned grid[3], const unsigned block[3], void **values);

// ---- device memory and the stream (driver.c) ----

/// True if [at, at + bytes) lies inside one allocation.
bool memory_holds(uint64_t at, size_t bytes);

/// C = alpha · op(A) · op(B) + beta · C by columns, as cuBLAS counts; types as in cuda.h.
typedef struct Product {
  bool transpose_a, transpose_b;
  int m, n, k, lda, ldb, ldc, type; // type: of A and B
  float alpha, beta;
  uint64_t a, b, c;
} Product;
/// Queues it; an error code of the driver.
int queue_product(const Product *product, void *stream);
void run_product(const Product *product);
