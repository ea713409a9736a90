// Tensors: device buffers with a shape, a type and a purpose, counted by purpose. In a plan there is only the counting.
#include "context.h"

#include "util/memory.h"
#include "util/str.h"
#include <string.h>

size_t dtype_size(DType type) {
  return type == DTYPE_F16 || type == DTYPE_BF16 ? 2 : 4;
}

const char *memory_kind_name(MemoryKind kind) {
  static const char *const names[] = {"weights", "trainable", "activations", "cache", "head"};
  return kind < MEMORY_KINDS ? names[kind] : "unknown";
}

void ops_count_memory(Ops *ops, MemoryKind kind, uint64_t bytes, int sign) {
  MemoryUse *use = &ops->memory;
  if (sign < 0) {
    use->now[kind] -= bytes;
    use->now_total -= bytes;
    return;
  }
  use->now[kind] += bytes;
  use->now_total += bytes;
  if (use->now[kind] > use->peak[kind]) use->peak[kind] = use->now[kind];
  if (use->now_total > use->peak_total) use->peak_total = use->now_total;
}

/// Bytes that a tensor takes: whole words, so that it can be zeroed as such.
static Status tensor_bytes(size_t rows, size_t cols, DType type, size_t *bytes) {
  TRY(mem_product(rows, cols, bytes, "tensor"));
  TRY(mem_product(*bytes, dtype_size(type), bytes, "tensor"));
  if (*bytes > SIZE_MAX - 3) return status_fail(STATUS_FAILED, "tensor: [%zu, %zu] is too large", rows, cols);
  *bytes = (*bytes + 3) & ~(size_t)3;
  return STATUS_OK;
}

Status tensor_create(Ops *ops, const char *name, MemoryKind kind, DType dtype, size_t rows, size_t cols,
                     Tensor *out) {
  *out = (Tensor){0};
  size_t bytes;
  TRY(tensor_bytes(rows, cols, dtype, &bytes));
  if (bytes == 0)
    return status_fail(STATUS_FAILED, "%s: a tensor of [%zu, %zu] has no elements", name, rows, cols);
  Buffer *buffer = NULL;
  if (ops->device != NULL) {
    TRY(status_context(buffer_create(ops->device, bytes, &buffer), "%s [%zu, %zu]", name, rows, cols));
    Status status = buffer_zero(buffer, 0, bytes);
    if (status != STATUS_OK) {
      buffer_free(buffer);
      return status_context(status, "%s [%zu, %zu]", name, rows, cols);
    }
  } else if (bytes > ops->max_allocation) {
    return status_fail(STATUS_FAILED,
                       "%s [%zu, %zu] takes %zu MiB, the device allocates at most %zu MiB in one piece", name,
                       rows, cols, bytes >> 20, (size_t)(ops->max_allocation >> 20));
  }
  ops_count_memory(ops, kind, bytes, 1);
  *out = (Tensor){.ops = ops, .buffer = buffer, .dtype = dtype, .kind = kind, .rows = rows, .cols = cols};
  return STATUS_OK;
}

Status tensor_view(const Tensor *parent, size_t offset, size_t rows, size_t cols, Tensor *out) {
  *out = (Tensor){0};
  TRY(ops_check_type("tensor_view", "parent", parent, DTYPE_F32));
  size_t count;
  TRY(mem_product(rows, cols, &count, "view"));
  size_t whole = parent->rows * parent->cols;
  if (count == 0 || offset > whole || count > whole - offset) {
    return status_fail(STATUS_FAILED, "tensor_view: [%zu, %zu] from element %zu of a tensor of %zu", rows,
                       cols, offset, whole);
  }
  if (offset % ops_view_alignment(parent->ops) != 0) {
    return status_fail(STATUS_FAILED, "tensor_view: element %zu is not a multiple of %zu", offset,
                       ops_view_alignment(parent->ops));
  }
  Buffer *buffer = NULL;
  if (parent->buffer != NULL) {
    TRY(buffer_view(parent->buffer, offset * sizeof(float), count * sizeof(float), &buffer));
  }
  *out = *parent;
  out->buffer = buffer;
  out->is_view = true;
  out->rows = rows;
  out->cols = cols;
  return STATUS_OK;
}

void tensor_free(Tensor *tensor) {
  if (tensor == NULL || tensor->ops == NULL) return;
  size_t bytes = (tensor->rows * tensor->cols * dtype_size(tensor->dtype) + 3) & ~(size_t)3;
  if (!tensor->is_view) ops_count_memory(tensor->ops, tensor->kind, bytes, -1);
  buffer_free(tensor->buffer);
  *tensor = (Tensor){0};
}

Tensor tensor_first_rows(const Tensor *tensor, size_t rows) {
  Tensor first = *tensor;
  first.is_view = true;
  first.rows = rows < tensor->rows ? rows : tensor->rows;
  return first;
}

static Status check_elements(const char *what, const Tensor *tensor, size_t first, size_t count) {
  size_t whole = tensor->rows * tensor->cols;
  if (first <= whole && count <= whole - first) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: elements %zu to %zu of a tensor of %zu", what, first, first + count,
                     whole);
}

Status tensor_write(Tensor *to, size_t first, size_t count, const void *from) {
  TRY(check_elements("tensor_write", to, first, count));
  if (to->buffer == NULL) return STATUS_OK;
  size_t size = dtype_size(to->dtype);
  return buffer_write(to->buffer, first * size, from, count * size);
}

Status tensor_read(const Tensor *from, size_t first, size_t count, void *to) {
  TRY(check_elements("tensor_read", from, first, count));
  size_t size = dtype_size(from->dtype);
  if (from->buffer == NULL) {
    memset(to, 0, count * size);
    return STATUS_OK;
  }
  return buffer_read(from->buffer, first * size, to, count * size);
}

Status tensor_zero(Tensor *tensor) {
  if (tensor->buffer == NULL) return STATUS_OK;
  size_t bytes;
  TRY(tensor_bytes(tensor->rows, tensor->cols, tensor->dtype, &bytes));
  if (bytes > buffer_size(tensor->buffer)) bytes = buffer_size(tensor->buffer) & ~(size_t)3;
  return buffer_zero(tensor->buffer, 0, bytes);
}

Status tensor_copy(Tensor *to, const Tensor *from) {
  TRY(ops_check_shape("tensor_copy", "to", to, from->rows, from->cols));
  TRY(ops_check_type("tensor_copy", "to", to, from->dtype));
  if (to->buffer == NULL) return STATUS_OK;
  return buffer_copy(to->buffer, 0, from->buffer, 0, from->rows * from->cols * dtype_size(from->dtype));
}
