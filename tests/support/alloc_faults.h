// Allocations that fail where a test wants it. Programs whose name ends in _faults are linked so that every
// allocation of gee-cl's own code, and every library call that allocates for it, goes through this file
// (tests/CMakeLists.txt has the list): malloc, calloc, realloc, cJSON's hooks, maps, opened folders and
// files, the entry points of PCRE2, utf8proc, zlib, zstd and Brotli, OpenCL's buffers and kernels. What
// libraries allocate inside other calls, and the driver's own memory, never fails.
#pragma once

#include "support/test.h"

typedef enum FaultMode {
  FAULT_ONCE, // one allocation fails and the next ones succeed: a large block that does not fit
  FAULT_FROM, // all allocations from there on fail: no memory is left
} FaultMode;

/// Makes allocation number n fail, counted from 1 from now on.
void faults_arm(size_t n, FaultMode mode);
/// Makes allocations succeed again; true if one has failed.
bool faults_disarm(void);
/// Allocations since faults_arm.
size_t faults_count(void);
/// Objects allocated through this file and not yet freed.
size_t faults_live(void);

/// An operation that frees and closes everything it made, also when it fails.
typedef struct FaultSweep {
  const char *name;
  Status (*run)(void *user);
  /// Checks what is on disk after a run, which may have failed in `mode`, and removes it. NULL: nothing is
  /// written.
  void (*check)(void *user, bool failed, FaultMode mode);
  void *user;
} FaultSweep;

/// What is wrong with `sweep` when allocation n fails, in static memory. NULL if the operation returned
/// STATUS_FAILED with a message about memory and freed everything, or if it succeeded with fewer allocations
/// (*fired false).
const char *faults_try(const FaultSweep *sweep, size_t n, FaultMode mode, bool *fired);
/// Runs the operation without failures, then in both modes with one allocation after the other failing: of
/// those that one call path makes, the first two and the last, since what the ones between them would show is
/// shown by these. GEE_FAULTS=all in the environment: each, which takes minutes. Fails the test at the first
/// where something is wrong. Prints the number of allocations, and of those that failed.
void faults_sweep(const FaultSweep *sweep);
