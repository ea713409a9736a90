// Memory that runs out, at a place of the test's choosing. Programs whose name ends in _faults are linked so
// that every allocation of gee-cl's own code, and every call of a library that allocates for it, goes through
// here (tests/CMakeLists.txt has the list): malloc, calloc, realloc, cJSON's hooks, maps, folders and files
// opened, PCRE2's, utf8proc's, zlib's and zstd's entry points, OpenCL's buffers and kernels. What libraries
// allocate inside calls that succeed, and the driver's own memory, is left alone.
#pragma once

#include "support/test.h"
// (cmocka's prerequisites stand in test.h)

typedef enum FaultMode {
  FAULT_ONCE, // one allocation fails and the next succeed: a large block that did not fit
  FAULT_FROM, // all from there on fail: memory is out
} FaultMode;

/// Allocation number n (from 1) fails. Counting starts now.
void faults_arm(size_t n, FaultMode mode);
/// Nothing fails any more; true where a failure was delivered.
bool faults_disarm(void);
/// Allocations since faults_arm.
size_t faults_count(void);
/// What was allocated through here and not freed yet.
size_t faults_live(void);

/// An operation that frees, closes and forgets all that it made, whatever it returns.
typedef struct FaultSweep {
  const char *name;
  Status (*run)(void *user);
  /// Looks at what lies on the disk after a run, failed in `mode` or not, and removes it; NULL: nothing is
  /// written.
  void (*check)(void *user, bool failed, FaultMode mode);
  void *user;
} FaultSweep;

/// What is wrong with `sweep` when allocation n fails: NULL where it returned STATUS_FAILED with a message
/// about memory and freed everything, or where it ran to its end before n (*fired false). In static memory.
const char *faults_try(const FaultSweep *sweep, size_t n, FaultMode mode, bool *fired);
/// Runs the operation without failures, then in both modes with n = 1, 2, 3 … until it no longer comes that
/// far; fails the test at the first n where something is wrong. Says how many allocations there were.
void faults_sweep(const FaultSweep *sweep);
