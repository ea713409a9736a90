// What every test includes: cmocka with its prerequisites, and the few helpers that tests share.
#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "util/status.h"
#include <stdbool.h>

enum { TEST_SKIPPED = 77 };

/// Fails the test with the status message unless `call` succeeds.
#define assert_ok(call)                                                                                      \
  do {                                                                                                       \
    if ((call) != STATUS_OK) fail_msg("%s: %s", #call, status_message());                                    \
  } while (0)

/// `call` must fail with `code` and a message that contains `part`.
#define assert_fails(call, code, part)                                                                       \
  do {                                                                                                       \
    assert_int_equal((call), (code));                                                                        \
    if (!test_contains(status_message(), (part)))                                                            \
      fail_msg("%s: the message \"%s\" does not contain \"%s\"", #call, status_message(), (part));           \
  } while (0)

bool test_contains(const char *text, const char *part);
/// A fresh folder in $TMPDIR, removed at exit. The path is in static memory.
const char *test_folder(void);
/// ../shared next to the source, or $GEE_SHARED; NULL if it is not there (then print that and skip).
const char *test_shared(void);
/// The SmolLM2 GGUF: $GEE_SMOLLM2, or models/SmolLM2-135M-Instruct.Q4_1.gguf in the source; NULL if
/// neither is there.
const char *test_smollm2(void);
/// Deterministic floats in [−1, 1).
void test_random(float *out, size_t count, uint64_t seed);
/// Relative L2 distance |a − b| / |b| (b is the reference); NaN or inf anywhere gives NaN. |b| = 0: |a|.
double test_relative_l2(const float *a, const double *b, size_t count);
