// What the fuzz targets share. A target reads one input as the program reads a file of its kind and frees
// what it got; a crash, a finding of a sanitizer, a hang, too much memory or a broken FUZZ_CHECK is a fault.
// Rule: an input may be refused, in one line of text; it may never be taken for something else.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/// What libFuzzer calls.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/// A property that holds for every input; aborts where it does not.
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

/// Returns true where `status` is OK. A failure must be wrong input, in one line that is not empty.
bool fuzz_accepted(Status status);

/// "<folder of this process>/name" in static memory, of which the last 16 stay. The folder goes at exit.
const char *fuzz_path(const char *name);
/// Writes a file there and returns its path.
const char *fuzz_file(const char *name, const void *bytes, size_t size);
/// Links a file of the source tree there ("tests/golden/…").
void fuzz_link(const char *source, const char *name);
/// The path of a file of the source tree, in static memory until the next call.
const char *fuzz_source(const char *path);

typedef struct FuzzParts {
  const uint8_t *first, *second;
  size_t first_size, second_size;
} FuzzParts;
/// Cuts an input in two at the first line that is "----"; without one the second part is empty. For inputs of
/// two texts.
FuzzParts fuzz_cut(const uint8_t *bytes, size_t size);
/// A NUL-terminated copy; the caller frees it.
char *fuzz_text(const uint8_t *bytes, size_t size);
