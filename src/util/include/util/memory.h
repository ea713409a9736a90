// Checked allocation. Products of sizes are checked for overflow, memory is zeroed, and a failure says what
// the memory was for.
#pragma once

#include "util/status.h"
#include <stddef.h>

/// *out = `count` zeroed elements of `size` bytes, which the caller frees with free(); not NULL even if count
/// is 0. On failure *out is NULL, so that a pointer left over from earlier memory is not freed again.
STATUS_CHECKED Status mem_alloc(void *out, size_t count, size_t size, const char *what);

/// Makes room for `needed` elements in *array, which has *capacity elements. It grows by at least half, so
/// that appending one element at a time takes linear time. New elements are zeroed. On failure the array is
/// unchanged.
STATUS_CHECKED Status mem_grow(void *array, size_t *capacity, size_t needed, size_t size, const char *what);

/// `out` is the address of a typed pointer: mem_array(&rows, n, "rows").
#define mem_array(out, count, what) mem_alloc((out), (count), sizeof **(out), (what))
#define mem_reserve(array, capacity, needed, what)                                                           \
  mem_grow((array), (capacity), (needed), sizeof **(array), (what))

static inline size_t size_min(size_t a, size_t b) {
  return a < b ? a : b;
}

/// *out = a * b, or a failure that names `what` if that overflows.
STATUS_CHECKED Status mem_product(size_t a, size_t b, size_t *out, const char *what);
