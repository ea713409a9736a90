// Named tensors in files, whatever the format: safetensors (one file or a sharded index) and GGUF.
// Every offset, count and size in a file is checked against the file before anything is read through it.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stddef.h>
#include <stdint.h>

enum { STORED_MAX_RANK = 4 };

/// A view into a mapped file; valid while its TensorFile lives. Row-major, outermost dimension first (as in
/// safetensors and PyTorch; GGUF's order is reversed on reading).
typedef struct StoredTensor {
  const char *name;
  DType type; // one that tensors_read_f32 can decode
  size_t rank;
  size_t shape[STORED_MAX_RANK];
  size_t elements;
  const uint8_t *bytes;
  size_t size; // of `bytes`
} StoredTensor;

typedef struct TensorFile TensorFile;

/// Opens a .safetensors file, a model.safetensors.index.json, or a .gguf file, told apart by content.
STATUS_CHECKED Status tensors_open(const char *path, TensorFile **out);
void tensors_close(TensorFile *file);
const char *tensors_path(const TensorFile *file);
size_t tensors_count(const TensorFile *file);
const StoredTensor *tensors_at(const TensorFile *file, size_t index);
/// NULL where there is none of that name.
const StoredTensor *tensors_find(const TensorFile *file, const char *name);

/// out[count] = elements [first, first + count) as float32; both are multiples of the type's block.
STATUS_CHECKED Status tensors_read_f32(const StoredTensor *tensor, size_t first, size_t count, float *out);

// ---- GGUF metadata (NULL or missing for safetensors) ----

/// True for a GGUF file.
int tensors_is_gguf(const TensorFile *file);
/// Typed metadata; `fallback` variants return the fallback where the key is absent, and fail on another type.
STATUS_CHECKED Status gguf_get_integer(const TensorFile *file, const char *key, int64_t *out);
STATUS_CHECKED Status gguf_get_integer_or(const TensorFile *file, const char *key, int64_t fallback,
                                          int64_t *out);
STATUS_CHECKED Status gguf_get_number_or(const TensorFile *file, const char *key, double fallback,
                                         double *out);
/// *out points at NUL-terminated memory owned by the file; NULL where the key is absent.
STATUS_CHECKED Status gguf_get_string_or_null(const TensorFile *file, const char *key, const char **out);
/// An array of strings: *count entries; each read with gguf_string_at. STATUS_INPUT where absent.
STATUS_CHECKED Status gguf_get_strings(const TensorFile *file, const char *key, size_t *count);
/// The bytes of entry `index` (not NUL-terminated) of an array checked by gguf_get_strings.
void gguf_string_at(const TensorFile *file, const char *key, size_t index, const char **bytes, size_t *size);
/// An array of integers of any width, widened into fresh memory (free()); *count = 0 and NULL where absent.
STATUS_CHECKED Status gguf_get_integers(const TensorFile *file, const char *key, int64_t **out,
                                        size_t *count);

// ---- writing safetensors ----

/// One tensor to write: the caller's `fill` is asked for the bytes in order, in pieces.
typedef struct TensorToWrite {
  const char *name;
  DType type; // F32, F16 or BF16
  size_t rank;
  size_t shape[STORED_MAX_RANK];
} TensorToWrite;

/// Supplies `count` float32 elements of tensor `index` starting at `first`.
typedef Status (*TensorFill)(void *user, size_t index, size_t first, size_t count, float *out);

/// Writes `path` (not atomically: use it inside an AtomicDir), with the metadata {"format":"pt"}.
STATUS_CHECKED Status safetensors_write(const char *path, const TensorToWrite *tensors, size_t count,
                                        TensorFill fill, void *user);
