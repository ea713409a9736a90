// Reading safetensors, one file or a sharded index (https://github.com/huggingface/safetensors, "Format").
//
//   | N: u64 | header: N bytes of JSON | data …        begin and end count from the start of the data
//     header: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, …}
//             "__metadata__" may hold strings
//
// Rule: end − begin must be what shape and dtype need, and the tensors must fill the data without gaps or
// overlaps.
#include "tensor_file.h"

#include "io/json.h"
#include "util/dequant.h"
#include "util/str.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t HEADER_LIMIT = 100000000; // bytes, as in the format's own library
static const int64_t OFFSET_LIMIT = INT64_C(1) << 53;
enum { SHARD_LIMIT = 4096 };

static Status parse_type(const char *text, const char *where, DType *out) {
  if (dtype_from_name(text, out) && strcmp(text, dtype_name(*out)) == 0) {
    if (dtype_info(*out)->block_elements == 1 && can_dequantise(*out)) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "%s: dtype %.32s is not supported (F32, F16 and BF16 are)", where, text);
}

static Status parse_shape(const cJSON *entry, const char *where, StoredTensor *tensor) {
  const cJSON *shape = NULL, *dimension = NULL;
  TRY(json_get_array(entry, "shape", where, &shape));
  cJSON_ArrayForEach(dimension, shape) {
    double value = cJSON_IsNumber(dimension) ? dimension->valuedouble : -1;
    if (!(value >= 0 && value < (double)OFFSET_LIMIT) || (double)(size_t)value != value)
      return status_fail(STATUS_INPUT, "%s: \"shape\" holds something that is not a size", where);
    if (tensor->rank == STORED_MAX_RANK)
      return status_fail(STATUS_INPUT, "%s: \"shape\" has more than %d dimensions", where, STORED_MAX_RANK);
    tensor->shape[tensor->rank++] = (size_t)value;
  }
  return STATUS_OK;
}

static Status parse_offsets(const cJSON *entry, const char *where, size_t data_size, size_t *begin,
                            size_t *end) {
  const cJSON *offsets = NULL;
  TRY(json_get_array(entry, "data_offsets", where, &offsets));
  const cJSON *first = offsets->child;
  const cJSON *second = first != NULL ? first->next : NULL;
  if (second == NULL || second->next != NULL || !cJSON_IsNumber(first) || !cJSON_IsNumber(second))
    return status_fail(STATUS_INPUT, "%s: \"data_offsets\" is not a pair of numbers", where);
  double low = first->valuedouble, high = second->valuedouble;
  if (!(low >= 0 && low <= high && high <= (double)data_size) || (double)(size_t)low != low ||
      (double)(size_t)high != high) {
    return status_fail(STATUS_INPUT,
                       "%s: \"data_offsets\" [%.17g, %.17g] do not lie in the %zu bytes of data", where, low,
                       high, data_size);
  }
  *begin = (size_t)low;
  *end = (size_t)high;
  return STATUS_OK;
}

static Status parse_entry(const cJSON *entry, const char *where, const uint8_t *data, size_t data_size,
                          StoredTensor *out) {
  const char *dtype = NULL;
  size_t begin = 0, end = 0;
  TRY(json_get_string(entry, "dtype", where, &dtype));
  TRY(parse_type(dtype, where, &out->type));
  TRY(parse_shape(entry, where, out));
  TRY(parse_offsets(entry, where, data_size, &begin, &end));
  TRY(status_context(tensor_measure(out->type, out->rank, out->shape, &out->elements, &out->size), "%s",
                     where));
  if (end - begin != out->size) {
    return status_fail(STATUS_INPUT, "%s: \"data_offsets\" span %zu bytes, but its shape of %s needs %zu",
                       where, end - begin, dtype, out->size);
  }
  out->bytes = data + begin;
  return STATUS_OK;
}

static Status read_header(TensorFile *file, const char *path, const cJSON *header, const uint8_t *data,
                          size_t data_size) {
  if (!cJSON_IsObject(header)) return status_fail(STATUS_INPUT, "%s: the header is not a JSON object", path);
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, header) {
    if (strcmp(entry->string, "__metadata__") == 0) continue;
    char *where = NULL;
    TRY(str_format(&where, "%s: tensor \"%.200s\"", path, entry->string));
    StoredTensor tensor = {0};
    Status status = parse_entry(entry, where, data, data_size, &tensor);
    free(where);
    if (status == STATUS_OK) status = tensors_add(file, path, entry->string, strlen(entry->string), &tensor);
    if (status != STATUS_OK) return status;
  }
  return STATUS_OK;
}

