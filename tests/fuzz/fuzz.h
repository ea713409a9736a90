// What the fuzz targets share. A target reads one input as the program reads a file of its kind, and frees
// the result. A crash, a finding of a sanitizer, a hang, too much memory or a failed FUZZ_CHECK is a fault.
// Rule: an input may be refused with a message of one line, but never be taken for something else.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/// The function that libFuzzer calls.
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/// Aborts unless the condition, which must hold for every input, is true.
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *condition, const char *file, int line);

/// True if `status` is OK. Any other status must be STATUS_INPUT with a message of one line.
bool fuzz_accepted(Status status);

/// "<folder of this process>/name" in static memory that the 16th call after this one overwrites. The folder
/// is removed at exit.
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
/// Splits an input of two texts at the first line "----". Without such a line the second text is empty.
FuzzParts fuzz_cut(const uint8_t *bytes, size_t size);
/// A NUL-terminated copy; the caller frees it.
char *fuzz_text(const uint8_t *bytes, size_t size);
