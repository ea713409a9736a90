// Checked allocation. Rule: no product of sizes is used before it has been checked.
#include "util/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

Status mem_product(size_t a, size_t b, size_t *out, const char *what) {
  if (b != 0 && a > SIZE_MAX / b) {
    return status_fail(STATUS_FAILED, "%s: %zu x %zu bytes is more than this machine can address", what, a,
                       b);
  }
  *out = a * b;
  return STATUS_OK;
}

Status mem_alloc(void *out, size_t count, size_t size, const char *what) {
  size_t bytes = 0;
  void *memory = NULL;
  Status status = mem_product(count, size, &bytes, what);
  if (status == STATUS_OK) {
    memory = calloc(1, bytes > 0 ? bytes : 1);
    if (memory == NULL) status = status_fail(STATUS_FAILED, "out of memory: %zu bytes for %s", bytes, what);
  }
  memcpy(out, &memory, sizeof memory);
  return status;
}

Status mem_grow(void *array, size_t *capacity, size_t needed, size_t size, const char *what) {
  if (needed <= *capacity) return STATUS_OK;
  size_t wanted = *capacity + *capacity / 2;
  if (wanted < needed) wanted = needed;
  size_t bytes = 0;
  TRY(mem_product(wanted, size, &bytes, what));
  void *memory = NULL;
  memcpy(&memory, array, sizeof memory);
  memory = realloc(memory, bytes);
  if (memory == NULL) return status_fail(STATUS_FAILED, "out of memory: %zu bytes for %s", bytes, what);
  memset((char *)memory + *capacity * size, 0, bytes - *capacity * size);
  memcpy(array, &memory, sizeof memory);
  *capacity = wanted;
  return STATUS_OK;
}
