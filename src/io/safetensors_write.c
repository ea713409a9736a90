// Writing safetensors as a stream. Rule: spaces pad the header to a multiple of 8 bytes, so that the data
// starts aligned; tensors keep the order given; elements are rounded to nearest even, and
// what is not finite is never written.
#include "io/tensors.h"

#include "io/file.h"
#include "io/json_write.h"
#include "tensor_file.h"
#include "util/half.h"
#include "util/memory.h"
#include "util/rounding.h"
#include <stdlib.h>

enum { PIECE = 1 << 14 }; // elements per call of `fill`

/// Adds {"dtype", "shape", "data_offsets"} of `tensor`, whose bytes start at *offset, and moves *offset to
/// their end.
static Status add_entry(JsonWriter *json, const TensorToWrite *tensor, size_t *offset) {
  size_t elements = 0, size = 0;
  TRY(tensor_measure(tensor->type, tensor->rank, tensor->shape, &elements, &size));
  json_object_begin(json, tensor->name);
  json_string(json, "dtype", dtype_name(tensor->type));
  json_array_begin(json, "shape");
  for (size_t i = 0; i < tensor->rank; i++) json_integer(json, NULL, (int64_t)tensor->shape[i]);
  json_array_end(json);
  json_array_begin(json, "data_offsets");
  json_integer(json, NULL, (int64_t)*offset);
  json_integer(json, NULL, (int64_t)(*offset + size));
  json_array_end(json);
  json_object_end(json);
  *offset += size;
  return STATUS_OK;
}

/// *out = the header's JSON text.
static Status make_header(const char *path, const TensorToWrite *tensors, size_t count, Str *out) {
  JsonWriter json = {0};
  size_t offset = 0;
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  json_object_begin(&json, "__metadata__");
  json_string(&json, "format", "pt");
  json_object_end(&json);
  for (size_t i = 0; status == STATUS_OK && i < count; i++)
    status = status_context(add_entry(&json, &tensors[i], &offset), "tensor \"%s\"", tensors[i].name);
  json_object_end(&json);
  if (status == STATUS_OK) status = json_finish(&json, path, out);
  json_free(&json);
  return status;
}

static Status write_header(FileWriter *writer, const Str *text) {
  static const char spaces[] = "       ";
  size_t padding = (8 - text->size % 8) % 8;
  uint64_t size = text->size + padding;
  TRY(writer_append(writer, &size, sizeof size));
  TRY(writer_append(writer, text->data, text->size));
  return writer_append(writer, spaces, padding);
}

static Status write_piece(FileWriter *writer, RoundingCheck *check, const float *values, size_t count,
                          uint16_t *halves) {
  if (check->type == DTYPE_F32) {
    TRY(rounding_add(check, values, NULL, count));
    return writer_append(writer, values, count * sizeof *values);
  }
  halves_from_floats(check->type, values, count, halves);
  TRY(rounding_add(check, values, halves, count));
  return writer_append(writer, halves, count * sizeof *halves);
}

/// Where a tensor's elements come from, and memory for a piece of them.
typedef struct Source {
  TensorFill fill;
  void *user;
  float *values;
  uint16_t *halves;
} Source;

static Status write_tensor(FileWriter *writer, const TensorToWrite *tensor, size_t index,
                           const Source *source) {
  size_t elements = 0, size = 0;
  RoundingCheck check = {.type = tensor->type};
  TRY(tensor_measure(tensor->type, tensor->rank, tensor->shape, &elements, &size));
  for (size_t first = 0; first < elements; first += PIECE) {
    size_t piece = size_min(PIECE, elements - first);
    TRY(source->fill(source->user, index, first, piece, source->values));
    TRY(write_piece(writer, &check, source->values, piece, source->halves));
  }
  return rounding_finish(&check);
}

static Status write_tensors(FileWriter *writer, const TensorToWrite *tensors, size_t count, TensorFill fill,
                            void *user) {
  Status status = STATUS_OK;
  Source source = {.fill = fill, .user = user};
  TRY_CLEAN(mem_array(&source.values, PIECE, "a piece of a tensor"));
  TRY_CLEAN(mem_array(&source.halves, PIECE, "a piece of a tensor"));
  for (size_t i = 0; i < count; i++)
    TRY_CLEAN(status_context(write_tensor(writer, &tensors[i], i, &source), "tensor %s", tensors[i].name));

cleanup:
  free(source.values);
  free(source.halves);
  return status;
}

static Status check_types(const TensorToWrite *tensors, size_t count) {
  for (size_t i = 0; i < count; i++) {
    bool writable = tensors[i].type == DTYPE_F32 || dtype_is_half(tensors[i].type);
    if (writable && tensors[i].rank <= STORED_MAX_RANK) continue;
    return status_fail(STATUS_FAILED, "tensor \"%s\": %s of rank %zu cannot be written as safetensors",
                       tensors[i].name, dtype_name(tensors[i].type), tensors[i].rank);
  }
  return STATUS_OK;
}

Status safetensors_write(const char *path, const TensorToWrite *tensors, size_t count, TensorFill fill,
                         void *user) {
  Status status = STATUS_OK;
  FileWriter *writer = NULL;
  Str header = {0};
  TRY(check_types(tensors, count));
  TRY_CLEAN(make_header(path, tensors, count, &header));
  TRY_CLEAN(writer_open(path, &writer));
  TRY_CLEAN(write_header(writer, &header));
  TRY_CLEAN(write_tensors(writer, tensors, count, fill, user));
  FileWriter *closing = writer;
  writer = NULL;
  TRY_CLEAN(writer_close(closing));

cleanup:
  writer_abandon(writer);
  str_free(&header);
  return status;
}