Status safetensors_read(TensorFile *file, MappedFile *map) {
  const char *path = map->path;
  if (map->size < 8)
    return status_fail(STATUS_INPUT, "%s: a file of %zu byte%s is too short for safetensors", path, map->size,
                       str_plural(map->size));
  uint64_t header_size = load_u64(map->bytes);
  if (header_size > map->size - 8 || header_size > HEADER_LIMIT) {
    return status_fail(STATUS_INPUT,
                       "%s: the header claims %" PRIu64
                       " bytes, but the file has %zu; it is cut off or not safetensors",
                       path, header_size, map->size);
  }
  const uint8_t *data = map->bytes + 8 + header_size;
  size_t data_size = map->size - 8 - (size_t)header_size;
  size_t first = file->count;
  cJSON *header = NULL;
  TRY(status_context(json_parse_unique((const char *)map->bytes + 8, (size_t)header_size, path, &header),
                     "safetensors header"));
  Status status = read_header(file, path, header, data, data_size);
  if (status == STATUS_OK) status = tensors_check_layout(file, path, first, data, data_size, true);
  cJSON_Delete(header);
  return status;
}

// ---- sharded index: {"weight_map": {"name": "model-00001-of-00002.safetensors", …}} ----

/// *out = `name` in the folder of the index. Only plain names: an index must not point outside its folder.
static Status shard_path(const TensorFile *file, const char *name, char **out) {
  if (name[0] == '\0' || name[0] == '.' || strchr(name, '/') != NULL)
    return status_fail(STATUS_INPUT, "%s: \"%.200s\" is not the file name of a shard", file->path, name);
  const char *slash = strrchr(file->path, '/');
  int folder = slash != NULL ? (int)(slash - file->path) + 1 : 0;
  return str_format(out, "%.*s%s", folder, file->path, name);
}

static bool is_mapped(const TensorFile *file, const char *path) {
  for (size_t i = 1; i < file->map_count; i++) {
    if (strcmp(file->maps[i].path, path) == 0) return true;
  }
  return false;
}

static Status read_shard(TensorFile *file, const char *name) {
  char *path = NULL;
  TRY(shard_path(file, name, &path));
  Status status = STATUS_OK;
  if (!is_mapped(file, path)) {
    MappedFile *map = NULL;
    if (file->map_count > SHARD_LIMIT)
      status = status_fail(STATUS_INPUT, "%s: names more than %d shards", file->path, SHARD_LIMIT);
    if (status == STATUS_OK) status = tensors_add_map(file, path, &map);
    if (status == STATUS_OK) status = safetensors_read(file, map);
  }
  free(path);
  return status;
}

static int compare_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/// Checks that every name in the map was found in some shard.
static Status check_complete(const TensorFile *file, const cJSON *map) {
  const char **names = calloc(file->count + 1, sizeof *names);
  if (names == NULL)
    return status_fail(STATUS_FAILED, "out of memory for the names of %zu tensors", file->count);
  for (size_t i = 0; i < file->count; i++) names[i] = file->tensors[i].name;
  qsort(names, file->count, sizeof *names, compare_text);
  Status status = STATUS_OK;
  const cJSON *entry = NULL;
  cJSON_ArrayForEach(entry, map) {
    const char *key = entry->string;
    if (bsearch(&key, names, file->count, sizeof *names, compare_text) != NULL) continue;
    status = status_fail(STATUS_INPUT, "%s: tensor \"%.200s\" is not in its shard %.200s", file->path, key,
                         entry->valuestring);
    break;
  }
  free(names);
  return status;
}

Status safetensors_read_index(TensorFile *file) {
  cJSON *index = NULL;
  const cJSON *map = NULL, *entry = NULL;
  TRY(json_parse_unique((const char *)file->maps[0].bytes, file->maps[0].size, file->path, &index));
  Status status = json_has(index, "weight_map")
                      ? json_get_object(index, "weight_map", file->path, &map)
                      : status_fail(STATUS_INPUT,
                                    "%s: no index of weights (\"weight_map\" is missing); for a model give "
                                    "its folder",
                                    file->path);
  if (status == STATUS_OK) {
    cJSON_ArrayForEach(entry, map) {
      status = cJSON_IsString(entry)
                   ? read_shard(file, entry->valuestring)
                   : status_fail(STATUS_INPUT, "%s: \"weight_map\" holds something that is not a file name",
                                 file->path);
      if (status != STATUS_OK) break;
    }
  }
  if (status == STATUS_OK) status = check_complete(file, map);
  cJSON_Delete(index);
  return status;
}
