// What the readers of tensor files share inside this room: the open file, its list of tensors, and the blocks
// of quantised types. tensors.c owns the list; safetensors.c and gguf.c fill it.
#pragma once

#include "io/file.h"
#include "io/tensors.h"
#include "util/str.h"
#include <stdbool.h>

typedef struct GgufValue GgufValue;

struct TensorFile {
  char *path;
  MappedFile *maps; // one, or one per shard
  size_t map_count, map_capacity;
  StoredTensor *tensors; // in the file's order; each owns its name
  size_t count, capacity;
  const StoredTensor **by_name; // the same, sorted by name
  bool is_gguf;
  GgufValue *values; // GGUF metadata, sorted by key
  size_t value_count;
};

/// Maps one more file; *out stays valid while no other is added.
STATUS_CHECKED Status tensors_add_map(TensorFile *file, const char *path, MappedFile **out);

/// Appends a tensor with a copy of `name`; the caller has checked that `size` bytes lie in the map. Fails
/// where the name is empty or holds control characters.
STATUS_CHECKED Status tensors_add(TensorFile *file, const char *path, const char *name, size_t name_size,
                                  const StoredTensor *tensor);

/// True for bytes a name in a file may have: not empty, no control characters.
bool tensor_name_is_valid(const char *name, size_t size);

/// *elements and *size (bytes) of a tensor of `type` and `shape`; fails on overflow, and for quantised types
/// where a row is no multiple of a block.
STATUS_CHECKED Status tensor_measure(DType type, size_t rank, const size_t *shape, size_t *elements,
                                     size_t *size);

/// Checks tensors [first, count) of `path`, which lie in data[size]: no two may overlap; `packed`: no holes
/// either, from the first byte to the last.
STATUS_CHECKED Status tensors_check_layout(const TensorFile *file, const char *path, size_t first,
                                           const uint8_t *data, size_t size, bool packed);

/// Reads maps[0] and, for an index, its shards.
STATUS_CHECKED Status safetensors_read(TensorFile *file, MappedFile *map);
STATUS_CHECKED Status safetensors_read_index(TensorFile *file);
STATUS_CHECKED Status gguf_read(TensorFile *file);
void gguf_free_values(GgufValue *values, size_t count);

// ---- dequantisation (dequant.c) ----

/// True where dequantise has a decoder for the type.
bool can_dequantise(DType type);
/// out[blocks * block elements] from `blocks` blocks of a type that can_dequantise; any alignment of `bytes`.
void dequantise(DType type, const uint8_t *bytes, size_t blocks, float *out);
/// Appends the names of all such types: "F32, F16, … and Q8_0".
STATUS_CHECKED Status list_readable_types(Str *out);

// ---- little-endian reads at any alignment ----

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the file readers copy little-endian numbers as they lie: a big-endian host needs a swap in load_*"
#endif

uint16_t load_u16(const uint8_t *bytes);
uint32_t load_u32(const uint8_t *bytes);
uint64_t load_u64(const uint8_t *bytes);
