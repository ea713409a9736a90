// Named tensors of a file of any format: the content tells the format, its reader fills the list, and the
// list is checked here. Rule: the bytes of every StoredTensor in the list lie inside a map of the file, or in
// a copy that the file owns.
#include "tensor_file.h"

#include "util/dequant.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

Status tensors_add_map(TensorFile *file, const char *path, MappedFile **out) {
  TRY(mem_reserve(&file->maps, &file->map_capacity, file->map_count + 1, "mapped files"));
  *out = &file->maps[file->map_count];
  TRY(file_map(path, *out));
  file->map_count++;
  return STATUS_OK;
}

Status tensors_add_copy(TensorFile *file, size_t size, uint8_t **out) {
  TRY(mem_reserve(&file->copies, &file->copy_capacity, file->copy_count + 1, "a tensor"));
  TRY(mem_array(out, size, "a tensor"));
  file->copies[file->copy_count++] = *out;
  return STATUS_OK;
}

bool tensor_name_is_valid(const char *name, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return false;
  }
  return size > 0;
}

Status tensors_add(TensorFile *file, const char *path, const char *name, size_t name_size,
                   const StoredTensor *tensor) {
  if (!tensor_name_is_valid(name, name_size)) {
    return status_fail(STATUS_INPUT, "%s: tensor %zu has an empty name or one with control characters", path,
                       file->count);
  }
  TRY(mem_reserve(&file->tensors, &file->capacity, file->count + 1, "the list of tensors"));
  char *copy = NULL;
  TRY(str_copy(&copy, name, name_size));
  file->tensors[file->count] = *tensor;
  file->tensors[file->count].name = copy;
  file->count++;
  return STATUS_OK;
}

Status tensor_measure(DType type, size_t rank, const size_t *shape, size_t *elements, size_t *size) {
  size_t block = dtype_info(type)->block_elements;
  size_t product = 1;
  bool fits = true;
  for (size_t i = 0; fits && i < rank; i++) fits = !__builtin_mul_overflow(product, shape[i], &product);
  // A block is never larger than 8 bytes per element, so the size below cannot overflow either.
  if (!fits || product > SIZE_MAX / 8)
    return status_fail(STATUS_INPUT, "its shape has more elements than memory can address");
  if (block > 1 && (rank == 0 || shape[rank - 1] % block != 0)) {
    return status_fail(STATUS_INPUT, "rows of %zu elements do not fill the blocks of %zu of %s",
                       rank == 0 ? (size_t)1 : shape[rank - 1], block, dtype_name(type));
  }
  *elements = product;
  *size = dtype_bytes(type, product);
  return STATUS_OK;
}

static int compare_places(const void *a, const void *b) {
  const StoredTensor *first = *(const StoredTensor *const *)a, *second = *(const StoredTensor *const *)b;
  if (first->bytes != second->bytes) return first->bytes < second->bytes ? -1 : 1;
  return (first->size > second->size) -
         (first->size < second->size); // empty ones first: they overlap nothing
}

Status tensors_check_layout(const TensorFile *file, const char *path, size_t first, const uint8_t *data,
                            size_t size, bool packed) {
  size_t count = file->count - first;
  const StoredTensor **order = NULL;
  TRY(mem_array(&order, count, "the order of tensors"));
  for (size_t i = 0; i < count; i++) order[i] = &file->tensors[first + i];
  qsort(order, count, sizeof(*order), compare_places);
  Status status = STATUS_OK;
  size_t end = 0; // of the tensors so far, as an offset into `data`
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    size_t start = (size_t)(order[i]->bytes - data);
    if (start < end) {
      status = status_fail(STATUS_INPUT, "%s: tensor \"%s\" overlaps \"%s\"; the file is damaged", path,
                           order[i]->name, order[i - 1]->name);
    } else if (packed && start > end) {
      status =
          status_fail(STATUS_INPUT,
                      "%s: tensor \"%s\" begins %zu byte%s after the one before it ends; the file is damaged",
                      path, order[i]->name, start - end, str_plural(start - end));
    }
    end = start + order[i]->size;
  }
  if (status == STATUS_OK && packed && end != size) {
    status =
        status_fail(STATUS_INPUT, "%s: the last tensor ends %zu byte%s before the file; the file is damaged",
                    path, size - end, str_plural(size - end));
  }
  free(order);
  return status;
}

