// Tensors: device buffers with a shape, a type and a purpose. Their memory is counted by purpose; a plan only
// counts.
#include "context.h"

#include "util/memory.h"
#include "util/str.h"
#include <string.h>

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

/// *bytes = the memory of a tensor: whole words of 4 bytes, because buffer_zero needs them.
static Status tensor_bytes(size_t rows, size_t cols, DType type, size_t *bytes) {
  const DTypeInfo *info = dtype_info(type);
  if (cols % info->block_elements != 0) {
    return status_fail(STATUS_FAILED, "tensor: rows of %zu elements do not fill the blocks of %zu of %s",
                       cols, info->block_elements, info->name);
  }
  TRY(mem_product(rows, cols / info->block_elements, bytes, "tensor"));
  TRY(mem_product(*bytes, info->block_bytes, bytes, "tensor"));
  if (*bytes > SIZE_MAX - 3) return status_fail(STATUS_FAILED, "tensor: [%zu, %zu] is too large", rows, cols);
  *bytes = (*bytes + 3) & ~(size_t)3;
  return STATUS_OK;
}

/// *out = a buffer of zeros on the ops' device.
static Status create_buffer(Ops *ops, size_t bytes, Buffer **out) {
  OPERATION_OF(ops, "zero", 0, (double)bytes);
  TRY(buffer_create(ops->device, bytes, out));
  Status status = buffer_zero(*out, 0, bytes);
  if (status == STATUS_OK) return STATUS_OK;
  buffer_free(*out);
  *out = NULL;
  return status;
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
    TRY(status_context(create_buffer(ops, bytes, &buffer), "%s [%zu, %zu]", name, rows, cols));
  } else if (bytes > ops->max_allocation) {
    return status_fail(STATUS_FAILED,
                       "%s [%zu, %zu] takes %zu MiB, but the device allocates at most %zu MiB in one piece",
                       name, rows, cols, bytes >> 20, (size_t)(ops->max_allocation >> 20));
  }
  ops_count_memory(ops, kind, bytes, 1);
  *out = (Tensor){.ops = ops,
                  .buffer = buffer,
                  .dtype = dtype,
                  .kind = kind,
                  .rows = rows,
                  .cols = cols,
                  .pitch = cols,
                  .bytes = bytes};
  return STATUS_OK;
}

Status tensor_view(const Tensor *parent, size_t offset, size_t rows, size_t cols, Tensor *out) {
  *out = (Tensor){0};
  TRY(ops_check_type("tensor_view", "parent", parent, DTYPE_F32));
  TRY(ops_check_whole("tensor_view", "parent", parent));
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
  out->bytes = 0;
  out->rows = rows;
  out->cols = out->pitch = cols;
  return STATUS_OK;
}

void tensor_free(Tensor *tensor) {
  if (tensor == NULL || tensor->ops == NULL) return;
  ops_count_memory(tensor->ops, tensor->kind, tensor->bytes, -1);
  buffer_free(tensor->buffer);
  *tensor = (Tensor){0};
}

// ---- views without memory ----

/// [rows, cols] of the tensor, from element `offset`; [0, 0] unless `inside`.
static Tensor window(const Tensor *tensor, bool inside, size_t offset, size_t rows, size_t cols) {
  Tensor view = *tensor;
  view.bytes = 0;
  view.first += offset;
  view.rows = inside ? rows : 0;
  view.cols = inside ? cols : 0;
  return view;
}

Tensor tensor_rows(const Tensor *tensor, size_t first, size_t rows) {
  bool inside = first <= tensor->rows && rows <= tensor->rows - first;
  return window(tensor, inside, first * tensor->pitch, rows, tensor->cols);
}

Tensor tensor_columns(const Tensor *tensor, size_t first, size_t cols) {
  size_t block = dtype_info(tensor->dtype)->block_elements;
  bool inside = first <= tensor->cols && cols <= tensor->cols - first && (first | cols) % block == 0;
  return window(tensor, inside, first, tensor->rows, cols);
}

Tensor tensor_reshape(const Tensor *tensor, size_t rows, size_t cols) {
  size_t count = 0;
  bool inside = !__builtin_mul_overflow(rows, cols, &count) && tensor_is_dense(tensor) &&
                count <= tensor->rows * tensor->cols;
  Tensor view = window(tensor, inside, 0, rows, cols);
  view.pitch = cols;
  return view;
}

bool tensor_is_dense(const Tensor *tensor) {
  return tensor->pitch == tensor->cols || tensor->rows == 1;
}

// ---- transfers ----

/// *offset, *size = where elements [first, first + count) lie in the tensor's buffer, in bytes.
static Status locate(const char *what, const Tensor *tensor, size_t first, size_t count, size_t *offset,
                     size_t *size) {
  size_t whole = tensor->rows * tensor->cols, block = dtype_info(tensor->dtype)->block_elements;
  TRY(ops_check_dense(what, "tensor", tensor));
  if (first > whole || count > whole - first || first % block != 0 || count % block != 0) {
    return status_fail(STATUS_FAILED, "%s: elements %zu to %zu of a tensor of %zu", what, first,
                       first + count, whole);
  }
  *offset = dtype_bytes(tensor->dtype, tensor->first + first);
  *size = dtype_bytes(tensor->dtype, count);
  return STATUS_OK;
}

Status tensor_write(Tensor *to, size_t first, size_t count, const void *from) {
  size_t offset = 0, size = 0;
  TRY(locate("tensor_write", to, first, count, &offset, &size));
  OPERATION_OF(to->ops, "to device", 0, (double)size);
  return to->buffer == NULL ? STATUS_OK : buffer_write(to->buffer, offset, from, size);
}

Status tensor_read(const Tensor *from, size_t first, size_t count, void *to) {
  size_t offset = 0, size = 0;
  TRY(locate("tensor_read", from, first, count, &offset, &size));
  OPERATION_OF(from->ops, "from device", 0, (double)size);
  if (from->buffer != NULL) return buffer_read(from->buffer, offset, to, size);
  memset(to, 0, size);
  return STATUS_OK;
}

Status tensor_zero(Tensor *tensor) {
  size_t offset = 0, size = 0;
  TRY(locate("tensor_zero", tensor, 0, tensor->rows * tensor->cols, &offset, &size));
  if (tensor->buffer == NULL) return STATUS_OK;
  // A tensor that owns its memory has whole words, and the padding behind its last element may be zeroed too.
  // A view whose size is not whole words is refused by buffer_zero.
  if (tensor->bytes > 0) size = tensor->bytes;
  OPERATION_OF(tensor->ops, "zero", 0, (double)size);
  return buffer_zero(tensor->buffer, offset, size);
}

Status tensor_copy(Tensor *to, const Tensor *from) {
  size_t to_offset = 0, from_offset = 0, size = 0;
  TRY(ops_check_shape("tensor_copy", "to", to, from->rows, from->cols));
  TRY(ops_check_type("tensor_copy", "to", to, from->dtype));
  TRY(locate("tensor_copy", to, 0, to->rows * to->cols, &to_offset, &size));
  TRY(locate("tensor_copy", from, 0, from->rows * from->cols, &from_offset, &size));
  OPERATION_OF(to->ops, "copy", 0, 2 * (double)size);
  return to->buffer == NULL ? STATUS_OK : buffer_copy(to->buffer, to_offset, from->buffer, from_offset, size);
}
