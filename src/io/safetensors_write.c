// Writing safetensors as a stream. Rule: the header is padded with spaces to a multiple of 8 bytes, so that the data
// starts aligned; tensors lie in the order given; elements are rounded to nearest even.
#include "io/tensors.h"

#include "io/file.h"
#include "io/json.h"
#include "tensor_file.h"
#include "util/half.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 14 }; // elements asked for at a time

static Status out_of_memory(void) {
  return status_fail(STATUS_FAILED, "out of memory for a safetensors header");
}

/// Appends {"dtype", "shape", "data_offsets"} of `tensor`, whose bytes start at *offset, and moves *offset on.
static Status add_entry(cJSON *header, const TensorToWrite *tensor, size_t *offset) {
  size_t elements = 0, size = 0;
  TRY(tensor_measure(tensor->type, tensor->rank, tensor->shape, &elements, &size));
  cJSON *entry = cJSON_AddObjectToObject(header, tensor->name);
  cJSON *shape = NULL, *offsets = NULL;
  bool done = entry != NULL &&
              cJSON_AddStringToObject(entry, "dtype", stored_type_name(tensor->type)) != NULL &&
              (shape = cJSON_AddArrayToObject(entry, "shape")) != NULL &&
              (offsets = cJSON_AddArrayToObject(entry, "data_offsets")) != NULL;
  for (size_t i = 0; done && i < tensor->rank; i++)
    done = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)tensor->shape[i])) != 0;
  done = done && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)*offset)) != 0 &&
         cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(*offset + size))) != 0;
  *offset += size;
  return done ? STATUS_OK : out_of_memory();
}

static Status add_metadata(cJSON *header, const cJSON *metadata) {
  cJSON *own = metadata != NULL ? cJSON_Duplicate(metadata, 1) : cJSON_CreateObject();
  if (!cJSON_AddItemToObject(header, "__metadata__", own)) {
    cJSON_Delete(own);
    return out_of_memory();
  }
  if (metadata == NULL && cJSON_AddStringToObject(own, "format", "pt") == NULL) return out_of_memory();
  return STATUS_OK;
}

/// *out = the header's JSON text in fresh memory.
static Status make_header(const TensorToWrite *tensors, size_t count, const cJSON *metadata, char **out) {
  cJSON *header = cJSON_CreateObject();
  if (header == NULL) return out_of_memory();
  size_t offset = 0;
  Status status = add_metadata(header, metadata);
  for (size_t i = 0; status == STATUS_OK && i < count; i++)
    status = status_context(add_entry(header, &tensors[i], &offset), "tensor \"%s\"", tensors[i].name);
  if (status == STATUS_OK) status = json_print(header, false, out);
  cJSON_Delete(header);
  return status;
}

static Status write_header(FileWriter *writer, const char *text) {
  static const char spaces[] = "       ";
  size_t length = strlen(text);
  size_t padding = (8 - length % 8) % 8;
  uint64_t size = length + padding;
  TRY(writer_append(writer, &size, sizeof size));
  TRY(writer_append(writer, text, length));
  return writer_append(writer, spaces, padding);
}

static Status write_piece(FileWriter *writer, StoredType type, const float *values, size_t count,
                          uint16_t *halves) {
  if (type == STORED_F32) return writer_append(writer, values, count * sizeof *values);
  for (size_t i = 0; i < count; i++)
    halves[i] = type == STORED_F16 ? half_from_float(values[i]) : bfloat_from_float(values[i]);
  return writer_append(writer, halves, count * sizeof *halves);
}

static Status write_tensors(FileWriter *writer, const TensorToWrite *tensors, size_t count, TensorFill fill,
                            void *user) {
  Status status = STATUS_OK;
  float *values = NULL;
  uint16_t *halves = NULL;
  TRY_CLEAN(mem_array(&values, PIECE, "a piece of a tensor"));
  TRY_CLEAN(mem_array(&halves, PIECE, "a piece of a tensor"));
  for (size_t i = 0; i < count; i++) {
    size_t elements = 0, size = 0;
    TRY_CLEAN(tensor_measure(tensors[i].type, tensors[i].rank, tensors[i].shape, &elements, &size));
    for (size_t first = 0; first < elements; first += PIECE) {
      size_t piece = elements - first < PIECE ? elements - first : PIECE;
      TRY_CLEAN(fill(user, i, first, piece, values));
      TRY_CLEAN(write_piece(writer, tensors[i].type, values, piece, halves));
    }
  }

cleanup:
  free(values);
  free(halves);
  return status;
}

static Status check_types(const TensorToWrite *tensors, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (stored_block_elements(tensors[i].type) == 1 && tensors[i].rank <= STORED_MAX_RANK) continue;
    return status_fail(STATUS_FAILED, "tensor \"%s\": %s of rank %zu cannot be written as safetensors",
                       tensors[i].name, stored_type_name(tensors[i].type), tensors[i].rank);
  }
  return STATUS_OK;
}

Status safetensors_write(const char *path, const TensorToWrite *tensors, size_t count, const cJSON *metadata,
                         TensorFill fill, void *user) {
  Status status = STATUS_OK;
  FileWriter *writer = NULL;
  char *header = NULL;
  TRY(check_types(tensors, count));
  TRY_CLEAN(make_header(tensors, count, metadata, &header));
  TRY_CLEAN(writer_open(path, &writer));
  TRY_CLEAN(write_header(writer, header));
  TRY_CLEAN(write_tensors(writer, tensors, count, fill, user));
  FileWriter *closing = writer;
  writer = NULL;
  TRY_CLEAN(writer_close(closing));

cleanup:
  writer_abandon(writer);
  free(header);
  return status;
}
