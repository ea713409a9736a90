// Checked allocation. Sizes are multiplied with an overflow check and memory arrives zeroed; a failure says
// what the memory was for.
#pragma once

#include "util/status.h"
#include <stddef.h>

/// *out = `count` zeroed elements of `size` bytes (a non-NULL pointer even for 0). The caller frees it with
/// free(). NULL on failure, so that a pointer whose memory was freed before is not freed again.
STATUS_CHECKED Status mem_alloc(void *out, size_t count, size_t size, const char *what);

/// Makes room for `needed` elements in *array of *capacity, growing by half at least; new elements are
/// zeroed.
STATUS_CHECKED Status mem_grow(void *array, size_t *capacity, size_t needed, size_t size, const char *what);

/// `out` is the address of a typed pointer: mem_array(&rows, n, "rows").
#define mem_array(out, count, what) mem_alloc((out), (count), sizeof **(out), (what))
#define mem_reserve(array, capacity, needed, what)                                                           \
  mem_grow((array), (capacity), (needed), sizeof **(array), (what))

/// *out = a * b, or a failure naming `what` where that overflows.
STATUS_CHECKED Status mem_product(size_t a, size_t b, size_t *out, const char *what);