static int compare_tensor_names(const void *a, const void *b) {
  return strcmp((*(const StoredTensor *const *)a)->name, (*(const StoredTensor *const *)b)->name);
}

/// The path of the file that a tensor is in: with an index, that of its shard.
static const char *path_of(const TensorFile *file, const StoredTensor *tensor) {
  for (size_t i = 0; i < file->map_count; i++) {
    const MappedFile *map = &file->maps[i];
    if (tensor->bytes >= map->bytes && tensor->bytes <= map->bytes + map->size) return map->path;
  }
  return file->path;
}

static Status fail_twice(const TensorFile *file, const StoredTensor *a, const StoredTensor *b) {
  const char *first = path_of(file, a), *second = path_of(file, b);
  if (strcmp(first, second) == 0)
    return status_fail(STATUS_INPUT, "%s: tensor \"%s\" appears twice", file->path, a->name);
  return status_fail(STATUS_INPUT, "%s: tensor \"%s\" appears twice, in %s and in %s: delete the wrong one",
                     file->path, a->name, first, second);
}

static Status sort_by_name(TensorFile *file) {
  free(file->by_name);
  TRY(mem_array(&file->by_name, file->count, "the names of tensors"));
  for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->tensors[i];
  qsort(file->by_name, file->count, sizeof(*file->by_name), compare_tensor_names);
  for (size_t i = 1; i < file->count; i++) {
    const StoredTensor *before = file->by_name[i - 1], *tensor = file->by_name[i];
    if (strcmp(before->name, tensor->name) == 0) return fail_twice(file, before, tensor);
  }
  return STATUS_OK;
}

Status tensors_rename(TensorFile *file, TensorRename rename, void *user) {
  for (size_t i = 0; i < file->count; i++) {
    char *name = NULL;
    TRY(rename(user, file->tensors[i].name, &name));
    if (name == NULL) continue;
    free((void *)(uintptr_t)file->tensors[i].name);
    file->tensors[i].name = name;
  }
  return sort_by_name(file);
}

/// A safetensors file starts with the length of its header, a u64 whose upper bytes are zero. Its lower bytes
/// may be anything: 640 is how a pickle begins, 60 a web page.
static bool starts_with_length(const MappedFile *map) {
  return map->size >= 8 && load_u64(map->bytes) >> 32 == 0;
}

static bool looks_like_json(const MappedFile *map) {
  size_t at = 0;
  while (at < map->size && (map->bytes[at] == ' ' || map->bytes[at] == '\n' || map->bytes[at] == '\r')) at++;
  return at < map->size && map->bytes[at] == '{';
}

/// What a file is that people take for weights, by how it begins; NULL: nothing known.
static const char *foreign_kind(const MappedFile *map) {
  static const struct {
    const char *start, *kind;
  } kinds[] = {
      {"version https://git-lfs", "a Git LFS pointer, without the file itself: run git lfs pull"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46", "a file of PyTorch before 1.6: save it again, or as safetensors"},
      {"<", "a web page: the download failed"},
      {"tjgg", "a format that llama.cpp used before GGUF: convert the model again"},
      {"fmgg", "a format that llama.cpp used before GGUF: convert the model again"},
      {"lmgg", "a format that llama.cpp used before GGUF: convert the model again"},
      {"algg", "an adapter in a format that llama.cpp used before GGUF"}};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    size_t length = strlen(kinds[i].start);
    if (map->size >= length && memcmp(map->bytes, kinds[i].start, length) == 0) return kinds[i].kind;
  }
  return NULL;
}

