// What the readers of tensor files share: the open file and its list of tensors. tensors.c owns the list;
// safetensors.c, gguf.c and torch_file.c fill it. Private to this room.
#pragma once

#include "io/file.h"
#include "io/tensors.h"
#include "util/bytes.h"
#include "util/str.h"
#include <stdbool.h>

typedef struct GgufValue GgufValue;

/// The metadata of a GGUF file, sorted by key.
typedef struct GgufValues {
  const char *path; // of the file that it stands in, for messages
  GgufValue *list;
  size_t count;
} GgufValues;

struct TensorFile {
  char *path;
  MappedFile *maps; // the file; also the shards of an index, or the other parts of a GGUF file
  size_t map_count, map_capacity;
  uint8_t **copies; // tensors whose elements are not in order in the file
  size_t copy_count, copy_capacity;
  StoredTensor *tensors; // in the file's order; each owns its name
  size_t count, capacity;
  const StoredTensor **by_name; // the same, sorted by name
  bool is_gguf;
  GgufValues metadata; // of the first part, if there are several
};

/// Maps one more file; *out is valid until another is added.
STATUS_CHECKED Status tensors_add_map(TensorFile *file, const char *path, MappedFile **out);

/// *out = `size` bytes that live as long as the file.
STATUS_CHECKED Status tensors_add_copy(TensorFile *file, size_t size, uint8_t **out);

/// Appends a tensor with a copy of `name`. Fails if the name is empty or has control characters. The caller
/// checks that its bytes lie in a map or a copy.
STATUS_CHECKED Status tensors_add(TensorFile *file, const char *path, const char *name, size_t name_size,
                                  const StoredTensor *tensor);

/// True if the name is not empty and has no control characters.
bool tensor_name_is_valid(const char *name, size_t size);

/// *elements and *size (bytes) of a tensor of `type` and `shape`. Fails on overflow, and if a row of a
/// quantised type is not a multiple of the block.
STATUS_CHECKED Status tensor_measure(DType type, size_t rank, const size_t *shape, size_t *elements,
                                     size_t *size);

/// Checks tensors [first, count) of `path`, which lie in data[size]: no two may overlap, and if `packed` they
/// must cover every byte.
STATUS_CHECKED Status tensors_check_layout(const TensorFile *file, const char *path, size_t first,
                                           const uint8_t *data, size_t size, bool packed);

/// Each fills the list of tensors: from one map, from the index in maps[0] and the shards that it names, from
/// the GGUF file in maps[0] and, if that is the first of several parts, the others beside it, and from what
/// torch.save wrote into maps[0].
STATUS_CHECKED Status safetensors_read(TensorFile *file, MappedFile *map);
STATUS_CHECKED Status safetensors_read_index(TensorFile *file);
STATUS_CHECKED Status gguf_read(TensorFile *file);
STATUS_CHECKED Status torch_read(TensorFile *file);
void gguf_free_values(GgufValues *values);