static Status read_by_kind(TensorFile *file) {
  MappedFile *map = NULL;
  TRY(tensors_add_map(file, file->path, &map));
  if (map->size >= 4 && memcmp(map->bytes, "GGUF", 4) == 0) return gguf_read(file);
  if (map->size >= 4 && memcmp(map->bytes, "PK\003\004", 4) == 0) return torch_read(file);
  if (starts_with_length(map)) return safetensors_read(file, map);
  const char *foreign = foreign_kind(map);
  if (foreign != NULL) return status_fail(STATUS_INPUT, "%s: is %s", file->path, foreign);
  if (str_ends(map->path, ".safetensors")) return safetensors_read(file, map);
  if (looks_like_json(map)) return safetensors_read_index(file);
  return status_fail(
      STATUS_INPUT,
      "%s: not a model file (%zu byte%s): give a .safetensors file, its .index.json, or a .gguf file",
      file->path, map->size, str_plural(map->size));
}

static bool is_inside(const StoredTensor *tensor, const MappedFile *map) {
  return tensor->bytes >= map->bytes && tensor->bytes + tensor->size <= map->bytes + map->size;
}

static void note_mapped(TensorFile *file) {
  for (size_t t = 0; t < file->count; t++) {
    for (size_t i = 0; i < file->map_count; i++)
      file->tensors[t].mapped = file->tensors[t].mapped || is_inside(&file->tensors[t], &file->maps[i]);
  }
}

void tensors_forget(const StoredTensor *tensor, size_t offset, size_t size) {
  if (tensor->mapped) file_forget(tensor->bytes + offset, size);
}

Status tensors_open(const char *path, TensorFile **out) {
  *out = NULL;
  Status status = STATUS_OK;
  TensorFile *file = NULL;
  TRY(mem_array(&file, 1, "a tensor file"));
  TRY_CLEAN(str_copy(&file->path, path, strlen(path)));
  TRY_CLEAN(read_by_kind(file));
  TRY_CLEAN(sort_by_name(file));
  note_mapped(file);
  *out = file;
  return STATUS_OK;

cleanup:
  tensors_close(file);
  return status;
}

void tensors_close(TensorFile *file) {
  if (file == NULL) return;
  for (size_t i = 0; i < file->count; i++) free((void *)(uintptr_t)file->tensors[i].name);
  free(file->tensors);
  free(file->by_name);
  gguf_free_values(&file->metadata);
  for (size_t i = 0; i < file->map_count; i++) file_unmap(&file->maps[i]);
  free(file->maps);
  for (size_t i = 0; i < file->copy_count; i++) free(file->copies[i]);
  free(file->copies);
  free(file->path);
  free(file);
}

const char *tensors_path(const TensorFile *file) {
  return file->path;
}
size_t tensors_count(const TensorFile *file) {
  return file->count;
}
int tensors_is_gguf(const TensorFile *file) {
  return file->is_gguf;
}

const StoredTensor *tensors_at(const TensorFile *file, size_t index) {
  return index < file->count ? &file->tensors[index] : NULL;
}

const StoredTensor *tensors_find(const TensorFile *file, const char *name) {
  StoredTensor wanted = {.name = name};
  const StoredTensor *key = &wanted;
  const StoredTensor **found =
      bsearch(&key, file->by_name, file->count, sizeof(*file->by_name), compare_tensor_names);
  return found != NULL ? *found : NULL;
}

Status tensors_read_f32(const StoredTensor *tensor, size_t first, size_t count, float *out) {
  size_t block = dtype_info(tensor->type)->block_elements;
  if (first > tensor->elements || count > tensor->elements - first || first % block != 0 ||
      count % block != 0) {
    return status_fail(STATUS_FAILED,
                       "tensor \"%s\" (%zu elements of %s): elements %zu to %zu cannot be read", tensor->name,
                       tensor->elements, dtype_name(tensor->type), first, first + count);
  }
  dequantise(tensor->type, tensor->bytes + dtype_bytes(tensor->type, first), count / block, out);
  return STATUS_OK;
}
